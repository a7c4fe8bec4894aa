"""A long stream through `wsgn-run -`, and whether memory, descriptors or threads grow.

    python -m benchmarks.soak --minutes 120 -o runs/soak

The frames are made and encoded here and go through a pipe, as fast as they are taken; none lies on
disk. What the process holds is compared between the second quarter of the stream and the last.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any, cast

import av
import numpy as np
from av.video.stream import VideoStream

from benchmarks.holdings import GrowthError, Holding, growth_table, look, require_flat, require_proc
from benchmarks.measuring import WSGN_RUN
from benchmarks.results import ROOT, add_output, describe_machine, publish
from wsgn.errors import UsageError
from wsgn.support.command import run_command

_WIDTH, _HEIGHT, _FRAME_RATE = 160, 120, 15
_NUM_SAMPLES, _FEWEST_SAMPLES = 100, 8
_FEWEST_FRAMES = 8 * _FRAME_RATE


def main(argv: Sequence[str] | None = None) -> int:
    """Stream, look, report; 1 where something grew."""
    return run_command("benchmarks.soak", lambda: _run(_parser().parse_args(argv)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.soak", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--engine", type=Path, default=ROOT / "runtime" / "demo" / "demo.onnx",
                        help="on frames (default: the packaged one)")  # fmt: skip
    length = parser.add_mutually_exclusive_group(required=True)
    length.add_argument("--minutes", type=float, help="go on for so long")
    length.add_argument("--frames", type=int, help="or until so many frames have been taken")
    parser.add_argument(
        "--scores", choices=("exact", "causal"), default="causal", help="(default: %(default)s)"
    )
    add_output(parser)
    return parser


def _run(arguments: argparse.Namespace) -> int:
    require_proc()
    if arguments.frames is not None and arguments.frames < _FEWEST_FRAMES:
        raise UsageError(f"--frames must be at least {_FEWEST_FRAMES}, got {arguments.frames}.")
    if arguments.minutes is not None and not 0 < arguments.minutes < math.inf:
        raise UsageError(f"--minutes must be a positive number, got {arguments.minutes:g}.")
    machine = describe_machine()
    frames, samples, end = _stream(arguments)
    if len(samples) < _FEWEST_SAMPLES:
        raise GrowthError(f"{frames} frames are too few to compare anything: go on for longer.")
    words = f"{frames} frames, scores {arguments.scores}.\n\n{growth_table(samples)}"
    document = {
        "frames": frames,
        "samples": [asdict(sample) for sample in samples],
        "end": end,
    }
    publish(arguments.output, document, words, machine)
    _require_whole(end, frames)
    require_flat(samples)
    return 0


def _stream(arguments: argparse.Namespace) -> tuple[int, list[Holding], dict[str, Any]]:
    """The number of frames of a whole stream, the samples, and the last event."""
    words = ("-", "--engine", str(arguments.engine), "--scores", arguments.scores, "-q")
    lines: list[str] = []
    with subprocess.Popen(
        [*WSGN_RUN, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=False
    ) as process:
        reader = threading.Thread(target=_keep_last, args=(process.stdout, lines))
        reader.start()
        samples: list[Holding] = []

        def note(frames: int) -> None:
            samples.append(look(process.pid, frames))

        assert process.stdin is not None
        try:
            frames = _write_frames(process.stdin, _lengths(arguments), note)
            process.stdin.close()
        except BrokenPipeError as error:
            raise GrowthError("wsgn-run stopped reading before the stream ended.") from error
        code = process.wait()
        reader.join()
    if code != 0:
        raise GrowthError(f"wsgn-run ended with exit code {code}.")
    return frames, samples, cast("dict[str, Any]", json.loads(lines[-1]))


def _lengths(arguments: argparse.Namespace) -> Iterator[bool]:
    """For each frame of the stream whether it is time to look; ends where the stream ends."""
    if arguments.frames is not None:
        every = max(1, arguments.frames // _NUM_SAMPLES)
        yield from (number % every == 0 for number in range(1, arguments.frames + 1))
        return
    started, looked = time.monotonic(), 0
    while (passed := time.monotonic() - started) < 60 * arguments.minutes:
        share = int(_NUM_SAMPLES * passed / (60 * arguments.minutes))
        yield share > looked
        looked = max(share, looked)


def _write_frames(target: IO[bytes], lengths: Iterator[bool], look: Callable[[int], None]) -> int:
    """Encode noise before which a bright square goes round, until `lengths` ends; how many."""
    number = -1
    random = np.random.default_rng(0)
    noise = random.integers(0, 64, (8, _HEIGHT, _WIDTH, 3), dtype=np.uint8)
    with av.open(target, "w", format="mpegts") as container:
        stream = container.add_stream("mpeg4", rate=_FRAME_RATE)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = _WIDTH, _HEIGHT, "yuv420p"
        for number, is_time in enumerate(lengths):
            image = noise[number % len(noise)].copy()
            across = int(60 + 50 * math.sin(number / 20))
            image[40:80, across : across + 30] = 220
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
            if is_time:
                look(number + 1)
        container.mux(stream.encode(None))
    return number + 1


def _keep_last(source: IO[bytes], lines: list[str]) -> None:
    """Read all lines, of which only the last is kept."""
    for line in source:
        lines[:] = [line.decode()]


def _require_whole(end: dict[str, Any], frames: int) -> None:
    """Every frame was seen."""
    if end["type"] != "end" or not end["complete"] or end["decode_failures"] or end["dropped"]:
        raise GrowthError(f"the stream did not come out whole: {json.dumps(end)}.")
    if abs(end["seconds"] - frames / _FRAME_RATE) > 1:
        raise GrowthError(f"of {frames / _FRAME_RATE:.0f} s there came {end['seconds']:.0f}.")


if __name__ == "__main__":
    sys.exit(main())
