"""Several sources through one engine: goes on after a bad one, and says so at the end."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from wsgn import __version__
from wsgn.engines.engine import Engine
from wsgn.errors import InputError, OutputError, UsageError
from wsgn.support.command import PARTLY_FAILED, failure_code

from ..events import EndEvent, Event, ProgressEvent, RunEvent, WarningEvent
from ..notify.notifier import Notifier
from ..pipeline import MADE_UP, Detection, failure_events
from ..source_run import SourceRun
from ..streaming.whole_video import Scorer
from ..writers import ResultCollector
from .console import Console
from .options import RunOptions
from .outputs import Outputs, SourceFiles, SourceOutputError
from .progress import WholeRun, done_and_total
from .reports import Report
from .signals import SignalStop
from .sources import Job, display_name, video_of, waiting_sentence


class Batch:
    """One run over all its sources."""

    def __init__(
        self,
        engine: Engine,
        options: RunOptions,
        *,
        outputs: Outputs,
        report: Report,
        console: Console,
        stop: SignalStop,
        notifier: Notifier | None = None,
        scorer: Scorer | None = None,
    ) -> None:
        self._scorer = scorer
        self._engine = engine
        self._options = options
        self._outputs = outputs
        self._report = report
        self._console = console
        self._stop = stop
        self._notifier = notifier
        self._run_event = run_event(engine, options)
        self._num_done = self._num_kept = self._num_degraded = self._num_unwritable = 0
        self._failed: list[str] = []
        # Why, by their names in results.
        self._problems: dict[str, str] = {}
        self._has_warned = False
        self._current = self._label = ""
        self._number = 0
        self._whole = WholeRun([])

    def run(self, jobs: Sequence[Job]) -> int:
        """Run the jobs in order; the exit code."""
        self._outputs.begin()
        self._report.begin_run(self._run_event)
        self._notify(self._run_event)
        self._whole = WholeRun([job.source for job in jobs])
        num_tried = 0
        for number, job in enumerate(jobs, start=1):
            if self._stop.requested or (self._failed and self._options.fail_fast):
                break
            num_tried = number
            if self._outputs.is_done(job):
                self._console.detail(f"{display_name(job.source)}: done before.")
                self._num_done += 1
                self._num_kept += 1
                self._whole.skip(number - 1)
                continue
            label = display_name(job.output_name)
            self._label = label if len(jobs) == 1 else f"{number}/{len(jobs)} {label}"
            self._number = number - 1
            self._run_job(job)
            self._whole.end(number - 1)
        if not self._stop.requested:
            self._outputs.write_joined(jobs)
            self._outputs.write_record(jobs, self._run_event, self._problems, num_tried)
            self._outputs.require_present()
        self._say_how_it_ended(len(jobs))
        return self._exit_code()

    def _run_job(self, job: Job) -> None:
        detection: SourceRun | None = None
        name = self._current = display_name(job.source)
        self._console.start_progress(self._label)
        try:
            problem = job.problem or self._outputs.problem(job)
            if problem is not None:
                raise problem
            if sentence := waiting_sentence(job):
                self._console.say(sentence)
            detection = self._detection(job, name)
            self._run_detection(job, detection)
        except (InputError, UsageError, SourceOutputError) as error:
            # Options may fit one source and not another (--stream): the others still run.
            prefix = "" if name in str(error) else f"{name}: "
            self._console.error(f"{prefix}{error}")
            self._failed.append(name)
            self._problems[job.key] = str(error)
            self._num_unwritable += isinstance(error, SourceOutputError)
            end = None if detection is None else detection.end_event()
            for event in failure_events(name, error, end):
                self._report.write(event)
                self._notify(event)
        finally:
            self._console.end_progress()

    def _detection(self, job: Job, name: str) -> SourceRun:
        """The run over a source; whoever takes features has loaded their module."""
        if job.features is None:
            return Detection(
                video_of(job),
                self._engine,
                self._options.detect,
                name=name,
                stop=self._stop,
                scorer=self._scorer,
            )
        from ..features import FeatureDetection

        return FeatureDetection(
            job.features,
            self._engine,
            self._options.detect,
            name=name,
            stop=self._stop,
            scorer=self._scorer,
        )

    def _run_detection(self, job: Job, detection: SourceRun) -> None:
        files = self._outputs.open(job)
        collector = ResultCollector(job.key)
        try:
            files.write(self._run_event)
            for event in detection.events():
                self._take(event, files)
                collector.push(event)
            files.commit(detection, partial=self._stop.requested)
        finally:
            files.discard()
        self._console.end_progress()
        self._outputs.add(job, collector.result())
        self._report.end_source(self._current, collector.result())
        self._num_done += 1

    def _take(self, event: Event, files: SourceFiles) -> None:
        files.write(event)
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
