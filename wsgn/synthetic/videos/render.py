"""Renders a scene: the background under the moving camera, the figures, the sensor."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from wsgn.support.arrays import FloatArray, UInt8Array
from wsgn.synthetic.videos.camera import CameraPath, SensorNoise, draw_camera_path
from wsgn.synthetic.videos.config import SceneConfig
from wsgn.synthetic.videos.drawing import Skeleton, draw_figure, draw_shadow
from wsgn.synthetic.videos.figure import Figure
from wsgn.synthetic.videos.performance import Performance
from wsgn.synthetic.videos.scene import draw_background
from wsgn.synthetic.videos.skeleton import Joint, joint_positions, rotate_about_y

# The camera looks down on the scene a little, which shows how deep a movement goes.
_CAMERA_PITCH_DEGREES = 9.0


@dataclass(frozen=True, kw_only=True)
class Actor:
    """A figure with everything it does, and where its feet stand on the canvas."""

    figure: Figure
    performance: Performance
    pixels_per_metre: float
    ground_pixels: float


def render_frames(
    actors: Sequence[Actor],
    times: FloatArray,
    scene: SceneConfig,
    scenery: np.random.Generator,
    sensor: np.random.Generator,
) -> Iterator[UInt8Array]:
    """Yields the frames (H, W, 3)."""
    factor = scene.supersampling
    size = (scene.width * factor, scene.height * factor)
    shake = scene.camera_shake_fraction * size[0]
    margin = int(np.ceil(shake + scene.camera_zoom_fraction * size[0])) + 2
    background = draw_background(scenery, *size, margin)
    path = draw_camera_path(
        sensor, times, shake, scene.camera_zoom_fraction, scene.flicker_fraction
    )
    noise = SensorNoise(sensor, scene.height, scene.width, scene.noise_levels)
    # The figure nearer to the camera, lower in the frame, is drawn last.
    ordered = sorted(actors, key=lambda actor: actor.ground_pixels)
    skeletons = [_skeletons(actor, path, size) for actor in ordered]
    for frame in range(len(times)):
        canvas = _view(background, path, frame, size, margin)
        for actor, tracks in zip(ordered, skeletons, strict=True):
            _draw_actor(canvas, actor, tracks[frame], path, frame, size)
        small = canvas.reduce(factor) if factor > 1 else canvas
        gain = float(path.gain[frame])
        exposed = small.point([min(255, int(level * gain)) for level in range(256)] * 3)
        yield noise.added_to(np.asarray(exposed))


def _view(
    background: Image.Image, path: CameraPath, frame: int, size: tuple[int, int], margin: int
) -> Image.Image:
    """The part of the background that the camera sees."""
    scale = 1 / float(path.zoom[frame])
    shift = path.shift_pixels[frame]
    offsets = [
        margin + side / 2 - scale * (side / 2 + float(step))
        for side, step in zip(size, shift, strict=True)
    ]
    matrix = (scale, 0.0, offsets[0], 0.0, scale, offsets[1])
    return background.transform(
        size, Image.Transform.AFFINE, matrix, resample=Image.Resampling.BILINEAR
    )


def _skeletons(actor: Actor, path: CameraPath, size: tuple[int, int]) -> list[Skeleton]:
    """The actor's joints on the canvas, frame by frame."""
    performance = actor.performance
    joints = joint_positions(performance.pose, actor.figure.proportions)
    turned = rotate_about_y(joints, performance.heading_degrees[:, None])  # (F, joints, 3)
    pitch = np.radians(_CAMERA_PITCH_DEGREES)
    x, y, z = np.moveaxis(turned, -1, 0)
    rise = y * np.cos(pitch) - z * np.sin(pitch)
    across = x + performance.place_metres[:, None]
    points = np.stack(
        [
            size[0] / 2 + across * actor.pixels_per_metre,
            actor.ground_pixels - rise * actor.pixels_per_metre,
        ],
        axis=2,
    )  # (F, joints, 2)
    middle = np.array(size) / 2
    seen = middle + path.zoom[:, None, None] * (points - middle) + path.shift_pixels[:, None]
    return [
        Skeleton(points=seen[f], depths=z[f], pixels_per_metre=actor.pixels_per_metre * float(zoom))
        for f, zoom in enumerate(path.zoom)
    ]


def _draw_actor(
    canvas: Image.Image,
    actor: Actor,
    skeleton: Skeleton,
    path: CameraPath,
    frame: int,
    size: tuple[int, int],
) -> None:
    """Draws a figure and its shadow, which stays on the ground and pales in flight."""
    across = float(skeleton.points[Joint.PELVIS, 0])
    lowest = float(skeleton.points[[Joint.LEFT_ANKLE, Joint.RIGHT_ANKLE], 1].max())
    middle = size[1] / 2
    ground = middle + float(path.zoom[frame]) * (actor.ground_pixels - middle)
    ground += float(path.shift_pixels[frame, 1])
    height = (ground - lowest) / skeleton.pixels_per_metre
    strength = 0.36 / (1 + 2.5 * max(height, 0.0))
    draw_shadow(canvas, (across, ground), 0.3 * skeleton.pixels_per_metre, strength)
    draw_figure(canvas, skeleton, actor.figure)
