"""The timeline of a figure: which activity when. It is the truth of a synthetic video."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from wsgn.errors import UsageError
from wsgn.synthetic.videos.config import ACTION_CLASSES, TimelineConfig
from wsgn.synthetic.videos.motions import Style
from wsgn.synthetic.videos.skeleton import LEFT, RIGHT

# Metres per second at a relative tempo of 1; the stride in motions.py fits it.
WALK_METRES_PER_SECOND = 1.15

# Shorter walks would be a single step.
_MIN_WALK_METRES = 0.8
_MIN_IDLE_SECONDS = 0.7


@dataclass(frozen=True, kw_only=True)
class Activity:
    """One stretch of a figure's timeline; `name` is a class, "idle" or "walk"."""

    name: str
    start_seconds: float
    end_seconds: float
    # Place across the scene in metres from its middle; equal unless the figure walks.
    from_metres: float
    to_metres: float
    style: Style

    @property
    def duration_seconds(self) -> float:
        """Length of the stretch."""
        return self.end_seconds - self.start_seconds


@dataclass(frozen=True, kw_only=True)
class TrueSegment:
    """An action that a video shows, with its times."""

    label: str
    start_seconds: float
    end_seconds: float


@dataclass(frozen=True, kw_only=True)
class Stage:
    """The stretch of the scene that a figure uses, in metres from the scene's middle."""

    left_metres: float
    right_metres: float


def draw_actions(generator: np.random.Generator, config: TimelineConfig) -> list[str]:
    """Draws the classes of a video's actions, in order of time."""
    count = int(generator.integers(1, config.max_actions + 1))
    num_classes = int(generator.integers(1, min(config.max_classes, count) + 1))
    classes = [str(name) for name in generator.permutation(ACTION_CLASSES)[:num_classes]]
    repeated = [str(name) for name in generator.choice(classes, count - num_classes)]
    return [str(name) for name in generator.permutation(classes + repeated)]


def draw_timeline(
    generator: np.random.Generator,
    actions: Sequence[str],
    duration_seconds: float,
    stage: Stage,
    config: TimelineConfig,
) -> list[Activity]:
    """Draws a timeline that performs the actions in order between idling and walking.

    Raises UsageError if the duration cannot hold them.
    """
    spans = _draw_spans(generator, len(actions), duration_seconds, config)
    activities: list[Activity] = []
    place = float(generator.uniform(stage.left_metres, stage.right_metres))
    walking_rest = _draw_walking_rest(generator, spans, duration_seconds)
    time = 0.0
    for index, (start, end) in enumerate([*spans, (duration_seconds, duration_seconds)]):
        must_walk = index == walking_rest
        activities += _draw_rest(generator, time, start, place, stage, config, must_walk)
        place = activities[-1].to_metres
        if index < len(actions):
            style = _draw_style(generator, config)
            activities.append(_stay(actions[index], start, end, place, style))
        time = end
    return activities


def true_segments(timelines: Sequence[Sequence[Activity]]) -> list[TrueSegment]:
    """The actions of all figures by time; overlapping ones of one class become one."""
    merged: list[TrueSegment] = []
    for label in ACTION_CLASSES:
        spans = sorted(
            (activity.start_seconds, activity.end_seconds)
            for timeline in timelines
            for activity in timeline
            if activity.name == label
        )
        for start, end in spans:
            if merged and merged[-1].label == label and start <= merged[-1].end_seconds:
                start, end = merged[-1].start_seconds, max(end, merged[-1].end_seconds)
                merged.pop()
            merged.append(TrueSegment(label=label, start_seconds=start, end_seconds=end))
    return sorted(merged, key=lambda segment: (segment.start_seconds, segment.label))


def _draw_spans(
    generator: np.random.Generator, count: int, duration: float, config: TimelineConfig
) -> list[tuple[float, float]]:
    """Start and end seconds of the actions, with every rest at least its minimum."""
    shortest, rest = config.min_action_seconds, config.min_rest_seconds
    room = duration - (count + 1) * rest
    if room < count * shortest:
        raise UsageError(
            f"{count} actions do not fit into {duration} seconds; "
            f"make it {count * shortest + (count + 1) * rest:.1f} seconds or longer."
        )
    lengths = generator.uniform(shortest, config.max_action_seconds, count)
    # At most 60 % of the time that is free is acted, so that background stays frequent.
    excess = max(float(lengths.sum()) - count * shortest, 1e-9)
    allowed = max(0.6 * (room - count * shortest), 0.0)
    lengths = shortest + (lengths - shortest) * min(1.0, allowed / excess)
    slack = duration - float(lengths.sum()) - (count + 1) * rest
    rests = rest + slack * generator.dirichlet(np.full(count + 1, 1.5))
    starts = np.cumsum(rests[:-1]) + np.concatenate([[0.0], np.cumsum(lengths)[:-1]])
    return [(float(s), float(s + n)) for s, n in zip(starts, lengths, strict=True)]


def _draw_walking_rest(
    generator: np.random.Generator, spans: Sequence[tuple[float, float]], duration: float
) -> int:
    """Index of the rest that holds a walk if it has the time and room: one of the longer half."""
    starts = np.array([0.0, *(end for _, end in spans)])
    ends = np.array([*(start for start, _ in spans), duration])
    order = np.argsort(starts - ends)
    return int(generator.choice(order[: max(1, len(order) // 2)]))


def _draw_rest(
    generator: np.random.Generator,
    start: float,
    end: float,
    place: float,
    stage: Stage,
    config: TimelineConfig,
    must_walk: bool,
) -> list[Activity]:
    """Fills a rest with idling and walking; the walks stay on the stage."""
    activities: list[Activity] = []
    while end - start > 1e-9:
        style = _draw_style(generator, config)
        length = end - start
        if must_walk or generator.random() < 0.45:
            walk = _draw_walk(generator, start, end, place, stage, style)
            if walk is not None:
                activities.append(walk)
                start, place, must_walk = walk.end_seconds, walk.to_metres, False
                continue
        until = start + float(generator.uniform(1.2, 4.0)) if length > 2.5 else end
        until = end if end - until < 2 * _MIN_IDLE_SECONDS else until
        activities.append(_stay("idle", start, until, place, style))
        start = until
    return activities


def _draw_walk(
    generator: np.random.Generator,
    start: float,
    end: float,
    place: float,
    stage: Stage,
    style: Style,
) -> Activity | None:
    """A walk to another place on the stage, or nothing if time or room are too short."""
    speed = WALK_METRES_PER_SECOND * style.tempo
    reach = speed * (end - start - _MIN_IDLE_SECONDS)
    rooms = {1: stage.right_metres - place, -1: place - stage.left_metres}
    heading = 1 if generator.random() < rooms[1] / (rooms[1] + rooms[-1] + 1e-9) else -1
    longest = min(rooms[heading], reach)
    if longest < _MIN_WALK_METRES:
        return None
    distance = float(generator.uniform(max(_MIN_WALK_METRES, 0.6 * longest), longest))
    return Activity(
        name="walk",
        start_seconds=start,
        end_seconds=start + distance / speed,
        from_metres=place,
        to_metres=place + heading * distance,
        style=style,
    )


def _draw_style(generator: np.random.Generator, config: TimelineConfig) -> Style:
    return Style(
        tempo=float(1 + config.tempo_variation * generator.uniform(-1, 1)),
        amplitude=float(1 + config.amplitude_variation * generator.uniform(-1, 1)),
        side=LEFT if generator.random() < 0.5 else RIGHT,
        phase=float(generator.random()),
        variant=float(generator.random()),
    )


def _stay(name: str, start: float, end: float, place: float, style: Style) -> Activity:
    return Activity(
        name=name,
        start_seconds=start,
        end_seconds=end,
        from_metres=place,
        to_metres=place,
        style=style,
    )
