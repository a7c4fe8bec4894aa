"""One process that plays live sources, and says every second what it did: for other benchmarks.

    python -m benchmarks.live_child rtsp://127.0.0.1:8554/door --slow 0.01

`wsgn-run` without files and states, with what only the inside knows, and with an engine that may be
made slower.
"""

from __future__ import annotations

import argparse
import json
import math
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from wsgn.engines.engine import Engine, EngineInputs, EngineOutputs, Pending, ReadyOutputs
from wsgn.engines.open import describe_engine, open_engine
from wsgn.runtime.events import DroppedEvent, GapEvent, SegmentEvent, StatusEvent
from wsgn.runtime.live.detect import live_sources
from wsgn.runtime.live.streams import Streams
from wsgn.runtime.pipeline import StopFlag
from wsgn.support.command import run_command
from wsgn.video.live.items import LiveFrame
from wsgn.video.live.reader import LiveItem, LiveReader
from wsgn.video.live.source import LiveSource

_SAY_SECONDS = 1.0
_COUNTED = (SegmentEvent, DroppedEvent, GapEvent, StatusEvent)


class SlowEngine:
    """An engine that takes so much longer for each snippet, as one on a busy device does."""

    def __init__(self, engine: Engine, seconds: float) -> None:
        self._engine = engine
        self._seconds = seconds
        self.name, self.sha256 = engine.name, engine.sha256
        self.manifest, self.device = engine.manifest, engine.device

    def infer(self, inputs: EngineInputs) -> EngineOutputs:
        """The engine's outputs."""
        outputs = self._engine.infer(inputs)
        time.sleep(self._seconds * len(outputs.selection_logits))
        return outputs

    def submit(self, inputs: EngineInputs) -> Pending:
        """At once, as on a CPU."""
        return ReadyOutputs(outputs=self.infer(inputs))

    def close(self) -> None:
        """Release the engine."""
        self._engine.close()

    def __enter__(self) -> SlowEngine:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def main(argv: Sequence[str] | None = None) -> int:
    """Play until a signal."""
    return run_command("benchmarks.live_child", lambda: _run(_parser().parse_args(argv)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.live_child", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("sources", nargs="+", metavar="SOURCE", help="addresses")
    parser.add_argument("--engine", type=Path, required=True, help="on frames")
    parser.add_argument("--bar-codes", action="store_true",
                        help="say all events, and of pictures their bar codes")  # fmt: skip
    parser.add_argument("--slow", type=float, default=0.0, metavar="S",
                        help="seconds more for each snippet (default: %(default)s)")  # fmt: skip
    return parser


def _run(arguments: argparse.Namespace) -> int:
    stop = StopFlag()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.request())
    with open_engine(describe_engine(arguments.engine), num_threads=1) as opened:
        engine = SlowEngine(opened, arguments.slow)
        sources = live_sources(arguments.sources)
        if arguments.bar_codes:
            _say_all(Streams(sources, engine, stop=stop, read=_ReaderOfBarCodes))
            return 0
        counts = {kind.type: 0 for kind in _COUNTED}
        teller = _Teller(counts)
        streams = Streams(sources, engine, stop=stop, tick=lambda: teller.tick(streams))
        for event in streams.events():
            if event.type in counts:
                counts[event.type] += 1
    return 0


def _say_all(streams: Streams) -> None:
    for event in streams.events():
        _say(event.to_dict())


def _say(document: dict[str, Any]) -> None:
    """A line, of whichever thread."""
    sys.stdout.write(f"{json.dumps(document)}\n")
    sys.stdout.flush()


class _ReaderOfBarCodes(LiveReader):
    """Says of each frame when it came, its media time and the number in its picture."""

    def __init__(self, source: LiveSource, *others: Any, **options: Any) -> None:
        super().__init__(source, *others, **options)
        self._name = source.name

    def __iter__(self) -> Iterator[LiveItem]:
        from benchmarks.live_runs import read_number

        for item in super().__iter__():
            if isinstance(item, LiveFrame):
                _say(
                    {
                        "type": "picture",
                        "source": self._name,
                        "seconds": item.seconds,
                        "number": read_number(item.image),
                        "monotonic": time.monotonic(),
                    }
                )
            yield item


class _Teller:
    """Says how a run stands, every second."""

    def __init__(self, counts: dict[str, int]) -> None:
        self._counts = counts
        self._said = -math.inf

    def tick(self, streams: Streams) -> None:
        """A line, if it is time."""
        if (now := time.monotonic()) - self._said < _SAY_SECONDS:
            return
        self._said = now
        statistics = streams.statistics()
        sources = statistics.sources.values()
        document: dict[str, Any] = {
            "type": "statistics",
            "engine": asdict(statistics.engine),
            "opened": sum(one.counters.frames > 0 for one in sources),
            "frames": sum(one.counters.frames for one in sources),
            "snippets": sum(one.counters.snippets for one in sources),
            "fewest_snippets": min(one.counters.snippets for one in sources),
            "most_snippets": max(one.counters.snippets for one in sources),
            "dropped": sum(one.counters.dropped for one in sources),
            "restarts": sum(one.counters.restarts for one in sources),
            "waiting": sum(one.num_waiting for one in sources),
            "events": dict(self._counts),
        }
        _say(document)


if __name__ == "__main__":
    sys.exit(main())
