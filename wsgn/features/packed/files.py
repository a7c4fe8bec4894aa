"""Feature files in tar files, each found by the index and read at once."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from wsgn.errors import InputError
from wsgn.features.file import FeatureInfo, read_stored_features_at
from wsgn.features.npy_file import opened
from wsgn.features.packed.index import INDEX_NAME, PackedFile, read_index
from wsgn.features.packed.member import BLOCK, header_problem
from wsgn.features.packed.writer import UNFINISHED_NAME, missing_shard, shard_name
from wsgn.features.reader import require_stored
from wsgn.features.safetensors_file import FileBytes
from wsgn.support.arrays import AnyArray
from wsgn.support.mirrors import is_there

_AGAIN = "pack the features again"


class PackedFiles:
    """The feature files of a folder of packs; see `wsgn.features.folders.FeatureFiles`."""

    layout = "tar"
    is_remote = False

    def __init__(self, folder: Path) -> None:
        """Raises `InputError` where the index or a tar file is missing or damaged."""
        self._folder = folder
        path = folder / INDEX_NAME
        if not path.exists():
            raise InputError(missing_index(folder))
        self._index = read_index(path, str(path))
        if problem := missing_shard(folder, self._index):
            raise InputError(f"{problem}: copy it again, or pack the features again.")
        self._names = tuple(sorted(self._index.files))

    @property
    def names(self) -> tuple[str, ...]:
        """The videos, sorted by name."""
        return self._names

    def where(self, name: str) -> str:
        """The video, and the tar file that holds it."""
        return f"'{name}' in {self._shard(self._file(name))}"

    def info(self, name: str) -> FeatureInfo:
        """From the index alone."""
        return self._file(name).info

    def read(self, name: str) -> tuple[FeatureInfo, AnyArray]:
        """The member, which has to be what the index says of it."""
        file = self._file(name)
        place = FileBytes(
            where=self.where(name),
            open=partial(opened, self._shard(file)),
            begin=file.offset,
            size=file.size,
        )
        return read_packed(name, file, place)

    def _file(self, name: str) -> PackedFile:
        require_stored(self._index.files, name, self._folder)
        return self._index.files[name]

    def _shard(self, file: PackedFile) -> Path:
        return self._folder / self._index.shards[file.shard][0]


def read_packed(name: str, file: PackedFile, place: FileBytes) -> tuple[FeatureInfo, AnyArray]:
    """The feature file of a video at a place that has the member's header before it.

    Raises `InputError` where another file is there, or another one than the index says.
    """
    with place.open() as opened_file:
        opened_file.seek(place.begin - BLOCK)
        problem = header_problem(opened_file.read(BLOCK), name, file.size)
    if problem:
        raise InputError(f"{place.where} is not where the index says ({problem}): {_AGAIN}.")
    info, values = read_stored_features_at(place)
    if info != file.info:
        raise InputError(f"{place.where} is not what the index says of it: {_AGAIN}.")
    return info, values


def missing_index(folder: Path) -> str:
    """What a folder of packs without an index needs."""
    if (folder / UNFINISHED_NAME).exists():
        return (
            f"the features in {folder} were not packed to the end: run the same wsgn-convert again."
        )
    return f"{folder} holds packed features without {INDEX_NAME}: copy it beside them, or {_AGAIN}."


def holds_packs(folder: Path) -> bool:
    """Whether there is an index, or what is left without one."""
    names = (INDEX_NAME, UNFINISHED_NAME, shard_name(0))
    return any(is_there(folder / name) for name in names)
