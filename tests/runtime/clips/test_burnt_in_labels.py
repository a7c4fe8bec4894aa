"""Labels and scores in the picture: where a segment lies, and nowhere else."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from cut_clips import read_clip, run_clips, write_results
from made_streams import MP4, made, write

pytest.importorskip("PIL", reason="needs the extra view")
from wsgn.errors import UsageError
from wsgn.localization.segments import Segment
from wsgn.runtime.clips.labels import LabelFont, LabelPainter
from wsgn.runtime.clips.part import WHOLE, padded


def segment(label: str, start: float, end: float, score: float = 0.5) -> Segment:
    return Segment(label=label, start_seconds=start, end_seconds=end, score=score)


def painted(segments: list[Segment], seconds: float, size: tuple[int, int] = (240, 320)) -> object:
    font = LabelFont(None, [one.label for one in segments])
    image = np.full((*size, 3), 128, np.uint8)
    return LabelPainter(segments, WHOLE, font).paint(image, seconds, 10.0)


def test_chips_are_on_while_their_segments_are() -> None:
    segments = [segment("wave", 1.0, 3.0), segment("jump", 2.0, 4.0)]
    grey = np.full((100, 200, 3), 128)
    pictures = [np.asarray(painted(segments, time)) for time in (0.9, 1.0, 2.0, 2.99, 3.0, 4.0)]
    changed = [bool((one[:100, :200] != grey).any()) for one in pictures]
    assert changed == [False, True, True, True, True, False]
    # Two stand below each other.
    heights = [
        np.flatnonzero((one[:100, 20] != 128).any(axis=1)).max(initial=0) for one in pictures
    ]
    assert heights[2] == heights[3] > heights[1] == heights[4] > heights[0]
    # Letters of a score tell one from another.
    scores = [np.asarray(painted([segment("wave", 0, 9, one)], 1.0)) for one in (0.12, 0.98)]
    assert (scores[0] != scores[1]).any()


def test_the_line_shows_where_segments_and_this_moment_lie() -> None:
    segments = [segment("wave", 2.5, 5.0)]
    line = np.asarray(painted(segments, 7.5))[-1]
    dark, coloured, cursor = line[40], line[120], line[240]
    assert dark.max() < 90
    assert coloured.max() - coloured.min() > 60
    assert cursor.min() == 255
    assert (line[81:159] == coloured).all()


@pytest.mark.parametrize("size", [(2, 2), (4, 600), (16, 16), (48, 64), (640, 360), (1080, 1920)])
def test_any_size_and_any_number_of_labels_fits(size: tuple[int, int]) -> None:
    segments = [segment(f"label {n} " + "long " * n, 0.0, 9.0) for n in range(20)]
    image = np.asarray(painted(segments, 1.0, size))
    assert image.shape == (*size, 3)
    assert (image != 128).any()
    # Long labels are shortened: none reaches the right edge.
    assert size[1] < 64 or size[0] < 16 or (image[: size[0] // 2, -4:] == 128).all()


def test_a_letter_that_the_font_lacks_is_said_before_anything_is_made() -> None:
    with pytest.raises(UsageError, match="built-in font has no letters for '走' in the labels"):
        LabelFont(None, ["wave", "走"])


def test_the_whole_video_with_its_labels(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    black = [0] * 50
    video = write(tmp_path / "a.mp4", made(black, MP4, rate=Fraction(25), sound_seconds=(0, 2)))
    results = write_results(tmp_path / "a.json", [("wave", 0.4, 0.8)])
    words = [results, video, "-o", tmp_path, "--annotate", "--whole"]
    (line,) = (run := run_clips(capsys, *words)).lines
    assert (run.code, run.said, line["label"], line["sound"]) == (0, "", None, True)
    clip = read_clip(Path(line["file"]))
    assert (len(clip.numbers), clip.end_seconds) == (50, 2.0)
    with av.open(line["file"]) as container:
        tops = [f.to_ndarray(format="rgb24")[:24].max() for f in container.decode(video=0)]
    # The bars of number 0 are dark; the label is not.
    assert [n for n, top in enumerate(tops) if top > 150] == list(range(10, 20))


def test_a_part_begins_at_its_padding() -> None:
    part = padded(segment("wave", 1.0, 3.0), 2.0)
    assert (part.start_seconds, part.end_seconds) == (0.0, 5.0)
