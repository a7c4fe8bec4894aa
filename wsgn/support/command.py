"""What the commands share: how they end, and how they say what went wrong."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from wsgn.errors import InputError, OutputError, WsgnError
from wsgn.support.credentials import text_without_credentials
from wsgn.support.mirrors import closed_mirrors
from wsgn.support.signals import exit_on_termination
from wsgn.support.terminal import print_words, printable

INTERRUPTED = 130
# Some of several inputs failed.
PARTLY_FAILED = 4


@dataclass(frozen=True, kw_only=True)
class Ending:
    """How a command ends after an error."""

    code: int
    # For stderr; empty where nothing is to be said.
    sentence: str = ""
    # Whether what is left for stdout may fail again.
    is_of_output: bool = False


def ending_of(error: BaseException) -> Ending:
    """What an error means to the one who runs a command."""
    if isinstance(error, SystemExit):
        # Thus argparse ends after --help and after a usage error, and SIGTERM the work.
        return Ending(code=error.code if isinstance(error.code, int) else 2 if error.code else 0)
    if isinstance(error, KeyboardInterrupt):
        return Ending(code=INTERRUPTED)
    # Whoever closed stdout does not want to hear of it.
    if isinstance(error, BrokenPipeError):
        return Ending(code=OutputError.exit_code, is_of_output=True)
    if isinstance(error, WsgnError):
        is_of_output = isinstance(error, OutputError)
        return Ending(code=error.exit_code, sentence=str(error), is_of_output=is_of_output)
    if isinstance(error, OSError):
        return Ending(
            code=OutputError.exit_code, sentence=f"{_words_of(error)}.", is_of_output=True
        )
    return unexpected_ending(error)


def unexpected_ending(error: BaseException, hint: str = "") -> Ending:
    """What nobody has foreseen; the hint stands behind the request to report it."""
    return Ending(
        code=WsgnError.exit_code,
        sentence=f"unexpected {type(error).__name__}: {_words_of(error)}; this is a bug, please "
        f"report it{hint}.",
    )


def _words_of(error: BaseException) -> str:
    return text_without_credentials(str(error))


def run_command(
    name: str, work: Callable[[], int], *, interrupted: Callable[[], str] = lambda: ""
) -> int:
    """The exit code of a command's work; what goes wrong becomes a sentence on stderr.

    What `interrupted` gives, if anything, is said after Ctrl-C.
    """
    # Sentences name the places that files go to, and their folders do not stay.
    with closed_mirrors():
        return _code_of(name, work, interrupted)


def _code_of(name: str, work: Callable[[], int], interrupted: Callable[[], str]) -> int:
    try:
        require_stdout()
        with exit_on_termination():
            code = work()
        sys.stdout.flush()
    except BaseException as error:
        ending = ending_of(error)
        sentence = interrupted() if isinstance(error, KeyboardInterrupt) else ending.sentence
        if ending.is_of_output:
            give_up_stdout()
        if sentence:
            say(name, sentence)
        return ending.code
    return code


def require_stdout() -> None:
    """Raise `OutputError` where a command has no stdout: all work would be for nothing.

    A file that is opened then could also take its number, and get what libraries write to it.
    """
    if sys.stdout is None:
        raise OutputError(
            "stdout is closed, where results and last words go: open it, or send it nowhere with "
            "> /dev/null."
        )


def give_up_stdout() -> None:
    """At exit the interpreter would write what is left, and fail, once more."""
    try:
        sys.stdout.flush()
    # It may be closed, or none at all.
    except (OSError, ValueError, AttributeError):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def say(name: str, sentence: str) -> None:
    """A sentence of the command `name` on stderr; whoever closed it does not want to hear it."""
    with contextlib.suppress(OSError, ValueError):
        print_words(f"{name}: {printable(sentence)}\n")


def failure_code(num_failed: int, num_good: int) -> int:
    """The exit code of a command on several inputs, some of which may have failed."""
    if num_failed == 0:
        return 0
    return PARTLY_FAILED if num_good else InputError.exit_code


def report_failures(name: str, failed: Sequence[tuple[str, str]], num_good: int) -> int:
    """List the videos that failed, each with its sentence; the exit code."""
    if failed:
        say(name, f"{len(failed)} of {num_good + len(failed)} videos failed:")
    for video, sentence in failed:
        say(name, f"{video}: {sentence}")
    return failure_code(len(failed), num_good)
