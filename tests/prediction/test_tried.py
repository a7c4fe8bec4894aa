"""Another rule for a trained model is what a training with that rule would have given."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from toy import write_toy_dataset

from wsgn.checkpoint import load_checkpoint
from wsgn.prediction.cli import main
from wsgn.training import cli as train

FEW = ("--preset", "thumos14", "--steps", "15", "--learning-rate", "0.02", "-q", "--threads", "1")
# Three snippets of 0.4 s instead of one; another score of frames.
OTHER = ("--smoothing-seconds", "1.2", "--scoring", "cut")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_toy_dataset(tmp_path_factory.mktemp("dataset"))


@pytest.fixture(scope="module")
def models(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two models of equal weights, trained for the one rule and for the other."""
    folder = tmp_path_factory.mktemp("models")
    for name, options in {"own": ("--smoothing-seconds", "0"), "other": OTHER}.items():
        assert train.main([*source(dataset), "-o", str(folder / name), *FEW, *options]) in (0, 7)
    return {name: folder / name / "model.safetensors" for name in ("own", "other")}


def source(dataset: Path) -> list[str]:
    return [str(dataset / "annotations.json"), "--features", str(dataset / "features")]


def predicted(dataset: Path, model: Path, output: Path, *options: str) -> dict[str, object]:
    annotations, *features = source(dataset)
    words = [annotations, str(model), *features, "-q", "-o", str(output), *options]
    assert main(words) == 0
    found: dict[str, object] = json.loads(output.read_text())["results"]
    return found


@pytest.mark.parametrize("segments", ["trained", "many"])
def test_it_finds_what_a_training_for_it_finds(
    dataset: Path, models: dict[str, Path], tmp_path: Path, segments: str
) -> None:
    output, rule = tmp_path / "found.json", ("--segments", segments)
    own = predicted(dataset, models["own"], output, *rule)
    tried = predicted(dataset, models["own"], output, *rule, *OTHER)
    assert own != tried
    written = tmp_path / "new" / "other.safetensors"
    annotations, *features = source(dataset)
    keep = ("--subset", "train", "-q", "--write-model", str(written))
    assert main([annotations, str(models["own"]), *features, *keep, *rule, *OTHER]) == 0
    kept = predicted(dataset, written, output)
    trained = predicted(dataset, models["other"], output, *rule)
    # With its thresholds from the training videos it is the other model, and needs no option.
    assert kept == trained
    checkpoint, wanted = load_checkpoint(written), load_checkpoint(models["other"])
    assert checkpoint.calibration is not None
    assert wanted.calibration is not None
    assert checkpoint.calibration.detection == wanted.calibration.detection
    assert checkpoint.calibration.prior == wanted.calibration.prior
    # Many thresholds ask for no threshold of training.
    assert segments == "trained" or tried == kept


def test_the_middle_takes_many_thresholds_away(
    dataset: Path, models: dict[str, Path], tmp_path: Path
) -> None:
    annotations, *features = source(dataset)
    for before, segments in (("own", "many"), ("many", "middle")):
        path = models["own"] if before == "own" else tmp_path / f"{before}.safetensors"
        words = ("--subset", "train", "-q", "--segments", segments)
        keep = ("--write-model", str(tmp_path / f"{segments}.safetensors"))
        assert main([annotations, str(path), *features, *words, *keep]) == 0
    many, middle = (
        load_checkpoint(tmp_path / f"{name}.safetensors") for name in ("many", "middle")
    )
    assert many.model.proposals is not None
    assert middle.model == load_checkpoint(models["own"]).model
    assert middle.calibration == load_checkpoint(models["own"]).calibration


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--write-model", "x.safetensors"), "name their subset"),
        (("--smoothing-seconds", "-1"), "smoothing_seconds must be 0 or more"),
        ((), "nothing is asked for"),
    ],
)
def test_what_cannot_be_is_a_sentence(
    dataset: Path,
    models: dict[str, Path],
    capsys: pytest.CaptureFixture[str],
    options: tuple[str, ...],
    sentence: str,
) -> None:
    annotations, *features = source(dataset)
    asked = () if not options or "--write-model" in options else ("--protocol", "activitynet")
    assert main([annotations, str(models["own"]), *features, "-q", *options, *asked]) == 2
    assert sentence in capsys.readouterr().err


def test_a_scoring_is_of_weights_that_average(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "run"
    options = (*FEW, "--weight-scale", "per_frame", "--steps", "2")
    assert train.main([*source(dataset), "-o", str(output), *options]) in (0, 7)
    annotations, *features = source(dataset)
    words = [annotations, str(output / "model.safetensors"), *features, "-q"]
    assert main([*words, "--protocol", "activitynet", "--scoring", "cut"]) == 2
    assert "of the scale average" in capsys.readouterr().err
