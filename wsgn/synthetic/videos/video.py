"""One synthetic video: drawn from a seed, rendered frame by frame, encoded to a file."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from wsgn.support.arrays import FloatArray
from wsgn.synthetic.videos.config import SceneConfig, TimelineConfig
from wsgn.synthetic.videos.encode import encode_video
from wsgn.synthetic.videos.figure import draw_figure_look
from wsgn.synthetic.videos.performance import perform
from wsgn.synthetic.videos.render import Actor, render_frames
from wsgn.synthetic.videos.timeline import (
    Activity,
    Stage,
    TrueSegment,
    draw_actions,
    draw_timeline,
    true_segments,
)

_FIGURE_METRES = 1.7
# Room beside a figure's place for its arms and legs.
_REACH_METRES = 0.62


@dataclass(frozen=True, kw_only=True)
class VideoTruth:
    """What a synthetic video shows."""

    duration_seconds: float
    frame_rate: int
    segments: tuple[TrueSegment, ...]

    @property
    def labels(self) -> list[str]:
        """The distinct classes of the segments, sorted."""
        return sorted({segment.label for segment in self.segments})


@dataclass(frozen=True, kw_only=True)
class _Footing:
    """Size and place of a figure: canvas pixels, and its stage in metres."""

    pixels_per_metre: float
    ground_pixels: float
    stage: Stage


def make_video(
    path: Path,
    seed: Sequence[int],
    scene: SceneConfig,
    timeline: TimelineConfig,
    actions: Sequence[str] | None = None,
    duration_seconds: float | None = None,
) -> VideoTruth:
    """Draws, renders and writes one video; what it shows depends on its arguments only.

    `actions` and `duration_seconds` are drawn too unless given.
    """
    # Separate streams: neither looks nor scenery can tell which actions were drawn.
    plot, looks, scenery, sensor = (
        np.random.default_rng(child) for child in np.random.SeedSequence(list(seed)).spawn(4)
    )
    if duration_seconds is None:
        duration_seconds = float(
            plot.uniform(timeline.min_duration_seconds, timeline.max_duration_seconds)
        )
    num_frames = round(duration_seconds * scene.frame_rate)
    duration = num_frames / scene.frame_rate
    footings = _draw_footings(looks, scene, timeline.second_figure_probability)
    timelines = _draw_timelines(plot, actions, duration, footings, timeline)
    times = np.arange(num_frames) / scene.frame_rate
    actors = [
        _cast(looks, footing, activities, times, timeline.blend_seconds)
        for footing, activities in zip(footings, timelines, strict=True)
    ]
    frames = render_frames(actors, times, scene, scenery, sensor)
    encode_video(
        path, frames, scene.width, scene.height, scene.frame_rate, scene.encoder_quality_crf
    )
    return VideoTruth(
        duration_seconds=duration,
        frame_rate=scene.frame_rate,
        segments=tuple(true_segments(timelines)),
    )


def _draw_footings(
    generator: np.random.Generator, scene: SceneConfig, second_probability: float
) -> list[_Footing]:
    """Draws one figure with the whole scene as its stage, or two with a half each."""
    height = scene.height * scene.supersampling
    aspect = scene.width / scene.height
    count = 2 if generator.random() < second_probability else 1
    sizes = generator.uniform(0.58, 0.76, count) * (1.0 if count == 1 else 0.9)
    half_sides = [0] if count == 1 else [int(side) for side in generator.permutation([-1, 1])]
    footings = []
    for size, side in zip(sizes, half_sides, strict=True):
        scale = float(size) * height / _FIGURE_METRES
        half = max(aspect * height / 2 / scale - _REACH_METRES, 0.3)
        inner = 0.45 if count == 2 else 0.0
        stage = Stage(
            left_metres=inner if side == 1 else -half,
            right_metres=-inner if side == -1 else half,
        )
        ground = height * float(generator.uniform(0.87, 0.95))
        footings.append(_Footing(pixels_per_metre=scale, ground_pixels=ground, stage=stage))
    return footings


def _draw_timelines(
    generator: np.random.Generator,
    actions: Sequence[str] | None,
    duration: float,
    footings: Sequence[_Footing],
    config: TimelineConfig,
) -> list[list[Activity]]:
    """Draws what each figure does; a second one repeats classes of the first or only idles."""
    chosen = list(actions) if actions is not None else draw_actions(generator, config)
    scripts = [chosen]
    for _ in footings[1:]:
        acts = chosen and generator.random() < config.second_figure_acts_probability
        count = int(generator.integers(1, 3)) if acts else 0
        scripts.append([str(name) for name in generator.choice(chosen, count)] if count else [])
    return [
        draw_timeline(generator, script, duration, footing.stage, config)
        for script, footing in zip(scripts, footings, strict=True)
    ]


def _cast(
    generator: np.random.Generator,
    footing: _Footing,
    activities: Sequence[Activity],
    times: FloatArray,
    blend_seconds: float,
) -> Actor:
    figure = draw_figure_look(generator)
    return Actor(
        figure=figure,
        performance=perform(activities, times, figure.heading_degrees, blend_seconds),
        pixels_per_metre=footing.pixels_per_metre,
        ground_pixels=footing.ground_pixels,
    )
