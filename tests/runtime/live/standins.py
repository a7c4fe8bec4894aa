"""A reader whose script a test writes, and engines that are slow or late."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import planted
from commands import HANG_SECONDS

from wsgn.engines.engine import Engine, EngineOutputs, Pending, ReadyOutputs
from wsgn.runtime.live.options import StreamOptions
from wsgn.runtime.live.reading import LiveItem
from wsgn.runtime.live.streams import Streams
from wsgn.runtime.streaming.rules import DetectorOptions
from wsgn.video.grid import FrameGrid
from wsgn.video.info import VideoInfo
from wsgn.video.live.items import LiveFrame, LivePosition, Status
from wsgn.video.live.options import LiveOptions
from wsgn.video.live.source import LiveSource

RATE = 10.0
# Wall clock of media time 0.
UNIX = 1_793_000_000.0
# A source is late only on a machine that stands still.
NO_LAG = LiveOptions(max_lag_seconds=HANG_SECONDS)
INFO = VideoInfo(
    name="camera",
    duration_seconds=None,
    frame_rate=RATE,
    codec="h264",
    pixel_format="yuv420p",
    width=64,
    height=48,
    rotation_degrees=0,
    num_video_streams=1,
    audio_codec=None,
)

# What a reader does in turn: give an item, raise, or call something, which may wait.
Step = LiveItem | BaseException | Callable[["ScriptedReader"], object]


def frames(
    *scenes: tuple[str, float], begin_seconds: float = 0.0, epoch: int = 0
) -> Iterator[LiveFrame]:
    """Plain colours on the grid; they arrive when they are taken."""
    index = round(begin_seconds * RATE)
    for label, seconds in scenes:
        image = np.empty((planted.SIZE, planted.SIZE, 3), np.uint8)
        image[:] = planted.COLOURS[label]
        for _ in range(round(seconds * RATE)):
            yield LiveFrame(
                index=index,
                seconds=index / RATE,
                epoch=epoch,
                image=image,
                arrival=time.monotonic(),
                unix_seconds=UNIX + index / RATE,
            )
            index += 1


def status(state: str, cause: str | None = None, seconds: float = 0.0, **more: Any) -> Status:
    """A change of a source."""
    given: dict[str, Any] = {
        "unix_seconds": UNIX + seconds,
        "attempt": 1,
        "retry_seconds": None,
        "lost_seconds": None,
        "epoch": 0,
        "message": "is so.",
    }
    return Status(state=state, cause=cause, seconds=seconds, **given | more)


def until_stopped(reader: ScriptedReader) -> None:
    """Film nothing, and come by."""
    while not reader.should_stop():
        time.sleep(0.01)


def hang(seconds: float) -> Callable[[ScriptedReader], object]:
    """As a name resolution that does not return before it is released: it began so long ago."""

    def wait(reader: ScriptedReader) -> None:
        thread: Any = reader.should_stop
        thread.__self__.sign_of_life -= seconds
        assert reader.script.released.wait(HANG_SECONDS)

    return wait


def release_the_others(reader: ScriptedReader) -> None:
    """Let those that hang go on, and wait until they have ended."""
    reader.script.released.set()
    while reader.script.num_ended < len(reader.script.resumed_from) - 1:
        time.sleep(0.001)
    reader.script.released.clear()


def wait_for(event: threading.Event) -> Callable[[ScriptedReader], object]:
    """Come by until something has happened."""

    def wait(reader: ScriptedReader) -> None:
        while not event.wait(0.01):
            if reader.should_stop():
                return

    return wait


@dataclass
class Script:
    """What the readers of one source do, one list of steps for each reader in turn."""

    readers: list[Iterable[Step]]
    resumed_from: list[LivePosition | None] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)
    num_ended: int = 0


class ScriptedReader:
    """Stands in for `LiveReader`."""

    def __init__(
        self,
        script: Script,
        options: LiveOptions,
        resume: LivePosition | None,
        should_stop: Callable[[], bool],
    ) -> None:
        self.script = script
        self.options = options
        self.should_stop = should_stop
        self.position = resume or LivePosition(media_seconds=0.0, unix_seconds=UNIX, epoch=0)
        self.restarts = self.decode_failures = 0
        self.last_picture = 0.0
        self.last_frame = None
        self._steps = script.readers[len(script.resumed_from)]
        script.resumed_from.append(resume)

    def __iter__(self) -> Iterator[LiveItem]:
        try:
            yield from self._items()
        finally:
            self.script.num_ended += 1

    def _items(self) -> Iterator[LiveItem]:
        for step in self._steps:
            if isinstance(step, BaseException):
                raise step
            if callable(step):
                step(self)
                continue
            if isinstance(step, LiveFrame):
                self.last_picture = step.arrival
                end = step.seconds + 1 / RATE
                self.position = LivePosition(
                    media_seconds=end, unix_seconds=UNIX + end, epoch=step.epoch
                )
            yield step


@dataclass(frozen=True, kw_only=True)
class LateOutputs:
    """As of an engine on a GPU: computed when they are waited for."""

    engine: Engine
    inputs: Any
    ready: bool = False

    def result(self) -> EngineOutputs:
        return self.engine.infer(self.inputs)


class GatedEngine:
    """Takes nothing before the gate is open, counts what it was asked, and may answer late."""

    def __init__(
        self, engine: Engine, gate: threading.Event | None = None, *, late: bool = False
    ) -> None:
        self._late = late
        self.name, self.sha256 = engine.name, engine.sha256
        self.manifest, self.device = engine.manifest, engine.device
        self._engine, self._gate = engine, gate
        self.num_asked = 0

    def submit(self, inputs: Any) -> Pending:
        assert self._gate is None or self._gate.wait(HANG_SECONDS)
        self.num_asked += len(inputs)
        if self._late:
            return LateOutputs(engine=self._engine, inputs=inputs)
        return ReadyOutputs(outputs=self._engine.infer(inputs))

    def asked(self, number: int) -> Callable[[ScriptedReader], object]:
        """A reader's step: come by until so many snippets were asked for."""

        def wait(reader: ScriptedReader) -> None:
            while self.num_asked < number and not reader.should_stop():
                time.sleep(0.001)

        return wait


def streams(
    scripts: Mapping[str, Iterable[Step] | Script],
    engine: Any,
    *,
    live: LiveOptions = NO_LAG,
    scores: str = "causal",
    begin_with: Sequence[str] | None = None,
    **options: Any,
) -> Streams:
    """A run over scripted sources, by their names."""
    by_name = {
        name: steps if isinstance(steps, Script) else Script([steps])
        for name, steps in scripts.items()
    }

    def read(
        source: LiveSource,
        grid: FrameGrid,
        options: LiveOptions,
        *,
        resume: LivePosition | None,
        should_stop: Callable[[], bool],
    ) -> ScriptedReader:
        return ScriptedReader(by_name[source.name], options, resume, should_stop)

    detector = DetectorOptions(scores=scores, window_seconds=120.0)
    chosen = StreamOptions(live=live, detector=detector)
    names = begin_with or list(scripts)
    return Streams([source(name) for name in names], engine, chosen, read=read, **options)


def source(name: str, **more: Any) -> LiveSource:
    """A camera that nobody opens."""
    return LiveSource(name=name, address=f"rtsp://user:secret@{name}/1", **more)
