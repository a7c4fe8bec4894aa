"""Reading where the files are, held against what the server counts."""

from __future__ import annotations

import io

import pytest
from object_store import SECRET, ObjectStore

from wsgn.errors import MissingExtraError, UsageError
from wsgn.remote.reading import BLOCK_BYTES, list_folder, list_matches, open_remote, read_range
from wsgn.remote.store import RemoteError

DATA = bytes(range(251)) * 12_000


def test_a_folder_is_listed_by_one_request_and_its_files_are_opened_without_another(
    object_store: ObjectStore,
) -> None:
    for key in ("dir/b.mp4", "dir/x/a#1 ?.mp4", "other/c.mp4", "dir/"):
        object_store.put("films", key, b"" if key.endswith("/") else DATA)
    found = list_folder("s3://films/dir/")
    assert [(file.name, file.size) for file in found] == [
        ("b.mp4", len(DATA)),
        ("x/a#1 ?.mp4", len(DATA)),
    ]
    assert found[1].address == "s3://films/dir/x/a#1 ?.mp4"
    files = [open_remote(file.address) for file in found]
    assert len(object_store.requests) == 1
    assert [file.read() for file in files] == [DATA, DATA]


def test_patterns_are_matched_by_one_listing(object_store: ObjectStore) -> None:
    for key in ("dir/b.mp4", "dir/b.txt", "dir/x/a.mp4"):
        object_store.put("films", key, b"1")
    flat = [file.address for file in list_matches("s3://films/dir/*.mp4")]
    deep = [file.address for file in list_matches("s3://films/dir/**/*.mp4")]
    assert flat == ["s3://films/dir/b.mp4"]
    assert deep == ["s3://films/dir/b.mp4", "s3://films/dir/x/a.mp4"]
    assert len(object_store.requests) == 2


def test_a_whole_file_costs_each_byte_once(object_store: ObjectStore) -> None:
    file = open_remote(object_store.put("films", "a.mp4", DATA))
    parts = []
    while part := file.read(32_768):
        parts.append(part)
    assert b"".join(parts) == DATA
    gets = object_store.asked("GET", "a.mp4")
    assert sum(one.num_bytes for one in gets) == len(DATA)
    assert len(gets) == -(-len(DATA) // BLOCK_BYTES)


def test_seeking_is_that_of_a_file_and_fetches_the_blocks_that_are_read(
    object_store: ObjectStore,
) -> None:
    file, plain = open_remote(object_store.put("films", "a.mp4", DATA)), io.BytesIO(DATA)
    for offset, whence in ((-5, io.SEEK_END), (BLOCK_BYTES - 3, io.SEEK_SET), (7, io.SEEK_CUR)):
        assert file.seek(offset, whence) == plain.seek(offset, whence) == file.tell()
        plain_bytes = plain.read(6)
        got = file.read(6)
        got += file.read(6 - len(got))
        assert got == plain_bytes
    assert file.seek(10**9) == 10**9
    assert file.read(4) == b""
    with pytest.raises(ValueError):
        file.seek(-1)
    starts = sorted(one.range for one in object_store.asked("GET", "a.mp4"))
    last = len(DATA) // BLOCK_BYTES * BLOCK_BYTES
    assert len(starts) == 3
    assert starts[-1] == f"bytes={last}-{len(DATA) - 1}"


def test_a_range_is_one_request_of_its_bytes(object_store: ObjectStore) -> None:
    address = object_store.put("films", "a.tar", DATA)
    assert read_range(address, 1000, 77) == DATA[1000:1077]
    assert read_range(address, 1000, 0) == b""
    (only,) = object_store.requests
    assert (only.method, only.num_bytes) == ("GET", 77)


def test_a_file_in_memory_has_a_place_of_its_own_for_each_who_opens_it() -> None:
    fsspec = pytest.importorskip("fsspec", reason="the extra remote is not installed")
    fsspec.filesystem("memory").pipe_file("/places/a.bin", DATA)
    one, other = open_remote("memory://places/a.bin"), open_remote("memory://places/a.bin")
    assert one.read(10) == other.read(10) == DATA[:10]
    assert [file.address for file in list_folder("memory://places")] == ["memory://places/a.bin"]


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (403, "planted"),
        (500, "planted"),
        (0, "onnection"),
    ],
)
def test_what_a_store_refuses_is_one_sentence(
    object_store: ObjectStore, fault: int, words: str
) -> None:
    file = open_remote(object_store.put("films", "a.mp4", DATA))
    object_store.fault = lambda method, path: fault
    with pytest.raises(OSError, match=words) as caught:
        file.read(1)
    assert "\n" not in str(caught.value)
    assert SECRET not in str(caught.value)


def test_what_is_not_there_is_named(object_store: ObjectStore) -> None:
    object_store.put("films", "dir/a.mp4", DATA)
    for address in ("s3://films/b.mp4", "s3://no-bucket/a.mp4"):
        with pytest.raises(RemoteError, match=f"there is no {address}"):
            open_remote(address)
    with pytest.raises(RemoteError, match="there is no s3://no-bucket"):
        list_folder("s3://no-bucket/dir")
    with pytest.raises(RemoteError, match="is a folder"):
        open_remote("s3://films/dir")
    assert list_folder("s3://films/nothing") == []


def test_a_file_that_changes_is_not_mixed(object_store: ObjectStore) -> None:
    file = open_remote(object_store.put("films", "a.mp4", DATA))
    object_store.put("films", "a.mp4", DATA[:100])
    with pytest.raises(OSError, match=r"has changed|cannot be read"):
        file.read(1)


def test_kinds_of_addresses_that_nobody_knows_or_has_a_package_for() -> None:
    pytest.importorskip("fsspec", reason="the extra remote is not installed")
    with pytest.raises(UsageError, match="a kind that is not known"):
        open_remote("foo://bucket/a.mp4")
    with pytest.raises(MissingExtraError, match="gs:// needs a package"):
        open_remote("gs://bucket/a.mp4")


def test_a_name_and_a_password_in_an_address_are_refused_without_them() -> None:
    for read in (open_remote, list_folder):
        with pytest.raises(UsageError, match="leave them out") as caught:
            read("memory://somebody:hunter2@bucket/a.mp4")
        assert "hunter2" not in str(caught.value)
        assert "memory://bucket/a.mp4" in str(caught.value)


def test_an_address_without_a_bucket_is_refused() -> None:
    for address in ("s3://", "s3:///dir/a.mp4"):
        with pytest.raises(UsageError, match="names no bucket: give one, as in s3://bucket/dir"):
            open_remote(address)
