"""`wsgn-run`: parse, build, run, exit code."""

from __future__ import annotations

import signal
import sys
import traceback
from collections.abc import Sequence

from wsgn.errors import InputError, OutputError, WsgnError
from wsgn.video import probe

from .batch import PARTLY_FAILED, Batch
from .companions import COMPANIONS
from .console import Console, print_result, silence_stdout
from .detector import Detector
from .engines import open_engine
from .options import RunOptions, parse_options
from .outputs import MERGED_NAME, Outputs
from .pipeline import frame_grid
from .reports import open_report
from .signals import stop_on_signals
from .sources import STANDARD_INPUT, Job, display_name, expand_sources

_UNEXPECTED = 1


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line; the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    verbose = any(word in ("-v", "--verbose") for word in arguments)
    try:
        return _dispatch(arguments)
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else 2
    except BrokenPipeError:
        silence_stdout()
        return OutputError.exit_code
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except WsgnError as error:
        if isinstance(error, OutputError):
            silence_stdout()
        Console().error(str(error))
        return error.exit_code
    except Exception as error:
        if verbose:
            traceback.print_exc()
        Console().error(
            f"unexpected {type(error).__name__}: {error}; this is a bug, please report it "
            "(-v shows where)."
        )
        return _UNEXPECTED


def _dispatch(arguments: list[str]) -> int:
    if arguments and arguments[0] in COMPANIONS:
        return COMPANIONS[arguments[0]](arguments[1:])
    options = parse_options(arguments)
    if options.demo:
        from .demo import run_demo

        return run_demo(options)
    return _run(options)


def _dry_run(jobs: Sequence[Job], outputs: Outputs) -> int:
    """Say where each source would go, or what is wrong with it; the exit code of a run."""
    num_failed = 0
    for job in jobs:
        problem = job.problem
        if problem is None and job.source != STANDARD_INPUT:
            try:
                probe(job.source)
            except InputError as error:
                problem = error
        num_failed += problem is not None
        targets = ", ".join(map(str, outputs.paths(job))) or "stdout"
        print_result(f"{display_name(job.source)} -> {problem or targets}\n")
    if num_failed == 0:
        return 0
    return InputError.exit_code if num_failed == len(jobs) else PARTLY_FAILED


def _run(options: RunOptions) -> int:
    """Check everything that can be checked, then decode."""
    console = Console(quiet=options.quiet, verbose=options.verbose, progress=options.progress)
    reserved = [MERGED_NAME] if options.output and "json" in options.output.formats else []
    jobs = expand_sources(options.sources, reserved)
    assert options.engine is not None
    with open_engine(
        options.engine, device=options.device, num_threads=options.num_threads
    ) as engine:
        # The engine must take frames; labels and thresholds must be its own.
        frame_grid(engine)
        Detector(engine.manifest, options.detect.detector)
        outputs = Outputs(options.output)
        outputs.check(jobs)
        if options.dry_run:
            return _dry_run(jobs, outputs)
        with stop_on_signals() as stop:
            batch = Batch(
                engine,
                options,
                outputs=outputs,
                report=open_report(),
                console=console,
                stop=stop,
            )
            return batch.run(jobs)
