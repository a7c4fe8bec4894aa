"""Several sources through one engine: goes on after a bad one, and says so at the end."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

from wsgn import __version__
from wsgn.engines.engine import Engine
from wsgn.errors import OutputError
from wsgn.support.command import PARTLY_FAILED, failure_code
from wsgn.video import VideoError
from wsgn.workers.pool import Died, Done, Told, WorkerPool

from ..events import EndEvent, Event, ProgressEvent, RunEvent, WarningEvent
from ..notify.notifier import Notifier
from ..pipeline import MADE_UP, failure_events
from .console import Console
from .options import RunOptions
from .outputs import Outputs
from .progress import WholeRun, done_and_total
from .reports import Report
from .signals import SignalStop
from .source_work import SourceOutcome, SourceWork, failure_of
from .sources import Job, display_name, waiting_sentence


class Batch:
    """One run over all its sources."""

    def __init__(
        self,
        options: RunOptions,
        *,
        outputs: Outputs,
        report: Report,
        console: Console,
        stop: SignalStop,
        run_event: RunEvent,
        notifier: Notifier | None = None,
    ) -> None:
        self._options = options
        self._outputs = outputs
        self._report = report
        self._console = console
        self._stop = stop
        self._notifier = notifier
        self._run_event = run_event
        self._num_done = self._num_kept = self._num_degraded = self._num_unwritable = 0
        self._failed: list[str] = []
        # Why, by their names in results.
        self._problems: dict[str, str] = {}
        self._has_warned = False
        self._current = self._label = ""
        self._number = 0
        # Of the first so many sources each was run or skipped.
        self._num_tried = 0
        self._whole = WholeRun([])

    def run(self, jobs: Sequence[Job], work: SourceWork) -> int:
        """Run the jobs in order, in this process; the exit code."""
        self._begin(jobs)
        for index, job in self._waiting(jobs):
            label = display_name(job.output_name)
            self._label = label if len(jobs) == 1 else f"{index + 1}/{len(jobs)} {label}"
            self._number = index
            self._current = display_name(job.source)
            self._console.start_progress(self._label)
            try:
                if job.problem is None and (sentence := waiting_sentence(job)):
                    self._console.say(sentence)
                outcome = work.run(job, self._take)
            finally:
                self._console.end_progress()
            self._settle(job, outcome)
            self._whole.end(index)
        return self._end(jobs)

    def run_in_workers(self, jobs: Sequence[Job], pool: WorkerPool) -> int:
        """Run the jobs in the pool of a run; the exit code.

        What a source has to say comes when it has ended, so that sources do not mix.
        """
        self._begin(jobs)
        self._console.start_status()
        heard: dict[int, list[Event]] = {}
        try:
            for message in pool.run(self._sent(jobs)):
                number = message.number
                if isinstance(message, Told):
                    self._hear(message, heard, len(jobs))
                    continue
                job = jobs[number]
                self._current = display_name(job.source)
                for event in heard.pop(number, ()):
                    self._take(event)
                self._settle(job, self._outcome(message, self._current))
                self._whole.end(number)
        finally:
            self._console.end_progress()
        return self._end(jobs)

    def _begin(self, jobs: Sequence[Job]) -> None:
        self._outputs.require_same_run(jobs, self._run_event)
        self._outputs.begin()
        self._report.begin_run(self._run_event)
        self._notify(self._run_event)
        self._whole = WholeRun([job.source for job in jobs])

    def _waiting(self, jobs: Sequence[Job]) -> Iterator[tuple[int, Job]]:
        """Jobs that are still to be done, with their numbers from 0, until the run is to end."""
        for index, job in enumerate(jobs):
            if self._stop.requested or (self._failed and self._options.fail_fast):
                return
            self._num_tried = index + 1
            if self._outputs.is_done(job):
                self._console.detail(f"{display_name(job.source)}: done before.")
                self._num_done += 1
                self._num_kept += 1
                self._whole.skip(index)
                continue
            yield index, job

    def _sent(self, jobs: Sequence[Job]) -> Iterator[tuple[int, Job]]:
        """Those of them that go to workers."""
        for index, job in self._waiting(jobs):
            if job.problem is None:
                yield index, job
                continue
            name = self._current = display_name(job.source)
            events = failure_events(name, job.problem)
            self._settle(job, SourceOutcome(failure=failure_of(name, job.problem, events)))
            self._whole.end(index)

    def _hear(self, message: Told, heard: dict[int, list[Event]], num_jobs: int) -> None:
        event: Event = message.news
        if not isinstance(event, ProgressEvent):
            heard.setdefault(message.number, []).append(event)
            return
        done, total = done_and_total(event, self._options.detect)
        words = self._whole.words(message.number, min(1.0, done / total) if total else 0.0)
        ended = self._num_done + len(self._failed)
        self._console.status(f"{ended} of {num_jobs} sources done{words}")

    def _outcome(self, message: Done | Died, name: str) -> SourceOutcome:
        if isinstance(message, Died):
            error = VideoError(message.code, message.message)
        else:
            outcome: SourceOutcome = message.result
            if not outcome.partial or self._stop.requested:
                return outcome
            error = VideoError("stopped", "a signal to its worker alone has cut it short.")
        return SourceOutcome(failure=failure_of(name, error, failure_events(name, error)))

    def _settle(self, job: Job, outcome: SourceOutcome) -> None:
        """Say and keep what became of a source."""
        if outcome.result is not None:
            self._outputs.add(job, outcome.result)
            self._report.end_source(self._current, outcome.result)
            self._num_done += 1
        elif (failure := outcome.failure) is not None:
            self._console.error(failure.message)
            self._failed.append(self._current)
            self._problems[job.key] = failure.message
            self._num_unwritable += failure.is_of_output
            for event in failure.events:
                self._report.write(event)
                self._notify(event)

    def _end(self, jobs: Sequence[Job]) -> int:
        if not self._stop.requested:
            self._outputs.write_joined(jobs)
            self._outputs.write_record(jobs, self._run_event, self._problems, self._num_tried)
            self._outputs.require_present()
        self._say_how_it_ended(len(jobs))
        return self._exit_code()

    def _take(self, event: Event) -> None:
        self._report.write(event)
        self._notify(event)
        if isinstance(event, ProgressEvent):
            done, total = done_and_total(event, self._options.detect)
            words = self._whole.words(self._number, min(1.0, done / total) if total else 0.0)
            self._console.progress(done, total, label=f"{self._label}{words}")
        elif isinstance(event, WarningEvent) and event.code == MADE_UP:
            # Of the engine, and not of any source.
            if not self._has_warned:
                self._console.warn(event.message)
            self._has_warned = True
        elif isinstance(event, WarningEvent):
            self._console.warn(f"{self._current}: {event.message}")
        elif isinstance(event, EndEvent):
            self._num_degraded += not event.complete or event.decode_failures > 0
            self._console.detail(
                f"{event.source}: {event.frames} frames, {event.snippets} snippets, "
                f"{event.segments} segments."
            )

    def _notify(self, event: Event) -> None:
        if self._notifier is None:
            return
        self._notifier(event)
        for text in self._notifier.news():
            self._console.say(text)

    def _say_how_it_ended(self, num_jobs: int) -> None:
        if num_jobs < 2 and not self._num_kept:
            return
        if self._failed:
            shown = ", ".join(self._failed[:5]) + (", ..." if len(self._failed) > 5 else "")
            self._console.error(f"{len(self._failed)} of {num_jobs} sources failed: {shown}.")
        else:
            kept = f", {self._num_kept} of them already there" if self._num_kept else ""
            if self._num_kept == num_jobs:
                kept = ": all of them were already there (--overwrite makes them again)"
            noun = "source" if num_jobs == 1 else "sources"
            self._console.say(f"{self._num_done} of {num_jobs} {noun} done{kept}.")

    def _exit_code(self) -> int:
        if self._stop.signal_number is not None:
            return 128 + self._stop.signal_number
        if self._failed and self._num_unwritable == len(self._failed) and not self._num_done:
            return OutputError.exit_code
        if self._failed:
            return failure_code(len(self._failed), self._num_done)
        return PARTLY_FAILED if self._options.strict and self._num_degraded else 0


def run_event(engine: Engine, options: RunOptions) -> RunEvent:
    """The first event of a run: what is needed to do it again."""
    detector = dataclasses.asdict(options.detect.detector)
    chosen = {
        name: value for name, value in detector.items() if value is not None and value is not False
    }
    if options.detect.detector.scores != "window":
        chosen.pop("window_seconds")
    for name in ("start_seconds", "end_seconds", "stream", "input_rate"):
        value = getattr(options.detect, name)
        if value is not None:
            chosen[name] = value
    if options.kernels is not None:
        chosen["kernels"] = options.kernels.name
    return RunEvent(
        version=__version__,
        engine=engine.name,
        engine_sha256=engine.sha256,
        parameters=chosen | {"device": engine.device},
    )
