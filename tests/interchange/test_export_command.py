"""`wsgn-run export`: files of results, with the rates and places of the videos."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from exported_videos import submitted

from wsgn.data.layouts import read_annotations
from wsgn.features.cli import main as convert
from wsgn.metrics.cli import main as evaluate
from wsgn.runtime.cli.main import main
from wsgn.runtime.demo import load_demo

ROWS = [("wave", 1.25, 3.5, 0.75), ("jump", 4.0, 6.5, 0.5), ("jump", 5.0, 6.0, 0.25)]


def results(path: Path, *names: str, offset: float = 0.0, **changes: Any) -> Path:
    """As `-f json` has them."""
    found = [{"label": a, "segment": [b, c], "score": d} | changes for a, b, c, d in ROWS]
    document = {
        "results": dict.fromkeys(names, found),
        "external_data": {"start_offset_seconds": dict.fromkeys(names, offset)},
    }
    path.write_text(json.dumps(document))
    return path


@pytest.fixture
def export(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, list[str]]]:
    """Exit code, words, and the paths that were printed."""

    def run(*words: object) -> tuple[int, str, list[str]]:
        code = main(["export", *map(str, words)])
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        return code, said.err, said.out.splitlines()

    return run


def test_from_results_to_training_and_evaluation(
    tmp_path: Path, export: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """The whole way round, by the commands alone."""
    path = results(tmp_path / "a.json", "demo", offset=0.5)
    videos = load_demo().video.parent
    code, said, written = export(path, "--to", "labelstudio", "-o", tmp_path, "--videos", videos)
    assert (code, said) == (0, "")
    assert written == [
        str(tmp_path / f"label_studio_{name}") for name in ("tasks.json", "config.xml")
    ]
    submitted(Path(written[0]), tmp_path / "corrected.json")
    words = ["--annotations", tmp_path / "corrected.json", "--annotations-out", tmp_path / "t.json"]
    assert convert([*map(str, words)]) == 0
    (truth,) = read_annotations(tmp_path / "t.json").videos
    assert (truth.name, truth.frame_rate) == ("demo", 15.0)
    # Of two that overlap the one that scores more.
    assert truth.segments == (
        ("wave", pytest.approx(1.25, abs=1 / 30), pytest.approx(3.5, abs=1 / 30)),
        ("jump", pytest.approx(4.0, abs=1 / 30), pytest.approx(6.5, abs=1 / 30)),
    )
    words = [path, "--truth", tmp_path / "corrected.json", "--protocol", "activitynet", "--json"]
    capsys.readouterr()
    assert evaluate([*map(str, words)]) == 0
    assert json.loads(capsys.readouterr().out)["average_mAP"] == 100.0


def test_options_say_what_videos_are_called_and_which_segments_go(
    tmp_path: Path, export: Any
) -> None:
    path = results(tmp_path / "a.json", "a")
    words = ["--media-prefix", "https://host/clips/", "--frame-rate", 12.5, "--min-score", 0.6]
    code, _, (tasks, _) = export(path, "--to", "labelstudio", "-o", tmp_path / "x", *words)
    assert code == 0
    (task,) = json.loads(Path(tasks).read_text())
    assert task["data"]["video"] == "https://host/clips/a"
    assert task["data"]["fps"] == 12.5
    (only,) = task["predictions"][0]["result"]
    assert only["value"]["timelinelabels"] == ["wave"]


def test_lines_of_events_bring_rate_and_name(tmp_path: Path, export: Any) -> None:
    label, start, end, score = ROWS[0]
    times = {"start_seconds": start, "end_seconds": end, "label": label, "score": score}
    lines = [
        {"type": "source", "source": "x/film.mov", "frame_rate": 50.0, "duration_seconds": 9.0},
        {"type": "segment", "id": 1, "final": True, **times},
    ]
    (tmp_path / "all.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    code, _, (tasks, _) = export(tmp_path / "all.jsonl", "--to", "labelstudio", "-o", tmp_path)
    (task,) = json.loads(Path(tasks).read_text())
    assert (code, task["data"]["fps"], task["data"]["wsgn_name"]) == (0, 50.0, "film")
    assert task["data"]["video"] == "/data/local-files/?d=film.mov"
    words = [tmp_path / "all.jsonl", "--to", "labelstudio", "-o", tmp_path / "x"]
    _, _, (tasks, _) = export(*words, "--frame-rate", 25)
    assert json.loads(Path(tasks).read_text())[0]["data"]["fps"] == 25.0


def test_nothing_is_replaced_unless_that_is_asked_for(tmp_path: Path, export: Any) -> None:
    path = results(tmp_path / "a.json", "a")
    words = [path, "--to", "via", "-o", tmp_path / "out"]
    assert export(*words)[0] == 0
    (file,) = (tmp_path / "out").iterdir()
    file.write_text("corrected by hand")
    code, said, _ = export(*words)
    assert (code, file.read_text()) == (6, "corrected by hand")
    assert "exists already: add --overwrite" in said
    assert export(*words, "--overwrite")[0] == 0
    assert file.read_text() != "corrected by hand"


def test_a_source_of_results_is_named_once(tmp_path: Path, export: Any) -> None:
    paths = [results(tmp_path / name, "a") for name in ("a.json", "b.json")]
    code, said, _ = export(*paths, "--to", "via", "-o", tmp_path / "out")
    assert code == 2
    assert "both hold results of 'a': name one of them" in said
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "changes", "code", "said"),
    [
        ("--to otio", {}, 2, "nothing says the rate of 'a': give --videos"),
        ("--to otio --frame-rate 0", {}, 2, "--frame-rate must be over 0"),
        ("--to otio --frame-rate nan", {}, 2, "--frame-rate must be over 0"),
        ("--to word", {}, 2, "--to must be one of eaf, labelstudio, otio, edl, via"),
        ("--to via --videos .", {}, 3, "video 'a' is not in ."),
        ("--to via", {"segment": [0, 1e300]}, 3, "is 1e+300 s, which is no time of a video"),
        ("--to via", {"label": "a\0"}, 3, "holds a control character"),
        ("--to via", {"segment": [2, 1]}, 3, "before it starts"),
    ],
)
def test_what_cannot_be_exported_is_a_sentence(
    tmp_path: Path,
    export: Any,
    monkeypatch: pytest.MonkeyPatch,
    words: str,
    changes: dict[str, Any],
    code: int,
    said: str,
) -> None:
    pytest.importorskip("opentimelineio", reason="the extra interchange is not installed")
    monkeypatch.chdir(tmp_path)
    path = results(tmp_path / "a.json", "a", **changes)
    found, told, written = export(path, *words.split(), "-o", tmp_path / "out")
    assert (found, written, (tmp_path / "out").exists()) == (code, [], False)
    assert said in told
    assert told.count("\n") == 1
