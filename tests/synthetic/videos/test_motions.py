"""Each motion does with the body what its name says, and no other motion does."""

from __future__ import annotations

import numpy as np
import pytest

from wsgn.synthetic.videos.motions import Style, motion_pose, turn_degrees
from wsgn.synthetic.videos.skeleton import (
    LEFT,
    RIGHT,
    Channel,
    FloatArray,
    Joint,
    Proportions,
    joint_positions,
    rotate_about_y,
)

DURATION_SECONDS = 4.0
TIMES = np.arange(0.0, DURATION_SECONDS, 1 / 60)
BODY = Proportions()
STYLES = [
    Style(tempo=tempo, amplitude=amplitude, side=side, phase=phase, variant=variant)
    for tempo, amplitude, side, phase, variant in (
        (1.0, 1.0, LEFT, 0.0, 0.0),
        (0.82, 0.85, RIGHT, 0.3, 0.4),
        (1.18, 1.15, LEFT, 0.7, 0.55),
        (1.0, 0.85, RIGHT, 0.1, 0.8),
        (1.1, 1.15, RIGHT, 0.9, 0.99),
    )
]
every_style = pytest.mark.parametrize("style", STYLES)


def joints_of(activity: str, style: Style) -> FloatArray:
    return joint_positions(motion_pose(activity, TIMES, DURATION_SECONDS, style), BODY)


def heights(joints: FloatArray, *names: Joint) -> FloatArray:
    return np.stack([joints[:, name, 1] for name in names], axis=1)


def feet_above_ground(joints: FloatArray) -> FloatArray:
    return heights(joints, Joint.LEFT_ANKLE, Joint.RIGHT_ANKLE) - BODY.ankle_height


def hands_above_shoulders(joints: FloatArray) -> FloatArray:
    hands = heights(joints, Joint.LEFT_HAND, Joint.RIGHT_HAND)
    return hands - heights(joints, Joint.LEFT_SHOULDER, Joint.RIGHT_SHOULDER)


def num_peaks(signal: FloatArray) -> int:
    """Separate stretches over the middle of a signal's range."""
    high = signal > (signal.min() + signal.max()) / 2
    return int(np.count_nonzero(np.diff(high.astype(int)) == 1)) + int(high[0])


@every_style
def test_idle_does_none_of_the_actions(style: Style) -> None:
    joints = joints_of("idle", style)
    assert feet_above_ground(joints).max() < 0.05
    assert hands_above_shoulders(joints).max() < -0.1
    assert np.ptp(joints[:, Joint.PELVIS, 1]) < 0.03
    assert np.ptp(joints[:, Joint.HEAD, 1]) < 0.06
    between = joints[:, Joint.LEFT_HAND] - joints[:, Joint.RIGHT_HAND]
    assert np.ptp(np.linalg.norm(between[60:-60], axis=1)) < 0.1


@every_style
def test_walk_keeps_a_foot_on_the_ground_and_swings_the_other(style: Style) -> None:
    feet = feet_above_ground(joints_of("walk", style))
    assert feet.min(axis=1) == pytest.approx(0.0, abs=1e-9)
    assert feet[:, 0].max() > 0.05
    assert feet[:, 1].max() > 0.05


@every_style
def test_wave_raises_one_hand_and_swings_it_twice_a_second(style: Style) -> None:
    joints = joints_of("wave", style)
    above = hands_above_shoulders(joints)
    raised, other = (0, 1) if style.side == LEFT else (1, 0)
    assert above[:, raised].min() > 0.1
    assert above[:, other].max() < -0.2
    swings = num_peaks(joints[:, Joint.LEFT_HAND + raised, 0])
    assert swings == pytest.approx(1.9 * style.tempo * DURATION_SECONDS, abs=1.5)


@every_style
def test_jump_leaves_the_ground_with_both_feet_and_lands(style: Style) -> None:
    joints = joints_of("jump", style)
    lower_foot = feet_above_ground(joints).min(axis=1)
    assert lower_foot.max() > 0.2
    assert lower_foot.min() == pytest.approx(0.0, abs=1e-9)
    assert num_peaks(lower_foot) == round(DURATION_SECONDS * style.tempo)
    assert joints[:, Joint.PELVIS, 1].min() < joints[0, Joint.PELVIS, 1] - 0.08


@every_style
def test_squat_lowers_the_hip_while_the_feet_stay(style: Style) -> None:
    joints = joints_of("squat", style)
    pelvis = joints[:, Joint.PELVIS, 1]
    assert pelvis[0] - pelvis.min() > 0.3
    assert feet_above_ground(joints).max() < 0.01
    assert np.ptp(joints[:, Joint.LEFT_ANKLE, 2]) < 0.01


@every_style
def test_kick_raises_exactly_one_foot(style: Style) -> None:
    joints = joints_of("kick", style)
    feet = feet_above_ground(joints)
    kicking, standing = (0, 1) if style.side == LEFT else (1, 0)
    highest = int(np.argmax(feet[:, kicking]))
    assert feet[highest, kicking] > 0.45
    ankle = joints[highest, Joint.LEFT_ANKLE + kicking]
    assert ankle[2] > joints[highest, Joint.PELVIS, 2] + 0.4
    assert feet[:, standing].max() < 0.02


@every_style
def test_bow_lowers_the_head_while_feet_and_hip_stay(style: Style) -> None:
    joints = joints_of("bow", style)
    head = joints[:, Joint.HEAD]
    assert head[0, 1] - head[:, 1].min() > 0.35
    assert head[:, 2].max() > head[0, 2] + 0.4
    assert np.ptp(joints[:, Joint.PELVIS, 1]) < 0.03
    assert np.ptp(joints[:, Joint.LEFT_ANKLE, 2]) < 0.01
    assert feet_above_ground(joints).max() < 0.01


@every_style
def test_clap_brings_the_hands_together_and_apart(style: Style) -> None:
    joints = joints_of("clap", style)
    between = joints[:, Joint.LEFT_HAND] - joints[:, Joint.RIGHT_HAND]
    distance = np.linalg.norm(between, axis=1)
    assert distance.min() < 0.12
    assert distance.max() > 0.5
    hands = heights(joints, Joint.LEFT_HAND, Joint.RIGHT_HAND)
    assert hands.min() > joints[:, Joint.PELVIS, 1].max() + 0.1


@every_style
def test_turn_is_whole_revolutions_and_keeps_its_sense(style: Style) -> None:
    angles = turn_degrees(TIMES, DURATION_SECONDS, style)
    end = turn_degrees(np.array([DURATION_SECONDS]), DURATION_SECONDS, style)[0]
    assert abs(end) >= 360
    assert end % 360 == pytest.approx(0.0, abs=1e-9)
    assert (np.diff(angles) * style.side).min() > 0


def test_figure_seen_from_its_side_has_no_shoulder_width() -> None:
    joints = joints_of("turn", STYLES[0])[:1]
    aside = rotate_about_y(joints, np.array([[90.0]]))
    across = aside[0, Joint.LEFT_SHOULDER, 0] - aside[0, Joint.RIGHT_SHOULDER, 0]
    assert across == pytest.approx(0.0, abs=1e-9)
    # Who faces the right of the frame has the left shoulder away from the camera.
    assert aside[0, Joint.LEFT_SHOULDER, 2] < 0
    assert aside[0, Joint.NOSE, 0] > aside[0, Joint.HEAD, 0]


def test_limbs_keep_their_lengths_in_every_motion() -> None:
    for activity in ("jump", "kick", "clap", "bow", "walk"):
        joints = joints_of(activity, STYLES[2])
        for start, end, length in (
            (Joint.LEFT_SHOULDER, Joint.LEFT_ELBOW, BODY.upper_arm),
            (Joint.RIGHT_ELBOW, Joint.RIGHT_HAND, BODY.forearm),
            (Joint.LEFT_HIP, Joint.LEFT_KNEE, BODY.thigh),
            (Joint.RIGHT_KNEE, Joint.RIGHT_ANKLE, BODY.shin),
        ):
            found = np.linalg.norm(joints[:, start] - joints[:, end], axis=1)
            assert found == pytest.approx(np.full(len(TIMES), length))


def test_unknown_activity_and_wrong_shape_are_refused() -> None:
    with pytest.raises(ValueError, match="use one of idle"):
        motion_pose("swim", TIMES, DURATION_SECONDS, STYLES[0])
    with pytest.raises(ValueError, match=f"frames, {len(Channel)}"):
        joint_positions(np.zeros((3, 2)), BODY)
