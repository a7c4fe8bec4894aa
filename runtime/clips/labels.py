"""Labels and scores burnt into pictures, with Pillow (the extra `view`)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from wsgn.errors import MissingExtraError, UsageError
from wsgn.localization.segments import Segment
from wsgn.support.arrays import UInt8Array
from wsgn.support.terminal import printable, quoted

from .part import Part

# Of the pages, on dark ground: told apart by the colour-blind too.
_COLOURS = (
    *((86, 180, 233), (240, 138, 36), (43, 196, 154), (221, 156, 192)),
    *((230, 184, 0), (143, 208, 245), (160, 169, 180)),
)
_GROUND = (17, 20, 23)
_INK = (255, 255, 255)
_QUIET = (190, 199, 209)
_GROUND_ALPHA = 205
_TRACK_ALPHA = 130
# Height of letters: a part of the picture's height, or of its width where it is narrow.
_TEXT_PART = 1 / 19
_NARROW = 0.7
_SMALLEST_TEXT, _LARGEST_TEXT = 11, 72
# Shapes are drawn so many times larger, for soft edges.
_FINE = 4
# Chips below each other; what comes behind is counted, where there is room.
_MOST_CHIPS = 6
_ELLIPSIS = "..."
# No font has a picture for it.
_NO_LETTER = "\U0010ffff"

# (h, w, 3) of colours times alpha, and (h, w, 1) of what is let through.
_Layer = tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]


@dataclass(frozen=True, kw_only=True)
class _Chip:
    label: str
    score: str
    colour: tuple[int, int, int]


class LabelFont:
    """The letters of labels, checked: a box in place of a letter helps nobody.

    Raises `MissingExtraError` without Pillow, `UsageError` for a font that cannot be read, or that
    lacks letters of the labels.
    """

    def __init__(self, path: Path | None, labels: Iterable[str]) -> None:
        try:
            from PIL import ImageFont
        except ImportError as error:
            raise MissingExtraError("--annotate", "view") from error
        self._fonts = ImageFont
        self._path = path
        font = self.of_size(_SMALLEST_TEXT)
        lacking = bytes(font.getmask(_NO_LETTER))
        bad = sorted(
            {
                letter
                for label in labels
                for letter in printable(label)
                if not letter.isspace() and bytes(font.getmask(letter)) == lacking
            }
        )
        if bad:
            raise UsageError(
                f"{'the built-in font' if path is None else path} has no letters for "
                f"{quoted(bad)} in the labels: name a font that has them by --font FILE (.ttf or "
                ".otf)."
            )

    def of_size(self, pixels: int) -> Any:
        """The font with letters of this height."""
        if self._path is None:
            return self._fonts.load_default(pixels)
        try:
            return self._fonts.truetype(str(self._path), pixels)
        except OSError as error:
            raise UsageError(
                f"{self._path} is no font that can be read: name a .ttf or .otf file."
            ) from error


class LabelPainter:
    """Burns into pictures of one part of a video what is on at that time, and where it lies.

    A chip for each segment, in the upper left, and a line below with the part's segments.
    """

    def __init__(self, segments: Sequence[Segment], part: Part, font: LabelFont) -> None:
        self._segments = sorted(segments, key=lambda one: (one.start_seconds, one.label))
        self._part = part
        self._font = font
        labels = sorted({one.label for one in segments})
        self._colours = {label: _COLOURS[n % len(_COLOURS)] for n, label in enumerate(labels)}
        self._chips = lru_cache(maxsize=16)(self._drawn_chips)
        self._track: tuple[tuple[int, int], float, _Layer] | None = None

    def paint(self, image: UInt8Array, seconds: float, end_seconds: float) -> UInt8Array:
        """The (H, W, 3) RGB picture at a time of the video, changed in place.

        `end_seconds` is where the part ends, as far as the video reaches.
        """
        height, width = image.shape[:2]
        on = tuple(
            _Chip(
                label=printable(one.label),
                score=f"{one.score:.2f}",
                colour=self._colours[one.label],
            )
            for one in self._segments
            if one.start_seconds <= seconds < one.end_seconds
        )
        if on:
            _blend(image, self._chips(on, height, width))
        self._paint_line(image, seconds, end_seconds)
        return image

    def _drawn_chips(self, chips: tuple[_Chip, ...], height: int, width: int) -> _Layer:
        """A layer for the upper left of pictures of this size."""
        from PIL import Image, ImageDraw

        text = _text_pixels(height, width)
        font, margin = self._font.of_size(text), max(4, text // 2)
        row = round(text * 1.7)
        most = max(1, min(_MOST_CHIPS, (height - 2 * margin) // (row + margin // 2)))
        shown, more = chips[:most], len(chips) - most
        if more > 0 and most > 1:
            shown, more = shown[:-1], more + 1
            shown = (*shown, _Chip(label=f"and {more} more", score="", colour=_QUIET))
        rows = [self._fitted(one, font, width - 2 * margin, text) for one in shown]
        tall = min(height, margin + len(rows) * (row + margin // 2))
        layer = Image.new("RGBA", (width, tall))
        for number, chip in enumerate(rows):
            top = margin + number * (row + margin // 2)
            wide = self._width(chip, font, text)
            layer.alpha_composite(_plate(wide, row, chip.colour), (margin, top))
            draw = ImageDraw.Draw(layer)
            middle, left = top + row / 2, margin + round(text * 0.85)
            draw.text((left, middle), chip.label, font=font, fill=_INK, anchor="lm")
            left += round(font.getlength(chip.label) + text * 0.55)
            draw.text((left, middle), chip.score, font=font, fill=_QUIET, anchor="lm")
        return _layer(np.asarray(layer))

    def _width(self, chip: _Chip, font: Any, text: int) -> int:
        words = float(font.getlength(chip.label) + font.getlength(chip.score))
        return round(words + text * (1.4 + (0.55 if chip.score else 0)))

    def _fitted(self, chip: _Chip, font: Any, most: int, text: int) -> _Chip:
        """The chip with a label that is short enough."""
        label = chip.label
        while len(label) > 1 and self._width(chip, font, text) > most:
            label = label[:-1].rstrip()
            chip = _Chip(label=label + _ELLIPSIS, score=chip.score, colour=chip.colour)
        return chip

    def _paint_line(self, image: UInt8Array, seconds: float, end_seconds: float) -> None:
        """Where this moment lies, and where the segments do."""
        height, width = image.shape[:2]
        begin = self._part.start_seconds
        length = end_seconds - begin
        if not 0 < length < float("inf"):
            return
        thick = max(3, round(_text_pixels(height, width) / 4))
        if self._track is None or self._track[:2] != ((height, width), length):
            self._track = ((height, width), length, self._drawn_track(width, thick, length))
        track = image[height - thick :]
        _blend(track, self._track[2])
        place = min(width, round(width * (seconds - begin) / length))
        half = max(1, thick // 3)
        image[height - 2 * thick :, max(0, place - half) : place + half] = _INK

    def _drawn_track(self, width: int, thick: int, length: float) -> _Layer:
        layer = np.zeros((thick, width, 4), np.uint8)
        layer[:] = (*_GROUND, _TRACK_ALPHA)
        for one in self._segments:
            ends = (one.start_seconds, one.end_seconds)
            left, right = (
                min(width, max(0, round(width * (end - self._part.start_seconds) / length)))
                for end in ends
            )
            layer[:, left:right] = (*self._colours[one.label], 235)
        return _layer(layer)


def _text_pixels(height: int, width: int) -> int:
    pixels = round(_TEXT_PART * min(height, _NARROW * width))
    return min(_LARGEST_TEXT, max(_SMALLEST_TEXT, pixels))


def _plate(width: int, height: int, colour: tuple[int, int, int]) -> Any:
    """A rounded ground with a bar of colour at its left."""
    from PIL import Image, ImageDraw

    size = (width * _FINE, height * _FINE)
    radius = height * _FINE // 5
    shape = Image.new("L", size)
    ImageDraw.Draw(shape).rounded_rectangle(
        (0, 0, size[0] - 1, size[1] - 1), radius, fill=_GROUND_ALPHA
    )
    bar = Image.new("L", size)
    ImageDraw.Draw(bar).rounded_rectangle((0, 0, size[0] - 1, size[1] - 1), radius, fill=255)
    bar.paste(0, (round(height * _FINE * 0.16), 0, *size))
    plate = Image.new("RGBA", (width, height), (*_GROUND, 0))
    plate.putalpha(shape.resize((width, height), Image.Resampling.LANCZOS))
    plate.paste(colour, mask=bar.resize((width, height), Image.Resampling.LANCZOS))
    return plate


def _layer(pixels: UInt8Array) -> _Layer:
    """What is added to a picture, and what of it is let through, of (h, w, 4) RGBA."""
    floats = pixels.astype(np.float32)
    alpha = floats[..., 3:] * np.float32(1 / 255)
    return floats[..., :3] * alpha, np.float32(1) - alpha


def _blend(image: UInt8Array, layer: _Layer) -> None:
    """Put a layer over the upper left of a picture, as much of it as there is place for."""
    height, width = image.shape[:2]
    added, through = (values[:height, :width] for values in layer)
    part = image[: added.shape[0], : added.shape[1]]
    part[:] = (part * through + added + 0.5).astype(np.uint8)
