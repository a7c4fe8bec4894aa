"""Kills commands at random moments, and holds what they left against a run that nobody disturbed.

    python -m benchmarks.kills run train features convert to_onnx --kills 200 -o runs/kills

Half of the kills come after a random time, half when the process is about to touch a file for the
n-th time. After each, every file under a name of its own must be one that the undisturbed run wrote
under it, to the byte; then the command is run again in the same folder, is perhaps killed again,
and what it has made when it ends must be equal, to the byte, with nothing beside it.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import hashlib
import importlib
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from benchmarks.killed_commands import CHECKPOINT_EVERY, COMMANDS, Command
from benchmarks.results import add_output, describe_machine, publish
from benchmarks.tables import table
from wsgn.errors import UsageError, WsgnError
from wsgn.support.command import run_command

# Kills of one run and those that follow it in its folder, before one is let alone.
_MOST_IN_A_ROW = 8
# A run that takes longer hangs.
_HANG_SECONDS = 300.0
_OLD = b"an earlier version"
# What Python says before it changes something among the files.
_CHANGES = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "shutil.rmtree")


@dataclass(kw_only=True)
class Tally:
    """What became of the kills of one command."""

    command: str
    after_a_time: int = 0
    before_a_change: int = 0
    # Kills that left a file under a temporary name.
    while_writing: int = 0
    # Runs that were let to their end, and were held against the undisturbed one.
    whole_runs: int = 0
    complaints: list[str] = field(default_factory=list)

    @property
    def kills(self) -> int:
        """All of them."""
        return self.after_a_time + self.before_a_change


@dataclass(frozen=True, kw_only=True)
class Reference:
    """The run that nobody disturbed."""

    seconds: float
    # Changes among the files.
    changes: int
    # By name: the checksums of what was written under it, in their order.
    versions: dict[str, list[str]]
    # The lines of the log without the time that each took.
    log: list[list[str]]


class FoundError(WsgnError):
    """Something was lost, torn, or presented as finished."""


def main(argv: Sequence[str] | None = None) -> int:
    """Kill, compare, report; 1 where anything was found."""
    return run_command("benchmarks.kills", lambda: _run(_parser().parse_args(argv)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.kills", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("commands", nargs="+", choices=tuple(COMMANDS), metavar="COMMAND",
                        help=f"of {', '.join(COMMANDS)}")  # fmt: skip
    parser.add_argument("--kills", type=int, default=200, help="of each (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="(default: %(default)s)")
    add_output(parser)
    return parser


def _run(arguments: argparse.Namespace) -> int:
    if not hasattr(os, "fork"):
        raise UsageError("killing needs a system with fork: Linux or macOS.")
    if arguments.kills < 1:
        raise UsageError(f"--kills must be at least 1, got {arguments.kills}.")
    machine = describe_machine()
    tallies = []
    for name in arguments.commands:
        with tempfile.TemporaryDirectory(prefix="wsgn-kills-") as folder:
            killer = Killer(COMMANDS[name], Path(folder), random.Random(arguments.seed))
            tallies.append(killer.kill(arguments.kills))
    rows = [
        (t.command, t.kills, t.after_a_time, t.before_a_change, t.while_writing, t.whole_runs,
         len(t.complaints))
        for t in tallies
    ]  # fmt: skip
    heading = ("command", "kills", "after a time", "before a change", "left a temporary file",
               "whole runs", "found")  # fmt: skip
    document = {"seed": arguments.seed, "commands": [asdict(tally) for tally in tallies]}
    publish(arguments.output, document, table(heading, rows), machine)
    found = [f"{tally.command}: {words}" for tally in tallies for words in tally.complaints]
    if found:
        raise FoundError(f"{len(found)} found: {'; '.join(found)}.")
    return 0


class Killer:
    """Kills one command, in a folder of its own."""

    def __init__(self, command: Command, folder: Path, draw: random.Random) -> None:
        self._command = command
        self._draw = draw
        self._inputs = folder / "inputs"
        self._folder = folder
        self._said = folder / "said.txt"
        self._tally = Tally(command=command.name)

    def kill(self, count: int) -> Tally:
        """Kill it so often; what was found."""
        # Before it is loaded, and several threads would take turns.
        os.environ["OMP_NUM_THREADS"] = "1"
        self._inputs.mkdir()
        self._wait(_forked(self._make, self._said))
        self._reference = self._undisturbed()
        while self._tally.kills < count and len(self._tally.complaints) < count:
            self._one_folder(count)
        return self._tally

    def _make(self) -> int:
        self._command.make(self._inputs)
        return 0

    def _undisturbed(self) -> Reference:
        notes = self._folder / "notes.json"

        def work() -> int:
            changes = _Changes(output)
            code = self._command.main(self._command.words(self._inputs, output))
            versions = {n: v for n, v in changes.versions.items() if n != self._command.log}
            notes.write_text(json.dumps([changes.count, versions, list(sys.modules)]))
            return code

        # Twice: what the first one has loaded is loaded here, so that none has to again.
        for _ in range(2):
            output = self._new_output("undisturbed")
            started = time.monotonic()
            self._wait(_forked(work, self._said))
            seconds = time.monotonic() - started
            count, versions, modules = json.loads(notes.read_text())
            _load(modules)
        log = [] if self._command.log is None else _lines(output / self._command.log)
        return Reference(seconds=seconds, changes=count, versions=versions, log=log)

    def _one_folder(self, count: int) -> None:
        """Kills in a row in one folder, then a run to the end."""
        output = self._new_output("killed")
        for _ in range(self._draw.randint(1, _MOST_IN_A_ROW)):
            if self._tally.kills == count or not self._killed(output):
                break
            self._complain(self._wrong_after_a_kill(output))
        self._wait(_forked(lambda: self._again(output), self._said))
        self._tally.whole_runs += 1
        self._complain(self._wrong_at_the_end(output))

    def _again(self, output: Path) -> int:
        return self._command.main(self._command.words(self._inputs, output))

    def _killed(self, output: Path) -> bool:
        """Start it and kill it; False where it was done before that."""
        by_time = self._draw.random() < 0.5
        after_seconds = self._draw.uniform(0, self._reference.seconds)
        at_change = self._draw.randint(1, self._reference.changes)

        def work() -> int:
            if not by_time:
                _Changes(output, last=at_change)
            return self._again(output)

        process = _forked(work, self._said)
        if by_time:
            time.sleep(after_seconds)
            os.kill(process, signal.SIGKILL)
        if not self._wait(process):
            return False
        if by_time:
            self._tally.after_a_time += 1
        else:
            self._tally.before_a_change += 1
        self._tally.while_writing += any(_is_temporary(name) for name in _names(output))
        return True

    def _wait(self, process: int) -> bool:
        """Whether it was killed; it must end well, or so."""
        until = time.monotonic() + _HANG_SECONDS
        while True:
            done, status = os.waitpid(process, os.WNOHANG)
            if done:
                break
            if time.monotonic() > until:
                os.kill(process, signal.SIGKILL)
                os.waitpid(process, 0)
                raise FoundError(f"{self._command.name} hangs.")
            time.sleep(0.005)
        if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
            return True
        if status != 0:
            said = self._said.read_text(errors="replace").strip().splitlines() or ["nothing"]
            self._complain([f"ended with status {status} and said: {said[-1]}"])
        return False

    def _wrong_after_a_kill(self, output: Path) -> list[str]:
        wrong = []
        for name in _names(output):
            known = self._reference.versions.get(name, [])
            if _is_temporary(name) or name == self._command.log:
                continue
            if _checksum(output / name) not in [*known, *self._old(name)]:
                wrong.append(f"{name} is there and is none that the undisturbed run wrote")
        return [*wrong, *self._wrong_log(output, whole=False)]

    def _wrong_at_the_end(self, output: Path) -> list[str]:
        versions = self._reference.versions
        names = {name for name in _names(output) if name != self._command.log}
        wrong = [f"{name} is left over" for name in sorted(names - set(versions))]
        wrong += [f"{name} is missing" for name in sorted(set(versions) - names)]
        wrong += [
            f"{name} differs at the end"
            for name in sorted(names & set(versions))
            if _checksum(output / name) != versions[name][-1]
        ]
        return [*wrong, *self._wrong_log(output, whole=True)]

    def _wrong_log(self, output: Path, *, whole: bool) -> list[str]:
        """The log must have every line until the last checkpoint, and none that is another."""
        if self._command.log is None:
            return []
        path, last, wanted = output / self._command.log, output / "last.safetensors", 0
        lines = _lines(path) if path.exists() else []
        if last.exists() and _checksum(last) in self._reference.versions[last.name]:
            place = self._reference.versions[last.name].index(_checksum(last))
            # The heading, too.
            wanted = 1 + (place + 1) * CHECKPOINT_EVERY
        if lines != self._reference.log[: len(lines)]:
            return [f"{path.name} has other lines"]
        if len(lines) < (len(self._reference.log) if whole else wanted):
            return [f"{path.name} has lost lines: {len(lines)} of {wanted} are there"]
        return []

    def _old(self, name: str) -> list[str]:
        return [hashlib.sha256(_OLD).hexdigest()] if name == self._command.old else []

    def _new_output(self, name: str) -> Path:
        # Of one name, which pages for people hold.
        output = self._folder / name / "output"
        shutil.rmtree(output, ignore_errors=True)
        output.mkdir(parents=True)
        if self._command.old is not None:
            (output / self._command.old).write_bytes(_OLD)
        return output

    def _complain(self, complaints: Sequence[str]) -> None:
        self._tally.complaints += [f"kill {self._tally.kills}: {words}" for words in complaints]


class _Changes:
    """Counts what a process changes below a folder; before change `last` it is killed."""

    def __init__(self, folder: Path, *, last: int | None = None) -> None:
        self._folder = folder
        self._last = last
        # Workers rename at the same time.
        self._reading = threading.local()
        self.count = 0
        self.versions: dict[str, list[str]] = {}
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if getattr(self._reading, "now", False) or not _is_change(event, arguments):
            return
        path = str(arguments[1 if event == "os.rename" else 0])
        if not path.startswith(str(self._folder)):
            return
        self.count += 1
        if self.count == self._last:
            os.kill(os.getpid(), signal.SIGKILL)
        if event == "os.rename" and self._last is None:
            self._reading.now = True
            name = str(Path(path).relative_to(self._folder))
            if not _is_temporary(name):
                self.versions.setdefault(name, []).append(_checksum(Path(str(arguments[0]))))
            self._reading.now = False


def _is_change(event: str, arguments: tuple[Any, ...]) -> bool:
    if event == "open":
        return isinstance(arguments[0], str | os.PathLike) and bool(
            arguments[2] & (os.O_WRONLY | os.O_RDWR)
        )
    return event in _CHANGES


def _forked(work: Callable[[], int], said: Path) -> int:
    """Do some work in a process of its own, whose words go to a file; its number."""
    sys.stdout.flush()
    sys.stderr.flush()
    process = os.fork()
    if process == 0:
        _become(work, said)
    return process


def _become(work: Callable[[], int], said: Path) -> NoReturn:
    code = 70
    try:
        descriptor = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for stream in (1, 2):
            os.dup2(descriptor, stream)
        code = work()
        sys.stdout.flush()
    finally:
        os._exit(code)


def _load(modules: Sequence[str]) -> None:
    for name in modules:
        # Some are no modules that can be asked for, and are not needed then.
        with contextlib.suppress(Exception):
            importlib.import_module(name)


def _names(folder: Path) -> list[str]:
    """Of the files below a folder."""
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if not p.is_dir())


def _is_temporary(name: str) -> bool:
    return any(part.startswith(".") and part.endswith(".tmp") for part in Path(name).parts)


def _checksum(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _lines(path: Path) -> list[list[str]]:
    """Of a log, whole ones only, without the time that each step took."""
    text = path.read_text(encoding="utf-8")
    whole = text[: text.rfind("\n") + 1]
    return [line[:-1] for line in csv.reader(whole.splitlines())]


if __name__ == "__main__":
    sys.exit(main())
