"""How fast detection mAP is computed, beside plain loops, and how its time grows.

    python -m benchmarks.evaluator [--quick] [-o runs/evaluator]

makes its own data (210 videos of THUMOS14's density, 20 classes, fixed seed). The plain loops are
those that the tests hold the evaluator against, in tests/metrics.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np

from benchmarks.measuring import CommandError, digits, seconds_of
from benchmarks.results import ROOT, add_output, describe_machine, publish
from benchmarks.tables import NOTHING, table
from wsgn.metrics import Detections, Truth, evaluate_detection
from wsgn.support.command import run_command

sys.path.append(str(ROOT / "tests" / "metrics"))

from plain_evaluator import Scene, plain_map

PROTOCOLS = ("activitynet-210", "thumos-2015")
TIOU = [tenth / 10 for tenth in range(1, 10)]
NUM_VIDEOS = 210
NUM_CLASSES = 20
INSTANCES_PER_VIDEO = 16
VIDEO_SECONDS = 200.0


def synthetic_truth(random: np.random.Generator) -> Truth:
    """Videos of one class each with instances of some seconds."""
    size = NUM_VIDEOS * INSTANCES_PER_VIDEO
    videos = np.repeat(np.arange(NUM_VIDEOS), INSTANCES_PER_VIDEO)
    start = random.uniform(0, VIDEO_SECONDS, size)
    ambiguous = random.uniform(0, VIDEO_SECONDS, NUM_VIDEOS // 2)
    return Truth(
        videos=tuple(f"video_{index}" for index in range(NUM_VIDEOS)),
        classes=tuple(f"class_{index}" for index in range(NUM_CLASSES)),
        instance_videos=videos,
        instance_classes=videos % NUM_CLASSES,
        instance_start_seconds=start,
        instance_end_seconds=start + random.gamma(2, 2, size),
        ambiguous_videos=np.arange(len(ambiguous)),
        ambiguous_start_seconds=ambiguous,
        ambiguous_end_seconds=ambiguous + 5,
        subsets=("test",),
    )


def synthetic_detections(random: np.random.Generator, truth: Truth, size: int) -> Detections:
    """Half are shifted instances, half lie anywhere, one in ten has the wrong class."""
    copied = random.integers(len(truth.instance_videos), size=size)
    start = truth.instance_start_seconds[copied] + random.normal(0, 1, size)
    anywhere = random.random(size) < 0.5
    start[anywhere] = random.uniform(0, VIDEO_SECONDS, int(anywhere.sum()))
    classes = truth.instance_classes[copied]
    classes = np.where(random.random(size) < 0.1, (classes + 1) % NUM_CLASSES, classes)
    return Detections(
        video_ids=[truth.videos[index] for index in truth.instance_videos[copied].tolist()],
        labels=[truth.classes[index] for index in classes.tolist()],
        start_seconds=start,
        end_seconds=start + random.gamma(2, 2, size),
        scores=random.random(size),
    )


def as_scene(truth: Truth, detections: Detections) -> Scene:
    """The same data as the lists that the plain loops read."""
    ambiguous: dict[str, list[tuple[float, float]]] = {}
    columns = (truth.ambiguous_videos, truth.ambiguous_start_seconds, truth.ambiguous_end_seconds)
    for video, start, end in zip(*(column.tolist() for column in columns), strict=True):
        ambiguous.setdefault(truth.videos[video], []).append((start, end))
    return Scene(
        instances=list(
            zip(
                (truth.videos[index] for index in truth.instance_videos),
                (truth.classes[index] for index in truth.instance_classes),
                truth.instance_start_seconds.tolist(),
                truth.instance_end_seconds.tolist(),
                strict=True,
            )
        ),
        detections=list(
            zip(
                detections.video_ids,
                detections.labels,
                detections.start_seconds.tolist(),
                detections.end_seconds.tolist(),
                detections.scores.tolist(),
                strict=True,
            )
        ),
        ambiguous=ambiguous,
    )


@dataclass(frozen=True, kw_only=True)
class Row:
    """One protocol on so many detections; times are the shortest of some runs."""

    protocol: str
    detections: int
    package_ms: float
    # Of the plain loops, where they were run.
    plain_ms: float | None = None
    largest_difference: float | None = None


def best_milliseconds(work: Callable[[], object], repeats: int) -> float:
    """The shortest of some runs, which is the one that was disturbed least."""
    return 1e3 * min(seconds_of(work) for _ in range(repeats))


def measure(
    truth: Truth, detections: Detections, protocol: str, *, plain: bool, repeats: int
) -> Row:
    """One row; with the plain loops, whose answer must agree. Raises `CommandError`."""
    fast = best_milliseconds(lambda: evaluate_detection(truth, detections, protocol, TIOU), repeats)
    row = Row(protocol=protocol, detections=len(detections), package_ms=fast)
    if not plain:
        return row
    scene = as_scene(truth, detections)
    slow = best_milliseconds(lambda: plain_map(scene, protocol, TIOU), min(2, repeats))
    ours = evaluate_detection(truth, detections, protocol, TIOU).map_percent
    difference = float(np.abs(ours - plain_map(scene, protocol, TIOU)).max())
    if difference > 1e-9:
        raise CommandError(f"{protocol}: the plain loops differ by {difference:.1e} points of mAP.")
    return replace(row, plain_ms=slow, largest_difference=difference)


def as_table(rows: Sequence[Row]) -> str:
    """Markdown."""
    heading = ["protocol", "detections", "package ms", "plain ms", "faster"]
    lines = []
    for row in rows:
        plain = [NOTHING, NOTHING]
        if row.plain_ms is not None:
            plain = [digits(row.plain_ms), f"{row.plain_ms / row.package_ms:.1f} x"]
        lines.append([row.protocol, f"{row.detections:,}", digits(row.package_ms), *plain])
    return table(heading, lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print the table, and write it where asked for."""
    return run_command("benchmarks.evaluator", lambda: _run(_parser().parse_args(argv)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.evaluator", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--quick", action="store_true", help="not 100 times as many detections")
    parser.add_argument(
        "--detections", type=int, default=31_000, metavar="N", help="(default: %(default)s)"
    )
    add_output(parser)
    return parser


def _run(arguments: argparse.Namespace) -> int:
    machine = describe_machine()
    truth = synthetic_truth(np.random.default_rng(0))
    rows = []
    for factor in (1, 10) if arguments.quick else (1, 10, 100):
        size = factor * arguments.detections
        detections = synthetic_detections(np.random.default_rng(1), truth, size)
        for protocol in PROTOCOLS:
            repeats = 5 if factor == 1 else 2
            rows.append(measure(truth, detections, protocol, plain=factor == 1, repeats=repeats))
            print(f"{protocol}, {size:,} detections: done", file=sys.stderr, flush=True)
    document = {"rows": [asdict(row) for row in rows]}
    publish(arguments.output, document, as_table(rows), machine)
    return 0


if __name__ == "__main__":
    sys.exit(main())
