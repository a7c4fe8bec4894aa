"""`wsgn-run`: what was asked for, its exit code, and a sentence where it went wrong.

Only the little that every command needs is imported here. All the rest is loaded inside `main`, so
that Ctrl-C is quiet from the start and a damaged package is a sentence.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence

from wsgn.errors import OutputError, WsgnError
from wsgn.support.packages import find_damage, first_cause

from .console import Console, silence_stdout

_UNEXPECTED = 1
_INTERRUPTED = 128 + signal.SIGINT


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line; the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        return _dispatch(arguments)
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else 2
    except BrokenPipeError:
        silence_stdout()
        return OutputError.exit_code
    except KeyboardInterrupt:
        return _INTERRUPTED
    except WsgnError as error:
        if isinstance(error, OutputError):
            silence_stdout()
        Console().error(str(error))
        return error.exit_code
    except Exception as error:
        if isinstance(first_cause(error), KeyboardInterrupt):
            return _INTERRUPTED
        if any(word in ("-v", "--verbose") for word in arguments):
            import traceback

            traceback.print_exc()
        return _end_unforeseen(error)


def _dispatch(arguments: list[str]) -> int:
    from .subcommands import COMPANIONS

    if arguments and arguments[0] in COMPANIONS:
        return COMPANIONS[arguments[0]](arguments[1:])
    from .run import run

    return run(arguments)


def _end_unforeseen(error: Exception) -> int:
    """Say what is damaged, else that this is a bug; the exit code."""
    damage = find_damage(error)
    if damage is not None:
        Console().error(str(damage))
        return damage.exit_code
    Console().error(
        f"unexpected {type(error).__name__}: {error}; this is a bug, please report it "
        "(-v shows where)."
    )
    return _UNEXPECTED
