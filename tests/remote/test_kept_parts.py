"""Copies of parts: how many have room, which go, and two processes that use them at once."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from object_store import ObjectStore

from wsgn.errors import UsageError
from wsgn.remote import parts
from wsgn.remote.parts import StoredPart
from wsgn.remote.reading import StoredFile, list_folder

SIZE = 1_000
# Long before any process here was started.
LONG_AGO = 1_000_000_000

Files = list[StoredFile]


@pytest.fixture
def copies(tmp_path: Path) -> Path:
    return tmp_path / "copies" / "parts"


@pytest.fixture
def files(object_store: ObjectStore) -> Files:
    for number in range(8):
        object_store.put("lake", f"f/{number}", bytes([number]) * SIZE)
    return list_folder("s3://lake/f")


@pytest.fixture
def another_process(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """What this process knows of its copies is forgotten, and the limit may be another one."""

    def begin(limit: str | None = None) -> None:
        parts._room_of.cache_clear()
        if limit is not None:
            monkeypatch.setenv("WSGN_CACHE_LIMIT", limit)

    begin()
    return begin


def read(*files: StoredFile) -> None:
    for file in files:
        with StoredPart(file, 0, SIZE).open() as part:
            assert part.read() == bytes([int(file.name)]) * SIZE


def fetched(store: ObjectStore, *files: StoredFile) -> list[str]:
    """The names of files that are asked for when these are read."""
    store.requests.clear()
    read(*files)
    return [one.path.rpartition("/")[2] for one in store.asked("GET")]


def kept(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def last_used(folder: Path, numbers: list[int]) -> None:
    """Let the copies of files have been used long ago, in this order."""
    by_digit = {path.read_bytes()[0]: path for path in kept(folder)}
    for rank, number in enumerate(numbers):
        os.utime(by_digit[number], (LONG_AGO + rank, LONG_AGO + rank))


def test_no_more_is_kept_than_the_limit_and_that_stays(
    object_store: ObjectStore,
    files: Files,
    copies: Path,
    another_process: Callable[..., None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    another_process("3kB")
    assert fetched(object_store, *files) == list("01234567")
    assert len(kept(copies)) == 3
    # Of a set that is larger than the limit, a share is there in each epoch.
    for _ in range(2):
        assert fetched(object_store, *files) == list("34567")
    (line,) = [one.getMessage() for one in caplog.records if one.name == "wsgn.remote"]
    assert line == (
        f"there is no room for more copies in {copies} (WSGN_CACHE_LIMIT is reached): what is not "
        "kept is fetched again each time it is used."
    )


def test_what_was_not_used_for_longest_makes_room(
    object_store: ObjectStore, files: Files, copies: Path, another_process: Callable[..., None]
) -> None:
    another_process("4kB")
    read(*files[:4])
    last_used(copies, [2, 0, 3, 1])
    another_process()
    # It was used again, so that others go before it.
    assert fetched(object_store, files[2]) == []
    assert fetched(object_store, files[4], files[5]) == ["4", "5"]
    assert fetched(object_store, *(files[n] for n in (1, 2, 4, 5))) == []
    assert fetched(object_store, files[0], files[3]) == ["0", "3"]
    # All four were used by this process.
    assert sorted(path.read_bytes()[0] for path in kept(copies)) == [1, 2, 4, 5]


def test_a_copy_that_another_process_has_used_meanwhile_stays(
    object_store: ObjectStore,
    files: Files,
    copies: Path,
    another_process: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    another_process("3kB")
    read(*files[:3])
    last_used(copies, [0, 1, 2])
    another_process()
    count = parts.Room._count

    def counted(room: parts.Room) -> None:
        count(room)
        oldest = next(path for path in kept(copies) if path.read_bytes()[0] == 0)
        os.utime(oldest)

    monkeypatch.setattr(parts.Room, "_count", counted)
    read(files[3])
    assert sorted(path.read_bytes()[0] for path in kept(copies)) == [0, 2, 3]


def planted_disk(monkeypatch: pytest.MonkeyPatch, copies: Path, num_bytes: int) -> None:
    """A disk of this size, on which nothing but the copies is."""
    kind: Any = type(shutil.disk_usage(copies.parent.parent))

    def usage(path: Path) -> object:
        used = sum(one.stat().st_size for one in kept(copies))
        return kind(num_bytes, used, num_bytes - used)

    monkeypatch.setattr("shutil.disk_usage", usage)


def test_a_disk_that_is_full_loses_old_copies_but_not_in_vain(
    object_store: ObjectStore,
    files: Files,
    copies: Path,
    another_process: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    # Four and the twentieth that stays free.
    planted_disk(monkeypatch, copies, 4_500)
    read(*files[:5])
    assert len(kept(copies)) == 4
    assert "but for a twentieth the disk is full" in caplog.text
    last_used(copies, [3, 2, 1, 0])
    another_process()
    read(files[5])
    assert sorted(path.read_bytes()[0] for path in kept(copies)) == [0, 1, 2, 5]
    last_used(copies, [0, 1, 2, 5])
    another_process()
    whole = object_store.put("lake", "f/large", bytes(5_000))
    (large,) = list_folder(whole)
    with StoredPart(large, 0, 5_000).open() as part:
        assert part.read() == bytes(5_000)
    assert len(kept(copies)) == 4


def test_a_copy_that_goes_while_it_is_used_is_fetched_again(
    object_store: ObjectStore, files: Files, copies: Path, another_process: Callable[..., None]
) -> None:
    read(files[1])
    part = StoredPart(files[1], 0, SIZE)
    with part.open() as opened:
        shutil.rmtree(copies)
        # Who has it open keeps it.
        assert opened.read() == bytes([1]) * SIZE
    object_store.requests.clear()
    for _ in range(2):
        with part.open() as opened:
            assert opened.read() == bytes([1]) * SIZE
    assert len(object_store.requests) == 1


def test_what_is_not_kept_leaves_no_folders(
    object_store: ObjectStore, files: Files, copies: Path, another_process: Callable[..., None]
) -> None:
    another_process("10B")
    read(*files)
    assert list(copies.iterdir()) == []


def test_a_folder_that_cannot_be_written_costs_nothing_but_requests(
    object_store: ObjectStore, files: Files, copies: Path, another_process: Callable[..., None]
) -> None:
    copies.parent.mkdir()
    copies.write_bytes(b"no folder")
    read(*files)
    assert fetched(object_store, *files) == list("01234567")


@pytest.mark.parametrize("limit", ["much", "0", "-1GB", "1 PB"])
def test_a_limit_that_is_no_size_is_refused(
    files: Files, another_process: Callable[..., None], limit: str
) -> None:
    another_process(limit)
    with pytest.raises(UsageError, match=f"WSGN_CACHE_LIMIT must be a size .* got {limit}"):
        read(files[0])


READ_ALL = """
import hashlib, random, sys
from wsgn.remote.parts import StoredPart
from wsgn.remote.reading import list_folder
files = list_folder("s3://lake/many")
for epoch in range(2):
    random.Random(epoch).shuffle(files)
    for file in files:
        with StoredPart(file, 0, file.size).open() as part:
            data = part.read()
        assert hashlib.sha256(data).hexdigest() == file.name, file.name
"""


def test_processes_that_make_room_in_one_folder_read_what_is_there(
    object_store: ObjectStore, copies: Path
) -> None:
    for number in range(30):
        data = bytes([number]) * (1_000 + number)
        object_store.put("lake", f"many/{hashlib.sha256(data).hexdigest()}", data)
    environment = dict(os.environ) | {"WSGN_CACHE_LIMIT": "10kB"}
    words = [sys.executable, "-c", READ_ALL]
    for _ in range(2):
        running = [subprocess.Popen(words, env=environment) for _ in range(2)]
        assert [process.wait() for process in running] == [0, 0]
        # Both may count before either writes, once for each part.
        assert 9 <= len(kept(copies)) <= 18
        for path in kept(copies):
            os.utime(path, (LONG_AGO, LONG_AGO))
