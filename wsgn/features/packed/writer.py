"""Feature files into tar files of bounded size, and the index that is written last."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from wsgn.errors import InputError, OutputError, UsageError
from wsgn.features.file import SUFFIX, FeatureInfo
from wsgn.features.folders import files_in_tree
from wsgn.features.packed.index import INDEX_NAME, PackedFile, PackIndex, index_bytes, read_index
from wsgn.features.packed.member import END, member_header, padding
from wsgn.support.file_locks import LockFile
from wsgn.support.files import AtomicFile, output_errors, write_whole_file
from wsgn.support.mirrors import at_hand, file_names, is_there, mirror_of, remove_file

# What has been packed before the last shard is whole; no reader takes it for an index.
UNFINISHED_NAME = "features.index.unfinished.json"
_SHARD_NAME = re.compile(r"features-\d{6,}\.tar", re.ASCII)
_LOCK_NAME = ".features.lock"


class PackWriter:
    """Packs in a folder, to which videos are added in turn.

    A tar file gets its name once it is whole, and the index its own once all are. What an earlier
    run has left there is gone on with, finished or not.
    """

    def __init__(self, folder: Path, most_bytes: int, *, overwrite: bool) -> None:
        """Tar files have at most `most_bytes`, unless a single video has more.

        With `overwrite` packs that are there are removed. Raises `InputError` where their index
        cannot be read, `UsageError` where the folder holds feature files of their own.
        """
        self._folder = folder
        self._most_bytes = most_bytes
        self._shard: AtomicFile | None = None
        # Bytes of the shard that is being written.
        self._size = 0
        self._waiting: dict[str, PackedFile] = {}
        _require_no_files(folder)
        self._lock = _locked(folder)
        try:
            if overwrite:
                _remove_packs(folder)
            earlier = _earlier(folder)
        except BaseException:
            self._lock.release()
            raise
        self._shards, self._files = list(earlier.shards), dict(earlier.files)

    def info(self, name: str) -> FeatureInfo | None:
        """What is known of a video that is packed already."""
        return self._files[name].info if name in self._files else None

    def add(self, name: str, info: FeatureInfo, data: bytes) -> None:
        """Put a video's feature file behind the others. Raises `InputError` and `OutputError`."""
        header = member_header(name, len(data))
        size = len(header) + len(data) + len(padding(len(data)))
        with self._writing():
            if self._shard is not None and self._size + size + len(END) > self._most_bytes:
                self._end_shard()
            if self._shard is None:
                self._shard, self._size = AtomicFile(self._next()).open(), 0
            offset = self._size + len(header)
            self._shard.write(header + data + padding(len(data)))
            self._size += size
        self._waiting[name] = PackedFile(
            shard=len(self._shards), offset=offset, size=len(data), info=info
        )

    def finish(self) -> list[Path]:
        """End the last tar file, and write the index; the files that are there then."""
        with self._writing():
            self._end_shard()
        if not self._files:
            return []
        self._write_index(INDEX_NAME)
        with output_errors(self._folder):
            remove_file(self._folder / UNFINISHED_NAME)
        return [self._folder / name for name in (INDEX_NAME, *(name for name, _ in self._shards))]

    def close(self) -> None:
        """Let others in; of a tar file that is not whole nothing stays."""
        if self._shard is not None:
            self._shard.discard()
        self._lock.release()

    def _next(self) -> Path:
        return self._folder / shard_name(len(self._shards))

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with output_errors(self._next()):
            yield

    def _end_shard(self) -> None:
        if self._shard is None:
            return
        self._shard.write(END)
        self._shard.commit()
        self._shard = None
        self._shards.append((self._next().name, self._size + len(END)))
        self._files |= self._waiting
        self._waiting.clear()
        self._write_index(UNFINISHED_NAME)

    def _write_index(self, name: str) -> None:
        index = PackIndex(shards=tuple(self._shards), files=self._files)
        write_whole_file(self._folder / name, index_bytes(index), what="the index")


def shard_name(number: int) -> str:
    """`features-000000.tar`."""
    return f"features-{number:06d}.tar"


def _earlier(folder: Path) -> PackIndex:
    """What an earlier run has packed; of one that was interrupted the tar files that are whole."""
    for name in (UNFINISHED_NAME, INDEX_NAME):
        path = folder / name
        if is_there(path):
            with at_hand(path) as here:
                index = read_index(here, str(path))
            missing = missing_shard(folder, index)
            if missing:
                raise InputError(f"{missing}: add --overwrite to pack all videos again.")
            return index
    return PackIndex(files={})


def missing_shard(folder: Path, index: PackIndex) -> str:
    """What is wrong with the tar files that an index names; empty where they are there, whole.

    Of those at an address only the names are looked at: they came there whole.
    """
    for name, size in index.shards:
        path = folder / name
        if mirror_of(path) is not None and is_there(path):
            continue
        try:
            found = path.stat().st_size
        except OSError:
            return f"{path} is missing, of which {folder / INDEX_NAME} says that it is there"
        if found != size:
            return f"{path} has {found} bytes where its index says {size}"
    return ""


def _locked(folder: Path) -> LockFile:
    """Two runs would give their tar files the same names."""
    lock = LockFile(folder / _LOCK_NAME)
    with output_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        if not lock.take():
            raise OutputError(f"another run packs features into {folder}: wait until it has ended.")
    return lock


def _require_no_files(folder: Path) -> None:
    try:
        if mirror_of(folder) is not None:
            names = (name for name in file_names(folder) if name.endswith(SUFFIX))
            first = next((folder / name for name in names), None)
        else:
            first = next(files_in_tree(folder, SUFFIX), None)
    except FileNotFoundError:
        return
    except OSError as error:
        raise OutputError(f"the folder {folder} cannot be used: {error.strerror}.") from error
    if first is not None:
        raise UsageError(
            f"{folder} holds feature files of their own ({first.name}), which a training could not "
            "tell from packed ones: choose another folder for the packs."
        )


def _remove_packs(folder: Path) -> None:
    """Remove packs; without an index they are none, so that goes first."""
    with output_errors(folder):
        for name in (INDEX_NAME, UNFINISHED_NAME):
            remove_file(folder / name)
        for name in file_names(folder):
            if _SHARD_NAME.fullmatch(name):
                remove_file(folder / name)
