"""A case in a process of its own, within limits, and the verdict on how it ended."""

from __future__ import annotations

import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from benchmarks.fuzz.case import NotFiniteError, SilentlyWrongError
from wsgn.errors import WsgnError

# Of the processor: a busy machine is no hang. What waits uses none.
LIMIT_SECONDS = 30
# Where nothing tells how much of the processor a process has used.
_LONGEST_WAIT_SECONDS = 600
_MEMORY_BYTES, _ADDRESSES_BYTES = 2e9, 12_000_000_000
# Exit codes that no command has.
_TRACEBACK, _NOT_FINITE, _WRONG = 90, 91, 92
_BUG = WsgnError.exit_code

RAN, REFUSED = "ran", "refused"
TRACEBACK, BUG, HANG, MEMORY = "traceback", "bug exit", "hang", "over 2 GB"
NOT_FINITE, WRONG = "not finite", "silently wrong"
_VERDICTS = {0: RAN, 4: RAN, _BUG: BUG, _TRACEBACK: TRACEBACK, _NOT_FINITE: NOT_FINITE,
             _WRONG: WRONG}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Ending:
    """How a process ended."""

    verdict: str
    processor_seconds: float
    peak_megabytes: float
    # The last that it said.
    said: str

    @property
    def is_bad(self) -> bool:
        """Whether this is not how a process may end."""
        return self.verdict not in (RAN, REFUSED)


class Child:
    """A process that was forked to do some work in a folder."""

    def __init__(self, work: Callable[[], int], folder: Path, place: Path) -> None:
        """`place` gets stdout and stderr, and is removed with the folder when it has ended."""
        self._folder = place
        sys.stdout.flush()
        sys.stderr.flush()
        self._process = os.fork()
        if self._process == 0:
            _become(work, folder, place)
        self._used, self._since, self._started = 0.0, time.monotonic(), time.monotonic()
        self._hangs = False

    def ended(self) -> Ending | None:
        """How it ended, if it has; one that waits for too long is ended here."""
        done, status, used = os.wait4(self._process, os.WNOHANG)
        if done:
            return self._ending(status, used)
        now, seconds = time.monotonic(), _processor_seconds(self._process)
        if seconds is None:
            self._hangs |= now - self._started > _LONGEST_WAIT_SECONDS
        elif seconds > self._used:
            self._used, self._since = seconds, now
        else:
            self._hangs |= now - self._since > LIMIT_SECONDS
        if self._hangs:
            os.kill(self._process, signal.SIGKILL)
        return None

    def wait(self) -> Ending:
        """How it ended."""
        while True:
            ending = self.ended()
            if ending is not None:
                return ending
            time.sleep(0.002)

    def _ending(self, status: int, used: resource.struct_rusage) -> Ending:
        unit = 1 if sys.platform == "darwin" else 1024
        peak = used.ru_maxrss * unit
        said = (self._folder / "stderr").read_text(encoding="utf-8", errors="replace")
        if self._hangs or (os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGXCPU):
            verdict = HANG
        elif os.WIFSIGNALED(status):
            verdict = signal.Signals(os.WTERMSIG(status)).name
        else:
            verdict = _VERDICTS.get(os.WEXITSTATUS(status), REFUSED)
            if verdict in (RAN, REFUSED) and "Traceback (most recent call last)" in said:
                verdict = TRACEBACK
        if verdict in (RAN, REFUSED) and peak > _MEMORY_BYTES:
            verdict = MEMORY
        return Ending(
            verdict=verdict,
            processor_seconds=used.ru_utime + used.ru_stime,
            peak_megabytes=peak / 1e6,
            said=said[-2000:],
        )


def _become(work: Callable[[], int], folder: Path, place: Path) -> NoReturn:
    code = _TRACEBACK
    try:
        os.chdir(folder)
        _redirect(place)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_AS, (_ADDRESSES_BYTES, _ADDRESSES_BYTES))
        # The first ends a process by a signal that Python does not catch.
        resource.setrlimit(resource.RLIMIT_CPU, (LIMIT_SECONDS, LIMIT_SECONDS + 5))
        code = _code_of(work)
        sys.stdout.flush()
    finally:
        os._exit(code)


def _redirect(place: Path) -> None:
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for number, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(os.open(place / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    # Those of a terminal, or of whoever captures what this process prints, are not the child's.
    sys.stdout, sys.stderr = (
        open(number, "w", encoding="utf-8", errors=errors, closefd=False)  # noqa: SIM115
        for number, errors in ((1, "strict"), (2, "backslashreplace"))
    )


def _code_of(work: Callable[[], int]) -> int:
    try:
        return work()
    except NotFiniteError as error:
        sys.stderr.write(f"{error}\n")
        return _NOT_FINITE
    except SilentlyWrongError as error:
        sys.stderr.write(f"{error}\n")
        return _WRONG
    except WsgnError as error:
        sys.stderr.write(f"{error}\n")
        return 3
    except BaseException:
        traceback.print_exc()
        return _TRACEBACK
    finally:
        sys.stderr.flush()


def _processor_seconds(process: int) -> float | None:
    """How much of the processor another process has used; None where the system does not tell."""
    try:
        text = Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return None
    # The name, in brackets, may hold blanks.
    user, system = text.rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / float(os.sysconf("SC_CLK_TCK"))
