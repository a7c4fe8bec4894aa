"""What commands, and the processes of a cluster meanwhile, take of all processors; of Linux."""

from __future__ import annotations

import os
import resource
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

_LOOK_SECONDS = 0.2


class ProcessorTime(threading.Thread):
    """Seconds of all commands that have ended since it was started, and of a cluster meanwhile.

    Ray counts no time of actors that have ended, so that they are looked at while they live.
    """

    def __init__(self, roots: Sequence[int]) -> None:
        super().__init__(daemon=True)
        self._roots = roots
        self._ended = threading.Event()
        self._before = self._look()
        self._last = dict(self._before)
        self._commands = _of_ended()

    def run(self) -> None:
        """Look at the cluster's processes from time to time."""
        while self._roots and not self._ended.wait(_LOOK_SECONDS):
            self._last |= self._look()

    def seconds(self) -> float:
        """Until now; the last look."""
        self._ended.set()
        self._last |= self._look()
        cluster = sum(last - self._before.get(one, 0.0) for one, last in self._last.items())
        return _of_ended() - self._commands + cluster

    def _look(self) -> dict[int, float]:
        """Of each process of the cluster, without its children."""
        if not self._roots:
            return {}
        below: dict[str, list[int]] = {}
        for number, _ in processes():
            if fields := _stat(number):
                below.setdefault(fields[1], []).append(number)
        found, waiting = {}, list(self._roots)
        while waiting:
            process = waiting.pop()
            if fields := _stat(process):
                found[process] = sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")
            waiting += below.get(str(process), [])
        return found


def _of_ended() -> float:
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return ended.ru_utime + ended.ru_stime


def children(process: int) -> list[int]:
    """Numbers of those that it has started, and that live."""
    return [number for number, _ in processes() if _stat(number)[1:2] == [str(process)]]


def processes() -> Iterator[tuple[int, str]]:
    """Numbers and command lines."""
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                yield int(folder.name), (folder / "cmdline").read_bytes().decode(errors="replace")
            except OSError:
                continue


def _stat(process: int) -> list[str]:
    """The fields of /proc/N/stat from the state on; empty where it is gone."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []
