"""The sheet on which a background is drawn, and the surfaces that fill it."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from PIL import Image, ImageDraw

from wsgn.synthetic.videos.figure import Colour

Box = tuple[float, float, float, float]
# The left and right end of an object's place, in pixels.
Slot = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """A background in the making; `unit` is the height of the visible part in pixels."""

    image: Image.Image
    draw: ImageDraw.ImageDraw
    width: int
    height: int
    unit: float
    # Where the ground meets what is behind it, in pixels from the top.
    horizon: float


def draw_slots(generator: np.random.Generator, sheet: Sheet, count: int) -> list[Slot]:
    """Stretches of the width for objects, side by side."""
    slots = []
    for left, right in pairwise(np.linspace(0, sheet.width, count + 1)):
        size = min(float(right - left) * 0.85, sheet.unit * float(generator.uniform(0.2, 0.4)))
        start = float(generator.uniform(left, right - size))
        slots.append((start, start + size))
    return slots


def paint_gradient(sheet: Sheet, top: float, bottom: float, first: Colour, second: Colour) -> None:
    """Fills the rows from `top` to `bottom` with a passage between two colours."""
    rows = range(int(top), int(np.ceil(bottom)))
    for y in rows:
        colour = mixed(first, second, (y - top) / max(bottom - top, 1.0))
        sheet.draw.line((0, y, sheet.width, y), fill=colour)


def paint_stripes(generator: np.random.Generator, sheet: Sheet, wall: Colour) -> None:
    """Wallpaper: upright stripes a little darker than the wall."""
    pitch = sheet.unit * float(generator.uniform(0.05, 0.15))
    for x in np.arange(0, sheet.width, pitch):
        sheet.draw.rectangle((x, 0, x + pitch / 2, sheet.horizon), fill=scaled(wall, 0.93))


def paint_floor_lines(generator: np.random.Generator, sheet: Sheet, colour: Colour) -> None:
    """Lines that run towards a vanishing point, and lines across."""
    centre = sheet.width * float(generator.uniform(0.3, 0.7))
    deep = sheet.height - sheet.horizon
    for slope in np.linspace(-3, 3, 15):
        foot = centre + slope * sheet.width / 2
        start = centre + (foot - centre) * 0.45
        sheet.draw.line((start, sheet.horizon, foot, sheet.height), fill=colour, width=1)
    if generator.random() < 0.5:
        for depth in (0.08, 0.22, 0.42, 0.7):
            y = sheet.horizon + depth * deep
            sheet.draw.line((0, y, sheet.width, y), fill=colour, width=1)


def textured(generator: np.random.Generator, image: Image.Image) -> Image.Image:
    """Adds grain of two sizes and an uneven light, so that no surface is flat."""
    width, height = image.size
    shading = np.zeros((height, width))
    for cells, strength in ((4, 9.0), (30, 5.0), (120, 4.0)):
        coarse = generator.normal(0, 1, (max(2, cells * height // width), cells))
        field = Image.fromarray(coarse.astype(np.float32)).resize(
            (width, height), Image.Resampling.BICUBIC
        )
        shading += strength * float(generator.uniform(0.3, 1.0)) * np.asarray(field)
    pixels = np.asarray(image, dtype=np.float64) + shading[:, :, None]
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def scaled(colour: Colour, factor: float) -> Colour:
    """A lighter or darker colour."""
    red, green, blue = (min(255, int(value * factor)) for value in colour)
    return red, green, blue


def mixed(first: Colour, second: Colour, fraction: float) -> Colour:
    """A colour on the way from the first, at fraction 0, to the second, at 1."""
    share = min(max(float(fraction), 0.0), 1.0)
    red, green, blue = (int(a + (b - a) * share) for a, b in zip(first, second, strict=True))
    return red, green, blue
