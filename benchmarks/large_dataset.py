"""Trains on a dataset larger than memory and reports the peak memory of the training.

    python -m benchmarks.large_dataset /tmp/large --gigabytes 20

The feature files are sparse: they hold zeros that take no room on disk, and are read as any others.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from wsgn.features.file import write_feature_file
from wsgn.manifest import Sampling

FEATURE_SIZE = 2048
NUM_SNIPPETS = 2560
NUM_CLASSES = 20
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
    database = {}
    for index in range(count):
        name = f"video_{index:05d}"
        with (features / f"{name}.safetensors").open("wb") as file:
            file.write(header)
            file.truncate(size)
        database[name] = {"subset": "train", "labels": [f"class {index % NUM_CLASSES}"]}
    document = {"classes": [f"class {index}" for index in range(NUM_CLASSES)]}
    (folder / "annotations.json").write_text(json.dumps(document | {"database": database}))
    return count, count * size


def main(argv: Sequence[str] | None = None) -> int:
    """Make, train, report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--gigabytes", type=float, default=20.0)
    parser.add_argument("--steps", type=int, default=20)
    arguments = parser.parse_args(argv)
    count, total = make(arguments.folder, arguments.gigabytes)
    started = time.perf_counter()
    command = [
        sys.executable, "-m", "wsgn.training.cli", str(arguments.folder / "annotations.json"),
        "--features", str(arguments.folder / "features"), "-o", str(arguments.folder / "run"),
        "--overwrite", "--preset", "wsgn+", "--steps", str(arguments.steps), "--batch-videos", "32",
        "--accumulate-snippets", "8192", "--quiet",
    ]  # fmt: skip
    subprocess.run(command, check=True)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024**2
    print(
        f"{total / 1e9:.1f} GB in {count} videos: {arguments.steps} updates of 32 videos and the "
        f"final pass over all, peak memory {peak:.2f} GiB, {time.perf_counter() - started:.0f} s"
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
