"""Who looks on at a run hears the scores of every snippet, every batch, and what is counted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import planted
import pytest
from standins import INFO, UNIX, frames, streams

from wsgn.engines.engine import Engine
from wsgn.localization.online.smoother import SnippetScore
from wsgn.runtime import Detector, open_engine
from wsgn.runtime.live.watching import Statistics


class Onlooker:
    """Keeps what it hears."""

    def __init__(self) -> None:
        self.scores: dict[str, list[SnippetScore]] = {}
        self.offsets: set[float] = set()
        self.num_snippets = 0
        self.statistics: list[Statistics] = []

    def scored(self, source: str, scores: SnippetScore, unix_offset: float) -> None:
        self.scores.setdefault(source, []).append(scores)
        self.offsets.add(round(unix_offset, 6))

    def landed(self, num_snippets: int, seconds: float) -> None:
        assert seconds > 0
        self.num_snippets += num_snippets

    def ticked(self, statistics: Statistics) -> None:
        self.statistics.append(statistics)


@pytest.fixture(scope="module")
def engine(engine_path: Path) -> Iterator[Engine]:
    with open_engine(engine_path, num_threads=1) as opened:
        yield opened


def test_scores_are_heard_once_each_and_say_what_is_seen(engine: Engine) -> None:
    onlooker = Onlooker()
    scripts = {name: [INFO, *frames(*planted.SCENES)] for name in ("a", "b")}
    run = streams(scripts, engine, watcher=onlooker)
    events = list(run.events())
    ends = {event.source: event for event in events if event.type == "end"}
    assert {name: len(heard) for name, heard in onlooker.scores.items()} == {
        name: end.snippets for name, end in ends.items()
    }
    assert onlooker.num_snippets == sum(end.snippets for end in ends.values())
    assert onlooker.offsets == {UNIX}
    assert onlooker.statistics
    assert set(onlooker.statistics[0].sources) <= {"a", "b"}
    heard = onlooker.scores["a"]
    centres = np.array([one.centre_seconds for one in heard])
    assert (np.diff(centres) > 0).all()
    for event in events:
        if event.type == "segment" and event.source == "a":
            column = engine.manifest.classes.index(event.label)
            scores = np.array([one.scores[column] for one in heard])
            inside = (centres > event.start_seconds) & (centres < event.end_seconds)
            assert scores[inside].mean() > 2 * scores[~inside].mean()


def test_scores_are_heard_of_a_source_that_goes_on_from_a_saved_state(engine: Engine) -> None:
    first = streams({"a": [INFO, *frames(*planted.SCENES)]}, engine)
    list(first.events())
    onlooker = Onlooker()
    steps = [INFO, *frames(*planted.SCENES, begin_seconds=60.0, epoch=1)]
    run = streams({"a": steps}, engine, watcher=onlooker, saved=first.snapshot())
    list(run.events())
    assert min(one.centre_seconds for one in onlooker.scores["a"]) > 60
    # None is read yet, or no more.
    assert run.picture("a") is None


def test_a_detector_that_is_restored_is_still_heard(engine: Engine) -> None:
    detector = Detector(engine.manifest)
    heard: list[SnippetScore] = []
    detector.on_scores = heard.append
    detector.restore(Detector(engine.manifest).state_dict())
    assert detector.on_scores == heard.append
