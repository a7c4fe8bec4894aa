"""wsgn-train on feature files, as a user runs it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from toy import SAMPLING, SIZE, train_words, write_toy_dataset

from wsgn.checkpoint import load_checkpoint
from wsgn.config import DEFAULT_FRAMES, DEFAULT_SAMPLING
from wsgn.features.convert import convert_features
from wsgn.features.layouts import open_features
from wsgn.manifest import SYNTHETIC, FeatureInput
from wsgn.presets import preset
from wsgn.training.arguments import train_options
from wsgn.training.cli import main
from wsgn.training.train import _tell_of_the_compact_network
from wsgn.training.trainer import StepLog, Trainer

QUICK = ("--steps", "60", "--learning-rate", "0.02", "--thinning", "1", "-q")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_toy_dataset(tmp_path_factory.mktemp("dataset"))


@pytest.fixture(scope="module")
def trained(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("run")
    options = (*QUICK, "--preset", "wsgn+", "--batch-videos", "8", "--tensorboard")
    assert main(train_words(dataset, output, *options)) == 0
    return output


def test_tensorboard_gets_what_the_csv_gets(trained: Path) -> None:
    events = EventAccumulator(str(trained / "tensorboard"))
    events.Reload()
    lines = np.genfromtxt(trained / "losses.csv", delimiter=",", names=True)
    for name in ("loss", "gradient_norm", "learning_rate"):
        found = events.Scalars(f"training/{name}")
        assert [event.step for event in found] == list(range(1, 61))
        np.testing.assert_allclose([event.value for event in found], lines[name], rtol=1e-5)


def test_the_time_base_comes_with_the_features(trained: Path) -> None:
    model = load_checkpoint(trained / "model.safetensors").model
    assert model.sampling == SAMPLING
    assert model.features is not None
    assert model.features.size == SIZE


def test_frames_between_snippets_can_be_scored(dataset: Path, tmp_path: Path) -> None:
    options = (*QUICK, "--time-unit", "frame", "--thinning", "5", "--start-range", "15")
    options = (*options, "--scoring-step", "2", "--test", "test")
    assert main(train_words(dataset, tmp_path, *options)) == 0
    assert (tmp_path / "detections.json").is_file()


def test_packed_features_train_the_same_model(dataset: Path, trained: Path, tmp_path: Path) -> None:
    convert_features(open_features(dataset / "features"), tmp_path / "packs", pack_bytes=20_000)
    assert len(list((tmp_path / "packs").glob("*.tar"))) > 1
    options = (*QUICK, "--preset", "wsgn+", "--batch-videos", "8")
    words = train_words(dataset, tmp_path / "run", *options)
    words[words.index(str(dataset / "features"))] = str(tmp_path / "packs")
    assert main(words) == 0
    files = (path / "model.safetensors" for path in (trained, tmp_path / "run"))
    assert len({path.read_bytes() for path in files}) == 1


def test_what_is_missing_is_said_before_training(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    few = tmp_path / "few"
    few.mkdir()
    for path in sorted((dataset / "features").iterdir())[:-1]:
        (few / path.name).symlink_to(path)
    annotations = str(dataset / "annotations.json")
    arguments = [annotations, "--features", str(few), "-o", str(tmp_path / "run"), *QUICK]
    assert main([*arguments, "--test", "test"]) == 3
    assert "1 of 24 videos have no features" in capsys.readouterr().err
    assert main([*arguments, "--steps", "2", "--skip-missing"]) == 0
    assert not (tmp_path / "run" / "detections.json").exists()


def test_the_table_says_what_is_missing_and_what_is_left_out(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    few = tmp_path / "few"
    few.mkdir()
    annotations = dataset / "annotations.json"
    database = json.loads(annotations.read_text())["database"]
    missing = next(name for name, video in database.items() if video["subset"] == "test")
    for path in (dataset / "features").iterdir():
        if path.stem != missing:
            (few / path.name).symlink_to(path)
    arguments = [str(annotations), "--features", str(few), "-o", str(tmp_path / "run"), *QUICK]
    arguments += ["--steps", "1", "--test", "test"]
    assert main([*arguments, "--skip-missing"]) == 0
    assert "on 12 videos, 12 instances (1 of the videos, with 1 of" in capsys.readouterr().out
    assert main([*arguments, "--only-present", "--overwrite"]) == 0
    assert "on 11 videos, 11 instances (1 more, with 1 instances" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--coactivity-weight", "0.5", "--batch-pairs", "0"), "set --batch-pairs to 3"),
        (("--method", "wtalc", "--batch-videos", "1"), "or --coactivity-weight to 0"),
        (("--device", "cuda:77"), "GPU"),
        (("--device", "tpu"), "device"),
        (("--streams", "depth"), "streams"),
        (("--method", "wtalc", "--supervised", "--batch-pairs", "2"), "supervised"),
        (("--frame-rate", "25"), "--snippet-length"),
        (("--batch-pairs", "9"), "do not fit"),
        (("--scoring-step", "3"), "--scoring-step"),
        (("--components", "gaussian"), "local_gaussian"),
    ],
)
def test_wrong_options_get_a_sentence(
    dataset: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    options: tuple[str, ...],
    words: str,
) -> None:
    assert main(train_words(dataset, tmp_path / "run", *QUICK, *options)) == 2
    error = capsys.readouterr().err
    assert words in error
    assert "Traceback" not in error
    # Nothing came into the folder, and nobody finds an empty one.
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("options", "pairs"),
    [
        (("--method", "wtalc"), 3),
        (("--method", "wtalc", "--batch-videos", "4"), 2),
        (("--method", "wtalc", "--batch-pairs", "1"), 1),
        (("--method", "wtalc", "--coactivity-weight", "0"), 0),
        (("--coactivity-weight", "0.5"), 3),
        (("--preset", "paper-thumos14-casl"), 3),
        (("--method", "stpn"), 0),
    ],
)
def test_pairs_come_with_the_loss_that_needs_them(options: tuple[str, ...], pairs: int) -> None:
    found = train_options(["a.json", "--features", "f", "-o", "run", *options])
    assert found.preset.train.batch_pairs == pairs


def _without_times(dataset: Path, folder: Path, subset: str, *, kept: int = 0) -> Path:
    """Annotations that have labels only in a subset, but for its first videos."""
    document = json.loads((dataset / "annotations.json").read_text())
    chosen = [video for video in document["database"].values() if video["subset"] == subset]
    for video in chosen[kept:]:
        video["labels"] = sorted({one["label"] for one in video.pop("annotations")})
    path = folder / "labels.json"
    path.write_text(json.dumps(document))
    return path


def test_labels_alone_score_videos_and_say_so(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [str(_without_times(dataset, tmp_path, "test"))]
    arguments += ["--features", str(dataset / "features"), "-o", str(tmp_path / "run"), *QUICK]
    assert main([*arguments, "--test", "test"]) == 0
    said = capsys.readouterr().out
    assert "localisation was not scored" in said
    assert "of 12 videos" in said
    assert "detection mAP" not in said


def test_times_of_some_videos_are_refused_before_training(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [str(_without_times(dataset, tmp_path, "test", kept=1))]
    arguments += ["--features", str(dataset / "features"), "-o", str(tmp_path / "run"), *QUICK]
    assert main([*arguments, "--test", "test"]) == 3
    assert "scores segments: give the times of all videos" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_baseline_trains_by_its_name_alone(dataset: Path, tmp_path: Path) -> None:
    for method in ("wtalc", "untrimmednets", "stpn"):
        options = ("--method", method, "--steps", "2", "-q", "--preset", "thumos14")
        assert main(train_words(dataset, tmp_path / method, *options)) == 0


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--steps", "0"), "--steps must be at least 1"),
        (("--learning-rate", "nan"), "--learning-rate must be positive"),
        (("--seed", "-1"), "--seed must not be negative"),
        (("--batch-pairs", "9"), "--batch-pairs=9 pairs do not fit into --batch-videos=16"),
        (("--smoothing-seconds", "-1"), "--smoothing-seconds must be 0 or more seconds"),
        (("--dropout", "1"), "--dropout must lie in"),
        (("--video-memory", "inf", "--videos", "v"), "--video-memory must be"),
        (("--frame-rate", "fast"), "--frame-rate must be frames per second, or native"),
    ],
)
def test_messages_name_options(
    capsys: pytest.CaptureFixture[str], words: tuple[str, ...], sentence: str
) -> None:
    source = () if "--videos" in words else ("--features", "f")
    assert main(["a.json", *source, "-o", "run", *words]) == 2
    assert capsys.readouterr().err.startswith(f"wsgn-train: {sentence}")


def test_the_help_has_the_defaults_of_the_default_presets(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["--help"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    for option, default in {
        "--steps N": "400; of videos 1000", "--dropout X": "0.5; of videos 0.2",
        "--checkpoint-every N": 100, "--seed N": 0,
            "--smoothing-seconds X": "1.4; of videos 2",
    }.items():  # fmt: skip
        words = text.partition(f" {option} ")[2]
        assert f"(default: {default})" in words[:160], option
    assert "'wsgn' by default" in text


def test_a_file_gets_lines_and_no_bars(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--steps", "5", "--checkpoint-every", "2", "--threads", "1")
    assert main(train_words(dataset, tmp_path / "run", *options)) == 0
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(",")[0] for line in lines] == [f"step {n} of 5" for n in (2, 4, 5)]


@pytest.mark.parametrize("removed", ["losses.csv", "."])
def test_a_folder_that_is_removed_while_training_is_told(
    dataset: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    removed: str,
) -> None:
    output, run_step = tmp_path / "run", Trainer.run_step

    def remove(trainer: Trainer) -> StepLog:
        if trainer.step == 2:
            shutil.rmtree(output) if removed == "." else (output / removed).unlink()
        return run_step(trainer)

    monkeypatch.setattr(Trainer, "run_step", remove)
    assert main(train_words(dataset, output, "--steps", "5", "-q")) == 6
    error = capsys.readouterr().err
    assert "losses.csv: its folder was removed or emptied meanwhile" in error
    assert not (output / "model.safetensors").exists()


def test_a_damaged_log_of_losses_does_not_stop_a_training_that_goes_on(
    dataset: Path, tmp_path: Path
) -> None:
    words = ("--steps", "4", "--checkpoint-every", "2", "-q")
    assert main(train_words(dataset, tmp_path, *words)) == 0
    log = tmp_path / "losses.csv"
    lines = log.read_bytes().splitlines(keepends=True)
    # As a file system may leave a file after a power cut.
    log.write_bytes(b"".join([*lines[:3], b"\xff\x00\x00,,,,\r\n", b"x,1,1,1,1\r\n", lines[3][:9]]))
    (tmp_path / "model.safetensors").unlink()
    assert main(train_words(dataset, tmp_path, *words, "--resume")) == 0
    assert log.read_bytes().splitlines(keepends=True) == lines[:3]


def test_overwriting_keeps_the_earlier_model_until_a_step_is_done(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "run"
    options = ("--steps", "2", "-q")
    assert main(train_words(dataset, output, *options)) == 0
    before = (output / "model.safetensors").read_bytes()
    broken = tmp_path / "broken"
    broken.mkdir()
    for path in (dataset / "features").iterdir():
        (broken / path.name).symlink_to(path)
    victim = next(path for path in sorted(broken.iterdir()) if path.stem == "toy_0")
    data = bytearray(victim.read_bytes())
    victim.unlink()
    # The last four bytes are a float32: not a number.
    data[-4:] = b"\x00\x00\xc0\x7f"
    victim.write_bytes(data)
    arguments = train_words(dataset, output, *options, "--overwrite", "--batch-videos", "24")
    arguments[arguments.index(str(dataset / "features"))] = str(broken)
    assert main(arguments) == 3
    assert "NaN" in capsys.readouterr().err
    assert (output / "model.safetensors").read_bytes() == before


@pytest.fixture(scope="module")
def one_class(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The dataset with the first of its classes only, and the videos without it."""
    folder = tmp_path_factory.mktemp("one_class")
    document = json.loads((dataset / "annotations.json").read_text())
    label = sorted({a["label"] for v in document["database"].values() for a in v["annotations"]})[0]
    document["classes"] = [label]
    for video in document["database"].values():
        video["annotations"] = [one for one in video["annotations"] if one["label"] == label]
        video["labels"] = [label] if video["annotations"] else []
    (folder / "annotations.json").write_text(json.dumps(document))
    (folder / "features").symlink_to(dataset / "features")
    return folder


@pytest.mark.parametrize("options", [(), ("--components", "none")])
def test_one_class_has_a_sigmoid_where_the_preset_has_a_softmax(
    one_class: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    options: tuple[str, ...],
) -> None:
    few = ("--steps", "2", "--threads", "1", "--preset", "thumos14", *options)
    assert main(train_words(one_class, tmp_path / "one", *few)) == 0
    assert "its probability is a sigmoid" in capsys.readouterr().err
    method = load_checkpoint(tmp_path / "one" / "model.safetensors").model.method
    assert method.class_activation == "sigmoid"  # type: ignore[union-attr]
    sigmoid = ("--class-activation", "sigmoid")
    assert main(train_words(one_class, tmp_path / "sigmoid", *few, *sigmoid)) == 0
    assert "softmax" not in capsys.readouterr().err


@pytest.mark.parametrize(
    "options",
    [("--method", "untrimmednets"), ("--method", "wtalc")],
)
def test_what_would_learn_nothing_of_one_class_is_refused(
    one_class: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    options: tuple[str, ...],
) -> None:
    options = (*QUICK, "--preset", "thumos14", *options)
    assert main(train_words(one_class, tmp_path / "run", *options)) == 2
    said = capsys.readouterr().err
    assert "one class only, so it would learn nothing" in said
    assert "--class-activation sigmoid" in said


@pytest.mark.parametrize(("dataset_name", "is_told"), [("holiday", True), (SYNTHETIC[0], False)])
def test_filmed_videos_are_told_what_the_compact_network_is(
    dataset_name: str, is_told: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    model = preset("videos").model
    pixels = model.on(classes=("a", "b"), sampling=DEFAULT_SAMPLING, frames=DEFAULT_FRAMES)
    _tell_of_the_compact_network(pixels, dataset_name)
    assert ("wsgn-learn" in capsys.readouterr().err) == is_told
    features = model.on(
        classes=("a", "b"), sampling=DEFAULT_SAMPLING, features=FeatureInput(size=4)
    )
    _tell_of_the_compact_network(features, dataset_name)
    assert capsys.readouterr().err == ""
