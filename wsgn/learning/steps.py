"""Ordinary commands, run one after the other and printed as they go."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from wsgn.errors import WsgnError
from wsgn.support.command import PARTLY_FAILED
from wsgn.support.terminal import say_above_bars

# Where each command lives, so that the one of this installation is run.
_MODULES = {
    "wsgn-features": "wsgn.extraction.cli",
    "wsgn-train": "wsgn.training.cli",
    "wsgn-predict": "wsgn.prediction.cli",
    "to_onnx": "wsgn.export.to_onnx",
}


@dataclass(frozen=True, kw_only=True)
class Step:
    """A command line: a name of `_MODULES`, and words."""

    name: str
    words: tuple[str, ...]
    # Whether some of its inputs may fail, which it names.
    may_fail_partly: bool = False

    def as_text(self) -> str:
        """As a user would type it."""
        is_installed = self.name.startswith("wsgn-")
        program = self.name if is_installed else f"python -m {_MODULES[self.name]}"
        return f"{program} {shlex.join(self.words)}"


class StepError(WsgnError):
    """A step ended with an exit code that is none of its own, and has said why."""

    def __init__(self, step: Step, code: int) -> None:
        super().__init__(f"{step.name} ended with exit code {code}; what it said stands above.")
        self.exit_code = code


def run_step(step: Step, *, quiet: bool = False, captures: bool = False) -> str:
    """Print the command and run it; what it printed where that is captured.

    Raises:
        StepError: its exit code is not 0.
    """
    if not quiet:
        say_above_bars(f"$ {step.as_text()}")
    command: Sequence[str] = (sys.executable, "-m", _MODULES[step.name], *step.words)
    done = subprocess.run(
        command, check=False, stdout=subprocess.PIPE if captures else None, text=True
    )
    good = (0, PARTLY_FAILED) if step.may_fail_partly else (0,)
    if done.returncode not in good:
        # What a signal ended has a negative code.
        raise StepError(step, done.returncode if done.returncode > 0 else 128 - done.returncode)
    return done.stdout or ""
