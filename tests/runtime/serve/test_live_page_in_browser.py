"""The live page in a real browser: lanes, events, pictures, planted markup, another run."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Iterator

import pytest
import served
from browser import Browser
from served import Served, changed, gap, opened, picture, run_event, scores, segment, started

PLANTED = "<img src=x onerror=alert(1)></script><script>alert(2)</script>"
NAME = f"door {PLANTED}"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    browser = Browser(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


@pytest.fixture(autouse=True)
def _now(monkeypatch: pytest.MonkeyPatch) -> None:
    """Media time 50 is now: all of it is on the lanes."""
    monkeypatch.setattr(served, "UNIX", time.time() - 50)


def pixel(label: str, seconds: float, y: int) -> str:
    """What a lane of the first source shows at a media time, as an expression: opaque or not."""
    return f"""(() => {{
    const card = live.cards.values().next().value;
    const canvas = card.rowsOf.find(row => row.label === {json.dumps(label)}).canvas;
    const part = 1 - (live.now() - {served.UNIX + seconds}) / live.span, x = part * canvas.width;
    return canvas.getContext("2d").getImageData(Math.round(x), {y}, 1, 1).data[3] > 0;
    }})()"""


def texts(selector: str) -> str:
    """The texts of a page's elements, as an expression."""
    return f"[...document.querySelectorAll({json.dumps(selector)})].map(one => one.textContent)"


def tell_all(live: Served) -> None:
    """A loss from 20 to 30, one segment of each class, and one that is open."""
    live.tell(run_event(), opened(NAME), segment(NAME, 1, "wave", 5.0, 10.0))
    live.tell(changed(NAME, "lost"), gap(NAME, 20.0, 30.0), changed(NAME, "restored"))
    live.tell(started(NAME, 2, PLANTED, 40.0))
    for n in range(100):
        seconds = 0.2 + n * 0.4
        if not 20 <= seconds < 30:
            live.page.scored(NAME, scores(seconds, float(5 <= seconds <= 10), 0.0), served.UNIX)
    live.pictures[NAME] = picture((200, 30, 30))
    live.page.ticked(served.statistics(**{NAME: "restored"}))


def test_lanes_events_and_pictures_are_there_and_move(browser: Browser) -> None:
    browser.size(1280, 900)
    browser.complaints.clear()
    with served.served(classes=("wave", PLANTED)) as live:
        tell_all(live)
        browser.open(f"http://127.0.0.1:{live.port}/")
        # What is looked at stays on the lanes however slow a machine is.
        browser.run("document.querySelector('[data-seconds=\"180\"]').click()")
        browser.wait("null !== document.querySelector('.shown.seen')")
        browser.wait("document.querySelectorAll('#events tbody tr').length === 6")
        browser.becomes(texts(".about h2"), [NAME])
        browser.becomes(texts(".about .state"), ["plays"])
        browser.becomes(texts(".lane:not(.axis) > span"), ["wave", PLANTED])
        browser.becomes(texts("#link"), ["1 of 1 source plays"])
        # The newest first.
        newest = [f"{PLANTED} begins", "something was restored."]
        browser.becomes(f"{texts('#events td:last-child')}.slice(0, 2)", newest)
        # A bar above, the scores below: of what was found, and of what is open and goes on to now.
        browser.wait(pixel("wave", 7.5, 6))
        browser.wait(pixel("wave", 7.5, 30))
        assert not browser.run(pixel("wave", 13.0, 6))
        assert not browser.run(pixel("wave", 13.0, 30))
        assert not browser.run(pixel(PLANTED, 7.5, 6))
        browser.wait(pixel(PLANTED, 41.0, 6))
        # Nothing can be scored where no picture was: stripes, of which one column has some.
        striped = " || ".join(pixel("wave", 25.0, y) for y in (14, 16, 18, 20))
        browser.wait(striped)
        # What is told from now on is shown too, and all of it moves.
        lost = dataclasses.replace(changed(NAME, "lost"), message=f"{NAME}: {PLANTED}")
        live.tell(segment(NAME, 3, "wave", 32.0, 36.0), lost)
        browser.wait(pixel("wave", 34.0, 6))
        browser.wait("null !== document.querySelector('.shown.stale')")
        browser.becomes(texts(".about .words"), [PLANTED])
        browser.becomes(f"{texts('#events td:last-child')}[0]", PLANTED)
        before = browser.run("live.now()")
        browser.wait(f"live.now() > {before} + 2")
        browser.wait(pixel("wave", 34.0, 6))
        browser.run("document.querySelector('[data-seconds=\"600\"]').click()")
        browser.wait(pixel("wave", 34.0, 6))
        browser.size(390, 844)
        browser.becomes("document.documentElement.scrollWidth", 390)
    # But that the connection has ended, of which browsers tell.
    assert [one for one in browser.complaints if "ERR_" not in one] == []


def test_a_page_goes_over_to_the_next_run(browser: Browser) -> None:
    browser.size(1280, 900)
    with served.served() as live:
        live.tell(run_event(), opened("door"), started("door", 1, "wave", 40.0))
        browser.open(f"http://127.0.0.1:{live.port}/")
        browser.wait("document.querySelectorAll('#events tbody tr').length === 2")
    browser.wait("null !== document.querySelector('#link.off')")
    with served.served(port=live.port, run="fedcba9876543210", classes=("bow",)) as again:
        again.tell(run_event(), opened("door"))
        browser.wait("null !== document.querySelector('#link.on')")
        browser.becomes(texts(".about h2"), ["door"])
        browser.becomes(texts(".lane:not(.axis) > span"), ["bow"])
        browser.becomes(f"{texts('#events tbody tr')}.length", 1)


def test_a_token_opens_the_page_and_leaves_the_address(browser: Browser) -> None:
    token = "0123456789abcdef"
    browser.size(768, 900)
    with served.served(token=token) as live:
        live.tell(run_event(), opened("door"))
        live.pictures["door"] = picture((200, 30, 30))
        browser.open(f"http://127.0.0.1:{live.port}/?token={token}")
        browser.wait("null !== document.querySelector('.shown.seen')")
        browser.becomes("location.search", "")
        browser.becomes("document.cookie", "")
