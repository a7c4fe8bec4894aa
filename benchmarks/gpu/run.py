"""`wsgn-run` on a video, each engine and device in turn: the same segments, and how long it took.

python -m benchmarks.gpu.run -o results/run [--video FILE --engine wsgn.onnx]
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.gpu.part import NotHere, Results, part_parser, require_engine, run_as_part
from benchmarks.measuring import (
    WSGN_RUN,
    Budget,
    CommandError,
    CommandRun,
    Spread,
    TooSlowError,
    digits,
    run_measured,
    spread_of,
)
from benchmarks.tables import table

DEMO = Path(__file__).resolve().parents[2] / "runtime" / "demo"
TENSORRT = "TensorRT, cuda"
_DEVICES_HELP = "the first is what the others are held against; cuda adds a plan by TensorRT"
# Of a boundary, and of a score: what float32 in another order may move.
SECONDS_TOLERANCE, SCORE_TOLERANCE = 0.05, 1e-3


@dataclass(frozen=True, kw_only=True)
class Run:
    """One way to run the video."""

    name: str
    # Whole processes, start included.
    seconds: Spread
    processor_seconds: Spread
    peak_megabytes: float
    frames: int
    segments: list[dict[str, object]]


def main(argv: Sequence[str] | None = None) -> int:
    """Run and compare with ONNX Runtime on the CPU."""
    parser = part_parser("benchmarks.gpu.run", __doc__, budget_seconds=120.0)
    add = parser.add_argument
    add("--video", type=Path, default=DEMO / "demo.mp4", metavar="FILE", help="what to run on")
    add("--engine", type=Path, default=DEMO / "demo.onnx", metavar="ONNX", help="what to run")
    add("--devices", nargs="+", default=["cpu", "cuda"], help=_DEVICES_HELP)
    add(
        "--plan",
        type=Path,
        metavar="PLAN",
        help="of the same engine, built before; else it is built",
    )
    add("--repeats", type=int, default=3, metavar="N", help="runs of each")
    return run_as_part(parser, measure, argv)


def measure(arguments: argparse.Namespace, budget: Budget) -> Results:
    """Every engine and device; the first is what the others are held against."""
    if importlib.util.find_spec("av") is None:
        raise NotHere("videos cannot be decoded: PyAV (av) is not installed")
    left_out: dict[str, str] = {}
    runs: list[Run] = []
    wrong: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        for name, engine, device in _ways(arguments, Path(folder)):
            try:
                require_engine(name, device)
                if name == TENSORRT and arguments.plan is None:
                    _build_plan(arguments.engine, engine, budget)
                runs.append(_run(name, arguments, engine, device, budget))
            except NotHere as reason:
                left_out[name] = str(reason)
            except CommandError as error:
                wrong.append(f"{name}: {error}")
    if not runs:
        raise NotHere("; ".join(left_out.values()))
    wrong += [sentence for run in runs[1:] for sentence in _differences(run, runs[0])]
    return Results(
        document={"runs": [asdict(run) for run in runs]},
        table=_table(runs),
        left_out=left_out,
        wrong=tuple(wrong),
    )


def _ways(arguments: argparse.Namespace, folder: Path) -> list[tuple[str, Path, str]]:
    """Name, file and device of each."""
    ways = [(f"ONNX Runtime, {name}", arguments.engine, name) for name in arguments.devices]
    if "cuda" in arguments.devices:
        # Last, since the library may try kernels for long while it builds.
        ways.append((TENSORRT, arguments.plan or folder / "engine.plan", "cuda"))
    return ways


def _build_plan(engine: Path, plan: Path, budget: Budget) -> None:
    command = [sys.executable, "-m", "wsgn.export.to_tensorrt", str(engine), "-o", str(plan)]
    _finished("to_tensorrt", command, budget)


def _finished(what: str, command: Sequence[str], budget: Budget) -> CommandRun:
    """A command that went well. Raises `CommandError` for another, `NotHere` for a slow one."""
    try:
        return run_measured(
            command, what=what, environment=os.environ | {"NO_COLOR": "1"},
            limit_seconds=max(1.0, budget.left),
        )  # fmt: skip
    except TooSlowError as error:
        raise NotHere(str(error).rstrip(".")) from error


def _run(
    name: str, arguments: argparse.Namespace, engine: Path, device: str, budget: Budget
) -> Run:
    command = [
        *WSGN_RUN, str(arguments.video), "--engine", str(engine), "--device", device,
        "--no-progress",
    ]  # fmt: skip
    done = [_finished("wsgn-run", command, budget) for _ in range(arguments.repeats)]
    events = [json.loads(line) for line in done[0].lines]
    segments = [event for event in events if event["type"] == "segment" and event["final"]]
    (end,) = [event for event in events if event["type"] == "end"]
    return Run(
        name=name,
        seconds=spread_of([run.usage.seconds for run in done]),
        processor_seconds=spread_of([run.usage.processor_seconds for run in done]),
        peak_megabytes=max(run.usage.peak_megabytes for run in done),
        frames=end["frames"],
        segments=segments,
    )


def _differences(run: Run, reference: Run) -> list[str]:
    """Sentences about segments that are not those of the reference."""
    if len(run.segments) != len(reference.segments):
        return [
            f"{run.name} found {len(run.segments)} segments, {reference.name} "
            f"{len(reference.segments)}."
        ]
    sentences = []
    for have, want in zip(run.segments, reference.segments, strict=True):
        far = {
            # Not NaN either.
            key: not abs(float(str(have[key])) - float(str(want[key]))) <= tolerance
            for key, tolerance in (
                ("start_seconds", SECONDS_TOLERANCE),
                ("end_seconds", SECONDS_TOLERANCE),
                ("score", SCORE_TOLERANCE),
            )
        }
        if have["label"] != want["label"] or any(far.values()):
            sentences.append(f"{run.name} found {have} where {reference.name} found {want}.")
    return sentences


def _table(runs: Sequence[Run]) -> str:
    heading = [
        "wsgn-run with", "segments", "frames", "seconds of the whole command (10 to 90 %)",
        "processor seconds", "peak memory, MB",
    ]  # fmt: skip
    rows = [
        [
            run.name, len(run.segments), run.frames, run.seconds,
            digits(run.processor_seconds.median), digits(run.peak_megabytes),
        ]
        for run in runs
    ]  # fmt: skip
    return table(heading, rows)


if __name__ == "__main__":
    sys.exit(main())
