"""Clips that are copied: whole from the keyframe before on, and honest about it."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest
from cut_clips import read_clip, run_clips, turn, write_results
from made_streams import AVI, FLV, MKV, MP4, TS, Container, made, write


@pytest.mark.parametrize(
    ("container", "num_b_frames", "suffix"),
    [(MP4, 0, ".mp4"), (MP4, 2, ".mp4"), (MKV, 2, ".mkv"), (FLV, 2, ".mkv"), (TS, 2, ".mkv")],
)
def test_copies_begin_at_the_keyframe_before(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    container: Container,
    num_b_frames: int,
    suffix: str,
) -> None:
    data = made(list(range(100)), container, rate=Fraction(25), num_b_frames=num_b_frames)
    video = write(tmp_path / f"video.{container.suffix}", data)
    # Keyframes lie at 0, 0.6, 1.2 and so on.
    segments = [("a", 0.0, 0.3), ("b", 0.6, 1.0), ("c", 1.1, 2.1), ("d", 3.5, 9.0)]
    results = write_results(tmp_path / "video.json", segments)
    run = run_clips(capsys, results, video, "-o", tmp_path / "clips", "--copy")
    assert (run.code, run.said) == (0, "")
    begins = [0, 15, 15, 75]
    # Pictures that lie behind the end are there only where those before it need them.
    ends = [range(8, 8 + num_b_frames + 1), range(25, 28), range(53, 56), range(100, 101)]
    for (_, start, _), line, begin, end in zip(segments, run.lines, begins, ends, strict=True):
        assert Path(line["file"]).suffix == suffix
        clip = read_clip(Path(line["file"]))
        assert clip.numbers[0] == begin
        assert clip.numbers == sorted(set(clip.numbers))
        assert set(range(begin, min(end))) <= set(clip.numbers)
        assert clip.numbers[-1] < max(end)
        assert line["frames"] == len(clip.numbers)
        assert line["earlier_seconds"] == pytest.approx(start - begin / 25, abs=2e-3)
        assert line["begins_seconds"] == pytest.approx(begin / 25, abs=2e-3)
        assert line["ends_seconds"] == pytest.approx((clip.numbers[-1] + 1) / 25, abs=2e-3)


def test_a_copy_is_turned_as_the_video(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    video = write(tmp_path / "video.mp4", made(list(range(30)), MP4, rate=Fraction(25)))
    turn(video)
    results = write_results(tmp_path / "video.json", [("a", 0.2, 0.5)])
    (file,) = run_clips(capsys, results, video, "-o", tmp_path / "clips", "--copy").files
    assert read_clip(file).rotation == read_clip(video).rotation != 0


def test_what_cannot_be_copied_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of AVI nobody knows the times of frames before they are decoded."""
    results = write_results(
        tmp_path / "video.json", [("a", 0.2, 0.5), ("b", 0.6, 0.8), ("b", 7.0, 8.0)]
    )
    avi = made(list(range(30)), AVI, rate=Fraction(25), num_b_frames=2)
    restarted = made(list(range(30)), TS, offset_seconds=60) + made(list(range(30)), TS)
    for name, data, said in (
        ("video.avi", avi, "does not store the times of its frames): leave out --copy"),
        ("video.ts", restarted, "its clock begins anew on the way): leave out --copy"),
        ("video.mp4", made(list(range(30)), MP4), "nothing from 7.00 to 8.00 s: are these the"),
    ):
        video = write(tmp_path / name, data)
        run = run_clips(capsys, results, video, "-o", tmp_path / name[-3:], "--copy")
        assert run.code in (3, 4), name
        assert run.said.count(said) == 1
        # What was begun is gone.
        left = list((tmp_path / name[-3:]).glob("*")) if (tmp_path / name[-3:]).exists() else []
        assert [str(file) for file in left] == [line["file"] for line in run.lines]
