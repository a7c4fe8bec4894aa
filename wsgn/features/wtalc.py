"""The bundles of W-TALC: all videos' features in one pickled array, annotations in .npy files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from wsgn.data.annotations import Annotations, VideoAnnotation, checked_annotations
from wsgn.errors import InputError
from wsgn.features.file import FeatureInfo
from wsgn.features.folders import chosen_halves, halves, matrix_shape
from wsgn.features.pickled_arrays import PickledArray, read_object_array, read_plain_list
from wsgn.features.reader import (
    TimeBase,
    as_float32,
    finite_features,
    require_numbers,
    require_stored,
    sampling_of,
)
from wsgn.support.arrays import FeatureArray, Float32Array

_ANNOTATIONS_ENDING = "-Annotations"
_NAMES_FILE = "videoname.npy"
_AMBIGUOUS_FILE = "Ambiguous_test.txt"
# The subset that the file of ambiguous intervals is about.
_AMBIGUOUS_SUBSET = "test"


class WtalcBundle:
    """One .npy with an object array of V arrays (T, D), in the order of `videoname.npy`.

    The pickle is walked through once, without reading the arrays in it; each video is then read
    from its place in the file. See `wsgn.features.reader`.
    """

    layout = "wtalc"

    def __init__(self, path: Path, time_base: TimeBase, streams: tuple[str, ...] = ()) -> None:
        self._path = bundle_file(path)
        self._time_base = time_base
        self._streams = streams
        names = read_names(annotation_folder(self._path) / _NAMES_FILE)
        items = read_object_array(self._path).items
        if len(items) != len(names) or len(set(names)) != len(names):
            raise InputError(
                f"{self._path} holds {len(items)} arrays for {len(set(names))} names in "
                f"{_NAMES_FILE}: the two are not of the same bundle."
            )
        self._arrays = dict(zip(names, items, strict=True))

    @property
    def names(self) -> tuple[str, ...]:
        """The videos, sorted by name."""
        return tuple(sorted(self._arrays))

    def info(self, name: str) -> FeatureInfo:
        """From what the pickle says of the array."""
        array = self._array(name)
        num_snippets, width = matrix_shape(array.shape, self._where(name))
        streams = halves(width, self._where(name)) if self._streams else ()
        chosen = tuple(s for n in self._streams for s in streams if s.name == n)
        return FeatureInfo(
            num_snippets=num_snippets,
            feature_size=sum(stream.size for stream in chosen) if chosen else width,
            sampling=sampling_of(self._time_base, name),
            streams=chosen,
            source=self.layout,
            dtype=str(array.dtype),
        )

    def read(self, name: str) -> Float32Array:
        """The values (T, D)."""
        return as_float32(self.read_stored(name))

    def read_stored(self, name: str) -> FeatureArray:
        """The same in the file's own type."""
        values = self._array(name).read()
        values = values.reshape(matrix_shape(values.shape, self._where(name)))
        if self._streams:
            values = chosen_halves(values, self._streams, self._where(name))
        return finite_features(values, self._where(name))

    def _array(self, name: str) -> PickledArray:
        require_stored(self._arrays, name, self._path)
        array = self._arrays[name]
        if not isinstance(array, PickledArray):
            raise InputError(f"{self._where(name)} is {type(array).__name__}, not an array.")
        require_numbers(array.dtype, self._where(name))
        return array

    def _where(self, name: str) -> str:
        return f"{self._path} video '{name}'"


def bundle_file(path: Path) -> Path:
    """The bundle itself, which may be named by the folder that holds it alone."""
    if not path.is_dir():
        return path
    found = sorted(file for file in path.glob("*.npy") if file.name != _NAMES_FILE)
    if len(found) != 1:
        names = ", ".join(file.name for file in found) or "no .npy file"
        raise InputError(f"{path} holds {names}: name the one file that holds the features.")
    return found[0]


def annotation_folder(bundle: Path) -> Path:
    """The annotations of a bundle: `<dataset>-Annotations` beside it, or its own folder."""
    parent = bundle.parent
    if (parent / _NAMES_FILE).is_file():
        return parent
    folders = sorted(
        f for f in parent.glob(f"*{_ANNOTATIONS_ENDING}") if (f / _NAMES_FILE).is_file()
    )
    if len(folders) > 1:
        # Thumos14reduced-I3D-JOINTFeatures.npy belongs to Thumos14reduced-Annotations.
        stems = {f: f.name.removesuffix(_ANNOTATIONS_ENDING) for f in folders}
        folders = [f for f in folders if bundle.name.startswith(f"{stems[f]}-")]
    if len(folders) != 1:
        raise InputError(
            f"{bundle} needs its {_NAMES_FILE} beside it, or in one folder "
            f"*{_ANNOTATIONS_ENDING} beside it."
        )
    return folders[0]


def is_wtalc_annotations(path: Path) -> bool:
    """Whether a folder holds the annotations of a bundle."""
    return (path / _NAMES_FILE).is_file() and (path / "classlist.npy").is_file()


def read_wtalc_annotations(folder: Path, *, labels_from_segments: bool = False) -> Annotations:
    """The annotations of a bundle, and the intervals of `Ambiguous_test.txt` where it is there.

    A video that only that file names is a test video without actions. `extracted_fps.npy` is not
    read: it is wrong for I3D features.
    """
    column = _Columns(folder)
    ambiguous = _ambiguous(folder / _AMBIGUOUS_FILE)
    rates = column.numbers("original_fps") if (folder / "original_fps.npy").is_file() else None
    durations = column.numbers("duration")
    labels, all_labels = column.lists("labels"), column.lists("labels_all")
    spans, subsets = column.lists("segments"), column.texts("subset")
    videos = [
        VideoAnnotation(
            name=name,
            subset=subsets[index],
            duration_seconds=durations[index],
            labels=tuple(sorted(set(_texts(all_labels[index], folder / "labels_all.npy")))),
            segments=column.segments(name, labels[index], spans[index]),
            frame_rate=None if rates is None else rates[index],
            ambiguous=tuple(ambiguous.pop(name, ())),
        )
        for index, name in enumerate(column.names)
    ]
    videos += [
        VideoAnnotation(
            name=name,
            subset=_AMBIGUOUS_SUBSET,
            duration_seconds=None,
            labels=(),
            segments=(),
            ambiguous=tuple(intervals),
        )
        for name, intervals in ambiguous.items()
    ]
    classes = tuple(read_names(folder / "classlist.npy"))
    return checked_annotations(
        str(folder), classes, videos, labels_from_segments=labels_from_segments
    )


def read_names(path: Path) -> list[str]:
    """The texts of a .npy file; raises `InputError` where it holds anything else."""
    return _texts(read_plain_list(path), path)


def _texts(values: list[Any], path: Path) -> list[str]:
    for value in values:
        if not isinstance(value, str) or not value:
            raise InputError(f"{path} holds {type(value).__name__} where a name is needed.")
    return values


class _Columns:
    """The .npy files of an annotation folder, each with one entry per video."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.names = read_names(folder / _NAMES_FILE)

    def texts(self, name: str) -> list[str]:
        return _texts(self._column(name), self._folder / f"{name}.npy")

    def numbers(self, name: str) -> list[float]:
        """One number per video, of a file (V,) or (V, 1)."""
        values = self._column(name)
        flat = [value[0] if isinstance(value, list) and value else value for value in values]
        try:
            return [float(value) for value in flat]
        except (TypeError, ValueError) as error:
            raise InputError(f"{self._folder / name}.npy must hold numbers: {error}.") from error

    def lists(self, name: str) -> list[list[Any]]:
        values = self._column(name)
        if not all(isinstance(value, list) for value in values):
            raise InputError(f"{self._folder / name}.npy must hold a list for each video.")
        return values

    def segments(
        self, video: str, labels: list[Any], spans: list[Any]
    ) -> tuple[tuple[str, float, float], ...]:
        """(label, start_seconds, end_seconds) of each annotation."""
        try:
            return tuple(
                (label, float(start), float(end))
                for label, (start, end) in zip(
                    _texts(labels, self._folder / "labels.npy"), spans, strict=True
                )
            )
        except (TypeError, ValueError) as error:
            raise InputError(
                f"{self._folder}: video '{video}' needs one [start, end] per label ({error})."
            ) from error

    def _column(self, name: str) -> list[Any]:
        path = self._folder / f"{name}.npy"
        values = read_plain_list(path)
        if len(values) != len(self.names):
            raise InputError(
                f"{path} holds {len(values)} entries for {len(self.names)} videos: it is not of "
                "this bundle."
            )
        return values


def _ambiguous(path: Path) -> dict[str, list[tuple[float, float]]]:
    """By video; each line is `video start end`."""
    found: dict[str, list[tuple[float, float]]] = {}
    if not path.is_file():
        return found
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {error}.") from error
    for number, line in enumerate(text.splitlines(), start=1):
        fields = line.split()
        try:
            if fields:
                video, start, end = fields
                found.setdefault(video, []).append((float(start), float(end)))
        except ValueError as error:
            raise InputError(f"{path} line {number} is not 'video start end'.") from error
    return found
