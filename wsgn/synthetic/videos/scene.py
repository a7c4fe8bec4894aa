"""Backgrounds: rooms, landscapes, streets and studios, drawn once per video.

A background is larger than the canvas by a margin on every side, so that the camera can move.
"""

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from wsgn.synthetic.videos.figure import draw_colour
from wsgn.synthetic.videos.furniture import (
    draw_door,
    draw_lamp,
    draw_picture,
    draw_plant,
    draw_shelf,
    draw_sofa,
    draw_wall_bars,
    draw_window,
)
from wsgn.synthetic.videos.outdoors import (
    draw_cloud,
    draw_fence,
    draw_hills,
    draw_house,
    draw_tree,
    draw_tufts,
)
from wsgn.synthetic.videos.surface import (
    Sheet,
    Slot,
    draw_slots,
    mixed,
    paint_floor_lines,
    paint_gradient,
    paint_stripes,
    scaled,
    textured,
)

# Pictures are what hangs on walls most.
_FURNITURE: tuple[Callable[[np.random.Generator, Sheet, Slot], None], ...] = (
    draw_window,
    draw_picture,
    draw_picture,
    draw_shelf,
    draw_door,
    draw_plant,
    draw_sofa,
    draw_lamp,
)


def draw_background(
    generator: np.random.Generator, canvas_width: int, canvas_height: int, margin_pixels: int
) -> Image.Image:
    """Draws an RGB background of the canvas and its margins."""
    width, height = canvas_width + 2 * margin_pixels, canvas_height + 2 * margin_pixels
    image = Image.new("RGB", (width, height))
    sheet = Sheet(
        image=image,
        draw=ImageDraw.Draw(image),
        width=width,
        height=height,
        unit=float(canvas_height),
        horizon=margin_pixels + canvas_height * float(generator.uniform(0.60, 0.72)),
    )
    _SCENES[int(generator.integers(len(_SCENES)))](generator, sheet)
    softness = float(generator.uniform(0.0, 1.6)) * canvas_height / 288
    return textured(generator, image.filter(ImageFilter.GaussianBlur(softness)))


def _room(generator: np.random.Generator, sheet: Sheet) -> None:
    """A wall with furniture, pictures and a floor of planks or tiles."""
    wall = mixed(draw_colour(generator, 0.05, 0.4, 0.6, 0.95), (226, 216, 200), 0.4)
    floor = mixed(draw_colour(generator, 0.15, 0.5, 0.35, 0.7), (150, 122, 94), 0.45)
    paint_gradient(sheet, 0, sheet.horizon, scaled(wall, 1.06), scaled(wall, 0.86))
    if generator.random() < 0.35:
        paint_stripes(generator, sheet, wall)
    paint_gradient(sheet, sheet.horizon, sheet.height, scaled(floor, 0.8), scaled(floor, 1.1))
    paint_floor_lines(generator, sheet, scaled(floor, 0.72))
    skirting = 0.025 * sheet.unit
    sheet.draw.rectangle(
        (0, sheet.horizon - skirting, sheet.width, sheet.horizon), fill=scaled(wall, 0.65)
    )
    for slot in draw_slots(generator, sheet, int(generator.integers(2, 5))):
        _FURNITURE[int(generator.integers(len(_FURNITURE)))](generator, sheet, slot)


def _landscape(generator: np.random.Generator, sheet: Sheet) -> None:
    """Sky, clouds, hills, trees and a meadow."""
    sky = draw_colour(generator, 0.2, 0.55, 0.75, 0.98)
    blue = (110 + int(60 * generator.random()), 165, 225)
    top = mixed(sky, blue, 0.65)
    paint_gradient(sheet, 0, sheet.horizon, top, mixed(top, (250, 244, 232), 0.6))
    for _ in range(int(generator.integers(1, 6))):
        draw_cloud(generator, sheet)
    green = draw_colour(generator, 0.25, 0.55, 0.4, 0.7)
    grass = mixed(green, (96, 148, 74), 0.65)
    for layer in range(int(generator.integers(1, 4))):
        draw_hills(generator, sheet, mixed(scaled(grass, 0.8), top, 0.55 - 0.2 * layer))
    paint_gradient(sheet, sheet.horizon, sheet.height, scaled(grass, 0.85), scaled(grass, 1.12))
    for slot in draw_slots(generator, sheet, int(generator.integers(1, 5))):
        draw_tree(generator, sheet, slot)
    if generator.random() < 0.4:
        draw_fence(generator, sheet)
    draw_tufts(generator, sheet, scaled(grass, 0.72))


def _street(generator: np.random.Generator, sheet: Sheet) -> None:
    """House fronts with windows behind a pavement and a road."""
    sky = mixed(draw_colour(generator, 0.1, 0.4, 0.7, 0.95), (190, 205, 222), 0.5)
    paint_gradient(sheet, 0, sheet.horizon, sky, mixed(sky, (255, 255, 255), 0.4))
    left = -0.2 * sheet.unit * float(generator.random())
    while left < sheet.width:
        right = left + sheet.unit * float(generator.uniform(0.3, 0.65))
        top = sheet.horizon - sheet.unit * float(generator.uniform(0.35, 0.75))
        draw_house(generator, sheet, (left, top, right, sheet.horizon))
        left = right
    grey = int(generator.uniform(105, 180))
    pavement = mixed((grey, grey, grey), draw_colour(generator, 0.1, 0.4, 0.4, 0.7), 0.2)
    near, far = scaled(pavement, 1.05), scaled(pavement, 0.88)
    paint_gradient(sheet, sheet.horizon, sheet.height, far, near)
    paint_floor_lines(generator, sheet, scaled(pavement, 0.82))
    for slot in draw_slots(generator, sheet, int(generator.integers(0, 3))):
        (draw_lamp, draw_tree)[int(generator.integers(2))](generator, sheet, slot)


def _studio(generator: np.random.Generator, sheet: Sheet) -> None:
    """A backdrop of one soft colour that curves into the floor, with a pool of light."""
    colour = draw_colour(generator, 0.03, 0.4, 0.4, 0.9)
    paint_gradient(sheet, 0, sheet.horizon, scaled(colour, 0.8), scaled(colour, 1.05))
    paint_gradient(sheet, sheet.horizon, sheet.height, scaled(colour, 1.0), scaled(colour, 0.75))
    light = Image.new("L", sheet.image.size, 0)
    x, y = sheet.width * float(generator.uniform(0.3, 0.7)), sheet.height * 0.45
    reach = sheet.unit * 0.55
    ImageDraw.Draw(light).ellipse((x - reach, y - reach, x + reach, y + reach), fill=90)
    glow = light.filter(ImageFilter.GaussianBlur(sheet.unit * 0.15))
    sheet.image.paste((255, 250, 240), (0, 0), glow)
    if generator.random() < 0.5:
        for slot in draw_slots(generator, sheet, int(generator.integers(1, 3))):
            (draw_plant, draw_lamp, draw_sofa)[int(generator.integers(3))](generator, sheet, slot)


def _gym(generator: np.random.Generator, sheet: Sheet) -> None:
    """A hall with a wall of two colours, wall bars and lines on the floor."""
    upper = draw_colour(generator, 0.03, 0.25, 0.7, 0.95)
    lower = draw_colour(generator, 0.25, 0.65, 0.35, 0.8)
    floor = mixed(draw_colour(generator, 0.2, 0.5, 0.45, 0.75), (196, 152, 98), 0.5)
    split = sheet.horizon - sheet.unit * float(generator.uniform(0.15, 0.35))
    paint_gradient(sheet, 0, split, upper, scaled(upper, 0.92))
    paint_gradient(sheet, split, sheet.horizon, lower, scaled(lower, 0.85))
    for left, right in draw_slots(generator, sheet, int(generator.integers(1, 4))):
        bars = (left, split - 0.25 * sheet.unit, right, sheet.horizon)
        draw_wall_bars(sheet, bars, scaled(floor, 0.7))
    paint_gradient(sheet, sheet.horizon, sheet.height, scaled(floor, 0.9), scaled(floor, 1.1))
    for _ in range(int(generator.integers(1, 4))):
        y = float(generator.uniform(sheet.horizon, sheet.height))
        line = draw_colour(generator, 0.5, 0.9, 0.6, 0.9)
        tilt = sheet.unit * float(generator.uniform(-0.15, 0.15))
        thick = max(1, int(0.014 * sheet.unit))
        sheet.draw.line((0, y, sheet.width, y + tilt), fill=line, width=thick)


_SCENES: tuple[Callable[[np.random.Generator, Sheet], None], ...] = (
    _room,
    _room,
    _landscape,
    _landscape,
    _street,
    _studio,
    _gym,
)
