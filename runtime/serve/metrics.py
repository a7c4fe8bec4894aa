"""What Prometheus asks of a run; names and labels are listed in docs/live.md."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from ..events import Event, RunEvent, StatusEvent
from ..live.running import SourceStatistics
from ..live.watching import Statistics

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
# Of one name. Beyond it all else is one series: a monitor is not to fall over what sources say.
_MOST_SERIES = 1000
_OTHER = "other"
_BATCHES = (1, 2, 4, 8, 16, 32, 64)
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)

Read = Callable[[SourceStatistics], float | None]
# Of each source: name, words, and what of its statistics; totals are counters.
_OF_SOURCES: tuple[tuple[str, str, Read], ...] = (
    ("wsgn_source_up", "1 where it gives pictures.", lambda one: float(is_up(one))),
    ("wsgn_pictures_total", "Frames on the engine's grid.", lambda one: one.counters.frames),
    ("wsgn_snippets_total", "Snippets with scores.", lambda one: one.counters.snippets),
    (
        "wsgn_dropped_snippets_total",
        "Snippets that waited too long for the engine.",
        lambda one: one.counters.dropped,
    ),
    (
        "wsgn_skipped_packets_total",
        "Packets left out undecoded, of sources that were late.",
        lambda one: one.counters.skipped,
    ),
    (
        "wsgn_decode_failures_total",
        "Damaged data that was left out.",
        lambda one: one.counters.decode_failures,
    ),
    ("wsgn_lag_seconds", "How late its newest picture came.", lambda one: one.lag_seconds),
    (
        "wsgn_last_picture_unix_seconds",
        "When its newest picture came.",
        lambda one: one.position.unix_seconds if one.position.epoch >= 0 else None,
    ),
    ("wsgn_waiting_snippets", "Snippets that wait for the engine.", lambda one: one.num_waiting),
)


def is_up(one: SourceStatistics) -> bool:
    """Whether a source gives pictures; one that is late does."""
    return one.state in ("restored", "late")


class Metrics(Collector):
    """Counts events and batches of a run, and takes the rest from its statistics."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._registry = CollectorRegistry()
        self._statistics: Statistics | None = None
        self._causes: dict[str, str] = {}
        self._events = _Limited("wsgn_events", "Events.", ("source", "type", "label"))
        self._restarts = _Limited("wsgn_restarts", "Returns after a loss.", ("source", "cause"))
        self._batches = Histogram(
            "wsgn_engine_batch_snippets", "Snippets in a call of the engine.",
            buckets=_BATCHES, registry=None,
        )  # fmt: skip
        self._seconds = Histogram(
            "wsgn_engine_seconds", "Calls of the engine.", buckets=_SECONDS, registry=None
        )
        self._info = GaugeMetricFamily(
            "wsgn_info", "What runs.", labels=("version", "engine_sha256")
        )
        # What others count, by name and words.
        self.counts: dict[tuple[str, str], Callable[[], Mapping[str, int]]] = {}
        for one in (self, self._events.counter, self._restarts.counter):
            self._registry.register(one)
        for histogram in (self._batches, self._seconds):
            self._registry.register(histogram)
        ProcessCollector(registry=self._registry)

    def hear(self, event: Event) -> None:
        """Count an event."""
        if isinstance(event, RunEvent):
            self._info.add_metric((event.version, event.engine_sha256), 1)
            return
        source, label = event.source or "", getattr(event, "label", "")
        self._events.count(source, event.type, label)
        if isinstance(event, StatusEvent):
            if event.state == "lost":
                self._causes[source] = event.cause or ""
            elif event.state == "restored" and source in self._causes:
                self._restarts.count(source, self._causes.pop(source))

    def landed(self, num_snippets: int, seconds: float) -> None:
        """Count a call of the engine."""
        self._batches.observe(num_snippets)
        self._seconds.observe(seconds)

    def ticked(self, statistics: Statistics) -> None:
        """Take what is known now."""
        self._statistics = statistics

    def text(self) -> bytes:
        """In Prometheus's text format."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """What is known of each source (prometheus_client asks)."""
        yield self._info
        statistics = self._statistics
        sources = {} if statistics is None else statistics.sources
        for name, words, read in _OF_SOURCES:
            kind: Any = CounterMetricFamily if name.endswith("_total") else GaugeMetricFamily
            family = kind(name, words, labels=("source",))
            for source, one in list(sources.items())[:_MOST_SERIES]:
                if (value := read(one)) is not None:
                    family.add_metric((source,), value)
            yield family
        for (name, words), read_counts in self.counts.items():
            counted = CounterMetricFamily(name, words, labels=("target",))
            for target, number in read_counts().items():
                counted.add_metric((target,), number)
            yield counted


class _Limited:
    """A counter with labels, of a bounded number of series."""

    def __init__(self, name: str, words: str, labels: tuple[str, ...]) -> None:
        self.counter = Counter(name, words, labels, registry=None)
        self._seen: set[tuple[str, ...]] = set()

    def count(self, *labels: str) -> None:
        if labels not in self._seen:
            if len(self._seen) >= _MOST_SERIES:
                labels = (_OTHER,) * len(labels)
            else:
                self._seen.add(labels)
        self.counter.labels(*labels).inc()
