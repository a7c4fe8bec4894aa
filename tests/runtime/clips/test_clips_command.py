"""`wsgn-run clips`: which files are made, what they are called, and what is refused."""

from __future__ import annotations

import signal
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from cut_clips import read_clip, run_clips, write_results
from made_streams import MP4, made, write

from wsgn.runtime.cli.main import main
from wsgn.runtime.clips.names import safe_part
from wsgn.video.resize import Scaler


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds of 25 numbered frames each."""
    data = made(list(range(50)), MP4, rate=Fraction(25))
    return write(tmp_path_factory.mktemp("video") / "a.mp4", data)


def test_names_are_safe_whatever_labels_say(
    tmp_path: Path, video: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = [
        *("../../etc/passwd", "-rf", ".hidden", "a/b", "a\\b", "NUL:", "x\u202ey", "走る"),
        *("WAVE", "Wave", "wave", "w" * 400, "走" * 200, "<img onerror=1>", "$(id)"),
    ]
    results = write_results(tmp_path / "a.json", [(one, 0.2, 0.4) for one in labels])
    out = tmp_path / "deep" / "clips"
    run = run_clips(capsys, results, video, "-o", out)
    assert (run.code, run.said) == (0, "")
    assert sorted(run.files) == sorted(out.iterdir())
    assert {file.parent for file in run.files} == {out}
    assert sorted(line["label"] for line in run.lines) == sorted(labels)
    names = [file.name for file in run.files]
    assert len({name.casefold() for name in names}) == len(labels)
    for name in names:
        assert name.startswith("a_00000.20_")
        assert not set(name) & set('/\\:*?"<>|$() \n\u202e')
        assert len(name.encode()) < 200
    assert "a_00000.20_走る.mp4" in names
    # And whatever videos are called, which stand in front.
    assert [safe_part(name) for name in ("-rf", ".hidden", "..", "a\ud800b")] == [
        *("rf", "hidden", "x", "a-b")
    ]


def test_nothing_is_replaced_unless_that_is_asked_for(
    tmp_path: Path, video: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = write_results(tmp_path / "a.json", [("x", 0.0, 0.2), ("y", 0.4, 0.8)])
    taken = tmp_path / "clips" / "a_00000.40_y.mp4"
    taken.parent.mkdir()
    taken.write_text("mine")
    run = run_clips(capsys, results, video, "-o", taken.parent)
    assert (run.code, run.lines, taken.read_text()) == (6, [], "mine")
    assert "exists already: add --overwrite" in run.said
    assert list(taken.parent.iterdir()) == [taken]
    assert run_clips(capsys, results, video, "-o", taken.parent, "--overwrite").code == 0
    assert read_clip(taken).numbers == list(range(10, 20))


def test_a_clip_is_there_whole_or_not_at_all(
    tmp_path: Path, video: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    results = write_results(tmp_path / "a.json", [("x", 0.0, 1.0)])
    seen: list[list[str]] = []
    image = Scaler.image

    def interrupted(self: Scaler, frame: Any) -> Any:
        seen.append([path.name for path in (tmp_path / "clips").iterdir()])
        if len(seen) == 5:
            raise KeyboardInterrupt
        return image(self, frame)

    monkeypatch.setattr(Scaler, "image", interrupted)
    assert run_clips(capsys, results, video, "-o", tmp_path / "clips").code == 130
    assert all(name.startswith(".") for names in seen for name in names)
    assert not (tmp_path / "clips").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_who_is_told_to_stop_leaves_nothing_half_written(
    tmp_path: Path, video: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    def stop(source: Path, part: object, path: Path, draw: object) -> None:
        path.write_bytes(b"a part")
        signal.raise_signal(number)

    monkeypatch.setattr("wsgn.runtime.cli.clips.write_exact", stop)
    results = write_results(tmp_path / "a.json", [("x", 0.2, 0.4)])
    assert main(["clips", str(results), str(video), "-o", str(tmp_path)]) == 128 + number
    assert [path.name for path in tmp_path.iterdir()] == [results.name]


def test_segments_are_chosen(
    tmp_path: Path, video: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    segments = [("jump, high", 0.0, 0.2), ("wave", 0.4, 0.8), ("bow", 1.0, 1.2)]
    results = write_results(tmp_path / "a.json", segments)
    words = [results, video, "-o", tmp_path / "clips"]
    run = run_clips(capsys, *words, "--labels", "bow,jump, high")
    assert [line["label"] for line in run.lines] == ["jump, high", "bow"]
    run = run_clips(capsys, *words, "--min-score", 0.6)
    assert (run.code, run.lines) == (0, [])
    assert "no segment is left" in run.said
    run = run_clips(capsys, *words, "--labels", "fly")
    assert run.code == 2
    assert "--labels names 'fly', and the results have 'bow', 'jump, high', 'wave'" in run.said


def test_results_of_another_video_are_noticed(
    tmp_path: Path, video: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = write_results(tmp_path / "b.json", [("x", 0.2, 0.4), ("y", 70.0, 80.0)])
    run = run_clips(capsys, results, video, "-o", tmp_path / "clips")
    assert (run.code, len(run.lines)) == (4, 1)
    assert "the results are called 'b', and the video is not" in run.said
    assert "shows nothing from 70.00 to 80.00 s: are these the results of another" in run.said


def test_what_is_no_video_is_said_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = write_results(tmp_path / "a.json", [("x", 0.2, 0.4), ("y", 0.6, 0.8)])
    (tmp_path / "a.mp4").write_text("no video")
    run = run_clips(capsys, results, tmp_path / "a.mp4", "-o", tmp_path / "clips")
    assert (run.code, run.said.count("is not a video")) == (3, 1)
    assert not (tmp_path / "clips").exists()


def test_results_and_videos_go_together_by_name(
    tmp_path: Path, video: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "videos"
    folder.mkdir()
    write(folder / "b.mp4", made(list(range(60, 90)), MP4))
    (folder / "a.mp4").write_bytes(video.read_bytes())
    results = write_results(tmp_path / "detections.json", [("x", 0.2, 0.4)], "a", "b")
    run = run_clips(capsys, results, folder, "-o", tmp_path / "clips")
    assert [file.name for file in run.files] == ["a_00000.20_x.mp4", "b_00000.20_x.mp4"]
    assert [read_clip(file).numbers[0] for file in run.files] == [5, 66]
    run = run_clips(capsys, results, folder / "b.mp4", "-o", tmp_path / "one")
    assert [read_clip(file).numbers[0] for file in run.files] == [66]
    (folder / "a.mp4").unlink()
    run = run_clips(capsys, results, folder, "-o", tmp_path / "without")
    assert (run.code, [file.name for file in run.files]) == (4, ["b_00000.20_x.mp4"])
    assert "video 'a' is not in" in run.said
    other = write(tmp_path / "c.mp4", video.read_bytes())
    run = run_clips(capsys, results, other, "-o", tmp_path / "none")
    assert run.code == 3
    assert "which of 'a', 'b' is c.mp4? Name the results of one video" in run.said


def test_words_that_do_not_go_together_are_refused(
    tmp_path: Path, video: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = write_results(tmp_path / "a.json", [("x", 0.0, 0.2)])
    words = [results, video, "-o", tmp_path / "clips"]
    for more, said in (
        (["--copy", "--annotate"], "exclude each other"),
        (["--font", "x.ttf"], "--font is for pictures with labels: add --annotate"),
        (["--whole"], "--whole is for pictures with labels: add --annotate"),
        (["--padding", "-1"], "--padding must be 0 to 3600 s, got -1"),
        (["--padding", "nan"], "--padding must be 0 to 3600 s, got nan"),
        (["--min-score", "nan"], "--min-score must be a finite number, got nan"),
        (["--min-score", "much"], "--min-score must be a number, got 'much'"),
        (["--annotate", "--font", results], "is no font that can be read"),
    ):
        run = run_clips(capsys, *words, *more)
        assert run.code == 2, more
        assert said in run.said
    assert not (tmp_path / "clips").exists()
    page = run_clips(capsys, results, "https://u:secret@host/a.mp4", "-o", tmp_path / "clips")
    assert (page.code, "secret" in page.said) == (2, False)
    assert "clips are cut out of files: download https://host/a.mp4 first" in page.said
    missing = run_clips(capsys, results, tmp_path / "no.mp4", "-o", tmp_path / "clips")
    assert (missing.code, "there is no file" in missing.said) == (3, True)


def test_labels_need_pillow_alone(
    tmp_path: Path, video: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    results = write_results(tmp_path / "a.json", [("x", 0.0, 0.2)])
    monkeypatch.setitem(sys.modules, "PIL", None)
    assert run_clips(capsys, results, video, "-o", tmp_path / "clips").code == 0
    run = run_clips(capsys, results, video, "-o", tmp_path / "b", "--annotate")
    assert run.code == 2
    assert "--annotate needs an extra that is not installed: pip install 'wsgn[view]'" in run.said
