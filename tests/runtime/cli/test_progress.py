"""What a bar shows: the chosen part, and how long all sources may still take."""

from __future__ import annotations

from pathlib import Path

import pytest

from wsgn.runtime.cli.progress import WholeRun, done_and_total, rough
from wsgn.runtime.events import ProgressEvent
from wsgn.runtime.pipeline import DetectOptions


@pytest.mark.parametrize(
    ("start", "end", "duration", "expected"),
    [
        (None, None, 7200.0, (600.0, 7200.0)),
        (None, 1200.0, 7200.0, (600.0, 1200.0)),
        (300.0, 1200.0, 7200.0, (300.0, 900.0)),
        (300.0, None, 7200.0, (300.0, 6900.0)),
        (None, 9000.0, 7200.0, (600.0, 7200.0)),
        (None, 1200.0, None, (600.0, 1200.0)),
        (300.0, None, None, (300.0, None)),
        # Nothing of the part has been read.
        (900.0, 1200.0, 7200.0, (0.0, 300.0)),
        (9000.0, None, 7200.0, (0.0, 0.0)),
    ],
)
def test_the_whole_is_the_chosen_part(
    start: float | None,
    end: float | None,
    duration: float | None,
    expected: tuple[float, float | None],
) -> None:
    event = ProgressEvent(source="a.mp4", at_seconds=600.0, duration_seconds=duration)
    options = DetectOptions(start_seconds=start, end_seconds=end)
    assert done_and_total(event, options) == expected


def test_the_time_left_goes_by_the_sizes_of_files(tmp_path: Path) -> None:
    sources = []
    for number, size in enumerate((100, 300, 600)):
        path = tmp_path / f"{number}.mp4"
        path.write_bytes(bytes(size))
        sources.append(str(path))
    now = 50.0
    whole = WholeRun(sources, clock=lambda: now)
    assert whole.words(0, 0.1) == ""
    now = 60.0
    # 50 of 1000 bytes took 10 s.
    assert whole.words(0, 0.5) == " (all in about 3 min)"
    whole.end(0)
    assert whole.words(1, 0.0) == " (all in about 2 min)"
    whole.skip(1)
    assert whole.words(2, 0.0) == " (all in about 60 s)"
    now = 110.0
    assert whole.words(2, 1.0) == " (all in about 1 s)"


def test_one_source_has_its_bar_alone() -> None:
    assert WholeRun(["-"]).words(0, 0.5) == ""


def test_sources_without_a_size_count_as_usual_ones(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(bytes(100))
    now = 0.0
    whole = WholeRun([str(tmp_path / "a.mp4"), "-", "a\0b"], clock=lambda: now)
    now = 10.0
    whole.end(0)
    assert whole.words(1, 0.0) == " (all in about 20 s)"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.0, "1 s"), (42.3, "42 s"), (90.0, "2 min"), (3000.0, "50 min"), (9000.0, "2.5 h")],
)
def test_guesses_are_rough(seconds: float, words: str) -> None:
    assert rough(seconds) == words
