"""A performance: a timeline turned into poses, headings and places, frame by frame."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from wsgn.support.arrays import FloatArray
from wsgn.synthetic.videos.motions import motion_pose, turn_degrees
from wsgn.synthetic.videos.skeleton import Channel
from wsgn.synthetic.videos.timeline import Activity

# A walker is not seen in pure profile, so that both sides of it stay visible.
_WALK_HEADING_DEGREES = 76.0
# Turning into and out of a walk takes longer than the change of pose.
_HEADING_BLEND_FACTOR = 1.6


@dataclass(frozen=True, kw_only=True)
class Performance:
    """What one figure does in every frame."""

    pose: FloatArray  # (F, channels)
    heading_degrees: FloatArray  # (F,), 0 faces the camera, 90 the right of the frame
    place_metres: FloatArray  # (F,), from the middle of the scene


def perform(
    timeline: Sequence[Activity],
    times_seconds: FloatArray,
    standing_heading_degrees: float,
    blend_seconds: float,
) -> Performance:
    """Animates a timeline at the given times (F,), passing smoothly between activities."""
    pose = np.zeros((len(times_seconds), len(Channel)))
    heading = np.zeros(len(times_seconds))
    place = np.zeros(len(times_seconds))
    turned = 0.0
    for index, activity in enumerate(timeline):
        first, last = index == 0, index == len(timeline) - 1
        weight = _presence(times_seconds, activity, blend_seconds, first, last)
        shown = np.flatnonzero(weight)
        elapsed = times_seconds[shown] - activity.start_seconds
        duration = activity.duration_seconds
        poses = motion_pose(activity.name, elapsed, duration, activity.style)
        pose[shown] += weight[shown, None] * poses
        slower = _HEADING_BLEND_FACTOR * blend_seconds
        facing = _presence(times_seconds, activity, slower, first, last)
        heading += facing * (turned + _heading(activity, times_seconds, standing_heading_degrees))
        if activity.name == "turn":
            turned += float(turn_degrees(np.array([duration]), duration, activity.style)[0])
        inside = (times_seconds >= activity.start_seconds) | first
        progress = np.clip((times_seconds - activity.start_seconds) / duration, 0.0, 1.0)
        covered = activity.to_metres - activity.from_metres
        place = np.where(inside, activity.from_metres + progress * covered, place)
    return Performance(pose=pose, heading_degrees=heading, place_metres=place)


def _heading(activity: Activity, times_seconds: FloatArray, standing: float) -> FloatArray:
    if activity.name == "walk":
        way = np.sign(activity.to_metres - activity.from_metres)
        return np.full(len(times_seconds), way * _WALK_HEADING_DEGREES)
    if activity.name == "turn":
        elapsed = times_seconds - activity.start_seconds
        return standing + turn_degrees(elapsed, activity.duration_seconds, activity.style)
    return np.full(len(times_seconds), standing)


def _presence(
    times_seconds: FloatArray, activity: Activity, blend_seconds: float, first: bool, last: bool
) -> FloatArray:
    """Weight (F,) of an activity: 1 inside, crossing over to its neighbours at the ends.

    The weights of all activities of a timeline sum to 1 at any time.
    """
    rise = _ramp((times_seconds - activity.start_seconds) / blend_seconds + 0.5)
    fall = _ramp((times_seconds - activity.end_seconds) / blend_seconds + 0.5)
    return (1.0 if first else rise) - (np.zeros_like(fall) if last else fall)


def _ramp(value: FloatArray) -> FloatArray:
    clipped = np.clip(value, 0.0, 1.0)
    return clipped * clipped * (3 - 2 * clipped)
