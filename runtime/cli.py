"""`wsgn-run`: parse, build, run, exit code."""

from __future__ import annotations

import signal
import sys
import traceback
from collections.abc import Sequence

from wsgn.errors import OutputError, WsgnError

from .batch import Batch
from .companions import COMPANIONS
from .console import Console, print_result, silence_stdout
from .detector import Detector
from .engines import open_engine
from .options import RunOptions, parse_options
from .outputs import MERGED_NAME, Outputs
from .reports import open_report
from .signals import stop_on_signals
from .sources import expand_sources

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


def _run(options: RunOptions) -> int:
    """Check everything that can be checked, then decode."""
    console = Console(quiet=options.quiet, verbose=options.verbose, progress=options.progress)
    reserved = [MERGED_NAME] if options.output and "json" in options.output.formats else []
    jobs = expand_sources(options.sources, reserved)
    assert options.engine is not None
    with open_engine(
        options.engine, device=options.device, num_threads=options.num_threads
    ) as engine:
        # Labels and thresholds must be the engine's own.
        Detector(engine.manifest, options.detect.detector)
        outputs = Outputs(options.output)
        outputs.check(jobs)
        if options.dry_run:
            for job in jobs:
                targets = ", ".join(map(str, outputs.paths(job))) or "stdout"
                print_result(f"{job.source} -> {job.problem or targets}\n")
            return 0
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
