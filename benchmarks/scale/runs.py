"""Real runs of `wsgn-run`, whose processor time is measured: videos, feature files and commands."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks.measuring import Usage, run_measured
from benchmarks.throughput import write_repeated, write_stretch
from wsgn.features.file import write_feature_file
from wsgn.manifest import Manifest

# What `wsgn-run` itself takes of the processor, its workers apart, goes to the file named first.
_TELLING = """
import sys, time
from wsgn.runtime.cli.main import main
told = sys.argv.pop(1)
code = main()
with open(told, "w") as file:
    file.write(str(time.process_time()))
sys.exit(code)
"""
FORMATS = ("-f", "json,csv")
# Seconds of video that are encoded once; longer ones repeat them.
_STRETCH_SECONDS = 2


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What a run took."""

    # All its processes together, and the one that was started alone.
    usage: Usage
    own_seconds: float

    @property
    def processor_seconds(self) -> float:
        """Of all processes together."""
        return self.usage.processor_seconds


@dataclass(frozen=True, kw_only=True)
class Runner:
    """Runs one engine, one thread in each process, in folders that go afterwards."""

    engine: Path

    def cost(self, *words: object, output: Path | None = None) -> Cost:
        """Of `wsgn-run` with these words and files written, by default where nothing lies."""
        with TemporaryDirectory(prefix="wsgn-scale-") as name:
            told, folder = Path(name) / "told", output or Path(name) / "out"
            given = ["--engine", self.engine, "-o", folder, *FORMATS, "--threads", 1, "--quiet"]
            return _cost(told, [*words, *given])


def merge_cost(folder: Path) -> Cost:
    """Of bringing together what shards left in a folder."""
    with TemporaryDirectory(prefix="wsgn-scale-") as name:
        return _cost(Path(name) / "told", ["merge", folder, "--overwrite"])


def _cost(told: Path, words: Sequence[object]) -> Cost:
    command = [sys.executable, "-c", _TELLING, str(told), *map(str, words)]
    usage = run_measured(command, what="wsgn-run").usage
    return Cost(usage=usage, own_seconds=float(told.read_text()))


def make_videos(folder: Path, count: int, seconds: int, size: tuple[int, int]) -> Path:
    """A new folder of so many like videos of whole stretches; its path."""
    folder.mkdir()
    stretch = folder.with_suffix(".mp4")
    write_stretch(stretch, size, min(seconds, _STRETCH_SECONDS))
    first = folder / "video_00000.mp4"
    write_repeated(first, stretch, max(1, seconds // _STRETCH_SECONDS))
    for number in range(1, count):
        shutil.copyfile(first, folder / f"video_{number:05d}.mp4")
    return folder


def make_features(folder: Path, count: int, num_snippets: int, manifest: Manifest) -> Path:
    """A new folder of so many like feature files; its path."""
    assert manifest.features is not None
    folder.mkdir()
    random = np.random.default_rng(0)
    features = random.normal(size=(num_snippets, manifest.features.size)).astype(np.float32)
    first = folder / "video_00000.safetensors"
    write_feature_file(first, features, manifest.sampling)
    for number in range(1, count):
        shutil.copyfile(first, folder / f"video_{number:05d}.safetensors")
    return folder
