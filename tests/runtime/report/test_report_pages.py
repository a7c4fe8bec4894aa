"""`wsgn-run report` and `-f html`: which pages there are, and what they say."""

from __future__ import annotations

import base64
import io
import json
import re
from pathlib import Path
from typing import Any

import av
import planted
import pytest
from outcomes import Run

from wsgn.runtime.cli.main import main
from wsgn.runtime.report.pages import page_names
from wsgn.runtime.report.video import relative_address


def page_data(page: Path) -> dict[str, Any]:
    """The data of a page, as JSON that a browser would parse."""
    found = re.search(r"id=page-data>(.*?)</script>", page.read_text("utf-8"), re.DOTALL)
    assert found is not None
    data: dict[str, Any] = json.loads(found[1])
    return data


def lanes(page: Path) -> dict[str, Any]:
    """The data of the lanes."""
    found = re.search(
        r'<div class="lanes"[^>]*><script type="application/json">(.*?)</script>',
        page.read_text("utf-8"),
    )
    assert found is not None
    data: dict[str, Any] = json.loads(found[1])
    return data


def test_a_run_writes_pages_and_their_index(video_path: Path, tmp_path: Path, run: Run) -> None:
    other = planted.write_video(tmp_path / "other <b>.mp4", (("black", 1.0), ("green", 2.0)))
    out = tmp_path / "out"
    assert run(video_path, other, "-o", out, "-f", "html", "-q").code == 0
    assert {path.name for path in out.iterdir()} == {
        "planted.html",
        "other <b>.html",
        "index.html",
    }
    data, drawn = page_data(out / "planted.html"), lanes(out / "planted.html")
    assert [lane["label"] for lane in drawn["lanes"]] == list(planted.CLASSES)
    for lane in drawn["lanes"]:
        edges = [t for label, *span in planted.SEGMENTS if label == lane["label"] for t in span]
        found = [t for bar in lane["found"] for t in bar[:2]]
        assert found == pytest.approx(edges, abs=0.11)
        # A score for each snippet, and the middle of its time: 8 frames at 10 in a second.
        (run_of_times,) = drawn["runs"]
        assert len(base64.b64decode(lane["scores"])) == run_of_times[2]
        assert run_of_times[:2] == pytest.approx([0.4, 0.2])
    assert drawn["end"] == pytest.approx(12.0)
    assert data["summary"]["labels"] == [["blue", 1], ["red", 1]]
    index = (out / "index.html").read_text("utf-8")
    assert 'href="./other%20%3Cb%3E.html">other &lt;b&gt;</a>' in index
    assert 'href="./index.html"' in (out / "planted.html").read_text("utf-8")
    # What is there is taken over, the index made anew.
    (out / "index.html").unlink()
    assert run(video_path, other, "-o", out, "-f", "html", "-q", "--resume").code == 0
    assert (out / "index.html").read_text("utf-8") == index


def test_a_report_of_results_says_what_a_run_would(
    video_path: Path, tmp_path: Path, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert run(video_path, "-o", out, "-f", "html,jsonl,json", "--save-scores", "-q").code == 0
    segments = [{"label": label, "segment": [a, b]} for label, a, b in planted.SEGMENTS]
    database = {"planted": {"subset": "test", "annotations": segments}}
    truth = tmp_path / "truth.json"
    truth.write_text(json.dumps({"database": database}))
    # The lines name the video; the document alone needs to be told.
    assert main(["report", str(out), "-o", str(tmp_path / "a")]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'a' / 'planted.html'}\n"
    assert lanes(tmp_path / "a" / "planted.html") == lanes(out / "planted.html")
    alone = [str(out / "planted.json"), "--truth", str(truth), "-o", str(tmp_path / "b")]
    assert main(["report", *alone]) == 0
    assert "--videos names its folder" in capsys.readouterr().err
    assert page_data(tmp_path / "b" / "planted.html")["video"] is None
    assert main(["report", *alone, "--videos", str(video_path.parent)]) == 0
    page = tmp_path / "b" / "planted.html"
    assert page_data(page)["video"].startswith("data:video/mp4;base64,")
    drawn = lanes(page)
    assert drawn["truth"] is True
    assert [lane["true"] for lane in drawn["lanes"]] == [[[2.0, 5.0]], [], [[8.0, 10.0]]]


def test_days_of_a_camera_are_told_apart(tmp_path: Path) -> None:
    for day in (28, 29):
        line = {"type": "source", "source": "door", "start_unix_seconds": 1.7959e9, "live": True}
        (tmp_path / f"door.2026-11-{day}.jsonl").write_text(json.dumps(line) + "\n")
    assert main(["report", str(tmp_path)]) == 0
    names = [f"door.2026-11-{day}" for day in (28, 29)]
    assert [page_data(tmp_path / f"{name}.html")["summary"]["name"] for name in names] == names


@pytest.mark.parametrize(
    ("codec", "name", "pixels", "played"),
    [
        ("libx264", "a.mp4", "yuv420p", True),
        ("libx264", "a b#%.mkv", "yuv420p", True),
        ("libx264", "a.avi", "yuv420p", False),
        ("mpeg4", "a.mp4", "yuv420p", False),
        ("libx264", "a.mp4", "yuv422p", False),
    ],
)
def test_what_browsers_do_not_play_is_copied(
    tmp_path: Path, run: Run, codec: str, name: str, pixels: str, played: bool
) -> None:
    video = write_clip(tmp_path / name, codec, pixels)
    assert run(video, "-o", tmp_path / "out", "-f", "html", "-q").code == 0
    (page,) = (tmp_path / "out").iterdir()
    data = page_data(page)
    if played:
        assert data["video"] == f"../{name}".replace(" ", "%20").replace("#%", "%23%25")
        return
    assert "browsers do not play" in page.read_text("utf-8")
    copy = base64.b64decode(data["video"].removeprefix("data:video/mp4;base64,"))
    with av.open(io.BytesIO(copy)) as container:
        frames = list(container.decode(video=0))
    assert [round(frame.time or 0.0, 3) for frame in frames] == [n / 10 for n in range(20)]
    # Red for a second, then blue: a copy's times are those of the results.
    red = [float(frame.to_ndarray(format="rgb24")[..., 0].mean()) > 128 for frame in frames]
    assert red == [True] * 10 + [False] * 10


def test_a_large_copy_lies_beside_its_page(
    video_path: Path, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wsgn.runtime.report.video.MOST_INSIDE_BYTES", 100)
    assert run(video_path, "-o", tmp_path, "-f", "html", "-q").code == 0
    assert page_data(tmp_path / "planted.html")["video"] == "./planted.small.mp4"
    assert "beside this page" in (tmp_path / "planted.html").read_text()
    with av.open(str(tmp_path / "planted.small.mp4")) as container:
        assert len(list(container.decode(video=0))) == 120


def write_clip(path: Path, codec: str, pixels: str) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=20)
        stream.width, stream.height, stream.pix_fmt = 64, 48, pixels
        for number in range(40):
            frame = av.VideoFrame(64, 48, "rgb24")
            colour = planted.COLOURS["red" if number < 20 else "blue"]
            frame.planes[0].update(bytes(colour) * (64 * 48))
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def test_names_of_pages_stay_in_their_folder() -> None:
    names = ["../../etc/passwd", "/a", "a", "A", "x/a", "", "..", "index", ".hidden", "n" * 500]
    pages = page_names([*names, "a\n\u202e", "c:\\d"])
    assert len({page.casefold() for page in pages}) == len(pages)
    assert pages[:9] == [
        "etc/passwd.html", "a.html", "a-2.html", "A-3.html", "x/a.html", "video.html",
        "video-2.html", "index-2.html", "_.hidden.html",
    ]  # fmt: skip
    for page in pages:
        assert not page.startswith("/")
        assert ".." not in page.split("/")
        assert all(len(part.encode()) < 255 for part in page.split("/"))
        assert page.isprintable()


def test_addresses_are_relative_and_quoted() -> None:
    assert relative_address(Path("/a/b c.mp4"), Path("/a/x/p.html")) == "../b%20c.mp4"
    assert (
        relative_address(Path("/a/javascript:x.mp4"), Path("/a/p.html")) == "./javascript%3Ax.mp4"
    )


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["nothing.json"], 3, "nothing.json' cannot be read: No such file"),
        (["empty"], 3, "there are no results in 'empty'"),
        (["a.json", "--truth", "other.json"], 2, "names none of these videos"),
        (["a.json", "--videos", "empty"], 3, "holds no videos"),
        (["a.json", "-o", "taken"], 6, "is there and no page of wsgn's"),
        (["a.json", "b.json"], 3, "has no 'results'"),
        ([], 2, "required: RESULTS"),
    ],
)
def test_what_is_wrong_is_a_sentence(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    code: int,
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("empty", "taken"):
        Path(folder).mkdir()
    Path("taken/a.html").write_text("<p>mine</p>")
    Path("a.json").write_text('{"results": {"a": []}}')
    Path("b.json").write_text("{}")
    entry = {"subset": "test", "annotations": [{"label": "x", "segment": [0, 1]}]}
    Path("other.json").write_text(json.dumps({"database": {"other": entry}}))
    assert main(["report", *words]) == code
    assert said in capsys.readouterr().err
    assert Path("taken/a.html").read_text() == "<p>mine</p>"
    assert not Path("a.html").exists()
