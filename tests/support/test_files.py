"""Files that are there whole or not at all."""

from __future__ import annotations

import errno
import os
import random
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from leftovers import left_by_a_killed_run

from wsgn.errors import InputError, OutputError
from wsgn.support import files
from wsgn.support.files import (
    AtomicFile,
    input_errors,
    new_folder,
    no_regular_file,
    put_in_place,
    require_present,
    size_in_words,
    sync_folder,
    unfinished_folder,
    write_whole_file,
)

NUM_CHUNKS, CHUNK_BYTES = 8, 20_000


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def cut_off(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    """Let every file end before it has its name."""

    def sync(descriptor: int) -> None:
        raise error

    monkeypatch.setattr(os, "fsync", sync)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(143), MemoryError()])
def test_a_write_that_is_cut_off_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    (tmp_path / "a").write_bytes(b"old")
    cut_off(monkeypatch, error)
    with pytest.raises(type(error)):
        write_whole_file(tmp_path / "a", b"new", what="it")
    assert names(tmp_path) == ["a"]
    assert (tmp_path / "a").read_bytes() == b"old"


def test_an_error_in_the_block_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(TypeError), AtomicFile(tmp_path / "a") as file:
        file.write("no bytes")  # type: ignore[arg-type]
    assert names(tmp_path) == []


def test_two_files_of_one_name_in_one_process_do_not_meet(tmp_path: Path) -> None:
    with AtomicFile(tmp_path / "a") as first, AtomicFile(tmp_path / "a") as second:
        first.write(b"first")
        second.write(b"second")
        assert first.temporary.read_bytes() == b"first"
    assert (tmp_path / "a").read_bytes() == b"first"
    assert names(tmp_path) == ["a"]


def test_the_error_says_the_name_that_the_user_knows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut_off(monkeypatch, OSError(28, "No space left on device"))
    with pytest.raises(OutputError, match=r"^it /b cannot be written: No space left on device\.$"):
        write_whole_file(tmp_path / "a", b"new", what="it", wanted=Path("/b"))
    assert not list(tmp_path.iterdir())


def test_a_file_is_for_whom_the_umask_says(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_whole_file(tmp_path / "a", b"", what="it")
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("name", ["a" * 255, "\u00e4" * 127, "a\nb*[?].json"])
def test_every_name_that_a_file_can_have_will_do(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    assert left_by_a_killed_run(path).name.startswith(".")
    write_whole_file(path, b"whole", what="it")
    assert names(tmp_path) == [name]


@pytest.mark.parametrize("folder", [False, True])
def test_what_killed_runs_left_goes_when_a_file_is_written_beside_it(
    tmp_path: Path, *, folder: bool
) -> None:
    """Also of files that nobody writes again."""
    left_by_a_killed_run(tmp_path / "a", folder=folder)
    of_another_file = left_by_a_killed_run(tmp_path / "b.safetensors")
    write_whole_file(tmp_path / "a", b"whole", what="it")
    assert not of_another_file.exists()
    assert names(tmp_path) == ["a"]


def test_what_may_still_be_written_stays(tmp_path: Path) -> None:
    left = left_by_a_killed_run(tmp_path / "a")
    machine, number, _ = left.name.removeprefix(".a.").split("-")
    for owner in (f"00000000-{number}", f"{machine}-{os.getpid()}", f"{machine}-{os.getppid()}"):
        (tmp_path / f".a.{owner}-0123abcd.tmp").write_bytes(b"half")
    for name in (f".a.{machine}-{number}-short.tmp", f".a.{machine}-0-0123abcd.tmp", ".a.tmp"):
        (tmp_path / name).write_bytes(b"of somebody else")
    expected = {*names(tmp_path), "a"} - {left.name}
    write_whole_file(tmp_path / "a", b"whole", what="it")
    assert set(names(tmp_path)) == expected


def test_what_a_process_of_another_user_may_still_write_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(process: int, number: int) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    left = left_by_a_killed_run(tmp_path / "a")
    monkeypatch.setattr(os, "kill", refuse)
    write_whole_file(tmp_path / "a", b"whole", what="it")
    assert names(tmp_path) == [left.name, "a"]


@pytest.mark.parametrize("victim_exists", [True, False])
def test_a_planted_link_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, victim_exists: bool
) -> None:
    victim, folder = tmp_path / "victim", tmp_path / "out"
    folder.mkdir()
    if victim_exists:
        victim.write_bytes(b"precious")
    planted, free = folder / ".planted", folder / ".free"
    planted.symlink_to(victim)
    (folder / "a").symlink_to(victim)
    drawn = iter([planted, planted, free])
    monkeypatch.setattr(files, "_temporary", lambda path: next(drawn))
    write_whole_file(folder / "a", b"new", what="it")
    assert victim.exists() == victim_exists
    assert not victim_exists or victim.read_bytes() == b"precious"
    assert planted.readlink() == victim
    assert not (folder / "a").is_symlink()
    assert (folder / "a").read_bytes() == b"new"
    assert names(folder) == [".planted", "a"]


def test_where_every_name_is_taken_nothing_of_others_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".taken").write_bytes(b"precious")
    monkeypatch.setattr(files, "_temporary", lambda path: tmp_path / ".taken")
    with pytest.raises(OutputError, match=r"it .*/a cannot be written: File exists\."):
        write_whole_file(tmp_path / "a", b"new", what="it")
    with pytest.raises(OutputError, match="cannot be written"), unfinished_folder(tmp_path / "a"):
        pass
    assert (tmp_path / ".taken").read_bytes() == b"precious"


def test_a_folder_is_unfinished_until_its_file_is_in_place(tmp_path: Path) -> None:
    with unfinished_folder(tmp_path / "new" / "a") as folder:
        assert folder.parent == tmp_path / "new"
        write_whole_file(folder / "a", b"whole", what="it")
        write_whole_file(folder / "b", b"not wanted", what="it")
        assert names(tmp_path / "new") == [folder.name]
        put_in_place(folder / "a", tmp_path / "new" / "a")
    assert names(tmp_path / "new") == ["a"]


def fail_in(folder: Path, result: str | None = None) -> None:
    with new_folder(folder):
        if result is not None:
            (folder / result).write_bytes(b"")
        raise KeyboardInterrupt


def test_a_new_folder_goes_again_where_nothing_came_into_it(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    for path in (tmp_path / "old", tmp_path / "new", tmp_path / "old" / "deep" / "er"):
        with pytest.raises(KeyboardInterrupt):
            fail_in(path)
    assert names(tmp_path) == ["old"]
    assert names(tmp_path / "old") == []
    with pytest.raises(KeyboardInterrupt):
        fail_in(tmp_path / "new" / "used", "a")
    assert (tmp_path / "new" / "used" / "a").exists()
    with new_folder(tmp_path / "empty"), new_folder(tmp_path / "old"):
        pass
    assert names(tmp_path) == ["new", "old"]
    with pytest.raises(OutputError, match="cannot be made"):
        fail_in(tmp_path / "new" / "used" / "a" / "b")


@pytest.mark.parametrize("name", ["x" * 300, "a/" + "x" * 300])
def test_a_folder_that_can_have_no_such_name_is_told(tmp_path: Path, name: str) -> None:
    refused = pytest.raises(OutputError, match="cannot be made: File name too long")
    with refused, new_folder(tmp_path / name):
        pass
    assert list(tmp_path.iterdir()) == []


def test_files_that_are_gone_are_told(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"")
    require_present([tmp_path / "a"])
    with pytest.raises(OutputError, match=r"1 of 2 files that were written are gone.*/b: "):
        require_present([tmp_path / "a", tmp_path / "b"])


def test_what_the_system_says_of_an_input_is_one_sentence(tmp_path: Path) -> None:
    sentence = r"^it cannot be read: No such file or directory\.$"
    with pytest.raises(InputError, match=sentence), input_errors("it"):
        (tmp_path / "none").read_bytes()
    for error, reason in ((OSError("odd"), "odd"), (OSError(), "OSError")):
        sentence = rf"cannot be read: {reason}\.$"
        with pytest.raises(InputError, match=sentence) as caught, input_errors(tmp_path):
            raise error
        assert caught.value.__cause__ is error
    with pytest.raises(ValueError, match="odd"), input_errors("it"):
        raise ValueError("odd")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no FIFOs")
def test_what_is_no_file_is_named(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to(tmp_path / "fifo")
    with socket.socket(socket.AF_UNIX) as server:
        before = Path.cwd()
        os.chdir(tmp_path)  # The address of a socket must be short.
        try:
            server.bind("socket")
        finally:
            os.chdir(before)
        found = [no_regular_file(tmp_path / name) for name in ("fifo", "link", "socket")]
    assert found == ["a FIFO", "a FIFO", "a socket"]
    assert no_regular_file(Path("/dev/null")) == "a device"
    (tmp_path / "a").write_bytes(b"")
    assert no_regular_file(tmp_path / "a") == no_regular_file(tmp_path) == ""
    with pytest.raises(FileNotFoundError):
        no_regular_file(tmp_path / "none")


@pytest.mark.skipif(not Path("/dev/fd").exists(), reason="this system has no /dev/fd")
def test_what_a_shell_has_opened_is_a_file() -> None:
    reader, writer = os.pipe()
    try:
        assert no_regular_file(Path(f"/dev/fd/{reader}")) == ""
    finally:
        os.close(reader)
        os.close(writer)


def test_a_file_system_that_cannot_sync_folders_will_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut_off(monkeypatch, OSError(errno.EINVAL, "Invalid argument"))
    sync_folder(tmp_path)
    cut_off(monkeypatch, OSError(errno.EIO, "Input/output error"))
    with pytest.raises(OSError, match="Input/output"):
        sync_folder(tmp_path)


# Writes a file again and again in chunks of one byte value, another one each time, and says each
# chunk before it is written.
WRITER = """
import sys
from pathlib import Path
from wsgn.support.files import AtomicFile
path, first, count, num_chunks, num_bytes = Path(sys.argv[1]), *map(int, sys.argv[2:])
for value in range(first, first + count):
    with AtomicFile(path) as file:
        for _ in range(num_chunks):
            sys.stdout.write("."); sys.stdout.flush()
            file.write(bytes([value % 256]) * num_bytes)
"""


def start_writer(path: Path, first: int, count: int) -> subprocess.Popen[bytes]:
    numbers = map(str, (first, count, NUM_CHUNKS, CHUNK_BYTES))
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), *numbers], stdout=subprocess.PIPE
    )


def value_of(path: Path) -> int:
    """The byte that the whole file is made of."""
    data = path.read_bytes()
    assert len(data) == NUM_CHUNKS * CHUNK_BYTES
    (value,) = set(data)
    return value


@pytest.fixture
def written(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "a"
    write_whole_file(path, bytes(NUM_CHUNKS * CHUNK_BYTES), what="it")
    yield path
    # Whatever has happened, the next writer finds nothing in its way and leaves nothing else.
    write_whole_file(path, b"end", what="it")
    assert names(tmp_path) == ["a"]


def test_two_writers_of_one_name_never_tear_it(written: Path) -> None:
    writers = [start_writer(written, first, 40) for first in (1, 101)]
    found = set()
    while any(writer.poll() is None for writer in writers):
        found.add(value_of(written))
    for writer in writers:
        writer.communicate()
        assert writer.returncode == 0
    assert found <= {0, *range(1, 41), *range(101, 141)}
    assert value_of(written) in (40, 140)
    assert names(written.parent) == ["a"]


def test_a_writer_that_is_killed_leaves_the_old_file_or_the_new_one(written: Path) -> None:
    draw, before = random.Random(0), 0
    for first in range(1, 7):
        writer = start_writer(written, 20 * first, 20)
        assert writer.stdout is not None
        num_said = draw.randrange(1, 12 * NUM_CHUNKS)
        writer.stdout.read(num_said)
        writer.kill()
        num_said += len(writer.communicate()[0])
        # Files that the writer has begun; the last one may have got its name or not.
        num_begun = -(-num_said // NUM_CHUNKS)
        newest = 20 * first + num_begun - 1
        assert value_of(written) in (before if num_begun == 1 else newest - 1, newest)
        before = value_of(written)


def test_small_files_have_a_size_too() -> None:
    assert [size_in_words(n) for n in (0, 4_321, 99_999, 100_000, 2_345_678)] == [
        "0.0 kB",
        "4.3 kB",
        "100.0 kB",
        "0.10 MB",
        "2.35 MB",
    ]
