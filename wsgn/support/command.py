"""What the commands share: how they end, and how they say what went wrong."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Sequence

from wsgn.errors import InputError, OutputError, WsgnError
from wsgn.support.signals import exit_on_termination

INTERRUPTED = 130
PARTLY_FAILED = 4


def run_command(
    name: str, work: Callable[[], int], *, interrupted: Callable[[], str] = lambda: ""
) -> int:
    """The exit code of a command's work; what goes wrong becomes a sentence on stderr.

    What `interrupted` gives, if anything, is said after Ctrl-C.
    """
    try:
        with exit_on_termination():
            code = work()
        sys.stdout.flush()
    except SystemExit as stop:
        # Thus argparse ends after --help and after a usage error, and SIGTERM the work.
        return int(stop.code or 0)
    except KeyboardInterrupt:
        if sentence := interrupted():
            say(name, sentence)
        return INTERRUPTED
    except BrokenPipeError:
        _give_up_stdout()
        return OutputError.exit_code
    except WsgnError as error:
        say(name, str(error))
        return error.exit_code
    except OSError as error:
        _give_up_stdout()
        say(name, f"{error}.")
        return OutputError.exit_code
    except Exception as error:
        say(name, f"unexpected {type(error).__name__}: {error}; this is a bug, please report it.")
        return 1
    return code


def _give_up_stdout() -> None:
    """At exit the interpreter would write what is left, and fail, once more."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def say(name: str, sentence: str) -> None:
    """A sentence of the command `name` on stderr; whoever closed it does not want to hear it."""
    with contextlib.suppress(OSError):
        print(f"{name}: {sentence}", file=sys.stderr, flush=True)


def report_failures(name: str, failed: Sequence[tuple[str, str]], num_good: int) -> int:
    """List the videos that failed, each with its sentence; the exit code."""
    if not failed:
        return 0
    say(name, f"{len(failed)} of {num_good + len(failed)} videos failed:")
    for video, sentence in failed:
        say(name, f"{video}: {sentence}")
    return PARTLY_FAILED if num_good else InputError.exit_code
