"""`wsgn-run --demo`, on planted assets."""

from __future__ import annotations

import json
from pathlib import Path

import planted
import pytest

from wsgn.errors import InputError
from wsgn.localization.segments import Segment
from wsgn.runtime.cli import demo
from wsgn.runtime.cli.demo import comparison_table, match_segments, tiou
from wsgn.runtime.cli.main import main


def segment(label: str, start: float, end: float) -> Segment:
    return Segment(label=label, start_seconds=start, end_seconds=end, score=0.5)


def test_tiou_is_intersection_over_union() -> None:
    assert tiou(segment("a", 0, 4), segment("a", 2, 6)) == pytest.approx(2 / 6)
    assert tiou(segment("a", 0, 1), segment("a", 2, 3)) == 0
    assert tiou(segment("a", 1, 1), segment("a", 1, 1)) == 0


def test_each_segment_is_matched_once_and_only_within_its_label() -> None:
    truth = [segment("a", 0, 4), segment("b", 0, 4)]
    found = [segment("a", 0, 3), segment("a", 0, 4), segment("c", 0, 4)]
    pairs = match_segments(found, truth)
    overlaps = sorted((pair.truth is not None, pair.found is not None, pair.tiou) for pair in pairs)
    assert overlaps == [(False, True, 0), (False, True, 0), (True, False, 0), (True, True, 1)]


def test_the_table_shows_both_sides() -> None:
    truth = [segment("wave", 1, 3), segment("jump", 5, 6)]
    found = [segment("wave", 1, 2.8), segment("kick", 61, 62)]
    assert comparison_table(found, truth) == (
        "  label             true            found  score  tIoU\n"
        "  wave   0:01.0 - 0:03.0  0:01.0 - 0:02.8  0.500  0.90\n"
        "  jump   0:05.0 - 0:06.0                -      -  0.00\n"
        "  kick                 -  1:01.0 - 1:02.0  0.500  0.00\n"
        "\n"
        "  1 of 2 true segments found with a tIoU of at least 0.5, 1 found that are not there\n"
    )


def test_the_demo_runs_on_what_is_in_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    planted.write_engine(tmp_path / "demo.onnx")
    planted.write_video(tmp_path / "demo.mp4")
    records = [{"label": label, "segment": [a, b]} for label, a, b in planted.SEGMENTS]
    (tmp_path / "demo.json").write_text(json.dumps({"annotations": records}))
    assets = demo.load_demo(tmp_path)
    monkeypatch.setattr(demo, "load_demo", lambda: assets)
    assert main(["--demo"]) == 0
    printed = capsys.readouterr()
    assert "2 of 2 true segments found" in printed.out
    assert "--demo -o DIR" in printed.err
    assert main(["--demo", "-o", str(tmp_path / "out")]) == 0
    assert f"in a browser: {tmp_path / 'out' / 'demo.html'}\n" in capsys.readouterr().out
    assert '"true":[[2.0,5.0]]' in (tmp_path / "out" / "demo.html").read_text()


def test_missing_assets_are_named(tmp_path: Path) -> None:
    (tmp_path / "demo.mp4").touch()
    with pytest.raises(InputError, match=r"demo\.onnx, demo\.json are missing"):
        demo.load_demo(tmp_path)
