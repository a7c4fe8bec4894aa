"""Feature files at an address of a store: one listing, and one request for each video."""

from __future__ import annotations

from wsgn.errors import InputError, UsageError
from wsgn.features.file import SUFFIX, FeatureInfo, read_info_at, read_stored_features_at
from wsgn.features.folders import FeatureFiles
from wsgn.features.packed.files import read_packed
from wsgn.features.packed.index import INDEX_NAME, PackedFile, read_index
from wsgn.features.packed.member import BLOCK
from wsgn.features.reader import require_stored
from wsgn.features.safetensors_file import FileBytes
from wsgn.remote.addresses import folder_of, name_of, shown
from wsgn.remote.parts import StoredPart
from wsgn.remote.reading import StoredFile, list_folder
from wsgn.remote.store import MISSING, RemoteError
from wsgn.support.arrays import AnyArray


def open_remote_files(address: str, layout: str | None) -> FeatureFiles:
    """The feature files of a folder at an address, packed or not; None finds out which.

    Raises `InputError` where there are none, `UsageError` for the layouts of others.
    """
    if layout not in (None, "safetensors", "tar"):
        raise UsageError(
            f"the layout '{layout}' is read on this disk only: copy {shown(address)}, or convert "
            "the features where they are (wsgn-convert)."
        )
    if name_of(address) == INDEX_NAME:
        address = folder_of(address)
    found = {file.name: file for file in list_folder(address)}
    if "" in found and not address.endswith(SUFFIX):
        raise UsageError(f"{shown(address)} is a file: name the folder that holds the features.")
    if "" in found:
        # One video.
        return RemoteFolder(address, {name_of(address).removesuffix(SUFFIX): found[""]})
    if not found:
        raise RemoteError(MISSING, f"there is no {shown(address)}, or nothing is in it.")
    has_index, videos = INDEX_NAME in found, [n for n in found if _is_video(n)]
    if layout is None and has_index and videos:
        raise InputError(
            f"{shown(address)} may be of the layouts safetensors and tar: say which with the "
            "layout."
        )
    if layout == "tar" or (layout is None and has_index):
        return RemotePacks(address, found)
    if not videos:
        raise InputError(
            f"{shown(address)} holds no *{SUFFIX} files and no {INDEX_NAME}, the only features "
            "that are read at addresses: name the folder that holds them."
        )
    return RemoteFolder(address, {n.removesuffix(SUFFIX): found[n] for n in videos})


def _is_video(name: str) -> bool:
    """As on a disk, hidden folders are left out."""
    folders = name.split("/")[:-1]
    return name.endswith(SUFFIX) and not any(one.startswith(".") for one in folders)


class RemoteFolder:
    """`<video>.safetensors` at an address; see `wsgn.features.folders.FeatureFiles`.

    A header needs a request as the whole file does, so that this is asked for once, and kept.
    """

    layout = "safetensors"
    is_remote = True

    def __init__(self, address: str, files: dict[str, StoredFile]) -> None:
        self._address = address
        self._files = files

    @property
    def names(self) -> tuple[str, ...]:
        """The videos, sorted by name."""
        return tuple(sorted(self._files))

    def where(self, name: str) -> str:
        """Its address."""
        return shown(self._file(name).address)

    def info(self, name: str) -> FeatureInfo:
        """From the header of the copy."""
        return read_info_at(self._place(name))

    def read(self, name: str) -> tuple[FeatureInfo, AnyArray]:
        """The whole copy."""
        return read_stored_features_at(self._place(name))

    def _place(self, name: str) -> FileBytes:
        file = self._file(name)
        return _bytes_at(file, offset=0, size=file.size, skipped=0)

    def _file(self, name: str) -> StoredFile:
        require_stored(self._files, name, shown(self._address))
        return self._files[name]


class RemotePacks:
    """Packed features at an address; see `wsgn.features.folders.FeatureFiles`.

    The index tells what a training asks of all videos; each is one request for a part of a tar.
    """

    layout = "tar"
    is_remote = True

    def __init__(self, address: str, found: dict[str, StoredFile]) -> None:
        """`found` is what the folder holds. Raises `InputError`."""
        self._address = address
        if INDEX_NAME not in found:
            raise InputError(
                f"{shown(address)} holds no {INDEX_NAME}: copy it beside the tar files, or "
                "pack the features again."
            )
        where = shown(found[INDEX_NAME].address)
        self._index = read_index(_text_of(found[INDEX_NAME]), where)
        self._shards: list[StoredFile] = []
        for name, size in self._index.shards:
            if name not in found or found[name].size != size:
                state = "is missing" if name not in found else f"has {found[name].size} bytes"
                raise InputError(
                    f"{where} says that {name} of {size} bytes is beside it, which {state}: copy "
                    "it again, or pack the features again."
                )
            self._shards.append(found[name])

    @property
    def names(self) -> tuple[str, ...]:
        """The videos, sorted by name."""
        return tuple(sorted(self._index.files))

    def where(self, name: str) -> str:
        """The video, and the tar file that holds it."""
        return f"'{name}' in {shown(self._shards[self._file(name).shard].address)}"

    def info(self, name: str) -> FeatureInfo:
        """From the index alone."""
        return self._file(name).info

    def read(self, name: str) -> tuple[FeatureInfo, AnyArray]:
        """The member with its header."""
        file = self._file(name)
        begin = file.offset - BLOCK
        place = _bytes_at(
            self._shards[file.shard], offset=begin, size=BLOCK + file.size, skipped=BLOCK,
            where=self.where(name),
        )  # fmt: skip
        return read_packed(name, file, place)

    def _file(self, name: str) -> PackedFile:
        require_stored(self._index.files, name, shown(self._address))
        return self._index.files[name]


def _text_of(file: StoredFile) -> str:
    with _bytes_at(file, offset=0, size=file.size, skipped=0).open() as opened_file:
        try:
            return opened_file.read().decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise InputError(
                f"{shown(file.address)} is not JSON: it cannot be read as UTF-8."
            ) from error


def _bytes_at(
    file: StoredFile, *, offset: int, size: int, skipped: int, where: str | None = None
) -> FileBytes:
    """A part of a file in a store as a file behind its first bytes."""
    return FileBytes(
        where=where or shown(file.address),
        open=StoredPart(file, offset, size).open,
        begin=skipped,
        size=size - skipped,
    )
