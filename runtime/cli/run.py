"""A run of `wsgn-run`: parse, build, run, exit code."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from wsgn.engines.engine import EngineDescription
from wsgn.engines.open import open_engine
from wsgn.errors import InputError, UsageError, WsgnError
from wsgn.support.command import failure_code
from wsgn.support.files import leftovers_removed
from wsgn.support.signals import KeptSignal
from wsgn.support.terminal import printable, quoted
from wsgn.video import probe
from wsgn.video.addresses import STANDARD_INPUT
from wsgn.video.files import is_fifo

from ..notify.notifier import opened_notifier
from ..report.names import INDEX_NAME, PAGE_FORMAT
from .batch import Batch, run_event
from .console import Console, print_result
from .engines import checked_engine
from .joined import JOINED_FORMATS, JOINED_NAME
from .options import FeatureWords, RunOptions, parse_options
from .outputs import Outputs
from .reports import open_report
from .scorers import open_scorer
from .shard_records import reserved_names, shard_plan
from .signals import stop_on_signals
from .source_work import SourceWork
from .sources import Job, display_name, expand_sources, video_of


def run(arguments: Sequence[str], hang_up: KeptSignal) -> int:
    """Run a command line that names no subcommand; the exit code."""
    options = parse_options(arguments)
    if options.demo:
        from .demo import run_demo

        return run_demo(options, hang_up)
    if options.live is not None:
        from .live import run_live

        return run_live(options, options.live, hang_up)
    return _run_batch(options, hang_up)


def _run_batch(options: RunOptions, hang_up: KeptSignal) -> int:
    """Check everything that can be checked, then decode."""
    console = Console(quiet=options.quiet, verbose=options.verbose, progress=options.progress)
    formats = options.output.formats if options.output else ()
    reserved = [JOINED_NAME] if set(formats) & set(JOINED_FORMATS) else []
    reserved += [Path(INDEX_NAME).stem] if PAGE_FORMAT in formats else []
    description, options = checked_engine(options, console)
    if options.shard is not None:
        reserved += reserved_names(options.shard)
    jobs = _jobs(options, description, reserved, console)
    plan = None
    if options.shard is not None:
        # Names in results tell all sources apart, not those of the shard alone.
        plan = shard_plan(options.shard, jobs)
        jobs = options.shard.of(jobs)
    outputs = Outputs(options.output, plan)
    if options.workers is not None and not options.dry_run:
        return _run_in_workers(jobs, description, options, outputs, console, hang_up)
    with (
        open_engine(description, device=options.device, num_threads=options.num_threads) as engine,
        outputs.folder(),
        open_scorer(options.kernels, engine) as scorer,
    ):
        outputs.check(jobs)
        if options.dry_run:
            features = description.manifest.features
            return _dry_run(jobs, outputs, 0 if features is None else features.size)
        _warn_of_formulas(jobs, description, outputs, console)
        with (
            stop_on_signals(hang_up) as stop,
            opened_notifier(options.notify, console.say, lambda: stop.requested) as notifier,
        ):
            event = run_event(engine, options)
            batch = Batch(
                options,
                outputs=outputs,
                report=open_report(),
                console=console,
                stop=stop,
                run_event=event,
                notifier=notifier,
            )
            work = SourceWork(
                engine=engine,
                scorer=scorer,
                options=options.detect,
                outputs=outputs,
                run_event=event,
                stop=stop,
            )
            return batch.run(jobs, work)


def _run_in_workers(
    jobs: list[Job],
    description: EngineDescription,
    options: RunOptions,
    outputs: Outputs,
    console: Console,
    hang_up: KeptSignal,
) -> int:
    """The same in several processes, each with an engine of its own."""
    from .source_workers import source_workers

    _refuse_what_cannot_be_shared(jobs, options)
    files = (path for job in jobs for path in outputs.paths(job))
    with outputs.folder(), leftovers_removed(files):
        outputs.check(jobs)
        _warn_of_formulas(jobs, description, outputs, console)
        with (
            stop_on_signals(hang_up) as stop,
            opened_notifier(options.notify, console.say, lambda: stop.requested) as notifier,
            source_workers(
                description,
                options,
                outputs,
                num_jobs=len(jobs),
                stopping=lambda: stop.requested,
                say=console.say,
            ) as pool,
        ):
            event = pool.begin()
            if event is None:
                return 128 + (stop.signal_number or 0)
            batch = Batch(
                options,
                outputs=outputs,
                report=open_report(),
                console=console,
                stop=stop,
                run_event=event,
                notifier=notifier,
            )
            return batch.run_in_workers(jobs, pool)


def _refuse_what_cannot_be_shared(jobs: Sequence[Job], options: RunOptions) -> None:
    """Raise `UsageError` for what only one process, or only those of this machine, can read."""
    assert options.workers is not None
    is_far = options.workers.ray is not None
    for job in jobs:
        if job.source == STANDARD_INPUT:
            option = "--ray" if is_far else "--workers"
            raise UsageError(f"{option} cannot share stdin: leave it out for -.")
        if is_far and job.problem is None and is_fifo(job.source):
            raise UsageError(f"--ray cannot share '{job.source}', a pipe of this machine.")


def _warn_of_formulas(
    jobs: Sequence[Job], description: EngineDescription, outputs: Outputs, console: Console
) -> None:
    if formulas := outputs.formulas(jobs, description.manifest.classes):
        console.warn(
            f"{quoted(formulas)} in CSV files begin like formulas, which spreadsheets compute: "
            "import these columns as text."
        )


def _jobs(
    options: RunOptions, engine: EngineDescription, reserved: list[str], console: Console
) -> list[Job]:
    """What the sources stand for: videos, or what an engine on features takes."""
    if engine.manifest.features is None:
        return expand_sources(options.sources, reserved, console.say)
    # Readers of features are loaded for engines that want them.
    from .feature_sources import FeatureTaking, expand_features

    taking = FeatureTaking(
        engine_name=engine.path.name,
        sampling=engine.manifest.sampling,
        words=options.features or FeatureWords(),
        input_rate=options.detect.input_rate,
    )
    return expand_features(options.sources, taking, reserved)


def _dry_run(jobs: Sequence[Job], outputs: Outputs, size: int) -> int:
    """Say where each source would go, or what is wrong with it; the exit code of a run.

    `size` is the width of the features that the engine takes, if it does.
    """
    num_failed = 0
    for job in jobs:
        problem: WsgnError | None = job.problem or outputs.problem(job)
        # Looking into a pipe would take its beginning away.
        if problem is None and job.source != STANDARD_INPUT and not is_fifo(job.source):
            try:
                if job.features is None:
                    probe(video_of(job))
                else:
                    job.features.info(size)
            except InputError as error:
                problem = error
        num_failed += problem is not None
        targets = ", ".join(map(str, outputs.paths(job))) or "stdout"
        shown = printable(f"{display_name(job.source)} -> {problem or targets}")
        print_result(f"{shown}\n")
    return failure_code(num_failed, len(jobs) - num_failed)
