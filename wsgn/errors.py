"""The errors that users meet, each with the exit code that a command ends with.

    WsgnError                              1    base of all; its text is meant for the user
     ├── UsageError (ValueError)           2    an argument or a configuration is wrong
     ├── MissingExtraError (ImportError)   2    an optional part is needed and not installed
     ├── InputError                        3    an input cannot be read
     ├── EngineError                       5    an engine cannot be used, or computes wrong results
     ├── OutputError                       6    a result cannot be written
     └── TrainingError                     7    a training has ended with a model that knows nothing

4 is no error: some of several inputs failed. Every other exception is a bug, and ends in 1.
"""

from __future__ import annotations


class WsgnError(Exception):
    """Base of every error that is meant for the user; its text is one clear sentence."""

    exit_code = 1


class UsageError(WsgnError, ValueError):
    """An argument or a configuration is wrong."""

    exit_code = 2


class MissingExtraError(WsgnError, ImportError):
    """An optional part is needed and not installed."""

    exit_code = 2

    def __init__(self, purpose: str, extra: str) -> None:
        super().__init__(
            f"{purpose} needs an extra that is not installed: pip install 'wsgn[{extra}]'."
        )


class InputError(WsgnError):
    """An input (video, annotation, feature file, checkpoint) cannot be read."""

    exit_code = 3


class EngineError(WsgnError):
    """An engine file cannot be used on this machine, or computes something wrong."""

    exit_code = 5


class OutputError(WsgnError):
    """A result cannot be written."""

    exit_code = 6


class TrainingError(WsgnError):
    """A training has ended with a model that tells no class from another."""

    exit_code = 7
