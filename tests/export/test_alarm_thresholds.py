"""`to_onnx --false-alarms-per-hour`: thresholds in the file, and what is refused."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_to_onnx import random_checkpoint
from toy import CLASSES, ToySource, feature_model, write_toy_dataset

from wsgn.checkpoint import TrainedOn, load_checkpoint, save_checkpoint
from wsgn.errors import UsageError
from wsgn.export.graphs.document import exportable
from wsgn.export.to_onnx import main
from wsgn.features.options import FeatureOptions
from wsgn.prediction.alarm_options import AlarmOptions
from wsgn.prediction.alarms import AlarmReport, calibrate_alarms
from wsgn.runtime import Detector, DetectorOptions, SnippetLogits, open_engine
from wsgn.runtime.events import SegmentEvent

NUM_TRAINING = 24
# Something that random weights do now and then, and not in every video.
OPENING = 0.2


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The toy dataset, and three models: one to export, one of other weights, one of other kind."""
    folder = write_toy_dataset(tmp_path_factory.mktemp("alarms"), NUM_TRAINING, 12)
    kinds = {"model": (1, {}), "other": (2, {}), "kind": (1, {"softmax_scale": "sum_one"})}
    for name, (seed, changes) in kinds.items():
        checkpoint = random_checkpoint(feature_model(**changes), seed=seed)
        assert checkpoint.calibration is not None
        thresholds = dataclasses.replace(
            checkpoint.calibration.detection,
            open_thresholds=(OPENING,) * 3,
            close_thresholds=(OPENING,) * 3,
        )
        checkpoint = dataclasses.replace(
            checkpoint,
            calibration=dataclasses.replace(checkpoint.calibration, detection=thresholds),
            trained_on=TrainedOn(dataset=folder.name, num_videos=NUM_TRAINING),
        )
        save_checkpoint(folder / f"{name}.safetensors", checkpoint)
    return folder


def calibrated(folder: Path, rate: float, **changes: object) -> AlarmReport:
    checkpoint = load_checkpoint(folder / "model.safetensors")
    settings: dict[str, Any] = {
        "annotations": folder / "annotations.json",
        "data": FeatureOptions(path=folder / "features"),
    }
    options = AlarmOptions(false_alarms_per_hour=rate, **(settings | changes))
    return calibrate_alarms(checkpoint, exportable(checkpoint).manifest, options)


def test_an_exported_engine_raises_no_more_false_alarms_than_it_says(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [
        str(folder / "model.safetensors"), "-o", str(folder / "m.onnx"),
        "--false-alarms-per-hour", "60", "--annotations", str(folder / "annotations.json"),
        "--features", str(folder / "features"), "--subset", "test",
    ]  # fmt: skip
    assert main(words) == 0
    said = capsys.readouterr().out
    assert "of 60 allowed" in said
    source = ToySource(NUM_TRAINING + 12)
    with open_engine(folder / "m.onnx") as engine:
        alarms = engine.manifest.detection.alarms
        assert alarms is not None
        assert min(alarms.open_thresholds) >= OPENING < max(alarms.open_thresholds)
        for column, label in enumerate(CLASSES):
            quiet = [
                source.load(index).inputs.numpy()
                for index in range(NUM_TRAINING, NUM_TRAINING + 12)
                if source.videos[index].labels != (label,)
            ]
            outputs = engine.infer(np.concatenate(quiet))
            count = len(outputs.selection_logits)
            detector = Detector(engine.manifest, DetectorOptions(scores="window", labels=(label,)))
            events = detector.push(
                SnippetLogits(
                    start_seconds=0.4 * np.arange(count),
                    epoch=np.repeat(np.arange(len(quiet)), [len(one) for one in quiet]),
                    selection_logits=outputs.selection_logits,
                    class_probabilities=outputs.class_probabilities,
                )
            )
            found = sum(isinstance(e, SegmentEvent) for e in events + detector.flush())
            assert found <= alarms.false_alarms[column] <= 20 * alarms.hours[column]


def test_videos_that_were_trained_on_are_said_to_be(folder: Path) -> None:
    assert calibrated(folder, 1.0).saw_them
    assert calibrated(folder, 1.0, subset="train").saw_them
    report = calibrated(folder, 1.0, subset="test")
    assert not report.saw_them
    # 8 videos of 12 to 20 s without each class.
    sentences = [*report.sentences()]
    assert any("are too few to show 1 an hour" in one for one in sentences)
    assert not any("too few" in one for one in calibrated(folder, 1e6, subset="test").sentences())


def test_what_a_rate_costs_is_said(folder: Path) -> None:
    strict = calibrated(folder, 1.0, subset="test")
    dead = [one.label for one in strict.classes if not one.found]
    assert dead
    assert any(f"'{dead[0]}'" in one and "will not be found" in one for one in strict.sentences())
    kept = calibrated(folder, 1.0, subset="test", keep_found=1.0)
    assert any("would leave too little found" in one for one in kept.sentences())
    assert not any("will not be found" in one for one in kept.sentences())


def test_a_subset_is_scored_by_the_model_that_did_not_see_it(folder: Path) -> None:
    model, other = folder / "model.safetensors", folder / "other.safetensors"
    own = calibrated(folder, 60.0, held_out=((model, "train"), (model, "test")))
    assert not own.saw_them
    # Streams are of one model's videos each, so that parts count alike and not exactly as one.
    assert own.alarms.hours == pytest.approx(calibrated(folder, 60.0).alarms.hours)
    assert own.classes != calibrated(folder, 60.0, held_out=((model, "train"), (other, "test")))
    alone = calibrated(folder, 60.0, held_out=((other, "test"),))
    assert alone.classes != calibrated(folder, 60.0, subset="test").classes


def test_a_model_of_another_kind_is_refused(folder: Path) -> None:
    with pytest.raises(UsageError, match="another kind of model"):
        calibrated(folder, 1.0, held_out=((folder / "kind.safetensors", "test"),))


def test_videos_of_other_classes_are_refused(folder: Path, tmp_path: Path) -> None:
    document = json.loads((folder / "annotations.json").read_text())
    document["classes"] = ["wave", "jump", "bow", "fall"]
    document["database"]["toy_0"]["labels"] = ["fall"]
    path = tmp_path / "annotations.json"
    path.write_text(json.dumps(document))
    with pytest.raises(UsageError, match="does not know 'fall'"):
        calibrated(folder, 1.0, annotations=path)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--false-alarms-per-hour", "1"], "needs videos in which to count them"),
        (["--false-alarms-per-hour", "0", "--annotations", "a", "--features", "f"], "over 0"),
        (
            ["--false-alarms-per-hour", "1", "--annotations", "a", "--features", "f",
             "--keep-found", "2"],
            "a share from 0 to 1",
        ),
        (["--features", "f"], "say with --false-alarms-per-hour how many"),
        (
            ["--false-alarms-per-hour", "1", "--annotations", "a", "--features", "f",
             "--held-out", "model"],
            "must be MODEL=SUBSET",
        ),
        (
            ["--false-alarms-per-hour", "1", "--annotations", "a", "--features", "f",
             "--held-out", "m=a", "--subset", "b"],
            "leave --subset out",
        ),
    ],
)  # fmt: skip
def test_options_that_do_not_go_together_are_refused(
    folder: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    assert main([str(folder / "model.safetensors"), "-o", str(folder / "n.onnx"), *words]) == 2
    assert said in capsys.readouterr().err
    assert not (folder / "n.onnx").exists()
