"""What the live page is told of events: all of it, once, and on the wall clock."""

from __future__ import annotations

import base64
import dataclasses
import json
from itertools import accumulate
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from served import (
    CLASSES,
    UNIX,
    changed,
    gap,
    opened,
    run_event,
    scores,
    segment,
    started,
    statistics,
)

from wsgn.runtime.events import EndEvent, ErrorEvent, Event, RetractEvent, WarningEvent
from wsgn.runtime.serve import board as boards
from wsgn.runtime.serve.board import Board


def ended(source: str) -> EndEvent:
    return EndEvent(
        source=source, complete=False, seconds=9.0, frames=9, snippets=3, segments=2,
        decode_failures=0, at_unix_seconds=UNIX + 20,
    )  # fmt: skip


class Page:
    """Follows a board as the page does."""

    def __init__(self, board: Board) -> None:
        self.board = board
        self.sources: dict[str, dict[str, Any]] = {}
        self.lines: list[dict[str, Any]] = []
        self.take(board.state())

    def take(self, told: dict[str, Any]) -> None:
        told = json.loads(json.dumps(told, allow_nan=False))
        self.lines += told["lines"]
        for one in told["sources"]:
            source = self.sources.setdefault(
                one["name"], {"bars": {}, "gaps": [], "scores": [], "status": {}}
            )
            source["status"] = one.get("status", source["status"])
            source["bars"] |= {key: bar for key, *bar in one.get("bars", [])}
            for key in one.get("gone", []):
                source["bars"].pop(key, None)
            source["gaps"] += one.get("gaps", [])
            steps, packed = one.get("scores", {"steps": [], "bytes": ""}).values()
            rows = np.frombuffer(base64.b64decode(packed), np.uint8).reshape(-1, len(CLASSES))
            times = [at / 1000 for at in accumulate(steps)]
            source["scores"] += list(zip(times, rows.tolist(), strict=True))
        for name in set(self.sources) - set(told["names"]):
            del self.sources[name]

    def look(self) -> dict[str, Any]:
        self.take(self.board.changes())
        return self.sources


@pytest.fixture
def board() -> Board:
    made = Board(CLASSES, run="r", wall=lambda: UNIX + 100)
    made.hear(run_event())
    return made


def test_a_segment_is_open_and_then_has_an_end(board: Board) -> None:
    page = Page(board)
    board.hear(opened("door"))
    board.hear(started("door", 1, "wave", 2.0))
    assert page.look()["door"]["bars"] == {"1.1": ["wave", UNIX + 2, None, None]}
    board.hear(segment("door", 1, "wave", 2.0, 4.0, score=0.625))
    board.hear(started("door", 2, "jump", 3.0))
    board.hear(RetractEvent(source="door", id=2, label="jump", at_seconds=4.0))
    assert page.look()["door"]["bars"] == {"1.1": ["wave", UNIX + 2, UNIX + 4, 0.625]}
    # Once is enough.
    assert board.changes()["sources"] == []
    assert [(line["type"], line.get("label")) for line in page.lines] == [
        ("source", None), ("start", "wave"), ("segment", "wave"), ("start", "jump"),
    ]  # fmt: skip


def test_what_was_open_ends_with_its_source_and_its_numbers_may_come_again(board: Board) -> None:
    page = Page(board)
    for event in (opened("door"), started("door", 1, "wave", 2.0), ended("door")):
        board.hear(event)
    board.hear(opened("door"))
    board.hear(started("door", 1, "jump", 30.0))
    assert page.look()["door"]["bars"] == {
        "1.1": ["wave", UNIX + 2, UNIX + 20, None],
        "2.1": ["jump", UNIX + 30, None, None],
    }


def test_a_revised_segment_takes_the_place_of_the_first(board: Board) -> None:
    page = Page(board)
    board.hear(opened("film"))
    first = segment("film", 1, "wave", 2.0, 4.0)
    board.hear(dataclasses.replace(first, final=False))
    board.hear(segment("film", 1, "wave", 2.5, 4.5))
    assert list(page.look()["film"]["bars"].values()) == [["wave", UNIX + 2.5, UNIX + 4.5, 0.5]]
    assert [line["type"] for line in page.lines] == ["source", "segment"]


@pytest.mark.parametrize(
    ("events", "state", "words"),
    [
        ([], "waiting", ""),
        ([opened("door")], "playing", ""),
        ([changed("door", "waiting", "refused")], "waiting", "something was waiting."),
        ([opened("door"), changed("door", "lost", "ended")], "lost", "something was lost."),
        ([opened("door"), changed("door", "late", "late")], "late", "something was late."),
        ([opened("door"), changed("door", "lost"), changed("door", "restored")], "playing", ""),
        ([opened("door"), ended("door")], "ended", ""),
        (
            [ErrorEvent(source="door", code="lost", message="door: it is over."), ended("door")],
            "failed",
            "it is over.",
        ),
    ],
)
def test_a_source_has_a_state(board: Board, events: list[Event], state: str, words: str) -> None:
    page = Page(board)
    board.ticked(statistics(door=None))
    for event in events:
        board.hear(event)
    status = page.look()["door"]["status"]
    assert (status["state"], status["words"]) == (state, words)
    counted = {"segments": 2, "restarts": 1, "dropped": 1, "lag": 0.0}
    assert {name: status[name] for name in counted} == counted


def test_scores_and_gaps_lie_on_the_wall_clock(board: Board) -> None:
    page = Page(board)
    board.hear(opened("door"))
    board.scored("door", scores(1.0, 0.0, 1.0), UNIX)
    board.scored("door", scores(1.4, 2.0, -1.0), UNIX + 0.5)
    board.hear(gap("door", 2.0, 5.0))
    found = page.look()["door"]
    assert found["scores"] == [(UNIX + 1.0, [0, 255]), (UNIX + 1.9, [255, 0])]
    assert found["gaps"] == [[UNIX + 2.5, UNIX + 5.5]]


def test_what_has_ended_is_not_shown_for_ever() -> None:
    now = UNIX + 20
    board = Board(CLASSES, run="r", wall=lambda: now)
    page = Page(board)
    for name in ("door", "yard"):
        board.hear(opened(name))
    board.hear(ended("door"))
    board.hear(ErrorEvent(source="yard", code="lost", message="yard: it is over."))
    board.hear(ended("yard"))
    board.ticked(statistics())
    assert page.look().keys() == {"door", "yard"}
    now += 61
    board.ticked(statistics())
    # Somebody has to see what has failed.
    assert page.look().keys() == {"yard"}


def test_nothing_grows_for_ever(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_NUM_BARS", "_NUM_GAPS"):
        monkeypatch.setattr(boards, name, 5)
    board.hear(opened("door"))
    for n in range(3000):
        board.hear(segment("door", n, "wave", n, n + 0.5))
        board.hear(gap("door", n + 0.5, n + 1))
        board.scored("door", scores(n, 0.1, 0.2), UNIX)
    told = board.changes()
    (source,) = told["sources"]
    assert (len(source["scores"]["steps"]), len(told["lines"])) == (1500, 200)
    assert [len(source[name]) for name in ("bars", "gaps")] == [5, 5]
    page = Page(board).sources["door"]
    assert [len(page[name]) for name in ("bars", "gaps", "scores")] == [5, 5, 1500]


def test_texts_are_as_they_may_be_shown(board: Board) -> None:
    page = Page(board)
    board.hear(opened("do\x1bor"))
    board.hear(started("do\x1bor", 1, "wa\u202eve", 2.0))
    board.hear(WarningEvent(source="do\x1bor", code="c", message="do\x1bor: \x07 rings"))
    page.look()
    assert [line["words"] for line in page.lines][1:] == ["begins", "\\u0007 rings"]
    assert page.lines[1]["label"] == "wa\\u202eve"
    assert page.sources["do\x1bor"]["bars"]["1.1"][0] == "wa\\u202eve"


steps = st.lists(
    st.one_of(
        st.tuples(st.just("scored"), st.integers(0, 1)),
        st.tuples(st.just("start"), st.integers(0, 9)),
        st.tuples(st.just("segment"), st.integers(0, 9)),
        st.tuples(st.just("retract"), st.integers(0, 9)),
        st.tuples(st.just("gap"), st.integers(0, 9)),
        st.tuples(st.sampled_from(["look", "open", "end", "lost"]), st.just(0)),
    ),
    max_size=40,
)


@given(steps, st.integers(0, 40))
@settings(max_examples=60, deadline=None)
def test_whenever_a_page_is_opened_it_shows_the_same(did: list[tuple[str, int]], when: int) -> None:
    board = Board(CLASSES, run="r", wall=lambda: UNIX + 100)
    first, second = Page(board), None
    for number, (what, n) in enumerate([("open", 0), *did]):
        if number == when:
            second = Page(board)
        if what == "look":
            told = board.changes()
            for page in filter(None, (first, second)):
                page.take(told)
        elif what == "scored":
            board.scored("door", scores(float(number), 0.5, n), UNIX)
        else:
            board.hear(
                {
                    "start": started("door", n, "wave", number),
                    "segment": segment("door", n, "wave", number, number + 1),
                    "retract": RetractEvent(source="door", id=n, label="wave", at_seconds=0.0),
                    "gap": gap("door", number, number + 1),
                    "open": opened("door"),
                    "end": ended("door"),
                    "lost": changed("door", "lost"),
                }[what]
            )
    told = board.changes()
    for page in filter(None, (first, second)):
        page.take(told)
    whole = Page(board)
    for page in filter(None, (first, second)):
        assert page.sources == whole.sources
        assert page.lines == whole.lines


def test_sources_stand_in_the_order_of_the_run(board: Board) -> None:
    board.hear(changed("yard", "waiting", "refused"))
    board.ticked(statistics(door=None, yard="waiting"))
    board.hear(opened("door"))
    assert board.state()["names"] == board.changes()["names"] == ["door", "yard"]
