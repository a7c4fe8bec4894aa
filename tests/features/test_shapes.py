"""Arrays that lie the wrong way, or are of another width than the others, are found by headers."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from layouts_on_disk import SAMPLING, WRITERS, Features, opened

from wsgn.data.annotations import VideoAnnotation
from wsgn.errors import InputError
from wsgn.features.cli import main
from wsgn.features.dataset import FeatureDataset
from wsgn.features.file import FeatureInfo
from wsgn.features.shapes import check_orientation, odd_widths

TIME_BASE = ["--frame-rate", "25", "--snippet-length", "16", "--snippet-stride", "16", "-q"]
SNIPPET_SECONDS = 16 / 25


def infos(*shapes: tuple[int, int]) -> dict[str, FeatureInfo]:
    return {
        f"v{number}": FeatureInfo(num_snippets=rows, feature_size=width, sampling=SAMPLING)
        for number, (rows, width) in enumerate(shapes)
    }


def seconds(*snippets: float) -> dict[str, float | None]:
    return {f"v{number}": SNIPPET_SECONDS * count for number, count in enumerate(snippets)}


@pytest.mark.parametrize(
    ("shapes", "durations"),
    [
        # Of one length, of several, and a single video.
        ([(2048, 40), (2048, 40)], {}),
        ([(1024, 40), (1024, 41), (1024, 300)], {}),
        ([(512, 9)], {}),
        # Channels that no network has: the lengths tell.
        ([(300, 40), (300, 41), (300, 55)], {}),
        # As many snippets as some network has channels: the durations tell.
        ([(1024, 512), (1024, 512)], seconds(512, 512)),
        ([(400, 90), (400, 90)], seconds(90, 90)),
        # Longer than they are wide.
        ([(1024, 5000), (1024, 7000)], seconds(5000, 7001)),
    ],
)
def test_rows_that_are_channels_are_found(
    shapes: list[tuple[int, int]], durations: dict[str, float | None]
) -> None:
    with pytest.raises(InputError, match=r"look like \(D, T\): each of the \d+ videos has"):
        check_orientation(infos(*shapes), durations)


@pytest.mark.parametrize(
    ("shapes", "durations"),
    [
        ([(40, 2048), (40, 2048)], {}),
        ([(40, 2048), (900, 2048)], {}),
        # Resampled to one length, with widths that networks have.
        ([(100, 400)] * 5, {}),
        ([(1024, 2048)] * 5, {}),
        # Of one length by their nature, which the durations say.
        ([(2048, 40)] * 3, seconds(2048, 2048, 2048)),
        # One damaged width among many.
        ([(100, 400)] * 4 + [(100, 399)], {}),
        # So short that both ways are possible.
        ([(2, 3)], seconds(2)),
    ],
)
def test_rows_that_are_snippets_are_let_alone(
    shapes: list[tuple[int, int]], durations: dict[str, float | None]
) -> None:
    check_orientation(infos(*shapes), durations)


def test_the_width_of_most_videos_counts() -> None:
    assert odd_widths(infos((9, 8), (7, 8))) == {}
    found = odd_widths(infos((9, 8), (7, 8), (7, 6)))
    assert found.keys() == {"v2"}
    assert "its features are 6 wide, those of most videos 8" in found["v2"]
    for shapes in ([(9, 8), (7, 6)], [(9, 8), (9, 8), (7, 6), (7, 6)], [(1, 2), (1, 3), (1, 4)]):
        with pytest.raises(InputError, match="none is that of most videos"):
            odd_widths(infos(*shapes))


def turned_features() -> Features:
    """(D, T) of two streams of 1024 channels."""
    random = np.random.default_rng(0)
    return {
        name: random.normal(size=(length, 2048)).astype(np.float32)
        for name, length in zip(("video_a", "video_b", "video_c"), (40, 42, 60), strict=True)
    }


@pytest.mark.parametrize("layout", ["npy", "charades", "safetensors", "wtalc"])
def test_every_layout_is_looked_at_before_a_training(tmp_path: Path, layout: str) -> None:
    right, turned = tmp_path / "right", tmp_path / "turned"
    for folder in (right, turned):
        folder.mkdir()
    features = turned_features()
    videos = [
        VideoAnnotation(name=n, subset="s", duration_seconds=None, labels=("x",), segments=())
        for n in features
    ]
    reader = opened(WRITERS[layout](right, features), layout)
    assert FeatureDataset(reader, videos, ("x",)).feature_size == 2048
    wrong = {name: values.T.copy() for name, values in features.items()}
    reader = opened(WRITERS[layout](turned, wrong), layout)
    with pytest.raises(InputError, match=r"look like \(D, T\)"):
        FeatureDataset(reader, videos, ("x",))


@pytest.mark.parametrize("with_durations", [False, True])
def test_the_command_refuses_them_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], *, with_durations: bool
) -> None:
    (tmp_path / "in").mkdir()
    entries = {}
    for name, values in turned_features().items():
        np.save(tmp_path / "in" / f"{name}.npy", values.T)
        entries[name] = {
            "subset": "s", "labels": ["x"], "duration": len(values) * SNIPPET_SECONDS,
        }  # fmt: skip
    (tmp_path / "a.json").write_text(json.dumps({"database": entries}))
    words = [str(tmp_path / "in"), "-o", str(tmp_path / "out"), *TIME_BASE]
    if with_durations:
        words += ["--annotations", str(tmp_path / "a.json")]
    assert main(words) == 3
    assert "look like (D, T)" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_command_leaves_out_what_is_of_another_width(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in").mkdir()
    for name, width in (("a", 8), ("b", 8), ("c", 9)):
        np.save(tmp_path / "in" / f"{name}.npy", np.ones((5, width), dtype=np.float32))
    assert main([str(tmp_path / "in"), "-o", str(tmp_path / "out"), *TIME_BASE]) == 4
    assert sorted(path.stem for path in (tmp_path / "out").iterdir()) == ["a", "b"]
    assert "c: its features are 9 wide" in capsys.readouterr().err
