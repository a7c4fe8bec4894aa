"""What was learned of live sources, on the disk: one file per source, whole at any moment."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import os
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from wsgn import __version__
from wsgn.errors import OutputError
from wsgn.localization.online.state import State, sealed
from wsgn.manifest import Manifest
from wsgn.support.arrays import AnyArray
from wsgn.support.credentials import unknown_parts, without_credentials
from wsgn.support.file_locks import LockFile
from wsgn.support.files import AtomicFile, output_errors
from wsgn.video.live.items import LivePosition
from wsgn.video.live.source import LiveSource

from ..streaming.detector import Detector
from .options import StreamOptions
from .saved import SavedStream

_VERSION = 1
_SUFFIX = ".state.npz"
_LOCK_SUFFIX = ".state.lock"
_DOCUMENT = "document"
_DETECTOR = "detector."
# Older statistics are of another day's light.
_OLDEST_SECONDS = 86_400.0
# A clock that was set back by less is taken for the same moment.
_CLOCK_SECONDS = 1.0
# Some hundredths of a second for each guess at a secret.
_PBKDF2_ROUNDS = 200_000
# What was given out since the last save and before a kill is not given out again.
_ID_RESERVE = 1000


@dataclass(frozen=True, kw_only=True)
class StateWarning:
    """Why a source begins anew although there was a state of it."""

    source: str
    # state_too_old | clock_moved | state_of_another_run | state_unreadable
    code: str
    message: str


class _OfAnotherRun(Exception):
    """Another engine, source or other options: the text says what."""


@dataclass(frozen=True, kw_only=True)
class _Address:
    """What tells an address from others, and nobody what it is: it is kept in files."""

    # Of what may be shown: a new password is no new camera.
    address_sha256: str = ""
    # Of the parts of its query that may be a camera's number and may be a secret: as passwords are
    # kept. Both empty where there are none.
    query_salt: str = ""
    query_pbkdf2: str = ""

    @classmethod
    def of(cls, address: str, salt: bytes) -> _Address:
        """That of an address; with another salt it looks like that of another one."""
        shown, parts = _sha256(without_credentials(address)), unknown_parts(address)
        if not parts:
            return cls(address_sha256=shown)
        derived = hashlib.pbkdf2_hmac(
            "sha256", parts.encode("utf-8", "replace"), salt, _PBKDF2_ROUNDS
        )
        return cls(address_sha256=shown, query_salt=salt.hex(), query_pbkdf2=derived.hex())

    def is_that_of(self, document: Mapping[str, Any], address: str) -> bool:
        """Whether a state was saved of `address`, whose own this is."""
        if document["address_sha256"] != self.address_sha256:
            return False
        salt = bytes.fromhex(document.get("query_salt", ""))
        same_query: bool = _Address.of(address, salt).query_pbkdf2 == document.get(
            "query_pbkdf2", ""
        )
        return same_query


class StateFiles:
    """`NAME.state.npz` in a folder, of runs with one engine and one set of options."""

    def __init__(
        self,
        folder: Path,
        engine_sha256: str,
        options: StreamOptions,
        manifest: Manifest,
        *,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._folder = folder
        self._engine_sha256 = engine_sha256
        chosen = (dataclasses.asdict(options.detector), options.live.stream)
        self._made_for = _sha256(f"{manifest.to_json()} {chosen}")
        self._options = options
        self._manifest = manifest
        self._wall = wall
        self._addresses: dict[str, _Address] = {}
        self._locks: dict[str, LockFile] = {}

    def make_folder(self) -> None:
        """Make the folder, and see that it can be written. Raises `OutputError`."""
        with output_errors(f"the state in '{self._folder}'"):
            self._folder.mkdir(parents=True, exist_ok=True)
            file = AtomicFile(self._folder / "writable")
            try:
                file.open()
            finally:
                file.discard()

    def lock(self, sources: Sequence[LiveSource]) -> None:
        """Keep other runs from the states of these sources, until `release` or the process ends.

        Raises `OutputError`, and locks none of them, where another run has one.
        """
        added: list[str] = []
        try:
            for source in sources:
                if source.name not in self._locks:
                    self._locks[source.name] = self._taken(source.name)
                    added.append(source.name)
        except BaseException:
            for name in added:
                self.release(name)
            raise

    def release(self, name: str) -> None:
        """Leave the state of a source to others."""
        if (lock := self._locks.pop(name, None)) is not None:
            lock.release()

    def release_all(self, *, but: Collection[str] = ()) -> None:
        """Leave all states to others, but those of some sources."""
        for name in [name for name in self._locks if name not in but]:
            self.release(name)

    def _taken(self, name: str) -> LockFile:
        path = self._folder / f"{name}{_LOCK_SUFFIX}"
        lock = LockFile(path)
        with output_errors(f"'{path}'"):
            is_ours = lock.take()
        if not is_ours:
            raise OutputError(
                f"another run keeps the state of '{name}' in '{self._folder}': end it, or choose "
                "another folder with --state."
            )
        return lock

    def load(
        self, sources: Sequence[LiveSource]
    ) -> tuple[dict[str, SavedStream], list[StateWarning]]:
        """The states of sources that can be gone on from, and what is to be said of the others.

        What is of another run, or cannot be read, is kept as `NAME.state.npz.old`.
        """
        found: dict[str, SavedStream] = {}
        warnings: list[StateWarning] = []
        for source in sources:
            address = self._addresses[source.name] = _Address.of(source.address, os.urandom(16))
            path = self.path(source.name)
            if not path.is_file():
                continue
            try:
                document, detector = _read(path)
                self._require_same(source, address, document)
                found[source.name] = self._checked(document, detector)
            except _TooFar as problem:
                warnings.append(_warning(source, problem.code, str(problem)))
            except _OfAnotherRun as problem:
                self._set_aside(path)
                warnings.append(_warning(source, "state_of_another_run", str(problem)))
            # An archive of NumPy fails in any way.
            except Exception:
                self._set_aside(path)
                text = f"its state '{path}' cannot be read"
                warnings.append(_warning(source, "state_unreadable", text))
        return found, warnings

    def save(self, snapshot: Mapping[str, SavedStream], *, ended: bool = False) -> None:
        """Write the states of these sources; `ended` where nothing comes after any of them.

        Raises `OutputError`, after all others were written, where one cannot be.
        """
        failure: OutputError | None = None
        for name, saved in snapshot.items():
            data = self._contents(name, saved, ended=ended or saved.ended)
            try:
                path = self.path(name)
                with output_errors(f"the state '{path}'"), AtomicFile(path) as file:
                    file.write(data)
            except OutputError as error:
                failure = error
        if failure is not None:
            raise failure

    def path(self, name: str) -> Path:
        """The file of a source."""
        return self._folder / f"{name}{_SUFFIX}"

    def _contents(self, name: str, saved: SavedStream, *, ended: bool) -> bytes:
        document = {
            "version": _VERSION,
            "wsgn": __version__,
            "source": name,
            **dataclasses.asdict(self._addresses.get(name, _Address())),
            "engine_sha256": self._engine_sha256,
            "made_for": self._made_for,
            "position": {
                "media_seconds": saved.position.media_seconds,
                "unix_seconds": saved.position.unix_seconds,
                "epoch": saved.position.epoch,
            },
            "ended": ended,
            "counters": dict(saved.counters),
        }
        contents = io.BytesIO()
        text = np.frombuffer(json.dumps(document).encode(), dtype=np.uint8)
        arrays: dict[str, Any] = {f"{_DETECTOR}{key}": one for key, one in saved.detector.items()}
        arrays[_DOCUMENT] = text
        np.savez(contents, **arrays)
        return contents.getvalue()

    def _require_same(
        self, source: LiveSource, address: _Address, document: Mapping[str, Any]
    ) -> None:
        if document["version"] != _VERSION:
            raise _OfAnotherRun("its state is of another version of wsgn")
        if not address.is_that_of(document, source.address):
            raise _OfAnotherRun("its state is of another address")
        if document["engine_sha256"] != self._engine_sha256:
            raise _OfAnotherRun("its state was made with another engine")
        if document["made_for"] != self._made_for:
            raise _OfAnotherRun("its state was made with other options")

    def _checked(self, document: Mapping[str, Any], arrays: State) -> SavedStream:
        position = LivePosition(
            media_seconds=float(document["position"]["media_seconds"]),
            unix_seconds=float(document["position"]["unix_seconds"]),
            epoch=int(document["position"]["epoch"]),
        )
        elapsed = self._wall() - position.unix_seconds
        if elapsed < -_CLOCK_SECONDS:
            raise _TooFar("clock_moved", f"the clock was set back by {-elapsed:.0f} s")
        if not elapsed <= _OLDEST_SECONDS:
            raise _TooFar("state_too_old", f"its state is {elapsed / 3600:.0f} hours old")
        # What is damaged is a `UsageError`.
        Detector(self._manifest, self._options.detector).restore(arrays)
        counters = {str(name): value for name, value in document["counters"].items()}
        if not all(isinstance(value, int | float) for value in counters.values()):
            raise ValueError("counters")
        return SavedStream(
            detector=arrays if document["ended"] else _with_free_ids(arrays),
            position=position,
            counters=counters,
        )

    def _set_aside(self, path: Path) -> None:
        with suppress(OSError):
            path.replace(path.with_name(f"{path.name}.old"))


class _TooFar(Exception):
    """The state is of a time that no clock leads back to."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def _warning(source: LiveSource, code: str, reason: str) -> StateWarning:
    return StateWarning(source=source.name, code=code, message=f"{reason}: it begins anew.")


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


def _read(path: Path) -> tuple[dict[str, Any], State]:
    arrays: dict[str, AnyArray] = {}
    with np.load(path, allow_pickle=False) as archive:
        for name in archive.files:
            arrays[name] = archive[name]
    document = json.loads(arrays.pop(_DOCUMENT).tobytes())
    return document, {name.removeprefix(_DETECTOR): array for name, array in arrays.items()}


def _with_free_ids(arrays: State) -> State:
    """The state of a killed run, whose next ids it may have given out already."""
    state = {name: array for name, array in arrays.items() if name != "checksum"}
    state["next_id"] = np.array(int(state["next_id"]) + _ID_RESERVE)
    return sealed(state)
