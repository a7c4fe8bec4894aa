"""Draws a figure on a canvas: tapered, outlined limbs, the nearest last."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from PIL import Image, ImageDraw

from wsgn.support.arrays import FloatArray
from wsgn.synthetic.videos.figure import Colour, Figure
from wsgn.synthetic.videos.skeleton import Joint

Point = tuple[float, float]

# Radii of the ends of the parts in metres.
_UPPER_ARM = (0.058, 0.046)
_FOREARM = (0.046, 0.036)
_THIGH = (0.086, 0.062)
_SHIN = (0.060, 0.042)
_FOOT = (0.044, 0.036)
_HAND = 0.048
_OUTLINE_METRES = 0.016


@dataclass(frozen=True, kw_only=True)
class Skeleton:
    """A figure's joints on the canvas."""

    points: FloatArray  # (joints, 2), canvas pixels
    depths: FloatArray  # (joints,), metres towards the camera
    pixels_per_metre: float


def draw_figure(image: Image.Image, skeleton: Skeleton, figure: Figure) -> None:
    """Draws a figure into an RGB image."""
    painter = _Painter(ImageDraw.Draw(image), skeleton, figure)
    painter.paint()


def draw_shadow(
    image: Image.Image, centre: tuple[float, float], radius_pixels: float, strength: float
) -> None:
    """Darkens a flat ellipse of the ground; `strength` is 0 to 1."""
    x, y = centre
    box = (x - radius_pixels, y - 0.22 * radius_pixels, x + radius_pixels, y + 0.22 * radius_pixels)
    ImageDraw.Draw(image, "RGBA").ellipse(box, fill=(0, 0, 0, int(255 * strength)))


class _Painter:
    """Collects the parts of one skeleton and paints them from far to near."""

    def __init__(self, draw: ImageDraw.ImageDraw, skeleton: Skeleton, figure: Figure) -> None:
        self._draw = draw
        self._points = [(float(x), float(y)) for x, y in skeleton.points]
        self._depths = [float(depth) for depth in skeleton.depths]
        self._scale = skeleton.pixels_per_metre
        self._figure = figure

    def paint(self) -> None:
        parts: list[tuple[float, Callable[[], None]]] = [
            (self._depth(Joint.PELVIS, Joint.NECK), self._torso),
            (self._depth(Joint.HEAD) + 0.02, self._head),
        ]
        for side in (0, 1):
            parts.append((self._arm_depth(side), partial(self._arm, side)))
            parts.append((self._leg_depth(side), partial(self._leg, side)))
        for _, part in sorted(parts, key=lambda item: item[0]):
            part()

    def _depth(self, *joints: int) -> float:
        return sum(self._depths[joint] for joint in joints) / len(joints)

    def _arm_depth(self, side: int) -> float:
        joints = (Joint.LEFT_SHOULDER + side, Joint.LEFT_ELBOW + side, Joint.LEFT_HAND + side)
        return self._depth(*joints) * 1.2 + 0.02

    def _leg_depth(self, side: int) -> float:
        return self._depth(Joint.LEFT_HIP + side, Joint.LEFT_KNEE + side) - 0.13

    def _arm(self, side: int) -> None:
        figure = self._figure
        shoulder, elbow, hand = (
            self._points[joint + side]
            for joint in (Joint.LEFT_SHOULDER, Joint.LEFT_ELBOW, Joint.LEFT_HAND)
        )
        lower = figure.shirt if figure.long_sleeves else figure.skin
        shade = self._shade(Joint.LEFT_SHOULDER + side)
        self._limb(elbow, hand, _FOREARM, _shaded(lower, shade))
        self._disc(hand, _HAND, _shaded(figure.skin, shade))
        self._limb(shoulder, elbow, _UPPER_ARM, _shaded(figure.shirt, shade))

    def _leg(self, side: int) -> None:
        figure = self._figure
        hip, knee, ankle, toe = (
            self._points[joint + side]
            for joint in (Joint.LEFT_HIP, Joint.LEFT_KNEE, Joint.LEFT_ANKLE, Joint.LEFT_TOE)
        )
        lower = figure.skin if figure.short_trousers else figure.trousers
        shade = self._shade(Joint.LEFT_HIP + side)
        self._limb(ankle, toe, _FOOT, _shaded(figure.shoes, shade))
        self._limb(knee, ankle, _SHIN, _shaded(lower, shade))
        self._limb(hip, knee, _THIGH, _shaded(figure.trousers, shade))

    def _torso(self) -> None:
        figure = self._figure
        hips = [self._points[Joint.LEFT_HIP], self._points[Joint.RIGHT_HIP]]
        shoulders = [self._points[Joint.LEFT_SHOULDER], self._points[Joint.RIGHT_SHOULDER]]
        self._limb(hips[0], hips[1], (0.088, 0.088), figure.trousers)
        self._slab(hips, shoulders, figure.shirt)
        self._emblem()

    def _emblem(self) -> None:
        """A patch on the chest that the back does not have: it shows where the body faces."""
        facing = self._depths[Joint.CHEST] - self._depth(Joint.NECK, Joint.PELVIS)
        if facing > 0.02:
            x, y = self._points[Joint.CHEST]
            tall = 0.062 * self._scale
            wide = max(tall * min(1.0, facing / 0.11), 0.5)
            self._draw.ellipse((x - wide, y - tall, x + wide, y + tall), fill=self._figure.emblem)

    def _head(self) -> None:
        radius = self._figure.proportions.head_radius
        centre, nose = self._points[Joint.HEAD], self._points[Joint.NOSE]
        crown = self._points[Joint.CROWN]
        neck = self._points[Joint.NECK]
        self._limb(neck, centre, (0.055, 0.05), _shaded(self._figure.skin, 0.85))
        away = self._depths[Joint.NOSE] - self._depths[Joint.HEAD] < -0.25 * radius
        if not away:
            self._hair(centre, nose, crown, radius)
        self._disc(_between(centre, nose, 0.18), 0.92 * radius, self._figure.skin)
        if away:
            self._hair(centre, nose, crown, radius)
            return
        self._fringe(centre, nose, crown, radius)
        self._face(centre, nose, crown, radius)

    def _hair(self, centre: Point, nose: Point, crown: Point, radius: float) -> None:
        back = _between(centre, nose, -0.22)
        if self._figure.long_hair:
            low = _between(back, crown, -0.75)
            self._limb(back, low, (1.02 * radius, 0.75 * radius), self._figure.hair)
        self._disc(_between(back, crown, 0.14), 1.06 * radius, self._figure.hair)

    def _fringe(self, centre: Point, nose: Point, crown: Point, radius: float) -> None:
        start = _between(_between(centre, crown, 0.78), nose, 0.12)
        end = _between(_between(centre, crown, 0.5), nose, -0.75)
        self._limb(start, end, (0.42 * radius, 0.6 * radius), self._figure.hair, outlined=False)

    def _face(self, centre: Point, nose: Point, crown: Point, radius: float) -> None:
        facing = (self._depths[Joint.NOSE] - self._depths[Joint.HEAD]) / radius
        tip = _between(centre, nose, 0.98)
        self._disc(tip, 0.2 * radius, _shaded(self._figure.skin, 0.88), outlined=False)
        spread = 0.42 * max(facing, 0.0) * radius * self._scale
        eye_x, eye_y = _between(_between(centre, nose, 0.8), crown, 0.22)
        for offset in (-spread, spread):
            self._disc((eye_x + offset, eye_y), 0.15 * radius, (24, 20, 22), outlined=False)

    def _shade(self, joint: int) -> float:
        """Parts on the far side are a little darker."""
        return 0.92 + float(np.clip(self._depths[joint] * 0.9, -0.17, 0.08))

    def _slab(self, low: list[Point], high: list[Point], colour: Colour) -> None:
        stout = self._figure.stoutness
        for grow, fill in ((_OUTLINE_METRES, _outline(colour)), (0.0, colour)):
            radii = (0.088 * stout + grow, 0.08 * stout + grow)
            for bottom, top in zip(low, high, strict=True):
                self._capsule(bottom, top, radii, fill)
            self._capsule(high[0], high[1], (radii[1], radii[1]), fill)
            self._draw.polygon([low[0], high[0], high[1], low[1]], fill=fill)

    def _limb(
        self,
        start: Point,
        end: Point,
        radii: tuple[float, float],
        colour: Colour,
        outlined: bool = True,
    ) -> None:
        first, second = (radius * self._figure.stoutness for radius in radii)
        if outlined:
            grown = (first + _OUTLINE_METRES, second + _OUTLINE_METRES)
            self._capsule(start, end, grown, _outline(colour))
        self._capsule(start, end, (first, second), colour)

    def _disc(self, centre: Point, radius: float, colour: Colour, outlined: bool = True) -> None:
        if outlined:
            self._ellipse(centre, radius + _OUTLINE_METRES, _outline(colour))
        self._ellipse(centre, radius, colour)

    def _capsule(
        self, start: Point, end: Point, radii: tuple[float, float], colour: Colour
    ) -> None:
        self._ellipse(start, radii[0], colour)
        self._ellipse(end, radii[1], colour)
        x, y = end[0] - start[0], end[1] - start[1]
        length = (x * x + y * y) ** 0.5
        if length < 1e-6:
            return
        across = (-y / length * self._scale, x / length * self._scale)
        corners = [
            (point[0] + sign * radius * across[0], point[1] + sign * radius * across[1])
            for point, radius, sign in (
                (start, radii[0], 1),
                (end, radii[1], 1),
                (end, radii[1], -1),
                (start, radii[0], -1),
            )
        ]
        self._draw.polygon(corners, fill=colour)

    def _ellipse(self, centre: Point, radius_metres: float, colour: Colour) -> None:
        radius = radius_metres * self._scale
        x, y = centre
        self._draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)


def _between(start: Point, end: Point, fraction: float) -> Point:
    return (
        start[0] + fraction * (end[0] - start[0]),
        start[1] + fraction * (end[1] - start[1]),
    )


def _shaded(colour: Colour, factor: float) -> Colour:
    red, green, blue = (min(255, int(value * factor)) for value in colour)
    return red, green, blue


def _outline(colour: Colour) -> Colour:
    return _shaded(colour, 0.58)
