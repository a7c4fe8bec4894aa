"""Frames of the middle square, with the flow to the next one where a network looks at it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from wsgn.extraction.frames import centre_crop
from wsgn.extraction.snippets import Frame
from wsgn.support.arrays import UInt8Array
from wsgn.video.flow import FlowToNext, OpticalFlow


def with_flow(images: Iterable[UInt8Array], flow: OpticalFlow, crop_size: int) -> Iterator[Frame]:
    """Frames of the middle square, each with the flow to the next; the last keeps the one before.

    The flow is computed on the whole images, which are larger than the crop, so that what moves
    over its edge is seen.
    """
    following = FlowToNext(flow, image_of=lambda image: image)
    for image in images:
        for held, motion in following.push([image]):
            yield Frame(centre_crop(held, crop_size), centre_crop(motion, crop_size))
    for held, motion in following.flush():
        yield Frame(centre_crop(held, crop_size), centre_crop(motion, crop_size))


def without_flow(images: Iterable[UInt8Array], crop_size: int) -> Iterator[Frame]:
    """Frames of the middle square."""
    for image in images:
        yield Frame(centre_crop(image, crop_size))
