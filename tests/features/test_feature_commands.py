"""wsgn-train and wsgn-predict on feature files, as a user runs them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from commands import HANG_SECONDS
from places import ROOT
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from toy import CLASSES, SAMPLING, SIZE, ToySource

from wsgn.checkpoint import load_checkpoint
from wsgn.data.charades import CLASSES as CHARADES_CLASSES
from wsgn.features.file import write_feature_file
from wsgn.manifest import Sampling
from wsgn.prediction import cli as predict_command
from wsgn.training import cli as train

QUICK = ("--steps", "60", "--learning-rate", "0.02", "--thinning", "1", "-q")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 training and 12 test videos of the toy world, with two streams of 8 channels."""
    folder = tmp_path_factory.mktemp("dataset")
    (folder / "features").mkdir()
    source, database = ToySource(36), {}
    for index, video in enumerate(source.videos):
        write_feature_file(
            folder / "features" / f"{video.name}.safetensors",
            source.load(index).inputs.numpy(),
            SAMPLING,
            streams=("rgb", "flow"),
        )
        database[video.name] = {
            "subset": "train" if index < 24 else "test",
            "labels": list(video.labels),
            "annotations": [{"label": a, "segment": [b, c]} for a, b, c in video.segments],
        }
    document = {"classes": list(CLASSES), "database": database}
    (folder / "annotations.json").write_text(json.dumps(document))
    return folder


def command(dataset: Path, output: Path, *options: str) -> list[str]:
    features = str(dataset / "features")
    return [str(dataset / "annotations.json"), "--features", features, "-o", str(output), *options]


@pytest.fixture(scope="module")
def trained(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("run")
    options = (*QUICK, "--preset", "wsgn+", "--batch-videos", "8", "--tensorboard")
    assert train.main(command(dataset, output, *options)) == 0
    return output


def predict(dataset: Path, *arguments: str) -> list[str]:
    features = str(dataset / "features")
    return [str(dataset / "annotations.json"), "--features", features, "-q", *arguments]


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


def test_it_finds_the_planted_segments(
    dataset: Path, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, output = str(trained / "model.safetensors"), tmp_path / "found.json"
    arguments = ("--protocol", "activitynet", "--tiou", "0.3", "--json", "-o", str(output))
    arguments = (*arguments, "--segments", "middle")
    assert predict_command.main(predict(dataset, model, *arguments)) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["protocol"] == "activitynet"
    assert (report["videos"], report["instances"]) == (12, 12)
    # A detector that knew nothing would stay in the single figures.
    assert report["mAP"][0] > 30
    # Chance is 33.
    assert report["classification_mAP"] > 60
    results = json.loads(output.read_text())["results"]
    assert sum(map(len, results.values())) == report["segments"]


def test_each_output_is_scored_alone(
    dataset: Path, trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = str(trained / "model.safetensors")
    options = ("--protocol", "activitynet", "--tiou", "0.3", "--each-output", "--json")
    assert predict_command.main(predict(dataset, model, *options)) == 0
    report = json.loads(capsys.readouterr().out)
    assert set(report["outputs"]) == {"class_probabilities", "temporal_softmax", "scores"}
    assert report["outputs"]["scores"] == pytest.approx(report["mAP"])
    assert report["outputs"]["class_probabilities"] != report["mAP"]


def test_two_streams_are_fused_late(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    models = []
    for stream in ("rgb", "flow"):
        output = tmp_path / stream
        assert train.main(command(dataset, output, *QUICK, "--streams", stream)) == 0
        model = load_checkpoint(output / "model.safetensors").model
        assert model.streams == (stream,)
        assert model.features is not None
        assert model.features.size == SIZE // 2
        models.append(str(output / "model.safetensors"))
    capsys.readouterr()
    maps = []
    for chosen in ([models[0]], [models[1]], models):
        arguments = ("--protocol", "activitynet", "--tiou", "0.3", "--json")
        assert predict_command.main(predict(dataset, *chosen, *arguments)) == 0
        maps.append(json.loads(capsys.readouterr().out)["mAP"][0])
    # The classes' directions all lie in the first stream; the second is noise, and weighs in.
    assert maps[0] > maps[2] > maps[1]


def test_frames_between_snippets_can_be_scored(dataset: Path, tmp_path: Path) -> None:
    options = (*QUICK, "--time-unit", "frame", "--thinning", "5", "--start-range", "15")
    options = (*options, "--scoring-step", "2", "--test", "test")
    assert train.main(command(dataset, tmp_path, *options)) == 0
    assert (tmp_path / "detections.json").is_file()


def test_charades_points_and_submission(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    random = np.random.default_rng(0)
    (tmp_path / "features").mkdir()
    sampling = Sampling(frame_rate=24.0, snippet_length=8, snippet_stride=8)
    database, lines = {}, ["id,actions,length"]
    for index in range(6):
        name, label = f"V{index:04d}", CHARADES_CLASSES[index % 2]
        features = random.normal(size=(30, 8)).astype(np.float32)
        features[10:20, index % 2] += 5
        write_feature_file(tmp_path / "features" / f"{name}.safetensors", features, sampling)
        # Snippets of a third of a second: 10 to 20 are seconds 3.3 to 6.7.
        database[name] = {
            "subset": "train" if index < 4 else "test",
            "duration": 10.0,
            "annotations": [{"label": label, "segment": [3.34, 6.66]}],
        }
        if index >= 4:
            lines.append(f"{name},{label} 3.34 6.66,10.0")
    document = {"classes": list(CHARADES_CLASSES), "database": database}
    (tmp_path / "annotations.json").write_text(json.dumps(document))
    (tmp_path / "test.csv").write_text("\n".join(lines) + "\n")
    options = ("--preset", "charades", "--batch-videos", "4", "--dropout", "0")
    assert train.main(command(tmp_path, tmp_path / "run", *QUICK, *options)) == 0
    capsys.readouterr()
    arguments = [
        str(tmp_path / "run" / "model.safetensors"), "--charades", str(tmp_path / "test.csv"),
        "--submission", str(tmp_path / "submission.txt"), "--json",
    ]  # fmt: skip
    assert predict_command.main(predict(tmp_path, *arguments)) == 0
    report = json.loads(capsys.readouterr().out)["charades"]
    assert (report["videos"], report["points"]) == (2, 50)
    # 9 of 50 points are positive for each class; planted as strongly, they rank at the top.
    assert report["mAP"] > 80
    assert len((tmp_path / "submission.txt").read_text().splitlines()) == 50


def test_what_is_missing_is_said_before_training(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    few = tmp_path / "few"
    few.mkdir()
    for path in sorted((dataset / "features").iterdir())[:-1]:
        (few / path.name).symlink_to(path)
    annotations = str(dataset / "annotations.json")
    arguments = [annotations, "--features", str(few), "-o", str(tmp_path / "run"), *QUICK]
    assert train.main([*arguments, "--test", "test"]) == 3
    assert "1 of 24 videos have no features" in capsys.readouterr().err
    assert train.main([*arguments, "--steps", "2", "--skip-missing"]) == 0
    assert not (tmp_path / "run" / "detections.json").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--coactivity-weight", "0.5"), "batch_pairs"),
        (("--device", "cuda:77"), "GPU"),
        (("--device", "tpu"), "device"),
        (("--streams", "depth"), "streams"),
        (("--method", "wtalc", "--supervised", "--batch-pairs", "2"), "supervised"),
        (("--frame-rate", "25"), "--snippet-length"),
        (("--batch-pairs", "9"), "do not fit"),
        (("--scoring-step", "3"), "scoring_step"),
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
    assert train.main(command(dataset, tmp_path / "run", *QUICK, *options)) == 2
    error = capsys.readouterr().err
    assert words in error
    assert "Traceback" not in error


def test_torchrun_trains_the_model_of_one_process(dataset: Path, tmp_path: Path) -> None:
    options = ("--steps", "5", "--batch-videos", "6", "--dropout", "0", "-q")
    assert train.main(command(dataset, tmp_path / "one", *options)) == 0
    subprocess.run(
        [
            sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
            "-m", "wsgn.training.cli", *command(dataset, tmp_path / "two", *options),
        ],
        check=True,
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        timeout=HANG_SECONDS,
    )  # fmt: skip
    one, two = (load_checkpoint(tmp_path / name / "model.safetensors") for name in ("one", "two"))
    for name, value in one.weights.items():
        torch.testing.assert_close(two.weights[name], value, rtol=0, atol=1e-4)
    losses = [
        np.genfromtxt(tmp_path / name / "losses.csv", delimiter=",", names=True)["loss"]
        for name in ("one", "two")
    ]
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-4)


def test_overwriting_keeps_the_earlier_model_until_a_step_is_done(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "run"
    options = ("--steps", "2", "-q")
    assert train.main(command(dataset, output, *options)) == 0
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
    arguments = command(dataset, output, *options, "--overwrite", "--batch-videos", "24")
    arguments[arguments.index(str(dataset / "features"))] = str(broken)
    assert train.main(arguments) == 3
    assert "NaN" in capsys.readouterr().err
    assert (output / "model.safetensors").read_bytes() == before
