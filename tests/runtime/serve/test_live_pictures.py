"""Pictures of the live page: their shape and colours, and that none is made for nobody."""

from __future__ import annotations

import io
from fractions import Fraction

import numpy as np
import pytest
from av.video.frame import VideoFrame
from PIL import Image
from served import picture

from wsgn.runtime.serve.pictures import Pictures
from wsgn.video.live.items import LastPicture


def shown(newest: LastPicture) -> np.ndarray:
    jpeg = Pictures({"a": newest}.get).jpeg("a")
    assert jpeg is not None
    image = Image.open(io.BytesIO(jpeg))
    assert image.format == "JPEG"
    return np.asarray(image.convert("RGB"), dtype=int)


@pytest.mark.parametrize(
    ("width", "height", "aspect", "size"),
    [
        (1920, 1080, None, (270, 480)),
        (64, 48, Fraction(1), (48, 64)),
        # Broadcasts of 16:9 with narrow pixels, and a damaged header.
        (720, 576, Fraction(64, 45), (270, 480)),
        (640, 480, Fraction(1000, 1), (360, 480)),
        (2, 2000, None, (480, 2)),
    ],
)
def test_sizes(width: int, height: int, aspect: Fraction | None, size: tuple[int, int]) -> None:
    made = picture((10, 20, 30), width, height)
    newest = LastPicture(frame=made.frame, pixel_aspect=aspect, lag_seconds=0.0)
    assert shown(newest).shape[:2] == size


def test_left_is_left_and_colours_are_colours() -> None:
    image = np.zeros((240, 320, 3), np.uint8)
    image[:120, :160], image[120:, 160:] = (220, 40, 40), (40, 60, 220)
    frame = VideoFrame.from_ndarray(image, format="rgb24").reformat(format="yuv420p")
    found = shown(LastPicture(frame=frame, pixel_aspect=None, lag_seconds=0.0))
    # Colours have half the size, and edges run.
    for y, x in ((60, 80), (180, 240), (60, 240)):
        assert np.abs(found[y, x] - image[y, x]).max() < 12


def test_one_is_made_for_all_and_no_oftener_than_it_changes() -> None:
    now = [0.0]
    newest = {"a": picture((10, 20, 30))}
    pictures = Pictures(newest.get, monotonic=lambda: now[0])
    first = pictures.jpeg("a")
    now[0] = 9.0
    assert pictures.jpeg("a") is first
    newest["a"] = picture((90, 20, 30))
    second = pictures.jpeg("a")
    assert second != first
    for now[0] in (9.05, 9.1):
        newest["a"] = picture((90, 90, 30))
        assert pictures.jpeg("a") is second
    now[0] = 9.2
    assert pictures.jpeg("a") != second
    assert pictures.num_made == 3
    assert pictures.jpeg("b") is None
