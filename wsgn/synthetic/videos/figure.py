"""A figure: its build, its clothes and where it stands in the scene."""

from dataclasses import dataclass

import numpy as np

from wsgn.synthetic.videos.skeleton import Proportions

Colour = tuple[int, int, int]

_SKINS: tuple[Colour, ...] = (
    (246, 212, 184),
    (233, 187, 150),
    (212, 160, 118),
    (176, 122, 82),
    (134, 88, 58),
    (94, 62, 44),
)
_HAIRS: tuple[Colour, ...] = (
    (28, 24, 22),
    (58, 38, 26),
    (104, 66, 36),
    (168, 124, 66),
    (206, 174, 118),
    (150, 66, 34),
    (158, 156, 154),
)


@dataclass(frozen=True, kw_only=True)
class Figure:
    """How one figure looks."""

    proportions: Proportions
    # Thickness of limbs relative to the usual one.
    stoutness: float
    skin: Colour
    hair: Colour
    long_hair: bool
    shirt: Colour
    emblem: Colour
    long_sleeves: bool
    trousers: Colour
    short_trousers: bool
    shoes: Colour
    # The way the figure faces when it does not walk; 0 is the camera.
    heading_degrees: float


def draw_figure_look(generator: np.random.Generator) -> Figure:
    """Draws a figure's build and colours."""
    shirt = draw_colour(generator, 0.3, 0.9, 0.45, 0.95)
    return Figure(
        proportions=_draw_proportions(generator),
        stoutness=float(generator.uniform(0.88, 1.2)),
        skin=_SKINS[generator.integers(len(_SKINS))],
        hair=_HAIRS[generator.integers(len(_HAIRS))],
        long_hair=bool(generator.random() < 0.4),
        shirt=shirt,
        emblem=(255 - shirt[0], 255 - shirt[1], 255 - shirt[2]),
        long_sleeves=bool(generator.random() < 0.5),
        trousers=draw_colour(generator, 0.05, 0.6, 0.18, 0.6),
        short_trousers=bool(generator.random() < 0.35),
        shoes=draw_colour(generator, 0.0, 0.7, 0.1, 0.9),
        heading_degrees=float(generator.choice([-1, 1]) * generator.uniform(22, 50)),
    )


def draw_colour(
    generator: np.random.Generator,
    min_saturation: float,
    max_saturation: float,
    min_value: float,
    max_value: float,
) -> Colour:
    """Draws a colour of any hue within bounds of saturation and value, each 0 to 1."""
    hue = generator.uniform(0, 6)
    saturation = generator.uniform(min_saturation, max_saturation)
    value = generator.uniform(min_value, max_value)
    sector = (np.array([5.0, 3.0, 1.0]) + hue) % 6
    ramp = np.clip(np.minimum(sector, 4 - sector), 0, 1)
    red, green, blue = 255 * value * (1 - saturation * ramp)
    return int(red), int(green), int(blue)


def _draw_proportions(generator: np.random.Generator) -> Proportions:
    usual = Proportions()
    arms, legs, trunk, width = generator.uniform(0.93, 1.07, 4)
    return Proportions(
        torso=usual.torso * trunk,
        head_radius=usual.head_radius * float(generator.uniform(0.95, 1.15)),
        shoulder_half_width=usual.shoulder_half_width * width,
        hip_half_width=usual.hip_half_width * width,
        upper_arm=usual.upper_arm * arms,
        forearm=usual.forearm * arms,
        thigh=usual.thigh * legs,
        shin=usual.shin * legs,
    )
