"""Forward kinematics: from joint angles over time to joint positions in space.

A figure's own frame has x to its left, y up and z forward, in metres. Every limb segment
has its own two angles, measured against the part it hangs from as a whole (the torso for
arms, the upright pelvis for legs), so that motions can be written down and blended freely.
"""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from wsgn.support.arrays import FloatArray

LEFT = 1
RIGHT = -1

# Over this height a foot counts as lifted and turns with its shin instead of lying flat.
_LIFT_METRES = 0.15
# How sharply the weight moves to the lower foot.
_STANCE_METRES = 0.03


class Channel(IntEnum):
    """The columns of a pose: angles in degrees, then a height and a weight.

    Flexion raises a limb forward from hanging, abduction raises it sideways outward.
    """

    TORSO_PITCH = 0
    TORSO_ROLL = 1
    TORSO_TWIST = 2
    HEAD_PITCH = 3
    HEAD_YAW = 4
    LEFT_ARM = 5
    LEFT_ARM_ABDUCTION = 6
    LEFT_FOREARM = 7
    LEFT_FOREARM_ABDUCTION = 8
    RIGHT_ARM = 9
    RIGHT_ARM_ABDUCTION = 10
    RIGHT_FOREARM = 11
    RIGHT_FOREARM_ABDUCTION = 12
    LEFT_THIGH = 13
    LEFT_THIGH_ABDUCTION = 14
    LEFT_SHIN = 15
    RIGHT_THIGH = 16
    RIGHT_THIGH_ABDUCTION = 17
    RIGHT_SHIN = 18
    FLIGHT_METRES = 19
    # 1 keeps the standing foot in place, 0 lets the feet swing below the moving body.
    PLANTED = 20


class Joint(IntEnum):
    """The rows of a skeleton; the last four mark where head and chest face."""

    PELVIS = 0
    NECK = 1
    LEFT_SHOULDER = 2
    RIGHT_SHOULDER = 3
    LEFT_ELBOW = 4
    RIGHT_ELBOW = 5
    LEFT_HAND = 6
    RIGHT_HAND = 7
    LEFT_HIP = 8
    RIGHT_HIP = 9
    LEFT_KNEE = 10
    RIGHT_KNEE = 11
    LEFT_ANKLE = 12
    RIGHT_ANKLE = 13
    LEFT_TOE = 14
    RIGHT_TOE = 15
    HEAD = 16
    NOSE = 17
    CROWN = 18
    CHEST = 19


@dataclass(frozen=True, kw_only=True)
class Proportions:
    """Lengths of a figure's parts in metres."""

    torso: float = 0.52
    neck: float = 0.20
    head_radius: float = 0.125
    shoulder_half_width: float = 0.19
    hip_half_width: float = 0.09
    upper_arm: float = 0.29
    # From the elbow to the middle of the hand.
    forearm: float = 0.31
    thigh: float = 0.43
    shin: float = 0.42
    foot: float = 0.19
    ankle_height: float = 0.07


def rotate_about_x(vectors: FloatArray, degrees: FloatArray) -> FloatArray:
    """Pitches (F, 3) vectors forward: up goes towards +z."""
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    x, y, z = vectors.T
    return np.stack([x, y * cosine - z * sine, y * sine + z * cosine], axis=1)


def rotate_about_y(vectors: FloatArray, degrees: FloatArray) -> FloatArray:
    """Turns (..., 3) vectors about the vertical: forward goes towards +x."""
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    x, y, z = np.moveaxis(vectors, -1, 0)
    return np.stack([x * cosine + z * sine, y, z * cosine - x * sine], axis=-1)


def rotate_about_z(vectors: FloatArray, degrees: FloatArray) -> FloatArray:
    """Rolls (F, 3) vectors sideways: up goes towards +x."""
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    x, y, z = vectors.T
    return np.stack([x * cosine + y * sine, y * cosine - x * sine, z], axis=1)


def joint_positions(pose: FloatArray, proportions: Proportions) -> FloatArray:
    """Positions (F, joints, 3) in metres of the poses (F, channels), feet on the ground y = 0."""
    if pose.ndim != 2 or pose.shape[1] != len(Channel):
        raise ValueError(f"The pose has shape {pose.shape}; give (frames, {len(Channel)}).")
    joints = np.zeros((len(pose), len(Joint), 3))
    _place_upper_body(joints, pose, proportions)
    _place_legs(joints, pose, proportions)
    _put_on_ground(joints, pose, proportions)
    return joints


def _place_upper_body(joints: FloatArray, pose: FloatArray, body: Proportions) -> None:
    def in_torso(vectors: FloatArray) -> FloatArray:
        rolled = rotate_about_z(vectors, pose[:, Channel.TORSO_ROLL])
        pitched = rotate_about_x(rolled, pose[:, Channel.TORSO_PITCH])
        return rotate_about_y(pitched, pose[:, Channel.TORSO_TWIST])

    def in_head(x: float, y: float, z: float) -> FloatArray:
        pitched = rotate_about_x(_constant(pose, x, y, z), pose[:, Channel.HEAD_PITCH])
        return in_torso(rotate_about_y(pitched, pose[:, Channel.HEAD_YAW]))

    joints[:, Joint.NECK] = in_torso(_constant(pose, 0.0, body.torso, 0.0))
    joints[:, Joint.CHEST] = in_torso(_constant(pose, 0.0, 0.72 * body.torso, 0.11))
    joints[:, Joint.HEAD] = joints[:, Joint.NECK] + in_head(0.0, body.neck, 0.02)
    joints[:, Joint.NOSE] = joints[:, Joint.HEAD] + in_head(0.0, 0.0, body.head_radius)
    joints[:, Joint.CROWN] = joints[:, Joint.HEAD] + in_head(0.0, body.head_radius, 0.0)
    for side in (LEFT, RIGHT):
        arm = Channel.LEFT_ARM if side == LEFT else Channel.RIGHT_ARM
        shoulder = Joint.LEFT_SHOULDER if side == LEFT else Joint.RIGHT_SHOULDER
        upper = in_torso(_hanging(pose[:, arm], pose[:, arm + 1], side))
        fore = in_torso(_hanging(pose[:, arm + 2], pose[:, arm + 3], side))
        offset = _constant(pose, side * body.shoulder_half_width, 0.92 * body.torso, 0.0)
        joints[:, shoulder] = in_torso(offset)
        joints[:, shoulder + 2] = joints[:, shoulder] + body.upper_arm * upper
        joints[:, shoulder + 4] = joints[:, shoulder + 2] + body.forearm * fore


def _place_legs(joints: FloatArray, pose: FloatArray, body: Proportions) -> None:
    for side in (LEFT, RIGHT):
        thigh = Channel.LEFT_THIGH if side == LEFT else Channel.RIGHT_THIGH
        hip = Joint.LEFT_HIP if side == LEFT else Joint.RIGHT_HIP
        upper = _hanging(pose[:, thigh], pose[:, thigh + 1], side)
        lower = _hanging(pose[:, thigh + 2], pose[:, thigh + 1], side)
        joints[:, hip] = _constant(pose, side * body.hip_half_width, 0.0, 0.0)
        joints[:, hip + 2] = joints[:, hip] + body.thigh * upper
        joints[:, hip + 4] = joints[:, hip + 2] + body.shin * lower


def _put_on_ground(joints: FloatArray, pose: FloatArray, body: Proportions) -> None:
    """Rests the lower foot on the ground, or above it in flight, and adds the toes."""
    ankles = joints[:, [Joint.LEFT_ANKLE, Joint.RIGHT_ANKLE]]
    lowest = ankles[:, :, 1].min(axis=1)
    lift = ankles[:, :, 1] - lowest[:, None]  # (F, 2)
    weight = np.exp(-lift / _STANCE_METRES)
    weight /= weight.sum(axis=1, keepdims=True)
    stance = (weight * ankles[:, :, 2]).sum(axis=1)
    joints[:, :, 2] -= (pose[:, Channel.PLANTED] * stance)[:, None]
    joints[:, :, 1] += (pose[:, Channel.FLIGHT_METRES] + body.ankle_height - lowest)[:, None]
    for index, shin in enumerate((Channel.LEFT_SHIN, Channel.RIGHT_SHIN)):
        loose = np.clip(lift[:, index] / _LIFT_METRES, 0.0, 1.0)
        droop = 25.0 * np.clip(pose[:, Channel.FLIGHT_METRES] / _LIFT_METRES, 0.0, 1.0)
        forward = _constant(pose, 0.0, -0.2 * body.foot, body.foot)
        toe = rotate_about_x(forward, droop - 0.8 * loose * pose[:, shin])
        joints[:, Joint.LEFT_TOE + index] = joints[:, Joint.LEFT_ANKLE + index] + toe


def _hanging(flexion: FloatArray, abduction: FloatArray, side: int) -> FloatArray:
    """Unit vectors (F, 3) of a limb that hangs down at zero flexion and abduction."""
    angle = np.radians(abduction)
    down = np.stack([side * np.sin(angle), -np.cos(angle), np.zeros_like(angle)], axis=1)
    return rotate_about_x(down, -flexion)


def _constant(pose: FloatArray, x: float, y: float, z: float) -> FloatArray:
    return np.tile(np.array([x, y, z]), (len(pose), 1))
