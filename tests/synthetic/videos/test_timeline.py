"""The timeline is the truth: complete, in order, with its gaps, and what the figure does."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsgn.errors import UsageError
from wsgn.synthetic.videos.config import ACTION_CLASSES, TimelineConfig
from wsgn.synthetic.videos.performance import perform
from wsgn.synthetic.videos.skeleton import Channel
from wsgn.synthetic.videos.timeline import (
    Activity,
    Stage,
    draw_actions,
    draw_timeline,
    true_segments,
)

CONFIG = TimelineConfig()
STAGE = Stage(left_metres=-1.2, right_metres=1.2)
SEEDS = st.integers(0, 2**32 - 1)


def drawn(seed: int) -> tuple[list[str], list[Activity], float]:
    generator = np.random.default_rng(seed)
    duration = float(generator.uniform(16, 30))
    actions = draw_actions(generator, CONFIG)
    return actions, draw_timeline(generator, actions, duration, STAGE, CONFIG), duration


@given(seed=SEEDS)
def test_timeline_is_whole_and_keeps_its_bounds(seed: int) -> None:
    actions, timeline, duration = drawn(seed)
    ends = [activity.end_seconds for activity in timeline]
    starts = [activity.start_seconds for activity in timeline]
    assert starts == pytest.approx([0.0, *ends[:-1]])
    assert ends[-1] == pytest.approx(duration)
    acted = [activity for activity in timeline if activity.name in ACTION_CLASSES]
    assert [activity.name for activity in acted] == actions
    lengths = [activity.duration_seconds for activity in acted]
    assert min(lengths) >= CONFIG.min_action_seconds - 1e-9
    assert max(lengths) <= CONFIG.max_action_seconds + 1e-9
    edges = [0.0, *(t for a in acted for t in (a.start_seconds, a.end_seconds)), duration]
    rests = np.array(edges[1::2]) - np.array(edges[0::2])
    assert rests.min() >= CONFIG.min_rest_seconds - 1e-9


@given(seed=SEEDS)
def test_every_timeline_has_rest_and_its_walks_stay_on_stage(seed: int) -> None:
    _, timeline, _ = drawn(seed)
    assert "idle" in {activity.name for activity in timeline}
    places = [p for a in timeline for p in (a.from_metres, a.to_metres)]
    assert STAGE.left_metres - 1e-9 <= min(places)
    assert max(places) <= STAGE.right_metres + 1e-9
    moving = [a.name for a in timeline if a.from_metres != a.to_metres]
    assert set(moving) <= {"walk"}


def test_hardly_a_timeline_lacks_a_walk() -> None:
    # One rest must hold a walk, but may be too short for it, or end too close to the stage's edge.
    walks = [any(activity.name == "walk" for activity in drawn(seed)[1]) for seed in range(300)]
    assert np.mean(walks) > 0.97
    assert all(walks[:60])


def test_classes_and_counts_are_spread() -> None:
    drawn_actions = [drawn(seed)[0] for seed in range(300)]
    counts = [sum(name in actions for actions in drawn_actions) for name in ACTION_CLASSES]
    assert min(counts) > 0.7 * np.mean(counts)
    assert {len(actions) for actions in drawn_actions} == {1, 2, 3, 4}
    assert {len(set(actions)) for actions in drawn_actions} == {1, 2, 3}


def test_overlapping_actions_of_one_class_become_one_segment() -> None:
    template = drawn(0)[1][0]

    def activity(name: str, start: float, end: float) -> Activity:
        return Activity(
            name=name,
            start_seconds=start,
            end_seconds=end,
            from_metres=0.0,
            to_metres=0.0,
            style=template.style,
        )

    first = [activity("idle", 0, 2), activity("wave", 2, 5), activity("bow", 8, 10)]
    second = [activity("wave", 4, 7), activity("wave", 9, 11)]
    found = [(s.label, s.start_seconds, s.end_seconds) for s in true_segments([first, second])]
    assert found == [("wave", 2, 7), ("bow", 8, 10), ("wave", 9, 11)]


def test_too_many_actions_are_refused_with_the_length_they_need() -> None:
    with pytest.raises(UsageError, match=r"make it 7\.7 seconds or longer"):
        draw_timeline(np.random.default_rng(0), ["wave", "bow"], 5.0, STAGE, CONFIG)


def test_performance_is_smooth_and_still_at_its_standing_place() -> None:
    _, timeline, duration = drawn(3)
    times = np.arange(0, duration, 1 / 60)
    performance = perform(timeline, times, 30.0, CONFIG.blend_seconds)
    angles = performance.pose[:, : Channel.FLIGHT_METRES]
    # Nothing moves faster than an arm that is thrown up within one blend.
    assert np.abs(np.diff(angles, axis=0)).max() < 40
    assert np.abs(np.diff(performance.place_metres)).max() < 1.6 / 60
    assert np.abs(np.diff(performance.heading_degrees)).max() < 15


def test_flight_happens_in_true_jumps_only() -> None:
    for seed in range(40):
        _, timeline, duration = drawn(seed)
        times = np.arange(0, duration, 1 / 30)
        flying = perform(timeline, times, 0.0, 0.25).pose[:, Channel.FLIGHT_METRES] > 0.03
        jumping = np.zeros(len(times), dtype=bool)
        for segment in true_segments([timeline]):
            if segment.label == "jump":
                inside = (times >= segment.start_seconds) & (times <= segment.end_seconds)
                assert flying[inside].any()
                jumping |= inside
        assert not (flying & ~jumping).any()
