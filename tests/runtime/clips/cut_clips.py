"""The command on small videos whose frames carry their number, and what its files hold."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
from coded_clips import number_in

from wsgn.runtime.cli.main import main


@dataclass(frozen=True)
class Clip:
    """What is in a file, read by PyAV alone."""

    numbers: list[int]
    # Times of the frames, and the end of the last.
    seconds: list[float]
    end_seconds: float
    # As the file says.
    duration_seconds: float
    size: tuple[int, int]
    rotation: int
    sound_seconds: float | None


def read_clip(path: Path) -> Clip:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frames = list(container.decode(stream))
        assert stream.time_base is not None
        end = float((frames[-1].pts + (frames[-1].duration or 0)) * stream.time_base)
        rotation = int(frames[0].rotation)
        duration = float((stream.duration or 0) * stream.time_base)
    sound = None
    with av.open(str(path)) as container:
        if container.streams.audio:
            audio = container.streams.audio[0]
            sound = sum(frame.samples for frame in container.decode(audio)) / audio.rate
    return Clip(
        numbers=[number_in(frame.to_ndarray(format="rgb24")) for frame in frames],
        seconds=[float(frame.time) for frame in frames],
        end_seconds=end,
        duration_seconds=duration,
        size=(frames[0].width, frames[0].height),
        rotation=rotation,
        sound_seconds=sound,
    )


def mean_colour(path: Path) -> list[float]:
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
        colours: list[float] = frame.to_ndarray(format="rgb24").mean(axis=(0, 1)).tolist()
    return colours


def write_results(
    path: Path, segments: Sequence[tuple[str, float, float]], *names: str, score: float = 0.5
) -> Path:
    """As `-f json` has them."""
    found = [{"label": a, "segment": [b, c], "score": score} for a, b, c in segments]
    path.write_text(json.dumps({"results": dict.fromkeys(names or (path.stem,), found)}))
    return path


@dataclass(frozen=True)
class Run:
    """What the command has said."""

    code: int
    said: str
    lines: list[dict[str, Any]]

    @property
    def files(self) -> list[Path]:
        return [Path(line["file"]) for line in self.lines]


def run_clips(capsys: Any, *words: object) -> Run:
    code = main(["clips", *map(str, words)])
    said = capsys.readouterr()
    assert "Traceback" not in said.err
    return Run(code, said.err, [json.loads(line) for line in said.out.splitlines()])


def is_close(one: Sequence[float], other: Sequence[float], tolerance: float = 1e-3) -> bool:
    return len(one) == len(other) and bool(np.allclose(one, other, rtol=0, atol=tolerance))


def turn(path: Path) -> None:
    """Let an MP4 be shown a quarter turned, by its display matrix."""
    data = bytearray(path.read_bytes())
    place = data.index(b"tkhd") + 4 + 40
    matrix = np.frombuffer(bytes(data[place : place + 36]), ">i4").copy()
    matrix[[0, 1, 3, 4]] = (0, 65536, -65536, 0)
    data[place : place + 36] = matrix.astype(">i4").tobytes()
    path.write_bytes(data)
