"""How long after an action's boundary was filmed do its lines come, on the wall clock?

    python -m benchmarks.live_delay --minutes 5 -o runs/live_delay

Cameras film the packaged sample, over RTSP and through the standard input of `wsgn-run`. Over RTSP
a bar code in each picture says when it was filmed; through a pipe the first picture's moment is
known. The boundary is the one that the line names, and the line has come when another process has
read it.
"""

from __future__ import annotations

import argparse
import bisect
import math
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from benchmarks.live_runs import (
    DEMO,
    Camera,
    Clip,
    LiveError,
    LiveRun,
    RtspServer,
    TransportStream,
    sample_clip,
    source_name,
)
from benchmarks.results import add_output, describe_machine, publish
from benchmarks.tables import table
from wsgn.errors import UsageError
from wsgn.support.command import run_command

_CHILD = (sys.executable, "-m", "benchmarks.live_child")
_TYPES = ("start", "segment")
# Lines of an opening's burst are of pictures that were filmed before anything was connected.
_OPENING_SECONDS = 5.0
_STOP_SECONDS = 30.0
# Of media time against the filming, from one frame of the engine's grid to the next: more than a
# picture is a bar code that was misread.
_WRONG_SECONDS = 0.1


@dataclass(kw_only=True)
class Delays:
    """Of lines of one type that came one way, in seconds."""

    way: str
    type: str
    # From the filming of the boundary to the line.
    wall: list[float] = field(default_factory=list)
    # From the boundary to `at_seconds`, in media time: what the detector has to wait for.
    media: list[float] = field(default_factory=list)
    # How much later than it was the line says that the boundary was filmed; of live sources.
    claimed: list[float] = field(default_factory=list)


def main(argv: Sequence[str] | None = None) -> int:
    """Film, wait, report."""
    return run_command("benchmarks.live_delay", lambda: _run(_parser().parse_args(argv)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.live_delay", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--engine", type=Path, default=DEMO,
                        help="on frames (default: the packaged one)")  # fmt: skip
    parser.add_argument("--minutes", type=float, default=5.0, help="(default: %(default)s)")
    parser.add_argument("--cameras", type=int, default=8,
                        help="over RTSP, in one process (default: %(default)s)")  # fmt: skip
    parser.add_argument("--pipes", type=int, default=3,
                        help="each a process (default: %(default)s)")  # fmt: skip
    add_output(parser)
    return parser


def _run(arguments: argparse.Namespace) -> int:
    if not 0 < arguments.minutes < math.inf:
        raise UsageError("--minutes must be a positive number.")
    for name in ("cameras", "pipes"):
        if getattr(arguments, name) < 1:
            raise UsageError(f"--{name} must be at least 1, got {getattr(arguments, name)}.")
    machine = describe_machine()
    clip = sample_clip(numbered=True)
    with (
        tempfile.TemporaryDirectory(prefix="wsgn-delay-") as folder,
        ThreadPoolExecutor() as side_by_side,
    ):
        rtsp = side_by_side.submit(_over_rtsp, arguments, clip, Path(folder))
        pipes = side_by_side.submit(_through_pipes, arguments, clip, Path(folder))
        pictures, delays = rtsp.result()
        delays += pipes.result()
    document = {"pictures": pictures, "delays": [asdict(one) for one in delays]}
    publish(arguments.output, document, _words(pictures, delays), machine)
    return 0


def _over_rtsp(
    arguments: argparse.Namespace, clip: Clip, folder: Path
) -> tuple[list[float], list[Delays]]:
    """Delays of pictures up to the engine's grid, and of lines."""
    with RtspServer() as server:
        cameras = {}
        for number in range(arguments.cameras):
            camera = server.add(f"camera{number}", clip)
            # Actions of one are no others' actions.
            camera.began -= number * clip.period_seconds / arguments.cameras
            cameras[source_name(camera)] = camera
        words = [camera.url for camera in cameras.values()]
        words += ["--engine", str(arguments.engine), "--bar-codes"]
        with LiveRun(words, folder=folder, command=_CHILD) as run:
            run.wait_for(lambda: len(run.of("source")) == len(cameras), "a line of each camera")
            began = time.monotonic()
            time.sleep(60 * arguments.minutes)
            run.require_running()
            run.stop()
        films = {name: _Film(run, name, camera) for name, camera in cameras.items()}
    found = _delays("RTSP", run, began, lambda name: films[name].filmed)
    pictures = [
        line.event["monotonic"] - films[line.event["source"]].filmed(line.event["seconds"])
        for line in run.lines
        if line.event["type"] == "picture" and line.came > began + _OPENING_SECONDS
    ]
    return pictures, found


class _Film:
    """When the pictures of a camera were filmed, by their media time: what bar codes say."""

    def __init__(self, run: LiveRun, source: str, camera: Camera) -> None:
        self._seconds: list[float] = []
        self._filmed: list[float] = []
        for event in run.of("picture", source=source):
            self._seconds.append(event["seconds"])
            self._filmed.append(camera.filmed(event["number"], before=event["monotonic"]))
        steps = np.diff(self._filmed) - np.diff(self._seconds)
        if (wrong := int((np.abs(steps) > _WRONG_SECONDS).sum())) > 0:
            raise LiveError(f"{source}: {wrong} bar codes were not read right.")

    def filmed(self, seconds: float) -> float:
        """On the monotonic clock, by the picture that is shown then."""
        place = max(0, bisect.bisect_right(self._seconds, seconds) - 1)
        return self._filmed[place] + seconds - self._seconds[place]


def _through_pipes(arguments: argparse.Namespace, clip: Clip, folder: Path) -> list[Delays]:
    """Delays of lines of `wsgn-run -`, whose frames come as they are filmed."""
    words = ["-", "-e", str(arguments.engine), "--scores", "window", "--window", "120", "-q"]
    all_found: list[Delays] = []
    with ExitStack() as stack:
        runs, writers = [], []
        for number in range(arguments.pipes):
            run = stack.enter_context(LiveRun(words, folder=folder, stdin=subprocess.PIPE))
            writer = _Writer(run, clip, number * clip.period_seconds / arguments.pipes)
            runs.append(run)
            writers.append(writer)
        for writer in writers:
            writer.start()
        time.sleep(60 * arguments.minutes)
        for run, writer in zip(runs, writers, strict=True):
            run.require_running()
            writer.stop()
            if (code := run.wait(_STOP_SECONDS)) != 0:
                raise LiveError(f"wsgn-run ended with {code}: {run.said()}")
            all_found += _delays("a pipe", run, writer.began, writer.film)
    return [_joined([one for one in all_found if one.type == kind]) for kind in _TYPES]


class _Writer(threading.Thread):
    """Writes pictures into a run's standard input as they are filmed."""

    def __init__(self, run: LiveRun, clip: Clip, first_seconds: float) -> None:
        super().__init__(daemon=True)
        self._run, self._clip = run, clip
        self._first_seconds = first_seconds
        self._stopped = threading.Event()
        self.began = time.monotonic()

    def run(self) -> None:
        pictures = self._clip.from_keyframe(self._first_seconds)
        first, self.began = None, time.monotonic()
        with self._run.stdin as target, TransportStream(target, self._clip) as stream:
            for sent, shown, picture in pictures:
                first = sent if first is None else first
                wait = self.began + sent - first - time.monotonic()
                if self._stopped.wait(max(0.0, wait)):
                    return
                stream.write(picture, shown - first, sent - first)

    def stop(self) -> None:
        """End the stream."""
        self._stopped.set()
        self.join()

    def film(self, source: str) -> Callable[[float], float]:
        """When the picture of a media time was filmed."""
        return lambda seconds: self.began + seconds


def _delays(
    way: str, run: LiveRun, began: float, film_of: Callable[[str], Callable[[float], float]]
) -> list[Delays]:
    """Of lines that do not come of the opening, or of the end."""
    found = {kind: Delays(way=way, type=kind) for kind in _TYPES}
    shift = time.time() - time.monotonic()
    for line in run.lines:
        event = line.event
        if event["type"] not in found or line.came < began + _OPENING_SECONDS:
            continue
        if event.get("reason") in ("end", "signal", "gap"):
            continue
        name = "start_seconds" if event["type"] == "start" else "end_seconds"
        filmed = film_of(event.get("source", ""))(event[name])
        one = found[event["type"]]
        one.wall.append(line.came - filmed)
        one.media.append(event["at_seconds"] - event[name])
        claimed = event.get(name.replace("_seconds", "_unix_seconds"))
        if claimed is not None:
            one.claimed.append(claimed - shift - filmed)
    return list(found.values())


def _joined(all_found: Sequence[Delays]) -> Delays:
    joined = Delays(way=all_found[0].way, type=all_found[0].type)
    for one in all_found:
        joined.wall += one.wall
        joined.media += one.media
    return joined


def _words(pictures: Sequence[float], delays: Sequence[Delays]) -> str:
    rows = [
        (f"`{one.type}` over {one.way}", len(one.wall), *_points(one.wall), *_points(one.media))
        for one in delays
    ]
    heading = ("line", "number", "median", "95 %", "of it media time, median", "95 %")
    claimed = [seconds for one in delays for seconds in one.claimed]
    return (
        f"{table(heading, rows)}\n\n"
        f"A picture over RTSP is on the engine's grid {' (median) and '.join(_points(pictures))} "
        f"(95 %) after it was filmed; what lines say of the wall clock of their boundary is "
        f"{' (median) and '.join(_points(claimed))} (95 %) later than the filming."
    )


def _points(seconds: Sequence[float]) -> Iterator[str]:
    """The median and the 95 % point."""
    if not seconds:
        return iter(("-", "-"))
    return (f"{value:.2f} s" for value in np.percentile(seconds, (50, 95)).tolist())


if __name__ == "__main__":
    sys.exit(main())
