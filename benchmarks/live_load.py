"""Many cameras on one engine: what each costs, and what happens where the engine is too slow.

    python -m benchmarks.live_load -o runs/live_load

16 cameras of 320x240 at 25/s in one process, and in a process each, in turn; then 64 on an engine
that does half of what they ask for.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.holdings import (
    Holding,
    growth_table,
    look,
    processor_seconds,
    proportional_megabytes,
    require_flat,
    require_proc,
)
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
from wsgn.engines.open import describe_engine
from wsgn.errors import UsageError
from wsgn.support.command import run_command
from wsgn.video.live.options import LiveOptions

_CHILD = (sys.executable, "-m", "benchmarks.live_child")
# The engine does 1 / _TOO_MUCH of what is asked for.
_TOO_MUCH = 2.0
# Its multiples lie evenly between whole numbers, however many there are.
_GOLDEN = 0.618034
_OPEN_SECONDS = 120.0
_LOOKS = 20
# Behind the age bound: a batch, and how late a busy machine's threads may be.
_SLACK_SECONDS = 1.5


@dataclass(frozen=True, kw_only=True)
class Load:
    """What an arrangement took, per camera or in all."""

    arrangement: str
    processes: int
    # Percent of a core for each camera.
    processor_percent: float
    # Of all processes.
    resident_megabytes: float
    proportional_megabytes: float
    snippets_per_batch: float
    # Of the processes' medians the median, of their 99 % points the largest.
    wait_median_seconds: float
    wait_99_seconds: float
    # Pictures on the engine's grid, a second and camera.
    frames_per_second: float
    dropped: int


@dataclass(frozen=True, kw_only=True)
class TooSlow:
    """Cameras on an engine that is too slow for them."""

    cameras: int
    seconds: float
    engine_milliseconds: float
    offered: int
    scored: int
    dropped: int
    fewest_scored: int
    most_scored: int
    wait_median_seconds: float
    wait_99_seconds: float
    # The longest that the machine stood still, for which no engine answers.
    stood_seconds: float
    most_waiting: int
    snippets_per_batch: float
    holdings: list[Holding]


def main(argv: Sequence[str] | None = None) -> int:
    """Play, look, report; 1 where an age is not bounded, a drop not counted, or something grows."""
    return run_command("benchmarks.live_load", lambda: _run(_parser().parse_args(argv)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.live_load", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--engine", type=Path, default=DEMO,
                        help="on frames (default: the packaged one)")  # fmt: skip
    parser.add_argument("--cameras", type=int, default=16, help="(default: %(default)s)")
    parser.add_argument("--many", type=int, default=64,
                        help="cameras on the slow engine (default: %(default)s)")  # fmt: skip
    parser.add_argument("--seconds", type=float, default=60.0,
                        help="of each arrangement in a round (default: %(default)s)")  # fmt: skip
    parser.add_argument("--warm-up", type=float, default=10.0, help="(default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=2, help="(default: %(default)s)")
    add_output(parser)
    return parser


def _run(arguments: argparse.Namespace) -> int:
    require_proc()
    for name in ("cameras", "many", "rounds"):
        if getattr(arguments, name) < 1:
            raise UsageError(f"--{name} must be at least 1, got {getattr(arguments, name)}.")
    for name in ("seconds", "warm_up"):
        if not 0 < getattr(arguments, name) < math.inf:
            raise UsageError(f"--{name.replace('_', '-')} must be a positive number.")
    machine = describe_machine()
    clip = sample_clip()
    with tempfile.TemporaryDirectory(prefix="wsgn-load-") as folder, RtspServer() as server:
        cameras = max(arguments.cameras, arguments.many)
        urls = []
        for number in range(cameras):
            camera = server.add(f"camera{number}", clip)
            # Cameras do not all begin at one moment.
            camera.began -= number * _GOLDEN % 1 * clip.period_seconds
            urls.append(camera.url)
        few, loads = urls[: arguments.cameras], []
        for number in range(arguments.rounds):
            arrangements = {"one process": [few], "a process each": [[url] for url in few]}
            for name in list(arrangements)[:: 1 if number % 2 == 0 else -1]:
                loads.append(_load(name, arrangements[name], arguments, Path(folder)))
        slow = _too_slow(urls[: arguments.many], arguments, Path(folder))
    document = {"loads": [asdict(load) for load in loads], "too_slow": asdict(slow)}
    publish(arguments.output, document, _words(loads, slow, arguments.cameras), machine)
    _require_bounded(slow)
    require_flat(slow.holdings)
    return 0


@contextmanager
def _playing(
    groups: Sequence[Sequence[str]], engine: Path, folder: Path, slow: float = 0.0
) -> Iterator[list[LiveRun]]:
    """A process for each group of cameras, once all have scores."""
    with ExitStack() as stack:
        runs = []
        for urls in groups:
            words = [*urls, "--engine", str(engine), "--slow", str(slow)]
            runs.append(stack.enter_context(LiveRun(words, folder=folder, command=_CHILD)))
        for run, urls in zip(runs, groups, strict=True):
            is_playing = partial(_are_scored, run, len(urls))
            run.wait_for(is_playing, "a score of each camera", _OPEN_SECONDS)
        yield runs
        for run in runs:
            if (code := run.stop()) != 0:
                raise LiveError(f"a process ended with {code}: {run.said()}")


def _are_scored(run: LiveRun, count: int) -> bool:
    said = _last(run)
    return said.get("opened") == count and said["fewest_snippets"] > 0


def _last(run: LiveRun) -> dict[str, Any]:
    """What a process said last."""
    return run.lines[-1].event if run.lines else {}


def _load(
    name: str, groups: Sequence[Sequence[str]], arguments: argparse.Namespace, folder: Path
) -> Load:
    cameras = sum(map(len, groups))
    with _playing(groups, arguments.engine, folder) as runs:
        time.sleep(arguments.warm_up)
        began, before = time.monotonic(), [_last(run) for run in runs]
        spent = sum(processor_seconds(run.number) for run in runs)
        time.sleep(arguments.seconds)
        passed, after = time.monotonic() - began, [_last(run) for run in runs]
        spent = sum(processor_seconds(run.number) for run in runs) - spent
        resident = sum(look(run.number, 0).megabytes for run in runs)
        proportional = sum(proportional_megabytes(run.number) for run in runs)
    engines = [statistics["engine"] for statistics in after]
    frames = sum(b["frames"] - a["frames"] for a, b in zip(before, after, strict=True))
    snippets = sum(engine["num_snippets"] for engine in engines)
    return Load(
        arrangement=name,
        processes=len(groups),
        processor_percent=100 * spent / passed / cameras,
        resident_megabytes=resident,
        proportional_megabytes=proportional,
        snippets_per_batch=snippets / sum(engine["num_batches"] for engine in engines),
        wait_median_seconds=float(np.median([one["wait_median_seconds"] for one in engines])),
        wait_99_seconds=max(one["wait_99_seconds"] for one in engines),
        frames_per_second=frames / passed / cameras,
        dropped=sum(statistics["dropped"] for statistics in after),
    )


def _too_slow(urls: Sequence[str], arguments: argparse.Namespace, folder: Path) -> TooSlow:
    sampling = describe_engine(arguments.engine).manifest.sampling
    stride = sampling.stride_seconds
    slow = _TOO_MUCH * stride / len(urls)
    holdings: list[Holding] = []
    length = 2 * arguments.seconds
    with _playing([urls], arguments.engine, folder, slow) as (run,):
        time.sleep(arguments.warm_up)
        began, before = time.monotonic(), _last(run)
        while (passed := time.monotonic() - began) < length:
            if passed >= length / _LOOKS * len(holdings):
                holdings.append(look(run.number, passed))
            time.sleep(length / _LOOKS / 4)
        after = _last(run)
        said = run.of("statistics")
        stood = stood_seconds(run.began)
    engine = after["engine"]
    return TooSlow(
        cameras=len(urls),
        seconds=length,
        engine_milliseconds=1000 * slow,
        offered=round((after["frames"] - before["frames"]) / sampling.snippet_stride),
        scored=after["snippets"] - before["snippets"],
        dropped=after["dropped"] - before["dropped"],
        fewest_scored=after["fewest_snippets"],
        most_scored=after["most_snippets"],
        wait_median_seconds=engine["wait_median_seconds"],
        wait_99_seconds=engine["wait_99_seconds"],
        stood_seconds=stood,
        most_waiting=max(one["waiting"] for one in said),
        snippets_per_batch=engine["num_snippets"] / engine["num_batches"],
        holdings=holdings,
    )


def _words(loads: Sequence[Load], slow: TooSlow, cameras: int) -> str:
    rows = [
        (load.arrangement, f"{load.processor_percent:.2f} %", f"{load.resident_megabytes:.0f} MB",
         f"{load.proportional_megabytes:.0f} MB", f"{load.snippets_per_batch:.2f}",
         f"{1000 * load.wait_median_seconds:.0f} ms", f"{1000 * load.wait_99_seconds:.0f} ms",
         f"{load.frames_per_second:.2f}", load.dropped)
        for load in loads
    ]  # fmt: skip
    heading = (f"{cameras} cameras", "of a core for each", "memory", "shared pages once",
               "snippets in a batch", "wait, median", "wait, 99 %", "frames a second",
               "dropped")  # fmt: skip
    return (
        f"{table(heading, rows)}\n\n"
        f"{slow.cameras} cameras for {slow.seconds:.0f} s on an engine that needs "
        f"{slow.engine_milliseconds:.1f} ms for a snippet: of {slow.offered} snippets "
        f"{slow.scored} were scored and {slow.dropped} dropped; they waited "
        f"{slow.wait_median_seconds:.2f} s (median) and {slow.wait_99_seconds:.2f} s (99 %), at "
        f"most {slow.most_waiting} at once, in batches of {slow.snippets_per_batch:.1f}; of a "
        f"camera at least {slow.fewest_scored} and at most {slow.most_scored} were scored.\n\n"
        f"{growth_table(slow.holdings)}"
    )


def _require_bounded(slow: TooSlow) -> None:
    longest = LiveOptions().max_lag_seconds + _SLACK_SECONDS + slow.stood_seconds
    if slow.wait_99_seconds > longest:
        raise LiveError(f"snippets waited {slow.wait_99_seconds:.1f} s, over {longest:g} s.")
    # What waits at both ends, and what was said at other moments than the rest.
    allowed = slow.cameras * 10
    if abs(slow.offered - slow.scored - slow.dropped) > allowed:
        raise LiveError(
            f"of {slow.offered} snippets {slow.scored} were scored and {slow.dropped} dropped: the "
            "others are not accounted for."
        )


if __name__ == "__main__":
    sys.exit(main())
