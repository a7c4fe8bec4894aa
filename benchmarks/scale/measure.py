"""Times what the constants are fitted to, everything in turn, so often as was asked for."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.measuring import run_measured, seconds_of
from benchmarks.scale.fit import FEW_SNIPPETS, SHORT_SECONDS, SIZES, SMALL, Amounts, Timings
from benchmarks.scale.runs import Runner, make_features, make_videos, merge_cost
from benchmarks.throughput import DEMO_ENGINE
from wsgn.engines.engine import Engine
from wsgn.engines.open import open_engine, read_manifest
from wsgn.manifest import Manifest
from wsgn.runtime import DetectOptions
from wsgn.runtime.pipeline import frame_grid
from wsgn.support.arrays import UInt8Array
from wsgn.support.files import write_whole_file
from wsgn.video import VideoReader

_DISK_BYTES = 64 << 20
_CALLS = 8


@dataclass(frozen=True, kw_only=True)
class Folders:
    """What runs read: one short source, many of them, and some long ones."""

    one: Path
    many: Path
    long: Path


def measure(folder: Path, amounts: Amounts, say: Callable[[str], None]) -> tuple[Timings, float]:
    """What each thing took at each repeat, and snippets per second of the packaged engine."""
    timings: Timings = defaultdict(list)
    videos = Folders(
        one=make_videos(folder / "one", 1, SHORT_SECONDS, SMALL),
        many=make_videos(folder / "many", amounts.videos, SHORT_SECONDS, SMALL),
        long=make_videos(folder / "long", amounts.long_videos, amounts.long_seconds, SMALL),
    )
    pictures = {
        size: make_videos(folder / f"decode_{size[1]}", 1, amounts.decode_seconds, size)
        for size in SIZES
    }
    on_features = _OnFeatures(folder, amounts) if amounts.features else None
    runner = Runner(engine=DEMO_ENGINE)
    # Not timed: the first run of all reads every module from disk.
    runner.cost(videos.one, "--workers", 1)
    with open_engine(DEMO_ENGINE, num_threads=1) as engine:
        for repeat in range(amounts.repeats):
            for (_, height), where in pictures.items():
                timings[f"decode {height}"].append(decode_seconds(engine, where))
            timings["engine"].append(engine_seconds(engine, _CALLS))
            timings["reference"].append(reference_seconds())
            _videos(runner, videos, timings)
            timings["reference"].append(reference_seconds())
            if on_features is not None:
                on_features.measure(timings)
            timings["reference"].append(reference_seconds())
            _disk(folder / "disk", timings)
            say(f"{repeat + 1} of {amounts.repeats} repeats")
        rate = 1 / engine.manifest.sampling.stride_seconds
    if amounts.cameras:
        _cameras(folder / "load", amounts, timings)
    return dict(timings), rate


def make_heads(folder: Path) -> Path:
    """An engine file of random heads on features, made in a folder."""
    from benchmarks.random_engine import HEADS, RandomEngine

    made = RandomEngine(folder=folder, backbone=HEADS)
    # The exporter says what it has written on stdout, which has other results.
    with contextlib.redirect_stdout(sys.stderr):
        made.write_model()
        return made.export()


def decode_seconds(engine: Engine, folder: Path) -> float:
    """Processor time of a frame of the one video in a folder: decoding and scaling alone."""
    (video,) = folder.iterdir()
    with VideoReader(video, frame_grid(engine.manifest, engine.name)) as reader:
        taken = seconds_of(lambda: list(reader), time.process_time)
        return taken / reader.summary.num_frames_decoded


def engine_seconds(engine: Engine, calls: int) -> float:
    """Processor time of a snippet, in batches as a run makes them."""
    inputs = _inputs(engine.manifest, DetectOptions().batch_size)
    engine.infer(inputs)
    seconds = seconds_of(lambda: [engine.infer(inputs) for _ in range(calls)], time.process_time)
    return seconds / calls / len(inputs)


def _inputs(manifest: Manifest, count: int) -> UInt8Array:
    frames = manifest.frames
    assert frames is not None
    shape = (count, manifest.sampling.snippet_length, frames.height, frames.width, 3)
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def reference_seconds() -> float:
    """Processor time of a fixed piece of Python and NumPy, by which cores can be compared."""
    values = np.random.default_rng(0).normal(size=(300, 300))

    def work() -> None:
        sum(number * number for number in range(1_000_000))
        for _ in range(40):
            np.sort(values @ values, axis=None)

    return seconds_of(work, time.process_time)


def _videos(runner: Runner, videos: Folders, timings: Timings) -> None:
    for name in ("one", "many", "long"):
        timings[name].append(runner.cost(getattr(videos, name)).processor_seconds)
    for name in ("one", "many"):
        cost = runner.cost(getattr(videos, name), "--workers", 1)
        timings[f"{name} worked"].append(cost.processor_seconds)
        timings[f"{name} handed out"].append(cost.own_seconds)


class _OnFeatures:
    """Feature files, random heads on them, and what shards have left of them."""

    def __init__(self, folder: Path, amounts: Amounts) -> None:
        heads = make_heads(folder)
        manifest = read_manifest(heads)
        self._runner = Runner(engine=heads)
        self._sources = Folders(
            one=make_features(folder / "feature", 1, FEW_SNIPPETS, manifest),
            many=make_features(folder / "features", amounts.features, FEW_SNIPPETS, manifest),
            long=make_features(
                folder / "long_features", amounts.long_videos, amounts.long_snippets, manifest
            ),
        )
        self._sharded = Folders(
            one=folder / "feature_results", many=folder / "features_results", long=folder
        )
        for name in ("one", "many"):
            self._runner.cost(*self._shard(name), output=getattr(self._sharded, name))

    def measure(self, timings: Timings) -> None:
        """Runs, looks at what is done, and mergings."""
        for name in ("one", "many", "long"):
            cost = self._runner.cost(getattr(self._sources, name))
            timings[f"features {name}"].append(cost.processor_seconds)
        for name in ("one", "many"):
            output = getattr(self._sharded, name)
            resumed = self._runner.cost(*self._shard(name), "--resume", output=output)
            timings[f"{name} resumed"].append(resumed.processor_seconds)
            timings[f"{name} merged"].append(merge_cost(output).processor_seconds)

    def _shard(self, name: str) -> tuple[object, ...]:
        return getattr(self._sources, name), "--shard", "1/1"


def _disk(path: Path, timings: Timings) -> None:
    """Seconds on the wall: a megabyte that is not in memory, and a small file made safe."""
    with path.open("wb") as file:
        file.write(os.urandom(_DISK_BYTES))
        os.fsync(file.fileno())
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    timings["disk_megabyte"].append(seconds_of(path.read_bytes) / (_DISK_BYTES / 1e6))
    path.unlink()
    timings["file"].append(seconds_of(lambda: _write_small(path)) / _CALLS)


def _write_small(path: Path) -> None:
    for _ in range(_CALLS):
        write_whole_file(path, b"{}", what="a small file")


def _cameras(stem: Path, amounts: Amounts, timings: Timings) -> None:
    """As benchmarks.live_load measures them, in one process and in a process each."""
    run_measured(
        [
            sys.executable, "-m", "benchmarks.live_load", "--cameras", str(amounts.cameras),
            "--many", "2", "--seconds", str(amounts.camera_seconds), "--warm-up", "3",
            "--rounds", str(amounts.camera_rounds), "-o", str(stem),
        ],
        what="benchmarks.live_load",
    )  # fmt: skip
    for load in json.loads(stem.with_suffix(".json").read_text())["loads"]:
        name = "together" if load["processes"] == 1 else "apart"
        timings[f"cameras {name}"].append(load["processor_percent"] / 100)
        timings[f"memory {name}"].append(load["resident_megabytes"])
