"""wsgn-predict on feature files, as a user runs it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from toy import SAMPLING, SIZE, train_words, write_toy_charades, write_toy_dataset

from wsgn.checkpoint import load_checkpoint
from wsgn.engines.open import open_engine
from wsgn.export.graphs import int8
from wsgn.export.to_onnx import main as to_onnx
from wsgn.features.file import write_feature_file
from wsgn.features.options import FeatureOptions
from wsgn.metrics.annotations import read_truth
from wsgn.metrics.detection import evaluate_detection
from wsgn.metrics.detections import read_detections
from wsgn.prediction.cli import main
from wsgn.prediction.options import PredictOptions
from wsgn.prediction.run import predict as predict_with
from wsgn.runtime.cli.main import main as run
from wsgn.training import cli as train

QUICK = ("--steps", "60", "--learning-rate", "0.02", "--thinning", "1", "-q")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_toy_dataset(tmp_path_factory.mktemp("dataset"))


@pytest.fixture(scope="module")
def trained(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("run")
    options = (*QUICK, "--preset", "wsgn+", "--batch-videos", "8")
    assert train.main(train_words(dataset, output, *options)) == 0
    return output


def predict(dataset: Path, *arguments: str) -> list[str]:
    features = str(dataset / "features")
    return [str(dataset / "annotations.json"), "--features", features, "-q", *arguments]


def test_it_finds_the_planted_segments(
    dataset: Path, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, output = str(trained / "model.safetensors"), tmp_path / "found.json"
    arguments = ("--protocol", "activitynet", "--tiou", "0.3", "--json", "-o", str(output))
    page = tmp_path / "page.html"
    arguments = (*arguments, "--segments", "middle", "--report", str(page))
    assert main(predict(dataset, model, *arguments)) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["protocol"] == "activitynet"
    assert (report["videos"], report["instances"]) == (12, 12)
    # A detector that knew nothing would stay in the single figures.
    assert report["mAP"][0] > 30
    # Chance is 33.
    assert report["classification_mAP"] > 60
    results = json.loads(output.read_text())["results"]
    assert sum(map(len, results.values())) == report["segments"]
    # Lanes of the worst videos, with the model's scores over time.
    lanes = re.findall(r'<div class="lanes"[^>]*><script[^>]*>(.*?)</script>', page.read_text())
    assert len(lanes) == 10
    assert all(lane["scores"] for one in lanes for lane in json.loads(one)["lanes"])


def test_wsgn_run_finds_the_same_segments_in_the_features(
    dataset: Path, trained: Path, tmp_path: Path
) -> None:
    """An engine of the model, scored without PyTorch, against the model itself."""
    model, engine = trained / "model.safetensors", tmp_path / "heads.onnx"
    assert to_onnx([str(model), "-o", str(engine)]) == 0
    assert main(predict(dataset, str(model), "-o", str(tmp_path / "found.json"))) == 0
    wanted = json.loads((tmp_path / "found.json").read_text())["results"]
    sources = [str(dataset / "features" / f"{name}.safetensors") for name in wanted]
    words = ["-e", str(engine), "-o", str(tmp_path / "run"), "-f", "json", "-q"]
    assert run([*sources, *words]) == 0
    found = json.loads((tmp_path / "run" / "detections.json").read_text())["results"]
    assert sum(map(len, wanted.values())) > 50
    for name, segments in wanted.items():
        for one, other in zip(by_time(segments), by_time(found[name]), strict=True):
            assert one["label"] == other["label"]
            assert other["segment"] == pytest.approx(one["segment"], abs=1e-5)
            assert other["score"] == pytest.approx(one["score"], abs=1e-5)


def test_an_engine_in_int8_is_left_only_where_it_costs_less_than_a_point(
    dataset: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # With layers behind which others come: the last stay as they are.
    options = (*QUICK, "--preset", "thumos14", "--batch-videos", "8")
    assert train.main(train_words(dataset, tmp_path / "run", *options)) == 0
    model, features = str(tmp_path / "run" / "model.safetensors"), str(dataset / "features")
    judges = ["--annotations", str(dataset / "annotations.json"), "--features", features]
    judges += ["--subset", "test"]
    good = [model, "-o", str(tmp_path / "good.onnx"), "--int8", features, *judges]
    # Of 12 small videos one segment is more than a point.
    with monkeypatch.context() as patched:
        patched.setattr(int8, "MOST_LOST", 15.0)
        assert to_onnx(good) == 0
    assert re.search(
        r"INT8, ranges of \d+ snippets: average mAP on 12 videos \d", capsys.readouterr().out
    )
    document = onnx.load(tmp_path / "good.onnx")
    kinds = [node.op_type for node in document.graph.node]
    assert kinds.count("QuantizeLinear") >= 2
    with open_engine(tmp_path / "good.onnx") as engine:
        # The training's videos, and none of those that judge.
        assert "ranges of " in engine.manifest.provenance["int8"]
    # Ranges of what is nothing like the videos: all that matters is cut off.
    for index in range(4):
        values = np.full((30, SIZE), 1e-4, dtype=np.float32)
        write_feature_file(tmp_path / "flat" / f"{index}.safetensors", values, SAMPLING)
    bad = [model, "-o", str(tmp_path / "bad.onnx"), "--int8", str(tmp_path / "flat"), *judges]
    assert to_onnx(bad) == 5
    said = capsys.readouterr().err
    assert re.search(r"average mAP on 12 videos falls from \d+\.\d to \d+\.\d, by 1 point", said)
    assert not (tmp_path / "bad.onnx").exists()
    for words, code in (
        ([*good[:-2], "--subset", "none"], 3),
        ([*good, "--overwrite", "--half"], 2),
        ([*good, "--overwrite", "--graph", "streaming"], 2),
        ([*good[:5], "--overwrite"], 2),
        ([*good, "--overwrite", "--int8", str(tmp_path / "nowhere")], 3),
    ):
        assert to_onnx([*words, "--overwrite"]) == code, words
    assert capsys.readouterr().err.count("\n") == 5
    assert sorted(path.name for path in tmp_path.iterdir()) == ["flat", "good.onnx", "run"]


def by_time(segments: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(segments, key=lambda one: (one["label"], *(round(s, 3) for s in one["segment"])))


def test_each_output_is_scored_alone(
    dataset: Path, trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = str(trained / "model.safetensors")
    options = ("--protocol", "activitynet", "--tiou", "0.3", "--each-output", "--json")
    assert main(predict(dataset, model, *options)) == 0
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
        assert (
            train.main(
                train_words(dataset, output, *QUICK, "--preset", "thumos14", "--streams", stream)
            )
            == 0
        )
        model = load_checkpoint(output / "model.safetensors").model
        assert model.streams == (stream,)
        assert model.features is not None
        assert model.features.size == SIZE // 2
        models.append(str(output / "model.safetensors"))
    capsys.readouterr()
    maps = []
    for chosen in ([models[0]], [models[1]], models):
        arguments = ("--protocol", "activitynet", "--tiou", "0.3", "--json")
        assert main(predict(dataset, *chosen, *arguments)) == 0
        maps.append(json.loads(capsys.readouterr().out)["mAP"][0])
    # The classes' directions all lie in the first stream; the second is noise, and weighs in.
    assert maps[0] > maps[2] > maps[1]


def test_charades_points_and_submission(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_toy_charades(tmp_path)
    capsys.readouterr()
    arguments = [
        str(tmp_path / "run" / "model.safetensors"), "--charades", str(tmp_path / "test.csv"),
        "--submission", str(tmp_path / "submission.txt"), "--json",
    ]  # fmt: skip
    assert main(predict(tmp_path, *arguments)) == 0
    report = json.loads(capsys.readouterr().out)["charades"]
    assert (report["videos"], report["points"]) == (2, 50)
    # 9 of 50 points are positive for each class; planted as strongly, they rank at the top.
    assert report["mAP"] > 80
    assert len((tmp_path / "submission.txt").read_text().splitlines()) == 50
    # Of a video that nothing was predicted for, the figures say so.
    with (tmp_path / "test.csv").open("a") as file:
        file.write("V9999,c001 1 2,10.0\n")
    assert main(predict(tmp_path, *arguments[:-1])) == 0
    words = "3 videos, 75 points (1 of the videos has no scores and ranks last)"
    assert words in capsys.readouterr().out
    # And points of other videos alone are no figures.
    (tmp_path / "submission.txt").unlink()
    assert main(predict(tmp_path, *arguments, "--subset", "train")) == 2
    assert "of the subset 'train'" in capsys.readouterr().err
    assert not (tmp_path / "submission.txt").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ((), "nothing is asked for"),
        (("--protocol", "activitynet", "--device", "tpu"), "is not a device"),
        (("--each-output", "-o", "found.json"), "--each-output needs --protocol"),
        (("--report", "page.html", "-o", "found.json"), "--report needs --protocol"),
        (("--submission", "scores.txt"), "--submission needs --charades"),
        (("--charades", "test.csv"), "--charades needs a model of the 157 classes"),
        (("--protocol", "activitynet", "--frame-rate", "10"), "give all three"),
        (("--protocol", "activitynet", "--videos", "."), "--features and --videos exclude"),
    ],
)
def test_what_does_not_go_together_gets_a_sentence(
    dataset: Path,
    trained: Path,
    capsys: pytest.CaptureFixture[str],
    options: tuple[str, ...],
    words: str,
) -> None:
    capsys.readouterr()
    assert main(predict(dataset, str(trained / "model.safetensors"), *options)) == 2
    said = capsys.readouterr()
    assert words in said.err
    assert said.out == ""


def test_a_training_that_has_not_ended_is_refused_before_any_video_is_read(
    dataset: Path,
    trained: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = [
        str(dataset / "annotations.json"), str(trained / "last.safetensors"),
        "--features", str(tmp_path / "none"), "--protocol", "activitynet",
    ]  # fmt: skip
    assert main(arguments) == 2
    assert "resume it first" in capsys.readouterr().err


def test_labels_alone_score_videos(
    dataset: Path, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = json.loads((dataset / "annotations.json").read_text())
    for video in document["database"].values():
        video["labels"] = sorted({one["label"] for one in video.pop("annotations")})
    labels = tmp_path / "labels.json"
    labels.write_text(json.dumps(document))
    model = str(trained / "model.safetensors")
    arguments = [str(labels), model, "--features", str(dataset / "features"), "-q"]
    assert main([*arguments, "--protocol", "activitynet", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["localised"] is False
    assert "mAP" not in report
    assert report["video_level"]["videos"] == 12
    # Chance is 33.
    assert report["video_level"]["accuracy"] > 60
    assert main([*arguments, "--protocol", "activitynet"]) == 0
    assert "localisation was not scored" in capsys.readouterr().out


def test_python_gets_the_report_as_a_record(dataset: Path, trained: Path, tmp_path: Path) -> None:
    report = predict_with(
        PredictOptions(
            annotations=dataset / "annotations.json",
            checkpoints=(trained / "model.safetensors",),
            data=FeatureOptions(path=dataset / "features"),
            output=tmp_path / "found.json",
            protocol="activitynet",
            tiou=(0.3,),
            quiet=True,
        )
    )
    assert report.charades is None
    assert report.segments is not None
    assert report.segments.scores is not None
    assert report.segments.written == tmp_path / "found.json"
    truth = read_truth(dataset / "annotations.json", "test")
    detections = read_detections(tmp_path / "found.json")
    # The file holds what was scored.
    again = evaluate_detection(truth, detections, "activitynet", (0.3,))
    found = report.segments.scores.result.map_percent
    np.testing.assert_allclose(found, again.map_percent)
    assert json.loads(report.as_json())["mAP"] == found.tolist()


@pytest.fixture
def few(dataset: Path, tmp_path: Path) -> Path:
    """The dataset without the features of its first five test videos."""
    document = json.loads((dataset / "annotations.json").read_text())
    tests = [name for name, video in document["database"].items() if video["subset"] == "test"]
    folder = tmp_path / "few"
    folder.mkdir()
    (folder / "annotations.json").symlink_to(dataset / "annotations.json")
    (folder / "features").mkdir()
    for path in (dataset / "features").iterdir():
        if path.stem not in tests[:5]:
            (folder / "features" / path.name).symlink_to(path)
    return folder


def test_what_is_missing_is_counted_as_such(
    few: Path, trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    model = str(trained / "model.safetensors")
    options = (model, "--protocol", "activitynet", "--skip-missing")
    assert main(predict(few, *options, "--json")) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["videos"], report["missing_videos"], report["instances"]) == (12, 5, 12)
    assert (report["missing_instances"], report["left_out_videos"]) == (5, 0)
    assert report["classification_videos"] == 7
    # In the table too, although -q leaves out the notice.
    assert main(predict(few, *options)) == 0
    said = capsys.readouterr()
    assert (
        "12 videos, 12 instances (5 of the videos, with 5 of the instances, have no features and "
        "count as missed"
    ) in said.out
    assert "classification mAP" in said.out
    assert "% of 7 videos" in said.out
    assert said.err == ""


def test_only_what_is_present_is_scored_where_that_is_asked_for(
    few: Path, trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    model = str(trained / "model.safetensors")
    options = (model, "--protocol", "activitynet", "--only-present")
    assert main(predict(few, *options, "--json")) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["videos"], report["missing_videos"], report["instances"]) == (7, 0, 7)
    assert (report["left_out_videos"], report["left_out_instances"]) == (5, 5)
    # What was left out is said, not only left out.
    assert main(predict(few, *options)) == 0
    said = capsys.readouterr().out
    assert "7 videos, 7 instances (5 more, with 5 instances, have no features and are" in said


def test_several_models_say_once_what_is_missing(
    few: Path, trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    model = str(trained / "model.safetensors")
    arguments = predict(few, model, model, "--protocol", "activitynet", "--skip-missing")
    arguments.remove("-q")
    assert main(arguments) == 0
    said = capsys.readouterr().err
    assert said.count("5 of 12 videos of 'test' have no features and are left out") == 1
    # Nobody looks at a bar in a file.
    assert "\r" not in said
    assert "video/s" not in said


def test_nothing_that_is_there_is_a_sentence(
    few: Path, trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = str(trained / "model.safetensors")
    document = json.loads((few / "annotations.json").read_text())
    for name, video in document["database"].items():
        if video["subset"] == "test":
            (few / "features" / f"{name}.safetensors").unlink(missing_ok=True)
    capsys.readouterr()
    assert main(predict(few, model, "--protocol", "activitynet", "--skip-missing")) == 3
    assert "none of the 12 videos of 'test' has features" in capsys.readouterr().err
