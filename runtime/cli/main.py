"""`wsgn-run`: what was asked for, its exit code, and a sentence where it went wrong.

Only the little that every command needs is imported here. All the rest is loaded inside `main`, so
that Ctrl-C is quiet from the start and a damaged package is a sentence.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from wsgn.errors import WsgnError
from wsgn.support.command import (
    Ending,
    ending_of,
    give_up_stdout,
    require_stdout,
    unexpected_ending,
)
from wsgn.support.credentials import text_without_credentials
from wsgn.support.mirrors import closed_mirrors
from wsgn.support.packages import find_damage, first_cause
from wsgn.support.signals import HANG_UPS, KeptSignal, exit_on_termination, handle_signals
from wsgn.support.terminal import print_words

from .console import Console


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line; the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    # Sentences name the places that files go to, and their folders do not stay.
    with closed_mirrors():
        return _ended(arguments)


def _ended(arguments: list[str]) -> int:
    """The exit code, after a sentence where something went wrong."""
    try:
        require_stdout()
        with exit_on_termination():
            return _dispatch(arguments)
    except (SystemExit, KeyboardInterrupt, BrokenPipeError, WsgnError) as error:
        ending = ending_of(error)
    except Exception as error:
        ending = _unforeseen_ending(error, arguments)
    if ending.is_of_output:
        give_up_stdout()
    if ending.sentence:
        Console().error(ending.sentence)
    return ending.code


def _dispatch(arguments: list[str]) -> int:
    from .subcommands import SUBCOMMANDS

    if arguments and arguments[0] in SUBCOMMANDS:
        return SUBCOMMANDS[arguments[0]](arguments[1:])
    hang_up = KeptSignal()
    # A run ends in order on it, or reads its lists again, once it is ready to.
    with handle_signals(hang_up.keep, HANG_UPS, ignored_too=False):
        from .run import run

        return run(arguments, hang_up)


def _unforeseen_ending(error: Exception, arguments: Sequence[str]) -> Ending:
    """C code wraps Ctrl-C; else a package is damaged, or this is a bug."""
    cause = first_cause(error)
    if isinstance(cause, KeyboardInterrupt):
        return ending_of(cause)
    if any(word in ("-v", "--verbose") for word in arguments):
        import traceback

        print_words(text_without_credentials(traceback.format_exc()))
    damage = find_damage(error)
    return unexpected_ending(error, " (-v shows where)") if damage is None else ending_of(damage)
