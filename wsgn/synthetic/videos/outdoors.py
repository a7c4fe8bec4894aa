"""Objects of outdoor backgrounds. Each has its place and looks drawn."""

import numpy as np

from wsgn.synthetic.videos.figure import Colour, draw_colour
from wsgn.synthetic.videos.surface import Box, Sheet, Slot, mixed, scaled


def draw_tree(generator: np.random.Generator, sheet: Sheet, slot: Slot) -> None:
    """A fir or a leafy tree."""
    x, base = (slot[0] + slot[1]) / 2, sheet.horizon + 0.03 * sheet.unit * generator.random()
    tall = sheet.unit * float(generator.uniform(0.3, 0.55))
    trunk = mixed((92, 68, 48), draw_colour(generator, 0.1, 0.5, 0.2, 0.5), 0.3)
    thick = max(2, int(0.03 * sheet.unit))
    sheet.draw.line((x, base, x, base - 0.6 * tall), fill=trunk, width=thick)
    leaf = mixed(draw_colour(generator, 0.3, 0.7, 0.3, 0.6), (62, 112, 58), 0.6)
    if generator.random() < 0.4:
        for level in range(3):
            half, low = 0.28 * tall * (1 - 0.25 * level), base - tall * (0.22 + 0.24 * level)
            cone = [(x - half, low), (x + half, low), (x, low - 0.4 * tall)]
            sheet.draw.polygon(cone, fill=scaled(leaf, 0.85 + 0.12 * level))
        return
    for _ in range(9):
        spot = tall * float(generator.uniform(0.13, 0.22))
        dx, dy = tall * generator.uniform(-0.2, 0.2), tall * generator.uniform(0.5, 0.88)
        box = (x + dx - spot, base - dy - spot, x + dx + spot, base - dy + spot)
        sheet.draw.ellipse(box, fill=scaled(leaf, float(generator.uniform(0.8, 1.2))))


def draw_cloud(generator: np.random.Generator, sheet: Sheet) -> None:
    """A cloud somewhere in the sky."""
    x, y = generator.uniform(0, sheet.width), generator.uniform(0.02, 0.5) * sheet.horizon
    for _ in range(5):
        half = sheet.unit * float(generator.uniform(0.03, 0.08))
        dx = sheet.unit * float(generator.uniform(-0.12, 0.12))
        box = (x + dx - 1.5 * half, y - half / 2, x + dx + 1.5 * half, y + half / 2)
        sheet.draw.ellipse(box, fill=(248, 248, 250))


def draw_hills(generator: np.random.Generator, sheet: Sheet, colour: Colour) -> None:
    """A line of hills along the horizon."""
    x = np.linspace(0, sheet.width, 40)
    rise = np.zeros_like(x)
    for waves in (1.0, 2.3, 4.1):
        phase = generator.uniform(0, 2 * np.pi)
        rise += np.sin(waves * 2 * np.pi * x / sheet.width + phase) / waves
    tops = sheet.horizon - sheet.unit * (0.1 + 0.07 * rise)
    outline = [(float(a), float(b)) for a, b in zip(x, tops, strict=True)]
    ground = sheet.horizon + 2
    sheet.draw.polygon([(0.0, ground), *outline, (float(sheet.width), ground)], fill=colour)


def draw_fence(generator: np.random.Generator, sheet: Sheet) -> None:
    """A fence along the horizon."""
    colour = draw_colour(generator, 0.05, 0.4, 0.4, 0.95)
    thick = max(2, int(0.014 * sheet.unit))
    base = sheet.horizon + 0.03 * sheet.unit
    for x in np.arange(0, sheet.width, 0.11 * sheet.unit):
        sheet.draw.line((x, base, x, base - 0.16 * sheet.unit), fill=colour, width=thick)
    for rise in (0.05, 0.12):
        y = base - rise * sheet.unit
        sheet.draw.line((0, y, sheet.width, y), fill=colour, width=thick)


def draw_tufts(generator: np.random.Generator, sheet: Sheet, colour: Colour) -> None:
    """Tufts of grass on the ground."""
    count = int(generator.integers(40, 160))
    xs = generator.uniform(0, sheet.width, count)
    ys = generator.uniform(sheet.horizon, sheet.height, count)
    for x, y in zip(xs, ys, strict=True):
        tall = 0.02 * sheet.unit
        sheet.draw.line((x, y, x + tall / 2, y - tall), fill=colour, width=2)


def draw_house(generator: np.random.Generator, sheet: Sheet, box: Box) -> None:
    """A house front with rows of windows."""
    left, top, right, bottom = box
    wall = draw_colour(generator, 0.1, 0.5, 0.4, 0.85)
    sheet.draw.rectangle(box, fill=wall)
    glass = mixed(draw_colour(generator, 0.1, 0.5, 0.3, 0.9), (120, 140, 160), 0.5)
    columns = max(2, round((right - left) / (0.14 * sheet.unit)))
    pitch = (right - left) / columns
    for column in range(columns):
        y = top + 0.05 * sheet.unit
        while y < bottom - 0.12 * sheet.unit:
            x = left + (column + 0.25) * pitch
            pane = (x, y, x + pitch / 2, y + 0.09 * sheet.unit)
            sheet.draw.rectangle(pane, fill=scaled(glass, float(generator.uniform(0.8, 1.15))))
            y += 0.15 * sheet.unit
