"""Pages in a real browser, from disk: lanes, seeking by click and key, links, planted markup."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import planted
import pytest
from browser import Browser

from wsgn.runtime.cli.main import main

PLANTED = "<img src=x onerror=alert(1)></script><script>alert(2)</script>"
# Where the video is, once it shows that.
NOW = (
    "(v => v && !v.seeking && v.readyState >= 2 && v.currentTime)(document.querySelector('video'))"
)
# The middle of the picture that the video shows: it says by its colour which second that is.
COLOUR = """(v => { const c = document.createElement("canvas"); c.width = c.height = 1;
const g = c.getContext("2d"); g.drawImage(v, 0, 0, 1, 1);
return [...g.getImageData(0, 0, 1, 1).data];
})(document.querySelector("video"))"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    browser = Browser(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory, engine_path: Path, video_path: Path) -> str:
    """The address of the planted video's page, whose copy lies inside it."""
    out = tmp_path_factory.mktemp("pages")
    words = [str(video_path), "-e", str(engine_path), "-o", str(out), "-f", "html", "-q"]
    assert main(words) == 0
    return (out / "planted.html").as_uri()


def lane(label: str) -> str:
    """The canvas of a class, as an expression."""
    return f"""[...document.querySelectorAll(".lane")].find(row =>
    row.querySelector("span").textContent === {json.dumps(label)}).querySelector("canvas")"""


def lane_place(browser: Browser, label: str, seconds: float) -> tuple[float, float]:
    """Where in the window a time of a lane is, of 12 seconds."""
    left, top, width, height = browser.run(
        f"""(canvas => {{ const box = canvas.getBoundingClientRect();
        return [box.left, box.top, box.width, box.height]; }})({lane(label)})"""
    )
    return left + width * seconds / 12, top + height / 2


def drawn(label: str, seconds: float) -> str:
    """Whether a lane has a bar, and the greatest score, at a time: as an expression."""
    return f"""(canvas => {{ const x = Math.floor(canvas.width * {seconds} / 12);
        const at = y => canvas.getContext("2d").getImageData(x, y, 1, 1).data[3] > 0;
        return [at(6), at(15)]; }})({lane(label)})"""


def colour(browser: Browser) -> str:
    red, green, blue, _ = browser.run(COLOUR)
    near = {"red": red, "green": green, "blue": blue}
    name = max(near, key=lambda one: near[one])
    return name if near[name] > 128 else "black"


def test_lanes_show_what_was_found(browser: Browser, page: str) -> None:
    browser.size(1280, 1000)
    browser.open(page)
    browser.wait(f"{NOW} === 0")
    for label, start, end in planted.SEGMENTS:
        middle = (start + end) / 2
        browser.becomes(drawn(label, middle), [True, True])
        browser.becomes(drawn(label, start - 1.2), [False, False])
        browser.becomes(drawn("green", middle), [False, False])
    rows = browser.run("[...document.querySelectorAll('#list tbody tr')].map(r => r.textContent)")
    assert len(rows) == len(planted.SEGMENTS)
    assert rows[0].startswith("red0:02")
    assert browser.complaints == []
    assert {one.partition(":")[0] for one in browser.requests} <= {"file", "data", "about"}


def test_a_camera_has_its_gaps_and_the_times_of_the_clock(browser: Browser, tmp_path: Path) -> None:
    """Twelve seconds of a camera, of which four had no pictures."""
    began = 1_795_907_066.0
    lines: list[dict[str, object]] = [
        {"type": "run"},
        {"type": "source", "duration_seconds": 12.0, "start_unix_seconds": began},
        {"type": "gap", "from_seconds": 6.0, "to_seconds": 10.0, "cause": "lost"},
        {"type": "segment", "id": 1, "label": "wave", "start_seconds": 2.0, "end_seconds": 4.0,
         "score": 0.5, "final": True},
    ]  # fmt: skip
    path = tmp_path / "door.jsonl"
    path.write_text("".join(json.dumps(line | {"source": "door"}) + "\n" for line in lines))
    assert main(["report", str(path)]) == 0
    browser.size(1280, 1000)
    browser.open((tmp_path / "door.html").as_uri())
    painted = """(canvas => [3, 5, 8, 11].map(t => canvas.getContext("2d").getImageData(
        Math.floor(canvas.width * t / 12), 0, 12, canvas.height).data.some(value => value)))"""
    browser.becomes(f"{painted}({lane('wave')})", [True, False, True, False])
    row = browser.run("document.querySelector('#list tbody tr').textContent")
    clock = [f"{datetime.fromtimestamp(began + t):%H:%M:%S}.0" for t in (2, 4)]
    assert row == f"wave{clock[0]}{clock[1]}0.50"
    assert "without pictures0:04.0" in browser.run("document.querySelector('dl').textContent")
    assert browser.complaints == []


def test_click_and_keys_seek(browser: Browser, page: str) -> None:
    browser.size(1280, 1000)
    browser.open(page)
    browser.wait(f"{NOW} === 0")
    browser.click(*lane_place(browser, "blue", 9.0))
    browser.wait(f"Math.abs({NOW} - 9) < 0.05")
    assert colour(browser) == "blue"
    browser.wait("document.querySelector('tr.on')?.textContent.startsWith('blue')")
    browser.wait("Math.abs(location.hash.slice(3) - 9) < 0.05")
    browser.key("p", "p")
    browser.wait(f"{NOW} < 8.3 && {NOW} > 7.7")
    browser.key("p", "p")
    browser.wait(f"{NOW} < 2.3 && {NOW} > 1.7")
    browser.key("ArrowRight")
    browser.wait(f"{NOW} > 2.7 && {NOW} < 3.3")
    assert colour(browser) == "red"
    browser.key("Home")
    browser.wait(f"{NOW} === 0")
    assert colour(browser) == "black"
    # From row to row, and from there into playing.
    browser.run("document.querySelector('#list tr[tabindex=\"0\"]').focus()")
    browser.key("ArrowDown")
    browser.wait(f"{NOW} > 7.7 && {NOW} < 8.3")
    browser.key("Enter", "\r")
    browser.wait("!document.querySelector('video').paused")
    browser.key(" ", " ")
    browser.wait("document.querySelector('video').paused")
    # Zoomed in, the same place is another time.
    browser.run("document.activeElement.blur()")
    for _ in range(3):
        browser.key("+", "+")
    browser.wait("!document.querySelector('.overview').hidden")
    browser.click(*lane_place(browser, "red", 0.0))
    browser.wait(f"{NOW} > 5")
    assert browser.complaints == []


def test_fingers_seek_and_zoom(browser: Browser, page: str) -> None:
    browser.size(390, 1600)
    browser.call("Emulation.setTouchEmulationEnabled", enabled=True, maxTouchPoints=2)
    browser.open(page)
    browser.wait(f"{NOW} === 0")
    browser.touch((lane_place(browser, "blue", 9.0),))
    browser.wait(f"Math.abs({NOW} - 9) < 0.1")
    left, right = ([lane_place(browser, "blue", t) for t in times] for times in ((5, 2), (6, 9)))
    browser.touch(tuple(left), tuple(right))
    browser.wait("!document.querySelector('.overview').hidden")
    browser.wait(f"Math.abs({NOW} - 9) < 0.1")
    browser.call("Emulation.setTouchEmulationEnabled", enabled=False)


def test_a_link_opens_at_its_time(browser: Browser, page: str) -> None:
    browser.open(f"{page}#t=8.5")
    browser.wait(f"Math.abs({NOW} - 8.5) < 0.05")
    assert colour(browser) == "blue"
    browser.run("location.hash = '#t=3'")
    browser.wait(f"Math.abs({NOW} - 3) < 0.05")


def test_planted_markup_does_nothing_and_a_phone_is_wide_enough(
    browser: Browser, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = [{"label": PLANTED, "segment": [1, 2], "score": 0.5}]
    results = {PLANTED: found, f"second {'long ' * 40}": found}
    (tmp_path / "r.json").write_text(json.dumps({"results": results}))
    # Of which a browser can make nothing.
    videos = tmp_path / "videos"
    (videos / Path(PLANTED).parent).mkdir(parents=True)
    assert main(["report", str(tmp_path / "r.json"), "-o", str(tmp_path / "out")]) == 0
    pages = sorted((tmp_path / "out").rglob("*.html"))
    assert len(pages) == 3
    for page in pages:
        for width in (390, 1280):
            browser.size(width, 800)
            browser.open(page.as_uri())
            assert browser.run("document.querySelector('img') === null && !window.planted")
            browser.wait(f"document.documentElement.scrollWidth <= {width}")
    assert browser.complaints == []
    assert capsys.readouterr().err.count("No video was found") == 2


def test_a_video_that_is_gone_leaves_lanes_that_work(browser: Browser, tmp_path: Path) -> None:
    event = {"type": "source", "source": str(tmp_path / "gone.mp4"), "duration_seconds": 12}
    segment = {"type": "segment", "id": 1, "label": "a", "final": True, "score": 0.5}
    segment |= {"start_seconds": 2.0, "end_seconds": 4.0}
    lines = "".join(json.dumps(one) + "\n" for one in (event, segment))
    (tmp_path / "gone.jsonl").write_text(lines)
    planted.write_video(tmp_path / "gone.mp4", (("red", 1.0),))
    assert main(["report", str(tmp_path / "gone.jsonl")]) == 0
    page = tmp_path / "gone.html"
    # As if the page had been sent without its video.
    text = re.sub(r"data:video/mp4[^\"]*", "./elsewhere.mp4", page.read_text("utf-8"))
    page.write_text(text)
    browser.open(page.as_uri())
    browser.wait("document.getElementById('note').textContent.includes('cannot play')")
    browser.key("n", "n")
    browser.wait("document.querySelector('.lanes').getAttribute('aria-valuenow') === '2.00'")
    browser.complaints.clear()
