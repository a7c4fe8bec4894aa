"""Layouts with one array per video: the project's own files, and folders of .npy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import numpy as np

from wsgn.errors import InputError, UsageError
from wsgn.features.file import (
    SUFFIX,
    FeatureInfo,
    FeatureStream,
    read_feature_info,
    read_stored_features,
)
from wsgn.features.npy_file import read_npy, read_npy_header, require_values
from wsgn.features.reader import (
    STREAMS,
    FeatureReader,
    TimeBase,
    as_float32,
    finite_features,
    require_numbers,
    require_stored,
    sampling_of,
)
from wsgn.manifest import Sampling
from wsgn.support.arrays import AnyArray, FeatureArray, Float32Array
from wsgn.support.files import input_errors

# Requests at a time: a store answers each late, and many at once.
_REMOTE_READS = 16


class FeatureFiles(Protocol):
    """The project's own feature files of many videos, wherever they lie."""

    @property
    def layout(self) -> str:
        """One of `LAYOUTS`."""

    @property
    def is_remote(self) -> bool:
        """Whether reading waits for a network."""

    @property
    def names(self) -> tuple[str, ...]:
        """The videos, sorted by name."""

    def where(self, name: str) -> str:
        """What messages call a video's file. Raises `InputError` where there is none."""

    def info(self, name: str) -> FeatureInfo:
        """What a file says of itself."""

    def read(self, name: str) -> tuple[FeatureInfo, AnyArray]:
        """That, and its values (T, D) in its own type."""


class FolderFiles:
    """`<video>.safetensors` in a folder; see `FeatureFiles`.

    Those in folders in it belong to videos named so, `walk/1`.
    """

    layout = "safetensors"
    is_remote = False

    def __init__(self, folder: Path, *, only: Path | None = None) -> None:
        """`only` is one file of the folder, in place of all."""
        self._folder = folder
        self._paths = _one(only, SUFFIX) if only else tree_by_name(folder, SUFFIX)

    @property
    def names(self) -> tuple[str, ...]:
        """The videos, sorted by name."""
        return tuple(sorted(self._paths))

    def where(self, name: str) -> str:
        """Its path."""
        return str(self._path(name))

    def info(self, name: str) -> FeatureInfo:
        """From the header alone."""
        return read_feature_info(self._path(name))

    def read(self, name: str) -> tuple[FeatureInfo, AnyArray]:
        """The whole file."""
        return read_stored_features(self._path(name))

    def _path(self, name: str) -> Path:
        require_stored(self._paths, name, self._folder)
        return self._paths[name]


class PlainFeatures:
    """The project's own files, which know their time base; see `wsgn.features.reader`.

    A time base given nevertheless must be theirs.
    """

    def __init__(
        self,
        files: FeatureFiles,
        time_base: TimeBase | None = None,
        *,
        streams: tuple[str, ...] = (),
    ) -> None:
        self.layout = files.layout
        self.is_remote = files.is_remote
        self._files = files
        self._time_base = time_base
        self._streams = streams

    @property
    def names(self) -> tuple[str, ...]:
        """The videos, sorted by name."""
        return self._files.names

    def info(self, name: str) -> FeatureInfo:
        """Without the values."""
        info = self._files.info(name)
        if self._time_base is not None:
            expected = sampling_of(self._time_base, name)
            if info.sampling != expected:
                raise InputError(
                    f"{self._files.where(name)} was made with {_words(info.sampling)}, but "
                    f"{_words(expected)} are asked for: leave the time base out, the file holds it."
                )
        if not self._streams:
            return info
        chosen = _chosen(self._files.where(name), info.streams, self._streams)
        return replace(info, streams=chosen, feature_size=sum(stream.size for stream in chosen))

    def read(self, name: str) -> Float32Array:
        """The chosen streams (T, D)."""
        return as_float32(self.read_stored(name))

    def read_stored(self, name: str) -> FeatureArray:
        """The same in the file's own type."""
        info, features = self._files.read(name)
        where = self._files.where(name)
        if self._streams:
            _chosen(where, info.streams, self._streams)
            columns = stream_columns(info.streams)
            features = np.concatenate([features[:, columns[n]] for n in self._streams], axis=1)
        return finite_features(features, where)


def read_infos(reader: FeatureReader, names: Sequence[str]) -> list[FeatureInfo]:
    """What is known of many videos; those at an address are asked for several at a time."""
    if not isinstance(reader, PlainFeatures) or not reader.is_remote:
        return [reader.info(name) for name in names]
    with ThreadPoolExecutor(_REMOTE_READS, thread_name_prefix="wsgn-features") as pool:
        return list(pool.map(reader.info, names))


class ArrayFolder:
    """`<video>.npy` of (T, D) or (T, 1, 1, D); see `wsgn.features.reader`.

    The layouts differ in what the caller must know: 'npy' is any such folder, 'opentad' has RGB and
    flow as the halves of D, 'charades' is (T, 1, 1, D) of one stream.
    """

    def __init__(
        self,
        folder: Path,
        time_base: TimeBase,
        *,
        layout: str = "npy",
        streams: tuple[str, ...] = (),
        only: Path | None = None,
    ) -> None:
        """`only` is one file of the folder, in place of all."""
        self.layout = layout
        self._folder = folder
        self._time_base = time_base
        self._paths = _one(only, ".npy") if only else files_by_name(folder, ".npy")
        self._streams = streams
        if streams and layout != "opentad":
            raise UsageError(
                f"the layout '{layout}' does not say which channels are {' and '.join(streams)}: "
                "leave the streams out, or convert the features with streams of their own."
            )

    @property
    def names(self) -> tuple[str, ...]:
        """The videos, sorted by name."""
        return tuple(sorted(self._paths))

    def info(self, name: str) -> FeatureInfo:
        """From the header alone."""
        require_stored(self._paths, name, self._folder)
        path = self._paths[name]
        header = read_npy_header(path)
        require_values(header, str(path))
        require_numbers(header.dtype, str(path))
        num_snippets, width = matrix_shape(header.shape, str(path))
        streams = halves(width, str(path)) if self.layout == "opentad" else ()
        chosen = _chosen(str(path), streams, self._streams) if self._streams else streams
        return FeatureInfo(
            num_snippets=num_snippets,
            feature_size=sum(stream.size for stream in chosen) if self._streams else width,
            sampling=sampling_of(self._time_base, name),
            streams=chosen,
            source=self.layout,
            dtype=str(header.dtype),
        )

    def read(self, name: str) -> Float32Array:
        """The values (T, D)."""
        return as_float32(self.read_stored(name))

    def read_stored(self, name: str) -> FeatureArray:
        """The same in the file's own type."""
        require_stored(self._paths, name, self._folder)
        path = self._paths[name]
        values = read_npy(path)
        require_numbers(values.dtype, str(path))
        values = values.reshape(matrix_shape(values.shape, str(path)))  # (T, D)
        if self._streams:
            values = chosen_halves(values, self._streams, str(path))
        return finite_features(values, str(path))


def files_by_name(folder: Path, suffix: str) -> dict[str, Path]:
    """The files of a folder with a suffix, by their names without it."""
    with input_errors(f"the folder {folder}"):
        paths = [path for path in folder.iterdir() if path.name.endswith(suffix)]
    _require_some(paths, folder, suffix)
    return {path.name.removesuffix(suffix): path for path in paths}


def tree_by_name(folder: Path, suffix: str) -> dict[str, Path]:
    """The files of a folder and of those in it, by their paths from it on without the suffix."""
    with input_errors(f"the folder {folder}"):
        paths = list(files_in_tree(folder, suffix))
    _require_some(paths, folder, suffix)
    return {path.relative_to(folder).as_posix().removesuffix(suffix): path for path in paths}


def _one(path: Path, suffix: str) -> dict[str, Path]:
    return {path.name.removesuffix(suffix): path}


def files_in_tree(folder: Path, suffix: str) -> Iterator[Path]:
    """The files with a suffix in a folder and those in it, hidden folders left out.

    Raises `OSError` where the folder cannot be listed.
    """
    # Unlike a pattern, it says where there is no folder.
    for path in folder.iterdir():
        if path.name.endswith(suffix):
            yield path
        elif path.is_dir() and not path.is_symlink() and not path.name.startswith("."):
            yield from files_in_tree(path, suffix)


def _require_some(paths: Sequence[Path], folder: Path, suffix: str) -> None:
    if not paths:
        raise InputError(f"{folder} holds no *{suffix} files; give the folder that holds them.")


def matrix_shape(shape: tuple[int, ...], where: str) -> tuple[int, int]:
    """(T, D) of an array (T, D) or (T, 1, ..., 1, D); `InputError` for others and for nothing."""
    if len(shape) < 2 or any(size != 1 for size in shape[1:-1]):
        raise InputError(f"{where} must hold an array (T, D) of features, it holds {shape}.")
    if 0 in shape:
        raise InputError(
            f"{where} holds no features, its array is {shape}: extract the video again, or leave "
            "it out."
        )
    return shape[0], shape[-1]


def halves(width: int, where: str) -> tuple[FeatureStream, ...]:
    """RGB and flow of features that hold them behind each other."""
    if width % 2:
        raise InputError(f"{where} has {width} channels, which are no two streams of one width.")
    return tuple(FeatureStream(name=name, size=width // 2) for name in STREAMS)


def chosen_halves(values: AnyArray, streams: tuple[str, ...], where: str) -> AnyArray:
    """The named streams (T, D') of features (T, D) that hold RGB and flow behind each other."""
    columns = stream_columns(halves(values.shape[1], where))
    return np.concatenate([values[:, columns[name]] for name in streams], axis=1)


def stream_columns(streams: tuple[FeatureStream, ...]) -> dict[str, slice]:
    """Which channels each stream takes."""
    columns, start = {}, 0
    for stream in streams:
        columns[stream.name] = slice(start, start + stream.size)
        start += stream.size
    return columns


def _words(sampling: Sampling) -> str:
    return (
        f"frame rate {sampling.frame_rate:g}, snippet length {sampling.snippet_length} and stride "
        f"{sampling.snippet_stride}"
    )


def _chosen(
    where: str, streams: tuple[FeatureStream, ...], names: tuple[str, ...]
) -> tuple[FeatureStream, ...]:
    by_name = {stream.name: stream for stream in streams}
    missing = [name for name in names if name not in by_name]
    if missing:
        raise InputError(
            f"{where} has no stream '{missing[0]}'; it has: {', '.join(by_name) or 'none by name'}."
        )
    return tuple(by_name[name] for name in names)
