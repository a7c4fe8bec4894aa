"""A live source that is read in a thread, and what it has yielded so far."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any, TypeVar

from cameras import Camera
from clips import read_bar_code
from servers import stood_seconds

from wsgn.video import FrameGrid, Gap
from wsgn.video.info import VideoInfo
from wsgn.video.live.backoff import Backoff
from wsgn.video.live.items import LiveFrame, Status
from wsgn.video.live.options import LiveOptions
from wsgn.video.live.reader import LiveReader
from wsgn.video.live.ring import PacketRing
from wsgn.video.live.source import LiveSource

T = TypeVar("T")
# No verdict depends on it: what hangs ends.
LONGEST_SECONDS = 60.0
# Of sources whose silence is to be noticed: a busy machine stands still for two seconds by itself.
TIMEOUT_SECONDS = 3.0
# Of all others.
PATIENT_SECONDS = 30.0
# Pictures of a connection lie where they were filmed, but for a step of the grid and those without
# which decoding waits for a keyframe.
_STEADY_SECONDS = 0.7
# A quarter of a clip's pictures, small, wide enough for their bar codes.
GRID = FrameGrid(frame_rate=10, height=48, width=64, resize="stretch")


class ShortWaits(Backoff):
    """As short as a test wants them; what the true ones would be is kept."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[float] = []

    def wait_seconds(self, cause: str) -> float:
        """A tenth of the true one, at most a fifth of a second."""
        self.waits.append(super().wait_seconds(cause))
        return min(self.waits[-1] / 10, 0.2)


class Reading:
    """Reads from its making until `stop`; bears any silence and any lag unless told otherwise."""

    def __init__(
        self,
        address: str,
        *,
        grid: FrameGrid = GRID,
        make_backoff: Callable[[], Backoff] = ShortWaits,
        each: Callable[[Any], None] = lambda item: None,
        realtime: bool = False,
        ring: PacketRing | None = None,
        **options: Any,
    ) -> None:
        # What came, and when (monotonic).
        self.items: list[Any] = []
        self.times: list[float] = []
        self.error: Exception | None = None
        self.has_ended = False
        self._each = each
        self._changed = threading.Condition()
        self._stop = threading.Event()
        names = ("timeout_seconds", "open_timeout_seconds", "max_lag_seconds")
        chosen = LiveOptions(**(dict.fromkeys(names, PATIENT_SECONDS) | options))
        source = LiveSource(name="door", address=address, realtime=realtime)
        self.reader = LiveReader(
            source,
            grid,
            chosen,
            should_stop=self._stop.is_set,
            backoff=make_backoff(),
            ring=ring,
        )
        self.begun = time.monotonic()
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        try:
            for item in self.reader:
                with self._changed:
                    self.items.append(item)
                    self.times.append(time.monotonic())
                    self._changed.notify_all()
                self._each(item)
        except Exception as error:
            self.error = error
        with self._changed:
            self.has_ended = True
            self._changed.notify_all()

    def stop(self) -> None:
        """Read no more; what hangs in libav is left there."""
        self._stop.set()

    def wait(self, condition: Callable[[], bool]) -> None:
        """Until it holds; an error with what came where it never does."""
        with self._changed:
            holds = self._changed.wait_for(
                lambda: condition() or self.has_ended, timeout=LONGEST_SECONDS
            )
        said = f"{self.told()}, {len(self.frames)} frames, {self.error!r}"
        assert holds, said
        assert condition(), said

    def wait_for_frames(self, count: int) -> None:
        """So many more than there are."""
        aim = len(self.frames) + count
        self.wait(lambda: len(self.frames) >= aim)

    def wait_for_status(self, state: str, *, number: int = 1) -> Status:
        """The n-th status of this kind."""
        self.wait(lambda: len(self.statuses(state)) >= number)
        return self.statuses(state)[number - 1]

    def wait_for_end(self) -> Exception | None:
        """What it has raised."""
        self.wait(lambda: self.has_ended)
        return self.error

    def of(self, kind: type[T]) -> list[T]:
        """All items of a kind."""
        return [item for item in list(self.items) if isinstance(item, kind)]

    @property
    def frames(self) -> list[LiveFrame]:
        """All frames."""
        return self.of(LiveFrame)

    def statuses(self, state: str) -> list[Status]:
        """All of this state."""
        return [status for status in self.of(Status) if status.state == state]

    def time_of(self, item: object) -> float:
        """When it came, monotonic."""
        return self.times[next(at for at, one in enumerate(self.items) if one is item)]

    def told(self) -> list[str]:
        """Kinds of what came beside frames, in order."""
        words = []
        for item in list(self.items):
            if isinstance(item, Status):
                words.append(f"{item.state} {item.cause}" if item.cause else item.state)
            elif isinstance(item, Gap):
                words.append(f"gap {item.cause}")
            elif isinstance(item, VideoInfo):
                words.append("info")
            elif not isinstance(item, LiveFrame):
                words.append(getattr(item, "code", type(item).__name__.lower()))
        return words


def check_frames(reading: Reading, camera: Camera, *, tolerance_seconds: float = 1.0) -> None:
    """Times rise along the grid, and pictures lie where they were filmed, over all epochs.

    An epoch is placed when its first picture comes: later by as much as the machine stood still.
    """
    frames, period = reading.frames, camera.clip.period_seconds
    for one, later in pairwise(frames):
        assert later.seconds > one.seconds
        assert later.epoch >= one.epoch
    tolerance_seconds += stood_seconds(reading.begun)
    firsts: dict[int, tuple[LiveFrame, int]] = {}
    for frame in frames:
        assert frame.seconds == round(frame.seconds * 10) / 10
        code = read_bar_code(frame.image)
        assert code is not None
        first, first_code = firsts.setdefault(frame.epoch, (frame, code))
        filmed_seconds = (code - first_code) / camera.clip.rate
        off = (frame.seconds - first.seconds - filmed_seconds + period / 2) % period - period / 2
        assert abs(off) < (_STEADY_SECONDS if camera.has_times else tolerance_seconds)
    shifts = [
        first.seconds - camera.filmed(code, before=first.arrival) for first, code in firsts.values()
    ]
    assert max(shifts) - min(shifts) < tolerance_seconds
