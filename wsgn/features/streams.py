"""Layouts with one file per video and stream: BaS-Net's tree and the files of CMCS."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import numpy as np

from wsgn.errors import InputError
from wsgn.features.file import FeatureInfo, FeatureStream
from wsgn.features.folders import files_by_name, matrix_shape
from wsgn.features.npy_file import (
    ArrayHeader,
    read_npy,
    read_npy_header,
    read_npz,
    read_npz_header,
    require_values,
)
from wsgn.features.reader import (
    LOGGER,
    STREAMS,
    TimeBase,
    as_float32,
    finite_features,
    require_numbers,
    require_stored,
    sampling_of,
)
from wsgn.support.arrays import AnyArray, FeatureArray, Float32Array
from wsgn.support.files import input_errors

# Snippets. Extractors of flow need one frame more than those of RGB, so that one stream may have
# one snippet more at its end; a larger difference means that the two are not of the same video.
_LARGEST_TRIM = 1
_CMCS_KEY = "feature"


class StreamFile(Protocol):
    """How the file of one stream is read."""

    def header(self, path: Path) -> ArrayHeader:
        """Its shape and type."""

    def shape(self, header: ArrayHeader, where: str) -> tuple[int, int]:
        """(T, D)."""

    def values(self, path: Path) -> AnyArray:
        """The values (T, D)."""


class StreamFolder:
    """Videos whose streams have a file each; see `wsgn.features.reader`.

    Streams are put together in the order given. The longer one of a video is cut by one snippet
    where they differ by that, with a notice.
    """

    def __init__(
        self,
        where: Path,
        files: Mapping[str, Mapping[str, Path]],
        kind: StreamFile,
        time_base: TimeBase,
        *,
        layout: str,
    ) -> None:
        """`files` holds, by stream and video, a path."""
        self.layout = layout
        self._where = where
        self._files = files
        self._kind = kind
        self._time_base = time_base
        self._names = {name: None for paths in files.values() for name in sorted(paths)}
        self._noticed: set[str] = set()

    @property
    def names(self) -> tuple[str, ...]:
        """The videos, sorted by name."""
        return tuple(sorted(self._names))

    def info(self, name: str) -> FeatureInfo:
        """From the headers alone."""
        headers = {stream: self._kind.header(path) for stream, path in self._paths(name).items()}
        shapes = {}
        for stream, header in headers.items():
            where = str(self._files[stream][name])
            require_values(header, where)
            require_numbers(header.dtype, where)
            shapes[stream] = self._kind.shape(header, where)
        return FeatureInfo(
            num_snippets=self._common_length(name, {s: shape[0] for s, shape in shapes.items()}),
            feature_size=sum(width for _, width in shapes.values()),
            sampling=sampling_of(self._time_base, name),
            streams=tuple(FeatureStream(name=s, size=width) for s, (_, width) in shapes.items()),
            source=self.layout,
            dtype=str(np.result_type(*(header.dtype for header in headers.values()))),
        )

    def read(self, name: str) -> Float32Array:
        """The streams beside each other (T, D)."""
        return as_float32(self.read_stored(name))

    def read_stored(self, name: str) -> FeatureArray:
        """The same in the files' own type, where all have one."""
        parts = {}
        for stream, path in self._paths(name).items():
            values = self._kind.values(path)
            parts[stream] = finite_features(values, str(path))
        length = self._common_length(name, {s: len(part) for s, part in parts.items()})
        return np.concatenate([part[:length] for part in parts.values()], axis=1)

    def _paths(self, name: str) -> dict[str, Path]:
        require_stored(self._names, name, self._where)
        missing = [stream for stream, paths in self._files.items() if name not in paths]
        if missing:
            raise InputError(
                f"{self._where} lacks the stream '{missing[0]}' of video '{name}': add it, or ask "
                "for the other stream alone."
            )
        return {stream: paths[name] for stream, paths in self._files.items()}

    def _common_length(self, name: str, lengths: Mapping[str, int]) -> int:
        shortest, longest = min(lengths.values()), max(lengths.values())
        if longest - shortest > _LARGEST_TRIM:
            words = " and ".join(f"{count} of {stream}" for stream, count in lengths.items())
            raise InputError(
                f"the streams of video '{name}' in {self._where} do not fit: {words} snippets; "
                "extract them again on one time base."
            )
        if longest > shortest and name not in self._noticed:
            self._noticed.add(name)
            LOGGER.warning(
                "video '%s': the longer stream is cut from %d to %d snippets.",
                name,
                longest,
                shortest,
            )
        return shortest


class NpyStream:
    """`<video>.npy` (T, D)."""

    def header(self, path: Path) -> ArrayHeader:
        """Its shape and type."""
        return read_npy_header(path)

    def shape(self, header: ArrayHeader, where: str) -> tuple[int, int]:
        """(T, D)."""
        return matrix_shape(header.shape, where)

    def values(self, path: Path) -> AnyArray:
        """The values (T, D)."""
        values = read_npy(path)
        require_numbers(values.dtype, str(path))
        return values.reshape(matrix_shape(values.shape, str(path)))


class CropStream:
    """`<video>-<stream>.npz` whose `feature` is (B, T, D): the mean over the B crops is taken."""

    def header(self, path: Path) -> ArrayHeader:
        """Its shape and type."""
        return read_npz_header(path, _CMCS_KEY)

    def shape(self, header: ArrayHeader, where: str) -> tuple[int, int]:
        """(T, D)."""
        if len(header.shape) == 3 and header.shape[0] > 0:
            return matrix_shape(header.shape[1:], where)
        raise InputError(f"{where} must hold '{_CMCS_KEY}' (B, T, D), it holds {header.shape}.")

    def values(self, path: Path) -> AnyArray:
        """The values (T, D)."""
        values = read_npz(path, _CMCS_KEY)
        require_numbers(values.dtype, str(path))
        if len(values) == 1:
            return np.asarray(values[0])
        return np.asarray(values.mean(axis=0, dtype=np.float32))


def bas_net_files(root: Path, streams: tuple[str, ...] = ()) -> Mapping[str, Mapping[str, Path]]:
    """By stream and video: `root[/features]/{train,test}/{rgb,flow}/<video>.npy`."""
    files: dict[str, dict[str, Path]] = {}
    for folder in bas_net_folders(root):
        if streams and folder.name not in streams:
            continue
        paths = files_by_name(folder, ".npy")
        present = files.setdefault(folder.name, {})
        twice = sorted(paths.keys() & present.keys())
        if twice:
            raise InputError(f"{root} holds video '{twice[0]}' in two subsets; remove one of them.")
        present.update(paths)
    return _in_order(root, files, streams)


def bas_net_folders(root: Path) -> list[Path]:
    """Every folder named after a stream, up to two levels below the root."""
    places = [f"{'*/' * depth}{stream}" for depth in range(3) for stream in STREAMS]
    return sorted(path for place in places for path in root.glob(place) if path.is_dir())


def cmcs_files(root: Path, streams: tuple[str, ...] = ()) -> Mapping[str, Mapping[str, Path]]:
    """By stream and video: `root/<video>-{rgb,flow}.npz`."""
    files: dict[str, dict[str, Path]] = {}
    for stream in streams or STREAMS:
        ending = f"-{stream}.npz"
        with input_errors(f"the folder {root}"):
            found = [path for path in root.iterdir() if path.name.endswith(ending)]
        if found:
            files[stream] = {path.name.removesuffix(ending): path for path in found}
    return _in_order(root, files, streams)


def _in_order(
    root: Path, files: Mapping[str, Mapping[str, Path]], streams: tuple[str, ...]
) -> Mapping[str, Mapping[str, Path]]:
    missing = [stream for stream in streams if stream not in files]
    if missing or not files:
        raise InputError(f"{root} holds no features of the stream '{(missing or STREAMS)[0]}'.")
    return {stream: files[stream] for stream in streams or STREAMS if stream in files}
