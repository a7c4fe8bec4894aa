"""How fast `wsgn-run` is beside its two parts, when its first event comes, and its memory.

Run `python -m benchmarks.throughput [--engine FILE]` on an idle Linux machine; it makes its videos
(fixed seed) and prints one table. A rate counts frames of the video per second of wall time, also
for the engine, which sees only the snippets that the video makes.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np

from wsgn.engines.engine import Engine
from wsgn.manifest import Manifest
from wsgn.runtime import DetectOptions, DetectorOptions, demo, open_engine
from wsgn.runtime.pipeline import Detection, frame_grid
from wsgn.runtime.streaming.detector import Detector, SnippetLogits
from wsgn.runtime.streaming.rules import SCORE_MODES
from wsgn.runtime.streaming.snippets import Snippeter
from wsgn.support.arrays import UInt8Array
from wsgn.video import FrameGrid, SampledFrame, VideoReader

DEMO_ENGINE = Path(demo.__file__).parent / "demo.onnx"
FRAME_RATE = 25
# A video is this stretch over and over; everything in it moves in whole periods.
STRETCH_SECONDS = 10
WINDOW_SECONDS = 60
# What 30 minutes make at a stride of 0.4 s.
NUM_SNIPPETS = 4500
LARGE, SMALL = (1280, 720), (160, 120)

# The command as it is installed, and its high-water mark in kB: what wait4 tells of a process
# includes the memory of the one that started it.
_COMMAND = """
import sys
from wsgn.runtime.cli.main import main
code = main()
print("VmHWM", open("/proc/self/status").read().split("VmHWM:")[1].split()[0], file=sys.stderr)
sys.exit(code)
"""


@dataclass(frozen=True, kw_only=True)
class Measure:
    """A row of the table."""

    name: str
    unit: str
    values: tuple[float, ...]

    def row(self) -> str:
        """Median and range, to three digits."""
        numbers = (statistics.median(self.values), min(self.values), max(self.values))
        shown = " | ".join(map(_digits, numbers))
        return f"| {self.name} | {self.unit} | {shown} | {len(self.values)} |"


def _digits(number: float) -> str:
    whole = math.floor(math.log10(abs(number))) + 1 if number else 1
    return f"{number:.{max(0, 3 - whole)}f}"


def moving_frames(width: int, height: int) -> Iterator[UInt8Array]:
    """A panned texture, crossing rectangles and sensor noise, (height, width, 3) each."""
    random = np.random.default_rng(0)
    blocks = random.integers(0, 256, (height // 8, width // 8, 3)).astype(np.float32)
    texture = 0.5 * np.kron(blocks, np.ones((8, 8, 1), dtype=np.float32)) + 60
    noise = random.normal(0, 3, (2 * height, 2 * width, 1)).astype(np.float32)
    phases = random.uniform(0, 2 * np.pi, (12, 2))
    colours = random.integers(0, 256, (12, 3))
    num_frames = STRETCH_SECONDS * FRAME_RATE
    for index in range(num_frames):
        turn = 2 * np.pi * index / num_frames
        pan = (round(height / 4 * np.sin(turn)), round(width / 4 * np.cos(turn)))
        frame = np.roll(texture, pan, axis=(0, 1))
        for speed, (phase, colour) in enumerate(zip(phases, colours, strict=True), start=1):
            y, x = (0.45 + 0.45 * np.sin(speed * turn + phase)) * (height, width)
            frame[int(y) : int(y) + height // 8, int(x) : int(x) + width // 16] = colour
        top, left = random.integers(0, (height, width))
        frame += noise[top : top + height, left : left + width]
        yield frame.clip(0, 255).astype(np.uint8)


def write_stretch(path: Path, size: tuple[int, int]) -> None:
    """One stretch as H.264."""
    width, height = size
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", FRAME_RATE, {"preset": "veryfast", "crf": "23"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for image in moving_frames(width, height):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))


def write_repeated(path: Path, stretch: Path, times: int) -> None:
    """The packets of a stretch, over and over."""
    with av.open(str(path), "w") as container:
        target: Any = None
        for repeat in range(times):
            with av.open(str(stretch)) as source:
                stream = source.streams.video[0]
                target = target or container.add_stream_from_template(stream)
                for packet in source.demux(stream):
                    if packet.dts is None or packet.pts is None or stream.duration is None:
                        continue
                    offset = repeat * stream.duration
                    packet.pts, packet.dts = packet.pts + offset, packet.dts + offset
                    packet.stream = target
                    container.mux(packet)


def write_videos(folder: Path) -> dict[str, Path]:
    """The videos by what they are called in the table."""
    videos: dict[str, Path] = {}
    for size, lengths in ((LARGE, (1,)), (SMALL, (1, 30))):
        stretch = folder / f"stretch_{size[1]}.mp4"
        write_stretch(stretch, size)
        for minutes in lengths:
            path = folder / f"{size[1]}p_{minutes}.mp4"
            write_repeated(path, stretch, minutes * 60 // STRETCH_SECONDS)
            videos[f"{size[1]}p, {minutes} min"] = path
    return videos


def throughput(video: Path, engine: Engine, repeats: int) -> list[Measure]:
    """Rates of decoding, of the engine and of both together, taken in turn."""
    grid = frame_grid(engine.manifest, engine.name)
    num_frames, frames = _read(video, grid)
    snippeter = Snippeter(engine.manifest.sampling)
    snippets = [snippet.frames for snippet in snippeter.push(frames) + snippeter.flush()]
    size = DetectOptions().batch_size
    batches = [np.stack(snippets[first : first + size]) for first in range(0, len(snippets), size)]
    parts: dict[str, Callable[[], object]] = {
        "decoding alone": lambda: _read(video, grid),
        "engine alone": lambda: [engine.infer(batch) for batch in batches],
        "end to end": lambda: list(Detection(video, engine).events()),
    }
    rates: dict[str, list[float]] = {name: [] for name in parts}
    for _ in range(repeats):
        for name, part in parts.items():
            start = time.perf_counter()
            part()
            rates[name].append(num_frames / (time.perf_counter() - start))
    slower = map(min, rates["decoding alone"], rates["engine alone"])
    ratios = tuple(both / part for both, part in zip(rates["end to end"], slower, strict=True))
    ratio = Measure(name="end to end / slower part", unit="", values=ratios)
    return [Measure(name=n, unit="frames/s", values=tuple(v)) for n, v in rates.items()] + [ratio]


def _read(video: Path, grid: FrameGrid) -> tuple[int, list[SampledFrame]]:
    """Number of frames that are decoded, and those on the grid."""
    with VideoReader(video, grid) as reader:
        frames = [item for item in reader if isinstance(item, SampledFrame)]
        return reader.summary.num_frames_decoded, frames


@dataclass(frozen=True, kw_only=True)
class Command:
    """What one run of the command showed."""

    source_seconds: float
    peak_megabytes: float


def run_command(video: Path, engine: Path, scores: str) -> Command:
    """Run `wsgn-run` in a process of its own, and watch its output."""
    arguments = [str(video), "--engine", str(engine), "--scores", scores]
    if scores == "window":
        arguments += ["--window", str(WINDOW_SECONDS)]
    start = time.perf_counter()
    source_seconds = math.nan
    with subprocess.Popen(
        [sys.executable, "-c", _COMMAND, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        for line in process.stdout:
            if json.loads(line)["type"] == "source":
                source_seconds = time.perf_counter() - start
        words = process.stderr.read()
    if process.returncode != 0:
        raise SystemExit(f"wsgn-run ended with {process.returncode}: {words}")
    peak_megabytes = int(words.split("VmHWM")[1]) / 1024
    return Command(source_seconds=source_seconds, peak_megabytes=peak_megabytes)


def commands(videos: dict[str, Path], engine: Path, repeats: int) -> list[Measure]:
    """First event and memory of the command, per video and mode; the longest video runs once."""
    first: list[Measure] = []
    peak: list[Measure] = []
    *_, longest = videos
    for label, video in videos.items():
        for scores in SCORE_MODES:
            count = 1 if label == longest else repeats
            runs = [run_command(video, engine, scores) for _ in range(count)]
            name = f"{label}, {scores}"
            seconds = tuple(run.source_seconds for run in runs)
            first.append(Measure(name=f"start to `source` event, {name}", unit="s", values=seconds))
            megabytes = tuple(run.peak_megabytes for run in runs)
            peak.append(Measure(name=f"peak memory, {name}", unit="MB", values=megabytes))
    return first + peak


def detector_cost(manifest: Manifest, repeats: int) -> list[Measure]:
    """Time of the detector per snippet, and what it keeps of each, on classes that take turns."""
    num_classes = len(manifest.classes)
    steps = np.arange(NUM_SNIPPETS)
    angles = steps[:, None] / 20 + 2 * np.pi * np.arange(num_classes) / num_classes  # (T, C)
    curves = np.exp(3 * np.sin(angles))
    stream = SnippetLogits(
        start_seconds=steps * manifest.sampling.snippet_stride / manifest.sampling.frame_rate,
        epoch=np.zeros(NUM_SNIPPETS, dtype=np.int64),
        selection_logits=np.sin(angles).astype(np.float32),
        class_probabilities=(curves / curves.sum(axis=1, keepdims=True)).astype(np.float32),
    )
    measures: list[Measure] = []
    for scores in SCORE_MODES:
        options = DetectorOptions(scores=scores, window_seconds=WINDOW_SECONDS)
        microseconds: list[float] = []
        for _ in range(repeats):
            detector = Detector(manifest, options)
            start = time.perf_counter()
            detector.push(stream)
            microseconds.append((time.perf_counter() - start) / NUM_SNIPPETS * 1e6)
        measures.append(
            Measure(name=f"detector, {scores}", unit="us/snippet", values=tuple(microseconds))
        )
        kept = _kept_bytes(Detector(manifest, options), stream) / NUM_SNIPPETS
        name = f"kept of a snippet (8 C = {8 * num_classes}), {scores}"
        measures.append(Measure(name=name, unit="bytes", values=(kept,)))
    return measures


def _kept_bytes(detector: Detector, stream: SnippetLogits) -> int:
    tracemalloc.start()
    detector.push(stream)
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return kept


def machine(engine: Engine) -> str:
    """What the figures hold for."""
    import onnxruntime

    return (
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, "
        f"load {os.getloadavg()[0]:.1f} before; Python {platform.python_version()}, "
        f"PyAV {av.__version__}, ONNX Runtime {onnxruntime.__version__}; "
        f"engine {engine.name} {engine.sha256[:12]}"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--engine", type=Path, default=DEMO_ENGINE, metavar="FILE")
    parser.add_argument("--repeats", type=int, default=5, metavar="N")
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, open_engine(arguments.engine) as engine:
        about = machine(engine)
        videos = write_videos(Path(folder))
        measures = throughput(next(iter(videos.values())), engine, arguments.repeats)
        measures += commands(videos, arguments.engine, min(3, arguments.repeats))
        measures += detector_cost(engine.manifest, arguments.repeats)
    if arguments.json:
        rows = [dataclasses.asdict(measure) for measure in measures]
        print(json.dumps({"machine": about, "measures": rows}, indent=1))
        return 0
    heading = "| | unit | median | lowest | highest | runs |\n|---|---|---|---|---|---|"
    print(f"{about}\n", heading, *(measure.row() for measure in measures), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
