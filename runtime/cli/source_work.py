"""The work on one source of a run, in this process or in a worker: through the engine, to files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from wsgn.engines.engine import Engine
from wsgn.errors import InputError, UsageError

from ..events import Event, RunEvent
from ..pipeline import Detection, DetectOptions, StopFlag, failure_events
from ..source_run import SourceRun
from ..streaming.whole_video import Scorer
from ..writers import ResultCollector, SourceResult
from .outputs import Outputs, SourceOutputError
from .sources import Job, display_name, video_of


@dataclass(frozen=True, kw_only=True)
class SourceFailure:
    """Why a source gave no result."""

    message: str
    # Its last events.
    events: tuple[Event, ...]
    # Whether the source was good and its files could not be written.
    is_of_output: bool = False


@dataclass(frozen=True, kw_only=True)
class SourceOutcome:
    """What became of a source: a result or a failure."""

    result: SourceResult | None = None
    failure: SourceFailure | None = None
    # Whether a signal cut it short.
    partial: bool = False


@dataclass(frozen=True, kw_only=True)
class SourceWork:
    """All that it needs besides the sources."""

    engine: Engine
    scorer: Scorer | None
    options: DetectOptions
    outputs: Outputs
    run_event: RunEvent
    stop: StopFlag

    def run(self, job: Job, take: Callable[[Event], None]) -> SourceOutcome:
        """Run a job, and give its events to `take`; they are in its files before that."""
        detection: SourceRun | None = None
        name = display_name(job.source)
        try:
            problem = job.problem or self.outputs.problem(job)
            if problem is not None:
                raise problem
            detection = self._detection(job, name)
            return self._run_detection(job, detection, take)
        # Options may fit one source and not another (--stream): the others still run.
        except (InputError, UsageError, SourceOutputError) as error:
            end = None if detection is None else detection.end_event()
            return SourceOutcome(failure=failure_of(name, error, failure_events(name, error, end)))

    def _detection(self, job: Job, name: str) -> SourceRun:
        """The run over a source; whoever takes features has loaded their module."""
        if job.features is None:
            return Detection(
                video_of(job),
                self.engine,
                self.options,
                name=name,
                stop=self.stop,
                scorer=self.scorer,
            )
        from ..features import FeatureDetection

        return FeatureDetection(
            job.features,
            self.engine,
            self.options,
            name=name,
            stop=self.stop,
            scorer=self.scorer,
        )

    def _run_detection(
        self, job: Job, detection: SourceRun, take: Callable[[Event], None]
    ) -> SourceOutcome:
        files = self.outputs.open(job)
        collector = ResultCollector(job.key)
        try:
            files.write(self.run_event)
            for event in detection.events():
                files.write(event)
                take(event)
                collector.push(event)
            partial = self.stop.requested
            files.commit(detection, partial=partial)
        finally:
            files.discard()
        return SourceOutcome(result=collector.result(), partial=partial)


def failure_of(name: str, error: Exception, events: list[Event]) -> SourceFailure:
    """The failure of the source `name` by an error."""
    prefix = "" if name in str(error) else f"{name}: "
    return SourceFailure(
        message=f"{prefix}{error}",
        events=tuple(events),
        is_of_output=isinstance(error, SourceOutputError),
    )
