"""Kills a live run again and again, and looks at what the next one goes on from.

    python -m benchmarks.live_kills --kills 20 -o runs/live_kills

Every second kill comes while a state is being written, the others after a random time. After each,
every state must be whole and at most ten seconds old; the next run must go on from it: media times
as if nobody had killed, statistics that grow, ids that were never given before.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.live_runs import (
    DEMO,
    LiveError,
    LiveRun,
    RtspServer,
    sample_clip,
    stood_seconds,
)
from benchmarks.results import add_output, describe_machine, publish
from benchmarks.tables import table
from wsgn.errors import UsageError
from wsgn.support.command import run_command

# How often states are saved, and how long it may take until one is on the disk of a busy machine.
_SAVE_SECONDS, _SLACK_SECONDS = 10.0, 3.0
# The wall clock of media time 0 may be so much elsewhere in the next run: it is an estimate from
# how quickly pictures arrive.
_SAME_CLOCK_SECONDS = 1.5
_TERMINATED = 143
_SUFFIX = ".state.npz"


@dataclass(frozen=True, kw_only=True)
class Kept:
    """What the state of one camera says."""

    media_seconds: float
    unix_seconds: float
    # That were scored, since the first run.
    snippets: int
    # Announced, and without a `segment` when it was written.
    open_ids: frozenset[int]


@dataclass(kw_only=True)
class Tally:
    """What became of the kills."""

    kills: int = 0
    # Kills that left a file under a temporary name.
    while_writing: int = 0
    states: int = 0
    # What each kill cost each camera: from its last picture in the state to the kill, or from the
    # first picture of the run that was killed.
    forgotten_seconds: list[float] = field(default_factory=list)
    torn_lines: int = 0
    segments: int = 0
    complaints: list[str] = field(default_factory=list)


def main(argv: Sequence[str] | None = None) -> int:
    """Kill, look, report; 1 where anything was found."""
    return run_command("benchmarks.live_kills", lambda: _run(_parser().parse_args(argv)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.live_kills", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--engine", type=Path, default=DEMO,
                        help="on frames (default: the packaged one)")  # fmt: skip
    parser.add_argument("--kills", type=int, default=20, help="(default: %(default)s)")
    parser.add_argument("--cameras", type=int, default=2, help="(default: %(default)s)")
    parser.add_argument("--longest", type=float, default=25.0, metavar="S",
                        help="most that a run lives (default: %(default)s)")  # fmt: skip
    parser.add_argument("--seed", type=int, default=0, help="(default: %(default)s)")
    add_output(parser)
    return parser


def _run(arguments: argparse.Namespace) -> int:
    for name in ("kills", "cameras"):
        if getattr(arguments, name) < 1:
            raise UsageError(f"--{name} must be at least 1, got {getattr(arguments, name)}.")
    machine = describe_machine()
    with tempfile.TemporaryDirectory(prefix="wsgn-kills-") as folder, RtspServer() as server:
        cameras = [server.add(f"camera{n}", sample_clip()) for n in range(arguments.cameras)]
        words = [camera.url for camera in cameras]
        killer = _Killer(arguments, words, Path(folder))
        tally = killer.kill()
    worst = max(tally.forgotten_seconds)
    rows = [
        ("kills", tally.kills),
        ("of them while a state was written", tally.while_writing),
        ("states looked at", tally.states),
        ("segments", tally.segments),
        ("forgotten, median", f"{float(np.median(tally.forgotten_seconds)):.1f} s"),
        ("forgotten, most", f"{worst:.1f} s"),
        ("found", len(tally.complaints)),
    ]
    publish(arguments.output, {"seed": arguments.seed, **asdict(tally)},
            table(("", ""), rows), machine)  # fmt: skip
    if tally.complaints:
        raise LiveError(f"{len(tally.complaints)} found: {'; '.join(tally.complaints)}.")
    return 0


class _Killer:
    """Kills one run after another, over the same cameras and folders."""

    def __init__(self, arguments: argparse.Namespace, urls: list[str], folder: Path) -> None:
        self._arguments = arguments
        self._draw = random.Random(arguments.seed)
        self._folder = folder
        self._states, self._events = folder / "state", folder / "events"
        self._words = [*urls, "-e", str(arguments.engine), "-o", str(self._events)]
        self._words += ["--state", str(self._states), "-q"]
        self._tally = Tally()
        # By camera: the state before, and all ids that were given.
        self._kept: dict[str, Kept] = {}
        self._ids: dict[str, set[int]] = {}
        # By camera: media time 0 on the wall clock, as the first run said, and how exactly.
        self._zero: dict[str, tuple[float, float]] = {}

    def kill(self) -> Tally:
        """All kills, between two runs that end in order."""
        self._in_order()
        while self._tally.kills < self._arguments.kills:
            self._killed()
        self._in_order()
        self._look_at_files()
        return self._tally

    def _in_order(self) -> None:
        with LiveRun(self._words, folder=self._folder) as run:
            self._wait_for_pictures(run)
            time.sleep(min(1.0, self._arguments.longest))
            code = run.stop()
        if code != _TERMINATED:
            self._complain(f"ended with {code} after SIGTERM: {run.said()}")
        self._look_at_lines(run)
        self._look_at_states()

    def _killed(self) -> None:
        while_writing = self._tally.kills % 2 == 1
        with LiveRun(self._words, folder=self._folder) as run:
            self._wait_for_pictures(run)
            began = time.time()
            longest = self._arguments.longest
            until = time.monotonic() + (
                longest if while_writing else self._draw.uniform(0, longest)
            )
            while time.monotonic() < until and not (while_writing and self._is_writing()):
                time.sleep(0.0005 if while_writing else until - time.monotonic())
            run.kill()
            now = time.time()
        self._tally.kills += 1
        self._tally.while_writing += self._is_writing()
        self._look_at_lines(run)
        for source, kept in self._look_at_states().items():
            forgotten = now - max(kept.unix_seconds, began)
            self._tally.forgotten_seconds.append(forgotten)
            if forgotten > _SAVE_SECONDS + _SLACK_SECONDS:
                self._complain(f"{source}: {forgotten:.1f} s were forgotten")
        for path in self._temporary():
            path.unlink()

    def _wait_for_pictures(self, run: LiveRun) -> None:
        count = self._arguments.cameras
        run.wait_for(lambda: len(run.of("source")) == count, "a line of each camera")

    def _is_writing(self) -> bool:
        return bool(self._temporary())

    def _temporary(self) -> list[Path]:
        return [path for path in self._states.iterdir() if path.name.endswith(".tmp")]

    def _look_at_lines(self, run: LiveRun) -> None:
        """Each camera goes on from its state, with ids of its own."""
        for opened in run.of("source"):
            source, kept = opened["source"], self._kept.get(opened["source"])
            if opened["resumed"] != (kept is not None):
                self._complain(f"{source}: resumed is {opened['resumed']}")
            # A picture that comes while the machine stands still comes late.
            said = opened["start_unix_seconds"], stood_seconds(run.began)
            zero, first_stood = self._zero.setdefault(source, said)
            allowed = _SAME_CLOCK_SECONDS + max(first_stood, said[1])
            if abs(moved := said[0] - zero) > allowed:
                self._complain(f"{source}: media time moved by {moved:.1f} s")
        before = {source: set(ids) for source, ids in self._ids.items()}
        for event in run.of("start", "segment"):
            source, number = event["source"], event["id"]
            kept = self._kept.get(source)
            # What was open is ended by whoever goes on from there, again if that one is killed.
            is_end = kept and event["type"] == "segment" and number in kept.open_ids
            if number in before.get(source, ()) and not is_end:
                self._complain(f"{source}: the id {number} was given before")
            self._ids.setdefault(source, set()).add(number)
            if event["type"] == "start" and kept and event["at_seconds"] < kept.media_seconds:
                self._complain(f"{source}: the time {event['at_seconds']:.1f} comes again")
        self._tally.segments += len(run.of("segment"))
        for problem in run.of("error", "warning"):
            if problem["code"] != "synthetic_engine":
                self._complain(f"said {problem['code']}: {problem['message']}")

    def _look_at_states(self) -> dict[str, Kept]:
        """All of them, whole and further than before."""
        found = {}
        for path in sorted(self._states.glob(f"*{_SUFFIX}")):
            source = path.name.removesuffix(_SUFFIX)
            self._tally.states += 1
            try:
                kept = _read(path)
            # An archive that is torn fails in any way.
            except Exception as error:
                self._complain(f"{path.name} is torn ({type(error).__name__})")
                continue
            before = self._kept.get(source, kept)
            if kept.snippets < before.snippets or kept.media_seconds < before.media_seconds:
                self._complain(f"{source}: the state went back")
            found[source] = self._kept[source] = kept
        if len(found) != self._arguments.cameras:
            self._complain(f"{len(found)} states of {self._arguments.cameras} cameras are there")
        return found

    def _look_at_files(self) -> None:
        for path in self._events.iterdir():
            for line in path.read_text(encoding="utf-8").splitlines():
                try:
                    json.loads(line)
                except ValueError:
                    self._tally.torn_lines += 1
                    self._complain(f"{path.name} has a torn line")

    def _complain(self, words: str) -> None:
        self._tally.complaints.append(f"kill {self._tally.kills}: {words}")


def _read(path: Path) -> Kept:
    """Every array of a state."""
    with np.load(path, allow_pickle=False) as archive:
        arrays: Mapping[str, Any] = {name: archive[name] for name in archive.files}
    position = json.loads(arrays["document"].tobytes())["position"]
    return Kept(
        media_seconds=position["media_seconds"],
        unix_seconds=position["unix_seconds"],
        snippets=int(arrays["detector.num_snippets"]),
        open_ids=frozenset(int(one) for one in arrays["detector.open_ids"] if one >= 0),
    )


if __name__ == "__main__":
    sys.exit(main())
