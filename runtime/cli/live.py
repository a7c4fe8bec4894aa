"""A run over live sources: for weeks, whatever happens to some of them."""

from __future__ import annotations

import dataclasses
import errno
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from types import FrameType
from typing import TYPE_CHECKING

from wsgn.engines.engine import Engine
from wsgn.engines.open import open_engine
from wsgn.errors import InputError, OutputError, UsageError, WsgnError
from wsgn.support.command import PARTLY_FAILED, give_up_stdout
from wsgn.support.files import no_empty_folder
from wsgn.support.signals import HANG_UPS, KeptSignal, handle_signals
from wsgn.support.terminal import printable
from wsgn.video.live.reader import LiveReader
from wsgn.video.live.source import LiveSource

from ..clips.live import LiveClips
from ..events import (
    DroppedEvent,
    EndEvent,
    ErrorEvent,
    Event,
    Listener,
    RunEvent,
    StatusEvent,
    WarningEvent,
    new_run_name,
)
from ..live.options import StreamOptions
from ..live.saved import SavedStream
from ..live.state_files import StateFiles
from ..live.streams import Streams
from ..notify.notifier import Notifier, opened_notifier
from ..pipeline import MADE_UP
from ..writers.rotating import rotated_path
from .batch import run_event
from .console import Console, print_result
from .engines import checked_engine
from .live_files import LiveFiles
from .live_options import LiveRunOptions
from .live_page import opened_page
from .live_reports import SegmentLines, SourceStates, first_of
from .live_sources import find_live
from .live_state import StateSaver, opened_states
from .options import RunOptions
from .reports import JsonLinesReport, Report, open_report
from .signals import SignalStop, stop_on_signals

if TYPE_CHECKING:
    from ..serve.app import LivePage

# A run of which no source can be opened for so long ends, and whoever started it hears of it.
_FIRST_PICTURE_SECONDS = 60.0
# How often -v says how the run does.
_WORDS_SECONDS = 60.0
# A failure's sentence names so many sources.
_MOST_NAMES = 5
# No room on a disk, or for a user.
_FULL = (errno.ENOSPC, errno.EDQUOT)


def run_live(options: RunOptions, live: LiveRunOptions, hang_up: KeptSignal) -> int:
    """Check everything that can be checked, then open the sources; the exit code."""
    console = Console(quiet=options.quiet, verbose=options.verbose, progress=options.progress)
    description, options = checked_engine(options, console)
    if options.dry_run:
        return _dry_run(options, live)
    output = None if options.output is None else options.output.directory
    folder = nullcontext() if output is None else no_empty_folder(output)
    name = new_run_name()
    with (
        opened_page(live.serve, description.manifest.classes, name, console) as page,
        open_engine(description, device=options.device, num_threads=options.num_threads) as engine,
        folder,
        # With a list it asks for something else.
        stop_on_signals(None if live.lists else hang_up) as stop,
        opened_notifier(options.notify, console.say, lambda: stop.requested, name) as notifier,
    ):
        wanted = StreamOptions(
            detector=options.detect.detector,
            live=live.live,
            batch_size=options.detect.batch_size,
        )
        clips = None
        if live.clips is not None:
            clips = LiveClips(live.clips, live.clip_padding_seconds)
        with opened_states(live.state, engine, wanted, live.sources) as states:
            run = LiveRun(
                engine,
                options,
                live,
                wanted,
                states=states,
                console=console,
                stop=stop,
                notifier=notifier,
                clips=clips,
                page=page,
            )
            with run.listening(hang_up):
                return run.run()


class LiveRun:
    """One run over all its sources."""

    def __init__(
        self,
        engine: Engine,
        options: RunOptions,
        live: LiveRunOptions,
        wanted: StreamOptions,
        *,
        states: StateFiles | None,
        console: Console,
        stop: SignalStop,
        notifier: Notifier | None = None,
        clips: LiveClips | None = None,
        page: LivePage | None = None,
    ) -> None:
        self._options = options
        self._live = live
        self._console = console
        self._stop = stop
        self._clips = clips
        self._notifier = notifier
        self._listeners = _listeners(clips, notifier, page)
        self._run_event = _run_event(engine, options, live)
        self._report = _open_report(console)
        folder = None if options.output is None else options.output.directory
        self._files = LiveFiles(folder, live.rotate, self._run_event, console)
        self._state_files = states
        self._saver: StateSaver | None = None
        if states is not None:
            self._saver = StateSaver(states, console, on_saved=self._saved)
        self._sources = {source.name: source for source in live.sources}
        # Of states that cannot be gone on from; they are said when the run, or the source, begins.
        self._early: list[Event] = []
        self._streams = Streams(
            live.sources,
            engine,
            wanted,
            stop=stop,
            saved=self._load(live.sources),
            tick=self._tick,
            read=LiveReader if clips is None else clips.read,
            watcher=page,
        )
        if page is not None:
            page.show(self._streams.picture)
        self._states = SourceStates()
        self._began = time.monotonic()
        self._next_words = self._began + _WORDS_SECONDS
        self._gave_up = self._has_hung_up = self._has_warned = False
        # Whether lines for stdout found no room.
        self._has_lost_words = False

    @contextmanager
    def listening(self, hang_up: KeptSignal) -> Iterator[None]:
        """Take SIGHUP, also one that came before, where there is a list to be read again."""
        if not self._live.lists:
            yield
            return
        with handle_signals(self._hang_up, HANG_UPS):
            self._has_hung_up |= hang_up.taken() is not None
            yield

    def run(self) -> int:
        """Run until the sources end or a signal comes; the exit code."""
        for name in self._sources:
            self._files.open(name)
            self._states.begin(name)
        if self._clips is not None:
            self._clips.start()
        self._report.begin_run(self._run_event)
        self._tell(self._run_event)
        self._console.start_status()
        room = self._streams.memory_bytes / 1e6
        self._console.detail(
            f"{len(self._sources)} sources; what waits for the engine takes at most {room:.1f} MB."
        )
        ended = False
        try:
            self._say_early()
            for event in self._streams.events():
                self._take(event)
            self._say_early()
            ended = True
        finally:
            self._console.end_progress()
            if self._saver is not None:
                self._saver.finish(self._streams.snapshot(), ended=ended)
            self._files.close_all()
            if self._clips is not None:
                self._say_all(self._clips.close())
        self._say_how_it_ended()
        return self._exit_code()

    def _load(self, sources: tuple[LiveSource, ...]) -> dict[str, SavedStream]:
        if self._state_files is None:
            return {}
        saved, problems = self._state_files.load(sources)
        if self._saver is not None:
            self._saver.begin(saved)
        self._early += [
            WarningEvent(
                source=problem.source,
                at_unix_seconds=time.time(),
                code=problem.code,
                message=problem.message,
            )
            for problem in problems
        ]
        return saved

    def _saved(self, snapshot: Mapping[str, SavedStream]) -> None:
        """Let go of what is on the disk; states of sources that are gone are left to others."""
        self._streams.saved(snapshot)
        if self._state_files is not None:
            self._state_files.release_all(but=self._streams.unsaved | self._sources.keys())

    def _say_early(self) -> None:
        early, self._early = self._early, []
        for event in early:
            self._take(event)

    def _say_all(self, texts: Sequence[str]) -> None:
        for text in texts:
            self._console.say(text)

    def _hang_up(self, number: int, frame: FrameType | None) -> None:
        self._has_hung_up = True

    def _tick(self) -> None:
        """What is due twice a second, beside the events."""
        self._say_early()
        if self._has_hung_up:
            self._has_hung_up = False
            self._read_lists_again()
        if self._saver is not None:
            self._saver.tick(self._streams.snapshot)
        if self._notifier is not None:
            self._say_all(self._notifier.news())
        if self._clips is not None:
            self._say_all(self._clips.news())
        waited = time.monotonic() - self._began
        if (
            not self._states.opened
            and not self._gave_up
            and self._live.live.reconnect is None
            and waited > _FIRST_PICTURE_SECONDS
        ):
            self._gave_up = True
            self._stop.request()
        self._console.status(self._states.line())
        if time.monotonic() >= self._next_words:
            self._next_words = time.monotonic() + _WORDS_SECONDS
            self._console.detail(self._engine_words())

    def _engine_words(self) -> str:
        engine = self._streams.statistics().engine
        waits = ""
        if engine.num_snippets:
            waits = (
                f"; they waited {engine.wait_median_seconds:.3f} s (median), "
                f"{engine.wait_99_seconds:.3f} s (99 %)"
            )
        return f"{self._states.line()}; {engine.num_snippets} snippets{waits}."

    def _read_lists_again(self) -> None:
        try:
            found = find_live(self._live.words)
        except WsgnError as error:
            self._console.error(f"{error} The sources stay as they are.")
            return
        if found is None:
            self._console.error(
                "the list names files alone, or cannot be read. The sources stay as they are."
            )
            return
        wanted = {source.name: source for source in found.sources}
        playing = set(self._streams.names)
        changed = {name for name in self._sources if wanted.get(name) != self._sources[name]}
        # What was given up is tried again.
        begins = [
            source
            for name, source in wanted.items()
            if name in changed or name not in self._sources or self._states.has_failed(name)
        ]
        if self._saver is not None:
            # What goes and comes back with other settings goes on.
            self._saver.finish(self._streams.snapshot(), ended=False)
        for name in changed & playing:
            self._streams.remove(name)
        for name in changed:
            self._states.forget(name)
        refused = {source.name for source in begins if not self._add(source)}
        # What could not begin is new to the next reading of the list.
        self._sources = {name: wanted[name] for name in wanted if name not in refused}
        num_gone, num_begun = (
            sum(name not in wanted for name in changed),
            len(begins) - len(refused),
        )
        self._console.say(f"the list was read again: {num_begun} begin, {num_gone} are gone.")

    def _add(self, source: LiveSource) -> bool:
        try:
            if self._state_files is not None:
                self._state_files.lock((source,))
            saved = self._load((source,))
            self._streams.add(source, saved.get(source.name))
        except (UsageError, OutputError) as error:
            self._console.error(str(error))
            return False
        self._states.begin(source.name)
        return True

    def _take(self, event: Event) -> None:
        self._write_report(event)
        self._files.write(event.source or "", event)
        self._states.take(event)
        self._tell(event)
        if isinstance(event, EndEvent):
            # Begun again, it opens the file again.
            self._files.close(event.source or "")
        name = printable(event.source or "")
        if isinstance(event, StatusEvent):
            self._console.say(_with_name(name, event.message or f"{event.state}."))
        elif isinstance(event, DroppedEvent):
            self._console.detail(
                f"{name}: {event.snippets} snippets and {event.pictures} pictures were left out."
            )
        elif isinstance(event, WarningEvent):
            self._warn(event, name)
        elif isinstance(event, ErrorEvent):
            self._console.error(_with_name(name, event.message))
            if self._options.fail_fast:
                self._stop.request()
        elif isinstance(event, EndEvent):
            self._console.detail(
                f"{name}: {event.frames} frames, {event.snippets} snippets, "
                f"{event.segments} segments."
            )

    def _tell(self, event: Event) -> None:
        for listener in self._listeners:
            listener(event)

    def _write_report(self, event: Event) -> None:
        """Give an event to stdout; a disk that is full takes the line alone."""
        try:
            self._report.write(event)
        except OutputError as error:
            cause = error.__cause__
            if not isinstance(cause, OSError) or cause.errno not in _FULL:
                raise
            if not self._has_lost_words:
                self._console.error(f"{error} Detection goes on.")
            self._has_lost_words = True

    def _warn(self, event: WarningEvent, name: str) -> None:
        if event.code == MADE_UP:
            # Of the engine, and not of any source.
            if not self._has_warned:
                self._console.warn(event.message)
            self._has_warned = True
        else:
            self._console.warn(_with_name(name, event.message))

    def _say_how_it_ended(self) -> None:
        failed = self._states.failed
        if self._clips is not None and self._clips.num_lost:
            # Also with -q: it makes the exit code.
            self._console.error(f"{self._clips.num_lost} clips were not written.")
        if self._gave_up:
            causes = [f"{name} ({why})" for name, why in self._states.waiting.items()]
            self._console.error(
                f"no source could be opened in {_FIRST_PICTURE_SECONDS:g} s: "
                f"{first_of(causes, _MOST_NAMES)}."
            )
        elif failed and len(self._sources) > 1:
            self._console.error(
                f"{len(failed)} of {len(self._sources)} sources failed: "
                f"{first_of(failed, _MOST_NAMES)}."
            )

    def _exit_code(self) -> int:
        states = self._states
        if self._has_lost_words:
            give_up_stdout()
        is_unsaved = self._saver is not None and self._saver.failed
        has_lost = self._files.has_lost or (self._clips is not None and self._clips.num_lost > 0)
        if self._has_lost_words or has_lost or is_unsaved:
            return OutputError.exit_code
        if self._options.strict and states.opened and (states.is_degraded or states.failed):
            return PARTLY_FAILED
        if self._stop.signal_number is not None:
            return 128 + self._stop.signal_number
        if self._gave_up or (states.failed and not states.opened):
            return InputError.exit_code
        return PARTLY_FAILED if states.failed else 0


def _listeners(
    clips: LiveClips | None, notifier: Notifier | None, page: LivePage | None
) -> list[Listener]:
    """Who hears all events beside stdout and the files."""
    if page is not None and notifier is not None:
        page.metrics.counts |= notifier.counts()
    heard_by = (clips, notifier, None if page is None else page.hear)
    return [listener for listener in heard_by if listener is not None]


def _with_name(name: str, sentence: str) -> str:
    return sentence if sentence.startswith(f"{name}:") else f"{name}: {sentence}"


def _open_report(console: Console) -> Report:
    report = open_report()
    return report if isinstance(report, JsonLinesReport) else SegmentLines(console)


def _run_event(engine: Engine, options: RunOptions, live: LiveRunOptions) -> RunEvent:
    """The first event of a run; values of libav's options may be secrets."""
    event = run_event(engine, options)
    plain = dataclasses.asdict(live.live)
    usual = dataclasses.asdict(type(live.live)())
    chosen = {name: value for name, value in plain.items() if value != usual[name]}
    if "source_options" in chosen:
        chosen["source_options"] = sorted(chosen["source_options"])
    return dataclasses.replace(event, parameters=event.parameters | chosen)


def _dry_run(options: RunOptions, live: LiveRunOptions) -> int:
    """Say what would be read, and where its lines would go."""
    for source in live.sources:
        target = "stdout"
        if options.output is not None:
            folder = options.output.directory
            target = str(rotated_path(folder, source.name, live.rotate, time.time()))
        print_result(f"{printable(f'{source.name}: {source.shown} -> {target}')}\n")
    return 0
