"""The motions: joint angles of each activity as a function of time."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from wsgn.support.arrays import FloatArray
from wsgn.synthetic.videos.skeleton import LEFT, Channel


@dataclass(frozen=True, kw_only=True)
class Style:
    """How one performance differs from another of the same activity."""

    # Relative speed and relative size of the movement.
    tempo: float = 1.0
    amplitude: float = 1.0
    # LEFT or RIGHT: the limb that leads, or the sense of a turn.
    side: int = LEFT
    # Where in its cycle a steady movement starts, 0 to 1.
    phase: float = 0.0
    # Chooses between ways to do the same, 0 to 1.
    variant: float = 0.0


Motion = Callable[[FloatArray, float, Style], FloatArray]


def motion_pose(activity: str, elapsed: FloatArray, duration: float, style: Style) -> FloatArray:
    """Poses (F, channels) at `elapsed` seconds (F,) after an activity of `duration` began."""
    if activity not in _MOTIONS:
        raise ValueError(f"The activity is {activity!r}; use one of {', '.join(_MOTIONS)}.")
    return _MOTIONS[activity](elapsed, duration, style)


def turn_degrees(elapsed: FloatArray, duration: float, style: Style) -> FloatArray:
    """How far a turn has come: whole revolutions, with an eased start and end."""
    revolutions = num_cycles(duration, 1.45, style)
    return 360.0 * style.side * revolutions * _eased_ramp(elapsed / duration)


def num_cycles(duration: float, period_seconds: float, style: Style) -> int:
    """Whole repetitions that fill a duration at about the given period."""
    return max(1, round(duration * style.tempo / period_seconds))


def _standing(elapsed: FloatArray) -> FloatArray:
    pose = np.zeros((len(elapsed), len(Channel)))
    breath = np.sin(2 * np.pi * 0.28 * elapsed)
    pose[:, Channel.TORSO_PITCH] = 1.0 + 0.8 * breath
    for arm in (Channel.LEFT_ARM, Channel.RIGHT_ARM):
        pose[:, arm] = 2.0
        pose[:, arm + 1] = 9.0 + breath
        pose[:, arm + 2] = 12.0
        pose[:, arm + 3] = 5.0
    for thigh in (Channel.LEFT_THIGH, Channel.RIGHT_THIGH):
        pose[:, thigh] = 2.0
        pose[:, thigh + 1] = 4.0
        pose[:, thigh + 2] = -2.0
    pose[:, Channel.PLANTED] = 1.0
    return pose


def _idle(elapsed: FloatArray, duration: float, style: Style) -> FloatArray:
    """Standing: breath, shifts of weight, looks around, sometimes a hand on the hip."""
    pose = _standing(elapsed)
    angle = 2 * np.pi * (0.17 * style.tempo * elapsed + style.phase)
    look = np.tanh(2.5 * np.sin(0.8 * angle + 6 * style.variant))
    pose[:, Channel.HEAD_YAW] = 38 * style.amplitude * look
    pose[:, Channel.HEAD_PITCH] = 5 * np.sin(1.7 * angle)
    pose[:, Channel.TORSO_TWIST] = 6 * look
    shift = 3.5 * style.amplitude * np.sin(angle)
    pose[:, Channel.TORSO_ROLL] = shift
    pose[:, Channel.LEFT_THIGH_ABDUCTION] -= shift
    pose[:, Channel.RIGHT_THIGH_ABDUCTION] += shift
    settled = _smooth_step(elapsed / 0.5) * _smooth_step((duration - elapsed) / 0.5)
    arms = [_arm(style.side), _arm(-style.side)]
    if style.variant > 0.75:
        for arm in arms:
            _pull(pose, arm, settled, (-12.0, 42.0, 18.0, -38.0))
    elif style.variant > 0.5:
        _pull(pose, arms[0], settled, (-12.0, 42.0, 18.0, -38.0))
    elif style.variant > 0.35:
        for arm in arms:
            _pull(pose, arm, settled, (18.0, 6.0, 78.0, -52.0))
    return pose


def _walk(elapsed: FloatArray, duration: float, style: Style) -> FloatArray:
    """Steps at a cadence of about 0.95 strides a second times the tempo."""
    pose = _standing(elapsed)
    angle = 2 * np.pi * (0.95 * style.tempo * elapsed + style.phase)
    for arm, thigh, offset in (
        (Channel.LEFT_ARM, Channel.LEFT_THIGH, 0.0),
        (Channel.RIGHT_ARM, Channel.RIGHT_THIGH, np.pi),
    ):
        swing = np.sin(angle + offset)
        lifting = np.clip(np.cos(angle + offset), 0.0, None)
        pose[:, thigh] = 4 + 25 * swing + 8 * lifting
        pose[:, thigh + 2] = pose[:, thigh] - 6 - 46 * lifting
        pose[:, thigh + 1] = 1.5
        pose[:, arm] = -26 * style.amplitude * swing
        pose[:, arm + 2] = pose[:, arm] + 20
        pose[:, arm + 1] = 6.0
    pose[:, Channel.TORSO_PITCH] = 4.0
    pose[:, Channel.TORSO_TWIST] = 5 * np.sin(angle)
    pose[:, Channel.PLANTED] = 0.0
    return pose


def _wave(elapsed: FloatArray, duration: float, style: Style) -> FloatArray:
    """One arm up, its forearm swinging about twice a second."""
    pose = _standing(elapsed)
    swing = np.sin(2 * np.pi * (1.9 * style.tempo * elapsed + style.phase))
    arm = _arm(style.side)
    pose[:, arm] = -8.0
    pose[:, arm + 1] = 112 + 20 * style.variant + 7 * swing
    pose[:, arm + 2] = -8.0
    pose[:, arm + 3] = 164 + 40 * style.amplitude * swing
    pose[:, Channel.TORSO_ROLL] = -4 * style.side + 1.5 * swing
    pose[:, Channel.HEAD_PITCH] = -4.0
    return pose


def _jump(elapsed: FloatArray, duration: float, style: Style) -> FloatArray:
    """Crouch, flight and landing, again and again, the arms swinging along."""
    pose = _standing(elapsed)
    cycle = _cycle(elapsed, duration, 1.0, style)
    crouch = _bump(cycle, 0.0, 0.34) + 0.8 * _bump(cycle, 0.66, 1.0)
    airborne = np.clip((cycle - 0.30) / 0.40, 0.0, 1.0)
    pose[:, Channel.FLIGHT_METRES] = 0.30 * style.amplitude * 4 * airborne * (1 - airborne)
    for thigh in (Channel.LEFT_THIGH, Channel.RIGHT_THIGH):
        pose[:, thigh] += 52 * crouch
        pose[:, thigh + 2] -= 38 * crouch
        pose[:, thigh + 1] += 3 * _bump(cycle, 0.3, 0.7)
    pose[:, Channel.TORSO_PITCH] += 30 * crouch
    raised = _bump(cycle, 0.22, 0.86)
    back = _bump(cycle, 0.02, 0.32)
    reach = 95 + 65 * style.variant
    for arm in (Channel.LEFT_ARM, Channel.RIGHT_ARM):
        pose[:, arm] += reach * raised - 35 * back
        pose[:, arm + 2] += (reach + 10) * raised - 30 * back
        pose[:, arm + 1] += 14 * raised
    return pose


def _squat(elapsed: FloatArray, duration: float, style: Style) -> FloatArray:
    """Down until the thighs are level and up again, the arms stretched forward."""
    pose = _standing(elapsed)
    down = np.sin(np.pi * _cycle(elapsed, duration, 1.7, style)) ** 2
    for thigh in (Channel.LEFT_THIGH, Channel.RIGHT_THIGH):
        pose[:, thigh] += 92 * style.amplitude * down
        pose[:, thigh + 2] -= 36 * style.amplitude * down
        pose[:, thigh + 1] += 12 * down
    pose[:, Channel.TORSO_PITCH] += 28 * down
    reach = 30 + 55 * style.variant
    for arm in (Channel.LEFT_ARM, Channel.RIGHT_ARM):
        pose[:, arm] += (reach + 25) * down
        pose[:, arm + 2] += (reach + 45) * down
    return pose


def _turn(elapsed: FloatArray, duration: float, style: Style) -> FloatArray:
    """The body while it spins: small steps, arms a little away from the sides."""
    pose = _standing(elapsed)
    steps = np.sin(2 * np.pi * (1.9 * style.tempo * elapsed + style.phase))
    open_arms = 18 + 50 * style.variant
    for arm in (Channel.LEFT_ARM, Channel.RIGHT_ARM):
        pose[:, arm + 1] += open_arms
        pose[:, arm + 3] += open_arms
    for thigh, lift in ((Channel.LEFT_THIGH, steps), (Channel.RIGHT_THIGH, -steps)):
        pose[:, thigh] += 12 * np.clip(lift, 0.0, None)
        pose[:, thigh + 2] -= 18 * np.clip(lift, 0.0, None)
    return pose


def _kick(elapsed: FloatArray, duration: float, style: Style) -> FloatArray:
    """One leg swings back and then high up forward, again and again."""
    pose = _standing(elapsed)
    cycle = _cycle(elapsed, duration, 1.25, style)
    back = _bump(cycle, 0.0, 0.36)
    forward = _bump(cycle, 0.26, 0.92)
    thigh = Channel.LEFT_THIGH if style.side == LEFT else Channel.RIGHT_THIGH
    pose[:, thigh] += -30 * back + 88 * style.amplitude * forward
    pose[:, thigh + 2] += -75 * back + 86 * style.amplitude * forward
    pose[:, Channel.TORSO_PITCH] += 8 * back - 14 * forward
    for arm, sign in ((_arm(style.side), -1.0), (_arm(-style.side), 1.0)):
        pose[:, arm] += sign * 40 * forward - sign * 25 * back
        pose[:, arm + 2] += sign * 40 * forward - sign * 25 * back + 15
        pose[:, arm + 1] += 22 * (forward + back)
    return pose


def _bow(elapsed: FloatArray, duration: float, style: Style) -> FloatArray:
    """The straight upper body bends forward, stays a moment and rises."""
    pose = _standing(elapsed)
    cycle = _cycle(elapsed, duration, 2.1, style)
    bend = _smooth_step(cycle / 0.36) * _smooth_step((1 - cycle) / 0.42)
    pose[:, Channel.TORSO_PITCH] += 76 * style.amplitude * bend
    pose[:, Channel.HEAD_PITCH] += 18 * bend
    for thigh in (Channel.LEFT_THIGH, Channel.RIGHT_THIGH):
        pose[:, thigh] += 9 * bend
        pose[:, thigh + 2] += 5 * bend
    arm = _arm(style.side)
    if style.variant > 0.6:
        _pull(pose, arm, bend, (25.0, 5.0, 70.0, -55.0))
    return pose


def _clap(elapsed: FloatArray, duration: float, style: Style) -> FloatArray:
    """Both hands swing together and apart, before the chest or over the head."""
    pose = _standing(elapsed)
    rate_hz = 1.9 if style.variant < 0.6 else 1.35
    apart = 0.5 - 0.5 * np.cos(2 * np.pi * (rate_hz * style.tempo * elapsed + style.phase))
    apart = apart * style.amplitude
    for arm in (Channel.LEFT_ARM, Channel.RIGHT_ARM):
        if style.variant < 0.6:
            pose[:, arm] = 42 + 20 * style.variant
            pose[:, arm + 1] = -8 + 50 * apart
            pose[:, arm + 2] = 96 + 10 * style.variant
            pose[:, arm + 3] = -30 + 92 * apart
        else:
            pose[:, arm] = 8.0
            pose[:, arm + 1] = 172 - 70 * apart
            pose[:, arm + 2] = 5.0
            pose[:, arm + 3] = 227 - 112 * apart
    return pose


_MOTIONS: dict[str, Motion] = {
    "idle": _idle,
    "walk": _walk,
    "wave": _wave,
    "jump": _jump,
    "squat": _squat,
    "turn": _turn,
    "kick": _kick,
    "bow": _bow,
    "clap": _clap,
}


def _arm(side: int) -> Channel:
    return Channel.LEFT_ARM if side == LEFT else Channel.RIGHT_ARM


def _pull(
    pose: FloatArray, arm: Channel, weight: FloatArray, target: tuple[float, float, float, float]
) -> None:
    """Draws the four angles of an arm towards a target by a weight (F,) of 0 to 1."""
    angles = pose[:, arm : arm + 4]
    angles += weight[:, None] * (np.array(target) - angles)


def _cycle(elapsed: FloatArray, duration: float, period: float, style: Style) -> FloatArray:
    """Position 0 to 1 in the current of a whole number of repetitions; 0 outside of them."""
    count = num_cycles(duration, period, style)
    progress = np.clip(elapsed / duration, 0.0, 1.0) * count
    return np.where(progress >= count, 0.0, progress % 1.0)


def _smooth_step(value: FloatArray) -> FloatArray:
    clipped = np.clip(value, 0.0, 1.0)
    return clipped * clipped * (3 - 2 * clipped)


def _bump(cycle: FloatArray, start: float, end: float) -> FloatArray:
    """A smooth hill from `start` to `end` of a cycle, 1 in its middle, 0 outside."""
    position = np.clip((cycle - start) / (end - start), 0.0, 1.0)
    return np.sin(np.pi * position) ** 2


def _eased_ramp(progress: FloatArray) -> FloatArray:
    """Rises from 0 to 1, a little slower at the ends."""
    return 0.55 * np.clip(progress, 0.0, 1.0) + 0.45 * _smooth_step(progress)
