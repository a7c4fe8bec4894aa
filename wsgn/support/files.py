"""Files that are there whole or not at all, and how their sizes are said."""

from __future__ import annotations

import errno
import functools
import hashlib
import os
import re
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from wsgn.errors import InputError, OutputError
from wsgn.support.mirrors import mirror_of, staging_folder
from wsgn.support.signals import hold_signals

# O_EXCL refuses a name that is taken, a link that somebody put there included; the others are not
# known everywhere.
_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL
for _name in ("O_NOFOLLOW", "O_CLOEXEC", "O_BINARY"):
    _FLAGS |= getattr(os, _name, 0)
# Descriptors that were open before the command was started: `<(command)` in a shell, a pipe.
_OPENED_BY_OTHERS = ("/dev/fd/", "/dev/stdin", "/proc/self/fd/")
_FULL = (errno.ENOSPC, errno.EDQUOT)
# A random name that is taken is drawn again so many times.
_MOST_DRAWS = 100
# Bytes of a file's name that a temporary name repeats; it has 35 more, and the least that systems
# take in all is 143 (eCryptfs; others take 255).
_MOST_REPEATED = 100


class AtomicFile:
    """A file under a hidden temporary name in its folder, until `commit` gives it its own.

    Readers and other writers of the name meet the old file or a new one, whole, also after a power
    cut. `with AtomicFile(path) as file: file.write(...)` commits at the end of the block, and on
    any error, Ctrl-C and SIGTERM included, leaves the old file and nothing else. Without `with`:
    `open`, then `write`, `commit` and always `discard`. Raises `OSError`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: BinaryIO | None = None
        self._temporary: Path | None = None

    @property
    def temporary(self) -> Path:
        """Where what has been written can be read, or written by a library, before `commit`."""
        assert self._temporary is not None
        return self._temporary

    def open(self) -> Self:
        """Make the folder and the temporary file, for everybody whom the umask lets."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(self.path.parent)
        try:
            with hold_signals():
                _draw_name(self.path, self._create)
        except BaseException:
            self.discard()
            raise
        return self

    def _create(self, temporary: Path) -> None:
        descriptor = os.open(temporary, _FLAGS, 0o666)
        self._temporary = temporary
        self._file = os.fdopen(descriptor, "wb")

    def write(self, data: bytes) -> None:
        """Write, through to the operating system."""
        assert self._file is not None
        self._file.write(data)
        self._file.flush()

    def commit(self, name: str | None = None) -> None:
        """Give the file its name, or another one in its folder, once its contents are on disk."""
        assert self._file is not None
        assert self._temporary is not None
        os.fsync(self._file.fileno())
        self._file.close()
        _give_name(self._temporary, self.path if name is None else self.path.with_name(name))
        self._temporary = None

    def discard(self) -> None:
        """Remove the temporary file; nothing happens after `commit`."""
        with hold_signals():
            # A full disk makes closing fail as well, and then there is nothing left to save.
            if self._file is not None:
                with suppress(OSError):
                    self._file.close()
            if self._temporary is not None:
                with suppress(OSError):
                    self._temporary.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        """Open it."""
        return self.open()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Commit unless that is done, or discard after an error."""
        try:
            if kind is None and self._temporary is not None:
                self.commit()
        finally:
            self.discard()


@contextmanager
def unfinished_folder(path: Path) -> Iterator[Path]:
    """A hidden folder beside `path`, for files to be checked there before `put_in_place`.

    What is still in it at the end is removed. Raises `OutputError` where it cannot be made.
    """
    made: list[Path] = []

    def make(folder: Path) -> None:
        folder.mkdir(mode=0o700)
        made.append(folder)

    try:
        with output_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            remove_leftovers(path.parent)
            with hold_signals():
                _draw_name(path, make)
        yield made[0]
    finally:
        with hold_signals():
            for folder in made:
                shutil.rmtree(folder, ignore_errors=True)


def write_whole_file(path: Path, data: bytes, *, what: str, wanted: Path | None = None) -> None:
    """Write an `AtomicFile`; folders are made as needed.

    Raises `OutputError`, which names the file as `what`, where it cannot be written. `wanted` is
    the name that the user knows it by, where that is another one.
    """
    with output_errors(f"{what} {wanted or path}"), AtomicFile(path) as file:
        file.write(data)


def put_in_place(file: Path, path: Path) -> None:
    """Give a whole file, of the same disk, its name. Raises `OutputError`."""
    with output_errors(path):
        _give_name(file, path)


def _give_name(file: Path, path: Path) -> None:
    """Bring a whole file to where its path belongs. Raises `OSError`."""
    if (found := mirror_of(path)) is None:
        file.replace(path)
        sync_folder(path.parent)
        return
    mirror, name = found
    mirror.put(file, name)
    file.unlink()


@contextmanager
def output_errors(what: Path | str) -> Iterator[None]:
    """Turn what the operating system says of a file that is written into an `OutputError`."""
    try:
        yield
    except OSError as error:
        reason = _reason(error)
        # The place has room; the disk of temporary files has none.
        if error.errno in _FULL and (folder := staging_folder(str(what))) is not None:
            reason += f" in {folder}, where it is made before it is uploaded (TMPDIR names another)"
        raise OutputError(f"{what} cannot be written: {reason}.") from error


@contextmanager
def input_errors(what: Path | str) -> Iterator[None]:
    """Turn what the operating system says of a file or folder that is read into an `InputError`."""
    try:
        yield
    except OSError as error:
        raise InputError(f"{what} cannot be read: {_reason(error)}.") from error


def _reason(error: OSError) -> str:
    return error.strerror or str(error) or type(error).__name__


def name_problem(path: Path) -> str | None:
    """Why a file cannot have this name in its folder, which is there; None where it can."""
    try:
        is_folder = stat.S_ISDIR(path.lstat().st_mode)
    except FileNotFoundError:
        return None
    except OSError as error:
        return (error.strerror or str(error)).lower()
    # A null character, or a letter that the file system's encoding lacks.
    except ValueError:
        return "no file can have this name"
    return "a folder has this name" if is_folder else None


@contextmanager
def no_empty_folder(path: Path) -> Iterator[None]:
    """Where the block makes a folder, or those above it, and nothing comes into it, it goes."""
    # Unlike Path.exists, without an error for a name that no folder can have.
    lacking = [folder for folder in (path, *path.parents) if not os.path.lexists(folder)]
    try:
        yield
    finally:
        for folder in lacking:
            # One that holds something stays, and one that could not be made was never there.
            with suppress(OSError):
                folder.rmdir()


@contextmanager
def new_folder(path: Path) -> Iterator[None]:
    """A folder for results, made where it lacks; it does not stay where nothing came into it.

    Raises `OutputError` where it cannot be made.
    """
    with no_empty_folder(path):
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"the folder {path} cannot be made: {error.strerror}.") from error
        yield


def check_folder(path: Path) -> None:
    """Make the folder of a file that will be written. Raises `OutputError`."""
    with output_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    if not os.access(path.parent, os.W_OK):
        raise OutputError(f"{path} cannot be written: {path.parent} may not be written to.")


def require_present(paths: Sequence[Path]) -> None:
    """Raise `OutputError` where files that were written are gone before the command has ended."""
    # A store has said of each file that it has it.
    gone = [path for path in paths if mirror_of(path) is None and not os.path.lexists(path)]
    if gone:
        raise OutputError(
            f"{len(gone)} of {len(paths)} files that were written are gone, the first is "
            f"{gone[0]}: its folder was removed or emptied meanwhile; run it again."
        )


def remove_leftovers(folder: Path) -> None:
    """Remove what killed processes left of any `AtomicFile` or unfinished folder in a folder.

    Only where it is certain that nobody writes it any more: the process was one of this machine
    since it was started, and is gone. What cannot be removed stays.
    """
    pattern = re.compile(rf"\..+\.{_machine()}-([1-9][0-9]*)-[0-9a-f]{{8}}\.tmp", re.DOTALL)
    # A ValueError is a name that no folder can have.
    with suppress(OSError, ValueError):
        # Not by iterdir: a folder may hold many thousand files, and this is done for each.
        for name in os.listdir(folder):  # noqa: PTH208
            found = pattern.fullmatch(name) if name.endswith(".tmp") else None
            if found is not None and _is_gone(int(found[1])):
                _remove(folder / name)


@contextmanager
def leftovers_removed(files: Iterable[Path]) -> Iterator[None]:
    """After a block whose workers may have been killed: what they left beside these files goes."""
    try:
        yield
    finally:
        for folder in {path.parent for path in files}:
            remove_leftovers(folder)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk, where the system can. Raises `OSError`."""
    # Windows cannot open folders; there the rename alone has to do.
    if os.name != "posix":
        return
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except PermissionError:
        # A folder that may be written but not listed.
        return
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some file systems have nothing of the kind for folders.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)


def no_regular_file(path: Path) -> str:
    """What a path names that is there and is no file or folder, such as "a FIFO"; else empty.

    Reading one could wait for ever, or never end. What a shell has opened for a command and names
    as /dev/fd/N is taken for a file. Raises `OSError` where nothing is there.
    """
    mode = path.stat().st_mode
    if stat.S_ISREG(mode) or stat.S_ISDIR(mode):
        return ""
    if os.fspath(path).startswith(_OPENED_BY_OTHERS) and not stat.S_ISCHR(mode):
        return ""
    kinds = (
        (stat.S_ISFIFO, "a FIFO"),
        (stat.S_ISSOCK, "a socket"),
        (stat.S_ISCHR, "a device"),
        (stat.S_ISBLK, "a device"),
    )
    return next((words for is_kind, words in kinds if is_kind(mode)), "no file")


def require_file(path: Path, what: Path | str) -> None:
    """Refuse as an input, named `what`, what `no_regular_file` finds. Raises `OSError` as that."""
    if kind := no_regular_file(path):
        raise InputError(f"{what} is {kind} where a file is needed.")


def file_sha256(path: Path, what: str | None = None) -> str:
    """Hash of a file's content, in hexadecimal digits. Raises `InputError`, which names `what`."""
    with input_errors(what or f"'{path}'"):
        require_file(path, what or f"'{path}'")
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


def size_in_words(num_bytes: int) -> str:
    """ "2.35 MB", and "8.1 kB" where that would be nearly nothing."""
    if num_bytes < 100_000:
        return f"{num_bytes / 1e3:.1f} kB"
    return f"{num_bytes / 1e6:.2f} MB"


def _draw_name(path: Path, create: Callable[[Path], None]) -> None:
    """Let `create` make something under a temporary name beside `path` that is still free."""
    for _ in range(_MOST_DRAWS - 1):
        with suppress(FileExistsError):
            create(_temporary(path))
            return
    create(_temporary(path))


def _temporary(path: Path) -> Path:
    """A random name, which says which process of which machine has drawn it."""
    owner = f"{_machine()}-{os.getpid()}-{os.urandom(4).hex()}"
    return path.with_name(f".{_label(path)}.{owner}.tmp")


def _label(path: Path) -> str:
    """The file's name, or what stands for one that is too long to be repeated."""
    name = os.fsencode(path.name)
    return path.name if len(name) <= _MOST_REPEATED else hashlib.sha256(name).hexdigest()[:16]


@functools.cache
def _machine() -> str:
    """What tells apart where process numbers mean different processes: hosts, starts, containers.

    A folder may be shared by several of them.
    """
    facts = [os.uname().nodename] if os.name == "posix" else []
    with suppress(OSError):
        facts.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii"))
        facts.append(str(Path("/proc/self/ns/pid").readlink()))
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()[:8]


def _is_gone(process: int) -> bool:
    # Elsewhere asking would end the process.
    if os.name != "posix":
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        # It belongs to somebody else.
        return False
    return False
