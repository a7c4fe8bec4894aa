"""Objects of indoor backgrounds. Each stands in its slot, its looks are drawn."""

import numpy as np

from wsgn.synthetic.videos.figure import Colour, draw_colour
from wsgn.synthetic.videos.surface import Box, Sheet, Slot, mixed, scaled


def draw_window(generator: np.random.Generator, sheet: Sheet, slot: Slot) -> None:
    """A window with two panes of sky."""
    left, right = slot
    top = sheet.horizon - sheet.unit * float(generator.uniform(0.45, 0.55))
    bottom = top + 0.28 * sheet.unit
    frame = scaled(draw_colour(generator, 0.0, 0.2, 0.8, 1.0), 1.0)
    sheet.draw.rectangle((left, top, right, bottom), fill=frame)
    pane = mixed(draw_colour(generator, 0.1, 0.4, 0.7, 1.0), (178, 214, 240), 0.7)
    edge, middle = 0.016 * sheet.unit, (left + right) / 2
    for start, end in ((left + edge, middle - edge / 2), (middle + edge / 2, right - edge)):
        sheet.draw.rectangle((start, top + edge, end, bottom - edge), fill=pane)


def draw_picture(generator: np.random.Generator, sheet: Sheet, slot: Slot) -> None:
    """A framed picture on the wall."""
    left = slot[0]
    right = left + 0.75 * (slot[1] - slot[0])
    top = sheet.horizon - sheet.unit * float(generator.uniform(0.4, 0.55))
    bottom = top + sheet.unit * float(generator.uniform(0.12, 0.2))
    sheet.draw.rectangle((left, top, right, bottom), fill=draw_colour(generator, 0, 0.6, 0.1, 0.4))
    edge = 0.012 * sheet.unit
    inside = (left + edge, top + edge, right - edge, bottom - edge)
    sheet.draw.rectangle(inside, fill=draw_colour(generator, 0.1, 0.6, 0.5, 0.95))
    x, y = (left + right) / 2, (top + bottom) / 2
    spot = (bottom - top) * float(generator.uniform(0.15, 0.3))
    sheet.draw.ellipse(
        (x - spot, y - spot, x + spot, y + spot), fill=draw_colour(generator, 0.2, 0.8, 0.3, 0.9)
    )


def draw_shelf(generator: np.random.Generator, sheet: Sheet, slot: Slot) -> None:
    """A bookcase that stands on the floor."""
    left, right = slot
    wood = draw_colour(generator, 0.2, 0.6, 0.25, 0.6)
    top = sheet.horizon - sheet.unit * float(generator.uniform(0.4, 0.55))
    sheet.draw.rectangle((left, top, right, sheet.horizon), fill=wood)
    step = 0.125 * sheet.unit
    y = top + 0.012 * sheet.unit
    while y + step < sheet.horizon + 0.02 * sheet.unit:
        inside = (left + 4, y, right - 4, y + step - 0.014 * sheet.unit)
        sheet.draw.rectangle(inside, fill=scaled(wood, 0.55))
        _books(generator, sheet, inside)
        y += step


def _books(generator: np.random.Generator, sheet: Sheet, inside: Box) -> None:
    x, _, right, bottom = inside
    while True:
        thick = sheet.unit * float(generator.uniform(0.015, 0.035))
        if x + thick > right:
            return
        tall = sheet.unit * float(generator.uniform(0.05, 0.095))
        colour = draw_colour(generator, 0.1, 0.7, 0.3, 0.85)
        if generator.random() < 0.85:
            sheet.draw.rectangle((x, bottom - tall, x + thick - 1, bottom), fill=colour)
        x += thick


def draw_door(generator: np.random.Generator, sheet: Sheet, slot: Slot) -> None:
    """A closed door."""
    left = slot[0]
    right = left + 0.24 * sheet.unit
    colour = draw_colour(generator, 0.1, 0.5, 0.4, 0.85)
    top = sheet.horizon - 0.56 * sheet.unit
    sheet.draw.rectangle((left, top, right, sheet.horizon), fill=scaled(colour, 0.75))
    edge = 0.014 * sheet.unit
    sheet.draw.rectangle((left + edge, top + edge, right - edge, sheet.horizon), fill=colour)
    knob, x, y = 0.012 * sheet.unit, right - 0.04 * sheet.unit, sheet.horizon - 0.26 * sheet.unit
    sheet.draw.ellipse((x - knob, y - knob, x + knob, y + knob), fill=(214, 186, 110))


def draw_plant(generator: np.random.Generator, sheet: Sheet, slot: Slot) -> None:
    """A pot plant with long leaves."""
    x = (slot[0] + slot[1]) / 2
    leaf = mixed(draw_colour(generator, 0.4, 0.7, 0.35, 0.65), (70, 130, 64), 0.6)
    base = sheet.horizon + 0.02 * sheet.unit
    for angle in np.linspace(-1.1, 1.1, 7) + generator.uniform(-0.1, 0.1, 7):
        reach = sheet.unit * float(generator.uniform(0.16, 0.28))
        tip = (x + reach * np.sin(angle), base - 0.1 * sheet.unit - reach * np.cos(angle))
        wide = max(2, int(0.02 * sheet.unit))
        sheet.draw.line((x, base - 0.08 * sheet.unit, *tip), fill=leaf, width=wide)
    pot, half = draw_colour(generator, 0.2, 0.7, 0.4, 0.8), 0.05 * sheet.unit
    corners = [
        (x - half, base - 0.1 * sheet.unit),
        (x + half, base - 0.1 * sheet.unit),
        (x + 0.7 * half, base),
        (x - 0.7 * half, base),
    ]
    sheet.draw.polygon(corners, fill=pot)


def draw_sofa(generator: np.random.Generator, sheet: Sheet, slot: Slot) -> None:
    """A sofa before the wall."""
    left, right = slot[0], slot[0] + max(slot[1] - slot[0], 0.34 * sheet.unit)
    colour = draw_colour(generator, 0.15, 0.6, 0.35, 0.75)
    base, radius = sheet.horizon + 0.035 * sheet.unit, 0.03 * sheet.unit
    back = (left, base - 0.22 * sheet.unit, right, base)
    seat = (left, base - 0.1 * sheet.unit, right, base)
    sheet.draw.rounded_rectangle(back, radius, fill=scaled(colour, 0.85))
    sheet.draw.rounded_rectangle(seat, radius, fill=colour)


def draw_lamp(generator: np.random.Generator, sheet: Sheet, slot: Slot) -> None:
    """A floor lamp."""
    x, base = (slot[0] + slot[1]) / 2, sheet.horizon + 0.015 * sheet.unit
    top = base - sheet.unit * float(generator.uniform(0.45, 0.6))
    pole = draw_colour(generator, 0.0, 0.3, 0.15, 0.4)
    sheet.draw.line((x, base, x, top), fill=pole, width=max(2, int(0.012 * sheet.unit)))
    half = 0.055 * sheet.unit
    shade = [
        (x - 0.6 * half, top - half),
        (x + 0.6 * half, top - half),
        (x + half, top + half / 2),
        (x - half, top + half / 2),
    ]
    sheet.draw.polygon(shade, fill=draw_colour(generator, 0.05, 0.4, 0.8, 1.0))


def draw_wall_bars(sheet: Sheet, box: Box, colour: Colour) -> None:
    """Wall bars as in a gymnasium."""
    left, top, right, bottom = box
    thick = max(2, int(0.016 * sheet.unit))
    for x in (left, right):
        sheet.draw.line((x, top, x, bottom), fill=colour, width=thick + 1)
    for y in np.arange(top, bottom, 0.05 * sheet.unit):
        sheet.draw.line((left, y, right, y), fill=colour, width=thick)
