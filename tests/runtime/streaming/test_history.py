"""What becomes of announced segments when the whole stream has been scored."""

from __future__ import annotations

import pytest
from manifests import CLASSES, small_manifest

from wsgn.localization.segments import Segment
from wsgn.runtime.events import Event, RetractEvent, SegmentEvent
from wsgn.runtime.streaming.history import History


def announced(identity: int, start: float, end: float, label: str = CLASSES[0]) -> SegmentEvent:
    return SegmentEvent(
        id=identity,
        rev=0,
        label=label,
        start_seconds=start,
        end_seconds=end,
        score=0.5,
        final=False,
        at_seconds=end,
        reason="threshold",
    )


def revised(
    before: list[SegmentEvent], final: tuple[float, float], label: str = CLASSES[0]
) -> list[Event]:
    history = History(small_manifest())
    for event in before:
        history.remember(event, rev=event.rev)
    segment = Segment(label=label, start_seconds=final[0], end_seconds=final[1], score=0.7)
    return history.revise([segment], next_id=9, at_seconds=20.0, reason="end")


def identities(events: list[Event]) -> list[tuple[str, int]]:
    """What is retracted, and which ids the final segments have."""
    kinds = {RetractEvent: "retracted", SegmentEvent: "final"}
    return [(kinds[type(e)], e.id) for e in events if isinstance(e, (RetractEvent, SegmentEvent))]


def test_the_one_that_overlaps_most_is_revised_and_the_other_retracted() -> None:
    before = [announced(1, 0.0, 4.0), announced(2, 5.0, 8.0)]
    assert identities(revised(before, (3.0, 7.0))) == [("retracted", 1), ("final", 2)]


@pytest.mark.parametrize("final", [(2.0, 5.0), (8.0, 9.0)], ids=["before", "behind"])
def test_one_that_only_touches_is_another_segment(final: tuple[float, float]) -> None:
    found = identities(revised([announced(1, 5.0, 8.0)], final))
    assert found == [("retracted", 1), ("final", 9)]


def test_one_of_another_label_is_another_segment() -> None:
    found = identities(revised([announced(1, 5.0, 8.0, CLASSES[1])], (5.0, 8.0)))
    assert found == [("retracted", 1), ("final", 9)]
