"""Snippets that wait: order, turns and age, with clocks that are given."""

from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from wsgn.runtime.live.waiting import Waited, Waiting
from wsgn.runtime.streaming.snippets import Snippet

SNIPPET = Snippet(start_seconds=0.0, epoch=0, frames=np.zeros((1, 1, 1, 3), np.uint8))


def waited(stream: str, number: int, arrival: float) -> Waited[str]:
    return Waited(stream=stream, number=number, snippet=SNIPPET, arrival=arrival, wall_offset=0.0)


def backlog(**lengths: int) -> Waiting[str]:
    """Streams that so many snippets wait of, one a second."""
    waiting: Waiting[str] = Waiting()
    for stream, length in lengths.items():
        for number in range(length):
            waiting.offer(waited(stream, number, float(number)))
    return waiting


# What comes and is taken: a stream's next snippet, an engine that takes so many, or an age.
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("offer"), st.sampled_from("abcd")),
        st.tuples(st.just("take"), st.integers(0, 6)),
        st.tuples(st.just("drop"), st.integers(0, 8)),
    ),
    max_size=60,
)


@given(STEPS)
def test_each_snippet_leaves_once_in_its_streams_order_and_none_stays_too_long(
    steps: list[tuple[str, str | int]],
) -> None:
    waiting: Waiting[str] = Waiting()
    offered: Counter[str] = Counter()
    left: dict[str, list[int]] = {stream: [] for stream in "abcd"}
    now = 0.0
    for what, which in steps:
        now += 1.0
        gone: list[Waited[str]] = []
        if isinstance(which, str):
            waiting.offer(waited(which, offered[which], now))
            offered[which] += 1
        elif what == "take":
            before = len(waiting)
            gone = waiting.take(which)
            assert len(gone) == min(which, before)
        else:
            gone = waiting.drop_before(now - which)
            assert all(one.arrival < now - which for one in gone)
            assert waiting.drop_before(now - which) == []
        for one in gone:
            left[one.stream].append(one.number)
        assert len(waiting) == sum(offered.values()) - sum(map(len, left.values()))
    for one in waiting.take(1000):
        left[one.stream].append(one.number)
    assert all(left[stream] == list(range(offered[stream])) for stream in "abcd")


@given(
    st.lists(st.integers(1, 12), min_size=2, max_size=6),
    st.lists(st.integers(1, 5), min_size=1, max_size=30),
)
def test_streams_that_wait_have_the_same_share(lengths: list[int], limits: list[int]) -> None:
    """Over batches of any size; who has nothing left leaves its share to the others."""
    names = [f"stream{number}" for number in range(len(lengths))]
    waiting = backlog(**dict(zip(names, lengths, strict=True)))
    total: Counter[str] = Counter()
    for limit in limits:
        total.update(one.stream for one in waiting.take(limit))
        # Of those of which snippets waited all the time.
        shares = [total[name] for name in names if waiting.length(name)]
        assert not shares or max(total.values()) - min(shares) <= 1


def test_a_backlog_does_not_come_before_what_others_filmed_since() -> None:
    waiting = backlog(flood=50)
    waiting.take(3)
    for stream in "ab":
        waiting.offer(waited(stream, 0, 100.0))
    assert [one.stream for one in waiting.take(4)] == ["a", "b", "flood", "flood"]


def test_among_new_streams_the_oldest_is_first() -> None:
    waiting: Waiting[str] = Waiting()
    for stream, arrival in (("late", 3.0), ("early", 1.0), ("middle", 2.0)):
        waiting.offer(waited(stream, 0, arrival))
    assert [one.stream for one in waiting.take(2)] == ["early", "middle"]


def test_what_is_forgotten_is_gone() -> None:
    waiting = backlog(a=3, b=1)
    waiting.forget("a")
    assert (len(waiting), waiting.length("a"), waiting.length("b")) == (1, 0, 1)
