"""Pages: what is planted in them stays text, and what they hold comes back as it was."""

from __future__ import annotations

import base64
import hashlib
import json
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsgn.page.lanes import Lane, Lanes, LaneSegment, even_runs, lanes_data, lanes_part
from wsgn.page.parts import Line, header, line_chart, section, table
from wsgn.page.shell import asset, is_page, render_page

PLANTED = "</script><script>alert(1)</script><!--<img src=x onerror=alert(2)>\"'&amp;\u2028\udcff"


class Reader(HTMLParser):
    """An HTML parser's own view of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        # Name and attributes of every element, and the text inside scripts, styles and the title.
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.inside: list[tuple[str, str]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.inside.append((tag, ""))
        self.is_open = True

    def handle_endtag(self, tag: str) -> None:
        self.is_open = False

    def handle_data(self, data: str) -> None:
        if self.inside and self.is_open:
            self.inside[-1] = (self.inside[-1][0], self.inside[-1][1] + data)

    def texts(self, tag: str) -> list[str]:
        return [words for name, words in self.inside if name == tag]


def planted_page() -> str:
    lanes = Lanes(
        duration_seconds=9.0,
        lanes=[Lane(label=PLANTED, found=[LaneSegment(start_seconds=1, end_seconds=2, score=0.5)])],
    )
    line = Line(name=PLANTED, x=[0.0, 1.0], y=[1.0, float("nan")])
    body = (
        header(PLANTED, [(PLANTED, PLANTED)])
        + section(PLANTED, note=PLANTED)
        + table([PLANTED], [[PLANTED]], caption=PLANTED, links=[PLANTED])
        + line_chart(PLANTED, [line], x=PLANTED, y=PLANTED)
        + lanes_part(lanes, name=PLANTED)
    )
    return render_page(PLANTED, body, {PLANTED: PLANTED}, [asset("lanes.js")])


def test_planted_markup_makes_no_element_and_no_attribute() -> None:
    reader = Reader(planted_page())
    assert {tag for tag, _ in reader.elements} & {"img", "iframe", "object"} == set()
    assert not any(name.startswith("on") for _, found in reader.elements for name in found)
    # base.js and lanes.js, the islands of the page, chart and lanes, and nothing that was planted.
    scripts = [found.get("type") for tag, found in reader.elements if tag == "script"]
    assert sorted(map(str, scripts)) == ["None"] * 2 + ["application/json"] * 3
    assert reader.texts("h1") == [PLANTED.replace("\udcff", "\ufffd")]
    assert reader.texts("title") == reader.texts("h1")
    assert [found["href"] for tag, found in reader.elements if tag == "a"] == reader.texts("h1")


def test_data_come_back_as_they_were() -> None:
    plain = {"a": PLANTED.replace("\udcff", "\ufffd"), "b": [1.5, None, True]}
    reader = Reader(render_page("t", "", plain))
    (found,) = (
        json.loads(words)
        for (tag, about), (_, words) in zip(reader.elements, reader.inside, strict=True)
        if tag == "script" and about.get("id") == "page-data"
    )
    assert found == plain


def test_only_the_scripts_and_styles_of_the_page_run() -> None:
    reader = Reader(render_page("t", "", {}, ["let own = 1;"], styles=["i { color: red }"]))
    (policy,) = (
        found["content"]
        for _, found in reader.elements
        if found.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy is not None
    rules = {rule.split()[0]: rule.split()[1:] for rule in policy.split(";")}
    assert rules["default-src"] == ["'none'"]
    assert "unsafe" not in policy
    for tag, rule in (("script", "script-src"), ("style", "style-src")):
        sums = [
            f"'sha256-{base64.b64encode(hashlib.sha256(words.encode()).digest()).decode()}'"
            for (name, about), (_, words) in zip(reader.elements, reader.inside, strict=True)
            if name == tag and "type" not in about
        ]
        assert sums == rules[rule]
    assert "connect-src 'self'" in render_page("t", "", {}, may_connect=True)


def test_a_script_that_would_end_itself_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bad.js").write_text("let a = '</script>';")
    monkeypatch.setattr("wsgn.page.shell.files", lambda package: tmp_path)
    with pytest.raises(ValueError, match="end its own element"):
        asset("bad.js")


def test_pages_are_told_from_other_files(tmp_path: Path) -> None:
    (tmp_path / "own.html").write_text(render_page("t", "", {}))
    (tmp_path / "other.html").write_text("<!doctype html><title>mine</title>")
    assert is_page(tmp_path / "own.html")
    assert not is_page(tmp_path / "other.html")


@given(
    parts=st.lists(
        st.tuples(st.integers(1, 40), st.sampled_from([0.2, 0.8, 1.0]), st.integers(1, 90)),
        min_size=1,
        max_size=5,
    )
)
def test_runs_give_the_times_back(parts: list[tuple[int, float, int]]) -> None:
    times: list[float] = []
    for gap, step, count in parts:
        begin = (times[-1] if times else 0.0) + gap
        times += [begin + step * n for n in range(count)]
    runs = even_runs(np.array(times))
    back = [first + step * n for first, step, count in runs for n in range(count)]
    assert np.abs(np.array(back) - times).max() < 0.005
    assert all(step > 0 for _, step, _ in runs)
    # No more than one and a half for each even part: gaps may join a part's last with the next.
    assert len(runs) <= 2 * len(parts)


def test_scores_are_kept_to_half_of_a_byte_and_nan_is_nothing() -> None:
    scores = np.array([0.0, 0.5, 1.0, 2.0, -1.0, np.nan, 0.123])
    bar = LaneSegment(start_seconds=1 / 3, end_seconds=2.0, score=0.98765)
    hidden = LaneSegment(start_seconds=1, end_seconds=2, score=0.5, overlapped=True)
    true = LaneSegment(start_seconds=0, end_seconds=1)
    lane = Lane(label="a", scores=scores, found=[bar, hidden], true=[true])
    data = lanes_data(Lanes(duration_seconds=9, lanes=[lane], times=np.arange(7.0)))
    (found,) = data["lanes"]
    stored = np.frombuffer(base64.b64decode(found["scores"]), np.uint8) / 255
    wanted = np.array([0.0, 0.5, 1.0, 1.0, 0.0, 0.0, 0.123])
    assert np.abs(stored - wanted).max() <= 0.5 / 255 + 1e-9
    assert found["found"] == [[0.333, 2.0, 0.988], [1.0, 2.0, 0.5, 1]]
    assert found["true"] == [[0.0, 1.0]]
    assert data["runs"] == [(0.0, 1.0, 7)]
