"""What it costs to feed a training with features: the reader by itself, and whole steps.

    python -m benchmarks.feeding /tmp/feeding [--annotations thumos14.json] [-o runs/feeding]

Random features as float16 files, videos as long as those of THUMOS14's training videos, read anew
(`--cache none`) or kept (`--cache ram`). Times are of the processor, of all threads.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from benchmarks.measuring import Spread, digits, seconds_of, spread_of
from benchmarks.results import add_output, describe_machine, publish
from benchmarks.tables import table
from benchmarks.training_speed import NUM_CLASSES, SAMPLING, video_lengths
from wsgn.data.annotations import VideoAnnotation, label_vector
from wsgn.errors import UsageError
from wsgn.features.dataset import FeatureDataset
from wsgn.features.file import write_feature_file
from wsgn.features.kept import KeptFeatures
from wsgn.manifest import FeatureInput
from wsgn.presets import PRESETS, preset
from wsgn.support.command import run_command
from wsgn.training.loader import BatchLoader, LoadOptions, MicroBatch
from wsgn.training.trainer import Trainer

CPU = torch.device("cpu")
CACHES = {"none": 0, "ram": sys.maxsize}
CLASSES = tuple(f"class {index}" for index in range(NUM_CLASSES))
BATCH_VIDEOS = 16
# Steps that warm up.
_FIRST_STEPS = 2


@dataclass(frozen=True, kw_only=True)
class Fed:
    """One row: batches by the reader alone (microseconds per snippet), or steps (milliseconds)."""

    what: str
    feature_size: int
    cache: str
    time: Spread
    unit: str


def make(folder: Path, lengths: Sequence[int], feature_size: int) -> tuple[VideoAnnotation, ...]:
    """Write the files; the videos that they are of."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(0)
    videos = []
    for index, length in enumerate(lengths):
        name = f"video_{index:04d}"
        values = random.standard_normal((length, feature_size), dtype=np.float32)
        path = folder / f"{name}.safetensors"
        write_feature_file(path, values.astype(np.float16), SAMPLING)
        videos.append(
            VideoAnnotation(
                name=name,
                subset="train",
                duration_seconds=None,
                labels=(CLASSES[index % NUM_CLASSES],),
                segments=(),
            )
        )
    return tuple(videos)


def read(dataset: FeatureDataset, thinning: int, batches: int) -> Spread:
    """Microseconds of the processor for a snippet of a batch, packed."""
    labels = np.stack([label_vector(video.labels, CLASSES) for video in dataset.videos])
    options = LoadOptions(
        thinning=thinning, start_range=0, augment=False, with_snippet_labels=False, seed=0
    )
    random, loader = np.random.default_rng(0), BatchLoader(dataset, labels, options, CPU)
    indices = tuple(range(BATCH_VIDEOS))
    wanted = [
        MicroBatch(
            step=step,
            indices=indices,
            videos=tuple(random.integers(len(labels), size=BATCH_VIDEOS).tolist()),
            num_pairs=0,
            ends_update=True,
        )
        for step in range(batches + 1)
    ]
    found, before = [], time.process_time()
    for batch in loader.stream(wanted):
        now = time.process_time()
        found.append((now - before) / len(batch.inputs) * 1e6)
        before = time.process_time()
    loader.close()
    # The first waits for two.
    return spread_of(found[1:])


def train(dataset: FeatureDataset, name: str, steps: int) -> Spread:
    """Milliseconds of the processor for an update of a preset."""
    chosen = preset(name)
    model = chosen.model.on(
        classes=CLASSES,
        sampling=SAMPLING,
        features=FeatureInput(size=dataset.feature_size),
    )
    trainer = Trainer(model, chosen.train, dataset)
    found = [seconds_of(trainer.run_step, time.process_time) for _ in range(steps + _FIRST_STEPS)]
    trainer.close()
    return spread_of(found[_FIRST_STEPS:]).scaled(1000)


def measure(arguments: argparse.Namespace) -> list[Fed]:
    """All rows."""
    lengths, rows = video_lengths(arguments.annotations), []
    for width in arguments.widths:
        folder = arguments.folder / f"features_{width}"
        videos = make(folder, lengths, width)
        for cache, limit in CACHES.items():
            dataset = FeatureDataset(folder, videos, CLASSES, cache=KeptFeatures(limit, CPU))
            for index in range(len(videos)):
                dataset.load(index)
            for thinning in (1, 2):
                spread = read(dataset, thinning, arguments.steps)
                what = f"reader, thinning {thinning}"
                rows.append(Fed(what=what, feature_size=width, cache=cache, time=spread, unit="us"))
            for name in arguments.presets:
                spread = train(dataset, name, arguments.steps)
                what = f"step, {name}"
                rows.append(Fed(what=what, feature_size=width, cache=cache, time=spread, unit="ms"))
            print(f"D {width}, cache {cache}: done", file=sys.stderr, flush=True)
    return rows


def main(argv: Sequence[str] | None = None) -> int:
    """Make files, measure, print the table, and write it where asked for."""
    return run_command("benchmarks.feeding", lambda: _run(_parser().parse_args(argv)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.feeding", description=(__doc__ or "").splitlines()[0]
    )
    add = parser.add_argument
    add("folder", type=Path, help="for the files: 0.4 GB with both widths")
    add("--annotations", type=Path, metavar="JSON", help="THUMOS14, ActivityNet-style")
    add("--steps", type=int, default=12, help="of each row (default: %(default)s)")
    add("--threads", type=int, default=torch.get_num_threads(), help="(default: %(default)s)")
    add(
        "--widths", type=int, nargs="+", default=[1024, 2048],
        help="channels D of the features (default: 1024 2048)",
    )  # fmt: skip
    add(
        "--presets", nargs="*", choices=PRESETS, default=["wsgn+", "thumos14"],
        metavar="PRESET", help="whose steps are timed (default: wsgn+ thumos14)",
    )  # fmt: skip
    add_output(parser)
    return parser


def _run(arguments: argparse.Namespace) -> int:
    if min(*arguments.widths, arguments.steps) < 1:
        raise UsageError("--widths and --steps must be positive.")
    torch.set_num_threads(arguments.threads)
    machine = describe_machine(with_torch=True)
    rows = measure(arguments)
    lines = [
        [row.what, row.feature_size, row.cache, f"{digits(row.time.median)} {row.unit}"]
        for row in rows
    ]
    text = table(["processor time", "D", "cache", "a snippet, a step"], lines)
    publish(arguments.output, {"results": [asdict(row) for row in rows]}, text, machine)
    return 0


if __name__ == "__main__":
    sys.exit(main())
