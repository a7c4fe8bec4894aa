"""How fast `wsgn-run` is beside its two parts, when its first event comes, and its memory.

    python -m benchmarks.throughput [--engine FILE] [-o runs/throughput]

for an idle Linux machine; it makes its videos (fixed seed). A rate counts frames of the video per
second of wall time, also for the engine, which sees only the snippets that the video makes.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import av
import numpy as np

from benchmarks.measuring import WSGN_RUN, Spread, digits, run_measured, seconds_of, spread_of
from benchmarks.results import add_output, describe_machine, publish
from benchmarks.tables import table
from wsgn.engines.engine import Engine
from wsgn.errors import UsageError
from wsgn.manifest import Manifest
from wsgn.runtime import DetectOptions, DetectorOptions, demo, open_engine
from wsgn.runtime.pipeline import Detection, frame_grid
from wsgn.runtime.streaming.detector import Detector, SnippetLogits
from wsgn.runtime.streaming.rules import SCORE_MODES
from wsgn.runtime.streaming.snippets import Snippeter, engine_inputs
from wsgn.support.arrays import UInt8Array
from wsgn.support.command import run_command
from wsgn.video import FrameGrid, SampledFrame, VideoReader

DEMO_ENGINE = Path(demo.__file__).parent / "demo.onnx"
FRAME_RATE = 25
# A video is this stretch over and over; everything in it moves in whole periods.
STRETCH_SECONDS = 10
WINDOW_SECONDS = 60
LARGE, SMALL = (1280, 720), (160, 120)


@dataclass(frozen=True, kw_only=True)
class Measure:
    """A row of the table."""

    name: str
    unit: str
    values: Spread


@dataclass(frozen=True, kw_only=True)
class Videos:
    """The videos by what they are called in the table; the longest comes last."""

    paths: dict[str, Path]
    # Of the longest.
    seconds: int


def moving_frames(width: int, height: int, num_frames: int) -> Iterator[UInt8Array]:
    """A panned texture, crossing rectangles and sensor noise, (height, width, 3) each."""
    random = np.random.default_rng(0)
    blocks = random.integers(0, 256, (height // 8, width // 8, 3)).astype(np.float32)
    texture = 0.5 * np.kron(blocks, np.ones((8, 8, 1), dtype=np.float32)) + 60
    noise = random.normal(0, 3, (2 * height, 2 * width, 1)).astype(np.float32)
    phases = random.uniform(0, 2 * np.pi, (12, 2))
    colours = random.integers(0, 256, (12, 3))
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


def write_stretch(path: Path, size: tuple[int, int], seconds: int) -> None:
    """One stretch as H.264."""
    width, height = size
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", FRAME_RATE, {"preset": "veryfast", "crf": "23"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for image in moving_frames(width, height, seconds * FRAME_RATE):
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


def write_videos(folder: Path, seconds: int, longest: int) -> Videos:
    """A large and a small video of some seconds, and a long small one."""
    paths: dict[str, Path] = {}
    for size, lengths in ((LARGE, (seconds,)), (SMALL, (seconds, longest))):
        stretch_seconds = min(STRETCH_SECONDS, seconds)
        stretch = folder / f"stretch_{size[1]}.mp4"
        write_stretch(stretch, size, stretch_seconds)
        for length in lengths:
            path = folder / f"{size[1]}p_{length}.mp4"
            write_repeated(path, stretch, length // stretch_seconds)
            paths[f"{size[1]}p, {length} s"] = path
    return Videos(paths=paths, seconds=longest)


def throughput(video: Path, engine: Engine, repeats: int) -> list[Measure]:
    """Rates of decoding, of the engine and of both together, taken in turn."""
    grid = frame_grid(engine.manifest, engine.name)
    num_frames, frames = _read(video, grid)
    snippeter = Snippeter(engine.manifest.sampling, engine.manifest.flow)
    snippets = snippeter.push(frames) + snippeter.flush()
    size = DetectOptions().batch_size
    batches = [
        engine_inputs(snippets[first : first + size]) for first in range(0, len(snippets), size)
    ]
    parts: dict[str, Callable[[], object]] = {
        "decoding alone": lambda: _read(video, grid),
        "engine alone": lambda: [engine.infer(batch) for batch in batches],
        "end to end": lambda: list(Detection(video, engine).events()),
    }
    rates: dict[str, list[float]] = {name: [] for name in parts}
    for _ in range(repeats):
        for name, part in parts.items():
            rates[name].append(num_frames / seconds_of(part))
    slower = map(min, rates["decoding alone"], rates["engine alone"])
    ratios = [both / part for both, part in zip(rates["end to end"], slower, strict=True)]
    measures = [_measure(name, "frames/s", values) for name, values in rates.items()]
    return [*measures, _measure("end to end / slower part", "", ratios)]


def _measure(name: str, unit: str, values: Sequence[float]) -> Measure:
    return Measure(name=name, unit=unit, values=spread_of(values))


def _read(video: Path, grid: FrameGrid) -> tuple[int, list[SampledFrame]]:
    """Number of frames that are decoded, and those on the grid."""
    with VideoReader(video, grid) as reader:
        frames = [item for item in reader if isinstance(item, SampledFrame)]
        return reader.summary.num_frames_decoded, frames


def run_wsgn(video: Path, engine: Path, scores: str) -> tuple[float, float]:
    """Seconds from the start of `wsgn-run` to its `source` event, and its peak memory in MB."""
    command = [*WSGN_RUN, str(video), "--engine", str(engine), "--scores", scores]
    if scores == "window":
        command += ["--window", str(WINDOW_SECONDS)]
    run = run_measured(command, what="wsgn-run")
    kinds = [json.loads(line)["type"] for line in run.lines]
    return run.line_seconds[kinds.index("source")], run.usage.peak_megabytes


def commands(videos: Videos, engine: Path, repeats: int) -> list[Measure]:
    """First event and memory of the command, per video and mode; the longest video runs once."""
    first: list[Measure] = []
    peak: list[Measure] = []
    *_, longest = videos.paths
    for label, video in videos.paths.items():
        for scores in SCORE_MODES:
            count = 1 if label == longest else repeats
            seconds, megabytes = zip(
                *(run_wsgn(video, engine, scores) for _ in range(count)), strict=True
            )
            name = f"{label}, {scores}"
            first.append(_measure(f"start to `source` event, {name}", "s", seconds))
            peak.append(_measure(f"peak memory, {name}", "MB", megabytes))
    return first + peak


def detector_cost(manifest: Manifest, num_snippets: int, repeats: int) -> list[Measure]:
    """Time of the detector per snippet, and what it keeps of each, on classes that take turns."""
    num_classes = len(manifest.classes)
    steps = np.arange(num_snippets)
    angles = steps[:, None] / 20 + 2 * np.pi * np.arange(num_classes) / num_classes  # (T, C)
    curves = np.exp(3 * np.sin(angles))
    stream = SnippetLogits(
        start_seconds=manifest.sampling.start_seconds(steps),
        epoch=np.zeros(num_snippets, dtype=np.int64),
        selection_logits=np.sin(angles).astype(np.float32),
        class_probabilities=(curves / curves.sum(axis=1, keepdims=True)).astype(np.float32),
    )
    measures: list[Measure] = []
    for scores in SCORE_MODES:
        options = DetectorOptions(scores=scores, window_seconds=WINDOW_SECONDS)
        microseconds = []
        for _ in range(repeats):
            detector = Detector(manifest, options)
            microseconds.append(seconds_of(partial(detector.push, stream)) / num_snippets * 1e6)
        measures.append(_measure(f"detector, {scores}", "us/snippet", microseconds))
        kept = _kept_bytes(Detector(manifest, options), stream) / num_snippets
        measures.append(
            _measure(f"kept of a snippet (8 C = {8 * num_classes}), {scores}", "bytes", [kept])
        )
    return measures


def _kept_bytes(detector: Detector, stream: SnippetLogits) -> int:
    tracemalloc.start()
    detector.push(stream)
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return kept


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print the table, and write it where asked for."""
    return run_command("benchmarks.throughput", lambda: _run(_parser().parse_args(argv)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.throughput", description=(__doc__ or "").splitlines()[0]
    )
    add = parser.add_argument
    add("--engine", type=Path, default=DEMO_ENGINE, metavar="FILE", help="(default: the demo's)")
    add("--repeats", type=int, default=5, metavar="N", help="runs of each (default: %(default)s)")
    add("--seconds", type=int, default=60, help="of two videos (default: %(default)s)")
    add("--longest", type=int, default=1800, metavar="SECONDS", help="of one (%(default)s)")
    add_output(parser)
    return parser


def _run(arguments: argparse.Namespace) -> int:
    if min(arguments.repeats, arguments.seconds, arguments.longest) < 1:
        raise UsageError("--repeats, --seconds and --longest must be at least 1.")
    # Before anything has loaded the machine.
    machine = describe_machine()
    with tempfile.TemporaryDirectory() as folder, open_engine(arguments.engine) as engine:
        sampling = engine.manifest.sampling
        videos = write_videos(Path(folder), arguments.seconds, arguments.longest)
        measures = throughput(next(iter(videos.paths.values())), engine, arguments.repeats)
        measures += commands(videos, arguments.engine, min(3, arguments.repeats))
        num_snippets = round(videos.seconds * sampling.frame_rate / sampling.snippet_stride)
        measures += detector_cost(engine.manifest, num_snippets, arguments.repeats)
        about = {"engine": engine.name, "engine_sha256": engine.sha256}
    document = about | {"measures": [asdict(measure) for measure in measures]}
    publish(arguments.output, document, as_table(measures), machine)
    return 0


def as_table(measures: Sequence[Measure]) -> str:
    """Markdown."""
    heading = ["", "unit", "median", "10 %", "90 %", "runs"]
    rows = []
    for measure in measures:
        found = measure.values
        figures = map(digits, (found.median, found.low, found.high))
        rows.append([measure.name, measure.unit, *figures, found.count])
    return table(heading, rows)


if __name__ == "__main__":
    sys.exit(main())
