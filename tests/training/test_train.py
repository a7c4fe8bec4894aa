"""A training from Python: the command's own, without argparse."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from toy import write_toy_dataset

from wsgn.errors import OutputError, UsageError
from wsgn.features.options import CacheOptions, FeatureOptions
from wsgn.presets import preset
from wsgn.training import cli
from wsgn.training.options import TrainOptions
from wsgn.training.train import train


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_toy_dataset(tmp_path_factory.mktemp("dataset"), num_training=6, num_test=3)


def options(dataset: Path, output: Path) -> TrainOptions:
    chosen = preset("wsgn+")
    return TrainOptions(
        annotations=dataset / "annotations.json",
        data=FeatureOptions(path=dataset / "features"),
        output=output,
        preset=replace(chosen, train=replace(chosen.train, num_steps=3, batch_videos=4)),
        test_subset="test",
    )


def test_it_writes_what_the_command_writes(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    heard: list[object] = []
    path = train(
        options(dataset, tmp_path / "python"),
        on_step=lambda result: heard.append(result.step),
        on_trained=heard.append,
        on_evaluated=lambda evaluation: heard.append(len(evaluation.segments)),
    )
    assert heard == [1, 2, 3, path, 3]
    assert capsys.readouterr() == ("", "")
    words = [
        str(dataset / "annotations.json"), "--features", str(dataset / "features"),
        "-o", str(tmp_path / "command"), "--preset", "wsgn+", "--steps", "3",
        "--batch-videos", "4", "--test", "test", "-q",
    ]  # fmt: skip
    assert cli.main(words) == 0
    for name in ("model.safetensors", "last.safetensors", "detections.json"):
        assert (tmp_path / "command" / name).read_bytes() == (path.parent / name).read_bytes()
    page = (path.parent / "evaluation.html").read_text()
    assert 'href="report.html"' in page
    assert 'href="evaluation.html"' in (path.parent / "report.html").read_text()
    drawn = [json.loads(one) for one in re.findall(r">(\{[^<]*\})</script>", page)]
    lanes = [lane for part in drawn for lane in part.get("lanes", ())]
    assert len([part for part in drawn if "lanes" in part]) == 3
    # What the model said over time, which the segments do not hold.
    assert all(base64.b64decode(lane["scores"]) for lane in lanes)
    assert any(lane["true"] for lane in lanes)


def test_an_earlier_training_is_kept_unless_told_otherwise(dataset: Path, tmp_path: Path) -> None:
    (tmp_path / "losses.csv").touch()
    with pytest.raises(OutputError, match="--resume or --overwrite"):
        train(options(dataset, tmp_path))
    assert train(replace(options(dataset, tmp_path), overwrite=True)).is_file()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"resume": True, "overwrite": True}, "exclude each other"),
        ({"num_threads": 0}, "must be 1 to 1024"),
        ({"protocol": "thumos"}, "thumos-2015"),
    ],
)
def test_options_that_cannot_be_are_refused_before_anything_is_read(
    tmp_path: Path, change: dict[str, object], words: str
) -> None:
    good = options(tmp_path / "nothing", tmp_path)
    with pytest.raises(UsageError, match=words):
        replace(good, **change)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"cuda_graph": True}, "--cuda-graph is a GPU's"),
        ({"cache": CacheOptions(place="device")}, "--cache device keeps features on a GPU"),
    ],
)
def test_what_is_for_a_gpu_is_refused_without_one(
    dataset: Path, tmp_path: Path, change: dict[str, object], words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        train(replace(options(dataset, tmp_path / "new"), **change))  # type: ignore[arg-type]
    assert not (tmp_path / "new").exists()
