"""Cameras for hours, one of them cut every minute: does anything grow, and is all found?

    python -m benchmarks.live_soak --minutes 120 -o runs/live_soak

Eight cameras on the loopback interface film the packaged sample in a loop. Their segments are held
against those of a run over a file of the same pictures.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.holdings import Holding, growth_table, look, require_flat, require_proc
from benchmarks.live_runs import (
    DEMO,
    Camera,
    Compared,
    LiveError,
    LiveRun,
    RtspServer,
    Span,
    Truth,
    compare,
    sample_clip,
    source_name,
)
from benchmarks.results import add_output, describe_machine, publish
from benchmarks.tables import table
from wsgn.errors import UsageError
from wsgn.support.command import run_command

_LOOK_SECONDS, _FEWEST_LOOKS = 30.0, 16
_TERMINATED = 143
# Segments by which the wall clock of media time 0 is told.
_SETTLED = 20
# A stretch of which a line says that it was lost also spoils what its snippets and their smoothing
# reach: they are compared with others then.
_AROUND_SECONDS = 4.0


@dataclass(frozen=True, kw_only=True)
class Soaked:
    """What a run left."""

    seconds: float
    holdings: list[Holding]
    # How often the camera that is cut was.
    cuts: int
    events: list[dict[str, Any]]
    # Lines of the files, by source.
    filed: dict[str, list[dict[str, Any]]]
    event_bytes: int
    state_bytes: int


def main(argv: Sequence[str] | None = None) -> int:
    """Film, cut, look, compare; 1 where anything grew or is missing."""
    return run_command("benchmarks.live_soak", lambda: _run(_parser().parse_args(argv)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.live_soak", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--engine", type=Path, default=DEMO,
                        help="on frames (default: the packaged one)")  # fmt: skip
    parser.add_argument("--minutes", type=float, default=120.0, help="(default: %(default)s)")
    parser.add_argument("--cameras", type=int, default=8, help="(default: %(default)s)")
    parser.add_argument("--cut-every", type=float, default=60.0, metavar="S",
                        help="the last one is cut (default: %(default)s)")  # fmt: skip
    parser.add_argument("--keep", type=Path, metavar="DIR", help="leave all files of the run here")
    add_output(parser)
    return parser


def _run(arguments: argparse.Namespace) -> int:
    require_proc()
    for name in ("minutes", "cut_every"):
        if not 0 < getattr(arguments, name) < math.inf:
            raise UsageError(f"--{name.replace('_', '-')} must be a positive number.")
    if arguments.cameras < 2:
        raise UsageError(f"--cameras must be at least 2, got {arguments.cameras}.")
    machine = describe_machine()
    clip = sample_clip()
    with _folder(arguments.keep) as folder, RtspServer() as server:
        cameras = [server.add(f"camera{n}", clip) for n in range(arguments.cameras)]
        soaked = _soak(arguments, cameras, folder)
        truth = Truth(clip, arguments.engine, folder, soaked.seconds)
        compared = {
            source: _compared(soaked, source, cameras[0], truth)
            for source in map(source_name, cameras[:-1])
        }
    cut = source_name(cameras[-1])
    lost = [event["lost_seconds"] for event in _of(soaked.events, cut, "status")
            if event["state"] == "restored"]  # fmt: skip
    document = {
        "seconds": soaked.seconds,
        "cameras": arguments.cameras,
        "holdings": [asdict(holding) for holding in soaked.holdings],
        "steady": {source: asdict(one) for source, one in compared.items()},
        "cut": {"cuts": soaked.cuts, "restored": len(lost), "lost_seconds": lost,
                "segments": len(_of(soaked.events, cut, "segment"))},
        "ends": [event for event in soaked.events if event["type"] == "end"],
        "event_bytes": soaked.event_bytes,
        "state_bytes": soaked.state_bytes,
    }  # fmt: skip
    publish(arguments.output, document, _words(document, soaked, compared), machine)
    _require_all(document, soaked, compared)
    require_flat(soaked.holdings)
    return 0


@contextmanager
def _folder(kept: Path | None) -> Iterator[Path]:
    if kept is not None:
        kept.mkdir(parents=True)
        yield kept
        return
    with tempfile.TemporaryDirectory(prefix="wsgn-soak-") as folder:
        yield Path(folder)


def _soak(arguments: argparse.Namespace, cameras: Sequence[Camera], folder: Path) -> Soaked:
    words = [camera.url for camera in cameras]
    words += ["-e", str(arguments.engine), "-o", str(folder / "events")]
    words += ["--state", str(folder / "state"), "-q"]
    holdings: list[Holding] = []
    cuts = 0
    with LiveRun(words, folder=folder) as run:
        run.wait_for(lambda: len(run.of("source")) == len(cameras), "a line of each camera")
        began = time.monotonic()
        length = 60 * arguments.minutes
        look_every = min(_LOOK_SECONDS, length / _FEWEST_LOOKS)
        while (passed := time.monotonic() - began) < length:
            run.require_running()
            if passed >= look_every * len(holdings):
                holdings.append(look(run.number, passed))
                _report(holdings[-1], run)
            # What is away cannot be cut.
            if passed >= arguments.cut_every * (cuts + 1) and _num_restored(run) >= cuts:
                # The end of a connection, and its breaking off, in turn.
                cameras[-1].cut(reset=cuts % 2 == 1)
                cuts += 1
            upcoming = (look_every * len(holdings), arguments.cut_every * (cuts + 1), length)
            time.sleep(max(0.05, began + min(upcoming) - time.monotonic()))
        run.wait_for(lambda: _num_restored(run) >= cuts, "the last camera")
        code = run.stop()
        if code != _TERMINATED:
            raise LiveError(f"wsgn-run ended with {code} after SIGTERM: {run.said()}")
        events = [line.event for line in run.lines]
    files = sorted((folder / "events").iterdir())
    filed: dict[str, list[dict[str, Any]]] = {}
    for path in files:
        for text in path.read_text(encoding="utf-8").splitlines():
            event = json.loads(text)
            filed.setdefault(event.get("source", ""), []).append(event)
    return Soaked(
        seconds=length,
        holdings=holdings,
        cuts=cuts,
        events=events,
        filed=filed,
        event_bytes=sum(path.stat().st_size for path in files),
        state_bytes=sum(path.stat().st_size for path in (folder / "state").iterdir()),
    )


def _num_restored(run: LiveRun) -> int:
    return sum(event["state"] == "restored" for event in run.of("status"))


def _report(holding: Holding, run: LiveRun) -> None:
    """A line for whoever watches."""
    print(
        f"{holding.at:.0f} s: {holding.megabytes:.1f} MB, {holding.descriptors} descriptors, "
        f"{holding.threads} threads, {holding.processor_seconds:.1f} s of the processor, "
        f"{len(run.of('segment'))} segments, {len(run.of('status'))} changes, "
        f"{len(run.of('dropped', 'gap', 'error', 'warning'))} others",
        file=sys.stderr,
        flush=True,
    )


def _sources(soaked: Soaked) -> set[str]:
    return {event["source"] for event in soaked.events if event["type"] == "source"}


def _of(events: Sequence[dict[str, Any]], source: str, *types: str) -> list[dict[str, Any]]:
    return [event for event in events if event["type"] in types and event["source"] == source]


def _compared(soaked: Soaked, source: str, camera: Camera, truth: Truth) -> Compared:
    """One steady camera beside the file. All cameras began within milliseconds."""
    (end,) = _of(soaked.events, source, "end")
    segments = _of(soaked.events, source, "segment")
    # Media times of later epochs may run ahead by what an opening held back; the wall clock of
    # lines does not. Its zero is known once the first epoch has settled.
    zeros = [one["start_unix_seconds"] - one["start_seconds"] for one in segments[:_SETTLED]]
    zero = statistics.median(zeros)
    # On which picture of the loop it began; keyframes are seconds apart.
    first = zero - (time.time() - time.monotonic()) - camera.began
    lost = [
        (event["from_seconds"] - _AROUND_SECONDS, event["to_seconds"] + _AROUND_SECONDS)
        for event in _of(soaked.events, source, "gap", "dropped")
    ]
    found = [Span.by_wall_clock(event, zero) for event in segments]
    return compare(truth.spans(first, end["seconds"]), found, lost)


def _words(document: dict[str, Any], soaked: Soaked, compared: dict[str, Compared]) -> str:
    steady = list(compared.values())
    last, cut = soaked.holdings[-1], document["cut"]
    share = last.processor_seconds / last.at / document["cameras"]
    lost = cut["lost_seconds"] or [0.0]
    rows = [
        ("segments in the file's run", sum(one.expected for one in steady), ""),
        ("of them where lines say that pictures were lost", sum(one.excused for one in steady), ""),
        ("missing without a word", sum(len(one.missing) for one in steady), ""),
        ("others", sum(len(one.extra) for one in steady), ""),
        ("largest difference of an end",
         f"{max(one.largest_difference_seconds for one in steady):.3f} s", ""),
        ("cuts", "", cut["cuts"]),
        ("restored", "", cut["restored"]),
        ("median and longest time without pictures",
         "", f"{sorted(lost)[len(lost) // 2]:.2f} and {max(lost):.2f} s"),
        ("segments", sum(len(_of(soaked.events, source, "segment")) for source in compared),
         cut["segments"]),
    ]  # fmt: skip
    return (
        f"{document['cameras']} cameras of 320x240 at 25/s for {soaked.seconds / 60:.1f} minutes, "
        f"{100 * share:.2f} % of a core each; {soaked.event_bytes / 1e6:.2f} MB of events, "
        f"{soaked.state_bytes / 1e3:.0f} kB of state.\n\n"
        f"{table(('', f'{len(steady)} steady', 'the one that is cut'), rows)}\n\n"
        f"{growth_table(soaked.holdings)}"
    )


def _require_all(document: dict[str, Any], soaked: Soaked, compared: dict[str, Compared]) -> None:
    for source, one in compared.items():
        if one.missing or one.extra:
            raise LiveError(f"{source}: {len(one.missing)} segments are missing, "
                            f"{len(one.extra)} are there that the file has not.")  # fmt: skip
    cut = document["cut"]
    if cut["restored"] != cut["cuts"]:
        raise LiveError(f"of {cut['cuts']} cuts {cut['restored']} were restored.")
    for source in _sources(soaked):
        said = [Span.of(event) for event in _of(soaked.events, source, "segment")]
        kept = [Span.of(event) for event in _of(soaked.filed.get(source, []), source, "segment")]
        if said != kept:
            raise LiveError(f"{source}: {len(said)} segments on stdout, {len(kept)} in its files.")


if __name__ == "__main__":
    sys.exit(main())
