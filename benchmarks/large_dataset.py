"""Trains on a dataset larger than memory and reports the peak memory of the training.

    python -m benchmarks.large_dataset /tmp/large --gigabytes 20

The feature files are sparse: but for a few snippets they hold zeros that take no room on disk, and
are read as any others.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from benchmarks.measuring import run_measured
from benchmarks.results import add_output, describe_machine, publish
from wsgn.errors import UsageError
from wsgn.features.file import write_feature_file
from wsgn.manifest import Sampling
from wsgn.support.command import run_command

FEATURE_SIZE = 2048
NUM_SNIPPETS = 2560
NUM_CLASSES = 20
# Snippets of each video that are no zeros.
_NUM_FILLED = 4
SAMPLING = Sampling(frame_rate=25, snippet_length=16, snippet_stride=16)


def make(folder: Path, gigabytes: float) -> tuple[int, int]:
    """Write the files; their number and their bytes in all."""
    features = folder / "features"
    features.mkdir(parents=True, exist_ok=True)
    template = folder / "template.safetensors"
    write_feature_file(template, np.zeros((NUM_SNIPPETS, FEATURE_SIZE), dtype=np.float32), SAMPLING)
    size = template.stat().st_size
    with template.open("rb") as file:
        header_bytes = 8 + int.from_bytes(file.read(8), "little")
        file.seek(0)
        header = file.read(header_bytes)
    count = round(gigabytes * 1e9 / size)
    if count < 1:
        raise UsageError(f"--gigabytes {gigabytes:g} is less than one file of {size / 1e6:.0f} MB.")
    database, random = {}, np.random.default_rng(0)
    for index in range(count):
        name = f"video_{index:05d}"
        with (features / f"{name}.safetensors").open("wb") as file:
            file.write(header)
            # A model that says the same of every snippet is refused.
            file.write(random.normal(size=(_NUM_FILLED, FEATURE_SIZE)).astype(np.float32).tobytes())
            file.truncate(size)
        database[name] = {"subset": "train", "labels": [f"class {index % NUM_CLASSES}"]}
    document = {"classes": [f"class {index}" for index in range(NUM_CLASSES)]}
    (folder / "annotations.json").write_text(json.dumps(document | {"database": database}))
    return count, count * size


def main(argv: Sequence[str] | None = None) -> int:
    """Make, train, report."""
    return run_command("benchmarks.large_dataset", lambda: _run(_parser().parse_args(argv)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.large_dataset", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("folder", type=Path, help="for the files and the training")
    parser.add_argument("--gigabytes", type=float, default=20.0, help="(default: %(default)s)")
    parser.add_argument("--steps", type=int, default=20, help="updates (default: %(default)s)")
    parser.add_argument(
        "--batch-videos", type=int, default=32, help="in an update (default: %(default)s)"
    )
    add_output(parser)
    return parser


def _run(arguments: argparse.Namespace) -> int:
    machine = describe_machine()
    count, total = make(arguments.folder, arguments.gigabytes)
    command = [
        sys.executable, "-m", "wsgn.training.cli", str(arguments.folder / "annotations.json"),
        "--features", str(arguments.folder / "features"), "-o", str(arguments.folder / "run"),
        "--overwrite", "--preset", "wsgn+", "--steps", str(arguments.steps),
        "--batch-videos", str(arguments.batch_videos), "--accumulate-snippets", "8192",
        # All of them are larger than memory, as if it had no room at all.
        "--cache", "none", "--quiet",
    ]  # fmt: skip
    usage = run_measured(command, what="wsgn-train").usage
    document = {"videos": count, "bytes": total, "steps": arguments.steps} | asdict(usage)
    text = (
        f"{total / 1e9:.1f} GB in {count} videos: {arguments.steps} updates of "
        f"{arguments.batch_videos} videos and the final pass over all, peak memory "
        f"{usage.peak_megabytes:,.0f} MB, {usage.seconds:.0f} s, {usage.processor_seconds:.0f} s "
        "of processors."
    )
    publish(arguments.output, document, text, machine)
    return 0


if __name__ == "__main__":
    sys.exit(main())
