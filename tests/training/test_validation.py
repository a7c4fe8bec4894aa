"""Held-out videos: stratified, disjoint, looked at while it trains, never the test set."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from toy import ToySource, train_words, write_toy_dataset

from wsgn.checkpoint import load_checkpoint
from wsgn.data.annotations import label_vector
from wsgn.errors import UsageError
from wsgn.training import validation
from wsgn.training.cli import main
from wsgn.training.report import write_training_report
from wsgn.training.validation import held_out, split_videos

QUICK = ("--threads", "1", "--learning-rate", "0.01", "--thinning", "1", "--batch-videos", "4")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_toy_dataset(tmp_path_factory.mktemp("dataset"))


def command(dataset: Path, output: Path, *options: str) -> list[str]:
    return train_words(dataset, output, *QUICK, *options)


def rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.open()))


def test_every_class_gives_its_share_and_keeps_a_video() -> None:
    random = np.random.default_rng(0)
    # Common and rare classes, videos of two, and 30 without any.
    labels = np.zeros((230, 5), dtype=np.float32)
    for row, column in enumerate(random.choice(5, p=(0.5, 0.3, 0.15, 0.04, 0.01), size=200)):
        labels[row, column] = 1
        labels[row, (column + row % 3) % 5] = 1
    held = held_out(labels, 0.2, seed=3)
    assert held == sorted(set(held))
    share = labels[held].sum(axis=0) / labels.sum(axis=0)
    assert np.abs(share[:3] - 0.2).max() < 0.06
    kept = np.delete(labels, held, axis=0)
    assert (kept.sum(axis=0) >= 1).all()
    assert (~labels[held].any(axis=1)).sum() == 6
    assert held == held_out(labels, 0.2, seed=3)
    assert held != held_out(labels, 0.2, seed=4)


def test_a_class_of_one_video_stays_in_the_training() -> None:
    labels = np.zeros((9, 3), dtype=np.float32)
    labels[0, 0] = 1
    labels[1:5, 1] = labels[5:, 2] = 1
    for seed in range(5):
        assert 0 not in held_out(labels, 0.5, seed)


def test_both_sides_are_all_videos_and_none_twice() -> None:
    source = ToySource(24)
    kept, held = split_videos(source, 0.25, seed=0)
    names = [video.name for one in (kept, held) for video in one.videos]
    assert sorted(names) == sorted(video.name for video in source.videos)
    assert len(held.videos) == 6
    for one in (kept, held):
        for index, video in enumerate(one.videos):
            (same,) = [i for i, v in enumerate(source.videos) if v.name == video.name]
            assert one.num_snippets(index) == source.num_snippets(same)
            assert (one.load(index).inputs == source.load(same).inputs).all()
    with pytest.raises(UsageError, match="too small"):
        split_videos(source, 0.01, seed=0)


def assert_report_shows(folder: Path) -> None:
    """The page has the lines of both logs, and the worst of the held-out videos."""
    page = (folder / "report.html").read_text()
    parts = [json.loads(one) for one in re.findall(r">(\{[^<]*\})</script>", page)]
    lines = {line["name"]: line for part in parts for line in part.get("lines", ())}
    losses, validation = rows(folder / "losses.csv"), rows(folder / "validation.csv")
    for name in ("loss", "learning_rate", "gradient_norm"):
        shown = lines[name.replace("_", " ")]
        assert shown["x"] == [float(row["step"]) for row in losses]
        assert shown["y"] == [float(row[name]) for row in losses]
    assert lines["video mAP"]["y"] == [float(row["video_map_percent"]) for row in validation]
    lanes = [lane for part in parts for lane in part.get("lanes", ())]
    assert sum("lanes" in part for part in parts) == 6
    assert all(lane["scores"] for lane in lanes)
    assert any(lane["true"] for lane in lanes)
    # It has ended: nothing new will come.
    assert "refresh" not in page
    write_training_report(folder, None, num_steps=20, ended=False)
    assert '<meta http-equiv="refresh"' in (folder / "report.html").read_text()


def test_the_worst_videos_are_those_told_least(monkeypatch: pytest.MonkeyPatch) -> None:
    """The n-th video's true class scores n above the others, so the first ones are the worst."""
    source = ToySource(12)
    times = SimpleNamespace(centre_seconds=np.array([1.0]), end_seconds=np.array([2.0]))

    def predictions(model: object, source: ToySource) -> Iterator[SimpleNamespace]:
        for number, video in enumerate(source.videos):
            pooled = number * label_vector(video.labels, source.classes).astype(np.float64)
            yield SimpleNamespace(
                pooled_scores=lambda pooled=pooled: pooled, scores=pooled[None], times=times
            )

    monkeypatch.setattr(validation, "predict_videos", predictions)
    looked = validation.Validation(source).look(None)  # type: ignore[arg-type]
    assert [one.name for one in looked.worst] == [one.name for one in source.videos[:6]]
    assert looked.worst[5].highest == looked.worst[5].true[0]
    assert looked.num_positives.sum() == sum(len(one.labels) for one in source.videos)


def test_it_is_seen_while_it_trains_and_resumed(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    looks = ("--validate", "0.25", "--validate-every", "4", "--checkpoint-every", "3")
    whole, half = tmp_path / "whole", tmp_path / "half"
    assert main(command(dataset, whole, "--steps", "10", *looks)) == 0
    said = capsys.readouterr().err
    assert "step 8, video mAP of held-out videos" in said
    found = rows(whole / "validation.csv")
    assert [row["step"] for row in found] == ["4", "8", "10"]
    assert all(0 < float(row["video_map_percent"]) <= 100 for row in found)
    assert_report_shows(whole)
    checkpoint = load_checkpoint(whole / "model.safetensors")
    assert checkpoint.trained_on is not None
    assert checkpoint.trained_on.num_videos == 18

    options = ("--schedule", "constant", *looks, "-q")
    assert main(command(dataset, half, "--steps", "5", *options)) == 0
    assert [row["step"] for row in rows(half / "validation.csv")] == ["4", "5"]
    assert main(command(dataset, half, "--steps", "9", *options, "--resume")) == 0
    assert [row["step"] for row in rows(half / "validation.csv")] == ["4", "5", "8", "9"]
    # One without a look leaves none of an earlier one.
    assert main(command(dataset, half, "--steps", "1", "-q", "--overwrite")) == 0
    assert not (half / "validation.csv").exists()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--validate", "test", "--test", "test"), "nothing may be chosen on"),
        (("--validate", "train"), "videos that are trained on"),
        (("--validate", "1.5"), "validation_share must lie in [0, 1)"),
        (("--validate", "nan"), "validation_share must lie in [0, 1)"),
        (("--validate", "0.01"), "too small"),
        (("--validate", "--validate-every", "0"), "validate_every must be at least 1"),
        (("--validate", "nowhere"), "nowhere"),
    ],
)
def test_what_may_not_be_looked_at_is_a_sentence(
    dataset: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    options: tuple[str, ...],
    sentence: str,
) -> None:
    assert main(command(dataset, tmp_path / "run", "--steps", "1", "-q", *options)) in (2, 3)
    said = capsys.readouterr().err
    assert sentence in said
    assert "Traceback" not in said


def test_another_subset_may_be_looked_at(dataset: Path, tmp_path: Path) -> None:
    """Here that of the test, where nothing is tested on it at the end."""
    looks = ("--validate", "test", "--steps", "2", "-q")
    assert main(command(dataset, tmp_path, *looks)) == 0
    assert [row["step"] for row in rows(tmp_path / "validation.csv")] == ["2"]
