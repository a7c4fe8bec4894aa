"""How fast detection mAP is computed, beside plain loops, and how its time grows.

Run `python -m benchmarks.evaluator`; it makes its own data (210 videos of THUMOS14's density, 20
classes, fixed seed) and prints one table. `--quick` leaves out the run with 100 times as many
detections.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "metrics")]

from plain_evaluator import Scene, plain_map  # noqa: E402

from wsgn.metrics import Detections, Truth, evaluate_detection  # noqa: E402

PROTOCOLS = ("activitynet-210", "thumos-2015")
TIOU = [tenth / 10 for tenth in range(1, 10)]
NUM_DETECTIONS = 31_000
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


def best_seconds(work: Callable[[], object], repeats: int) -> float:
    """The shortest of some runs, which is the one that was disturbed least."""
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        work()
        times.append(time.perf_counter() - begin)
    return min(times)


def measure(truth: Truth, detections: Detections, protocol: str, *, plain: bool) -> str:
    """One row of the table; with the plain loops, both answers must agree."""
    repeats = 5 if len(detections) <= NUM_DETECTIONS else 2
    fast = best_seconds(lambda: evaluate_detection(truth, detections, protocol, TIOU), repeats)
    row = f"{protocol:<16} {len(detections):>10,} {1e3 * fast:>11.1f}"
    if not plain:
        return row
    scene = as_scene(truth, detections)
    slow = best_seconds(lambda: plain_map(scene, protocol, TIOU), 2)
    ours = evaluate_detection(truth, detections, protocol, TIOU).map_percent
    difference = float(np.abs(ours - plain_map(scene, protocol, TIOU)).max())
    if difference > 1e-9:
        raise SystemExit(f"{protocol}: the plain loops differ by {difference:.1e} points of mAP.")
    return f"{row} {1e3 * slow:>11.1f} {slow / fast:>7.1f}x"


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    sizes = (1, 10) if parser.parse_args().quick else (1, 10, 100)
    truth = synthetic_truth(np.random.default_rng(0))
    print(f"{'protocol':<16} {'detections':>10} {'package ms':>11} {'plain ms':>11} {'faster':>8}")
    for factor in sizes:
        detections = synthetic_detections(np.random.default_rng(1), truth, factor * NUM_DETECTIONS)
        for protocol in PROTOCOLS:
            print(measure(truth, detections, protocol, plain=factor == 1), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
