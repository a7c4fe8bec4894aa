"""One interface to the features of many videos, whatever their layout on disk."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from wsgn.errors import InputError, UsageError
from wsgn.features.file import FeatureInfo
from wsgn.manifest import Sampling
from wsgn.support.arrays import AnyArray, FeatureArray, Float32Array

# Notices are logged, so that a command shows them and a program can silence them.
LOGGER = logging.getLogger("wsgn.data")

RGB, FLOW, MOTION = "rgb", "flow", "motion"
# Those of the layouts of others.
STREAMS = (RGB, FLOW)
# And what `wsgn-features` makes besides.
ALL_STREAMS = (*STREAMS, MOTION)

# The bits of a float16's exponent; all of them are set in what is not finite.
_HALF_EXPONENT = np.uint16(0x7C00)

# One time base for all videos, or one for each by its name.
TimeBase = Sampling | Mapping[str, Sampling]


class FeatureReader(Protocol):
    """The features of a set of videos, each with its time base; one video is read at a time."""

    @property
    def layout(self) -> str:
        """The name of the layout on disk, one of `LAYOUTS`."""

    @property
    def names(self) -> tuple[str, ...]:
        """The videos, sorted by name."""

    def info(self, name: str) -> FeatureInfo:
        """What is known of a video without reading its values.

        Raises `InputError` for a video that is not there and for files that are damaged.
        """

    def read(self, name: str) -> Float32Array:
        """The features (T, D) of a video, all of them finite; raises `InputError` otherwise."""

    def read_stored(self, name: str) -> FeatureArray:
        """The same values in the type of their file, where that is float16; float32 otherwise."""


class KnownHeaders:
    """The features of a reader, some of whose headers are known and not read again."""

    def __init__(self, reader: FeatureReader, known: Mapping[str, FeatureInfo]) -> None:
        self._reader = reader
        self._known = known

    @property
    def layout(self) -> str:
        """The reader's."""
        return self._reader.layout

    @property
    def names(self) -> tuple[str, ...]:
        """The reader's."""
        return self._reader.names

    def info(self, name: str) -> FeatureInfo:
        """What is known of a video, perhaps from another process."""
        return self._known[name] if name in self._known else self._reader.info(name)

    def read(self, name: str) -> Float32Array:
        """The reader's."""
        return self._reader.read(name)

    def read_stored(self, name: str) -> FeatureArray:
        """The reader's."""
        return self._reader.read_stored(name)


def sampling_of(time_base: TimeBase, name: str) -> Sampling:
    """The time base of one video."""
    if isinstance(time_base, Sampling):
        return time_base
    if name not in time_base:
        raise InputError(
            f"the time base of video '{name}' is not known: its annotation needs 'fps' (or 'frame' "
            "and 'duration'), or give one frame rate for all."
        )
    return time_base[name]


def require_stored(names: Mapping[str, object], name: str, where: object) -> None:
    """Refuse a video that a layout does not hold."""
    if name not in names:
        raise InputError(f"{where} holds no features of video '{name}'.")


def stored_names(names: Sequence[str], stored: Sequence[str]) -> dict[str, str]:
    """The names under which features of the named videos are stored, where they are.

    A name that is not stored itself may be that of a video's file: `sport/bikes.mp4` has its
    features under `sport/bikes` or `bikes`, while no other name can mean these.
    """
    present = set(stored)
    found = {name: name for name in names if name in present}
    if len(found) < len(names):
        from wsgn.video.files import without_video_suffix

        whole = {name: without_video_suffix(name) for name in names}
        for plain in (whole, {name: path.rpartition("/")[2] for name, path in whole.items()}):
            claims = Counter(plain.values())
            for name in names:
                if name not in found and plain[name] in present and claims[plain[name]] == 1:
                    found[name] = plain[name]
    return found


def checked_streams(streams: tuple[str, ...]) -> tuple[str, ...]:
    """Names of streams in the order in which they are put together; empty means all there are."""
    if set(streams) - set(ALL_STREAMS) or len(set(streams)) != len(streams):
        raise UsageError(
            f"streams must be some of {', '.join(ALL_STREAMS)}, each once, got {list(streams)}."
        )
    return streams


def require_numbers(dtype: np.dtype[Any], where: str) -> None:
    """Refuse features that are not real numbers."""
    if dtype.kind not in "fiu":
        raise InputError(
            f"{where} holds values of type {dtype} where real numbers are needed: save the "
            "features as float16 or float32."
        )


def as_float32(features: FeatureArray) -> Float32Array:
    """Features as networks take them; no value changes."""
    return np.asarray(features, dtype=np.float32)


def finite_features(values: AnyArray, where: str) -> FeatureArray:
    """Features (T, D), float16 as they are, others as float32.

    Raises `InputError`, which names the first snippet that is not finite.
    """
    half = values.dtype == np.float16 and values.dtype.isnative
    # A value beyond float32 becomes infinite, and is then reported.
    with np.errstate(over="ignore"):
        features: FeatureArray = (
            np.ascontiguousarray(values, dtype=np.float16)
            if half
            else np.ascontiguousarray(values, dtype=np.float32)
        )
    # Bits are compared 15 times as fast as NumPy looks at halves.
    if half and int((features.view(np.uint16) & _HALF_EXPONENT).max()) < _HALF_EXPONENT:
        return features
    finite = np.isfinite(features).all(axis=1)  # (T,)
    if not finite.all():
        row = int(np.argmin(finite))
        raise InputError(
            f"{where} holds NaN or infinite values in {int((~finite).sum())} of {len(features)} "
            f"snippets, the first is snippet {row} (from 0): extract it again, or leave the video "
            "out."
        )
    return features
