"""`wsgn-train`: learn a detector from videos or features and their video-level labels."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from wsgn.errors import OutputError, TrainingError, UsageError, WsgnError
from wsgn.support.command import run_command, say
from wsgn.support.mirrors import is_there
from wsgn.support.signals import TERMINATED
from wsgn.support.terminal import print_lines
from wsgn.training.arguments import train_options
from wsgn.training.options import TrainOptions
from wsgn.training.overrides import with_flags
from wsgn.training.train import train

if TYPE_CHECKING:
    from wsgn.prediction.evaluate import Evaluation
    from wsgn.training.verdict import TrainingScore

_NAME = "wsgn-train"


def main(argv: Sequence[str] | None = None) -> int:
    """Parse, train, report; returns the exit code."""
    options: TrainOptions | None = None

    def work() -> int:
        nonlocal options
        scores: list[TrainingScore] = []
        try:
            options = train_options(argv)
            train(
                options,
                on_trained=_say_trained,
                on_scored=scores.append,
                on_evaluated=_say_evaluated,
            )
        except SystemExit as stop:
            if stop.code == TERMINATED:
                say(_NAME, "terminated; --resume goes on from the last checkpoint.")
            raise
        except UsageError as error:
            raise UsageError(with_flags(str(error))) from error
        except WsgnError as error:
            return _of_another_process(error)
        return _verdict(scores)

    def interrupted() -> str:
        if not _is_first():
            return "interrupted; --resume goes on from the last checkpoint."
        try:
            if options is None or not is_there(options.output / "last.safetensors"):
                return "interrupted; there was no checkpoint yet."
        except OutputError:
            # The store does not answer.
            return "interrupted; --resume goes on from the last checkpoint, if there is one."
        return f"interrupted; add --resume to go on from the last checkpoint in {options.output}."

    if os.environ.get("WORLD_SIZE", "1") != "1":
        # torchrun ends the others once one has failed; their exit code is to be that of the fault.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    return run_command(_NAME, work, interrupted=interrupted)


def _is_first() -> bool:
    """Whether this process of torchrun's is the one that writes, as one alone is."""
    return os.environ.get("RANK", "0") == "0"


def _of_another_process(error: WsgnError) -> int:
    """The exit code where another process of torchrun has failed, said once on each node."""
    from wsgn.training.faults import PeerError

    if not isinstance(error, PeerError):
        raise error
    if error.is_said_here:
        say(_NAME, str(error))
    return error.exit_code


def _say_trained(path: Path) -> None:
    print_lines(f"trained: {path}")


def _verdict(scores: Sequence[TrainingScore]) -> int:
    """What is said of the finished model last, by one process, and the exit code."""
    for score in scores:
        if _is_first():
            _say_score(score)
        if score.tells_nothing:
            return TrainingError.exit_code
    return 0


def _say_score(score: TrainingScore) -> None:
    if score.tells_nothing:
        say(_NAME, score.sentence())
    else:
        print_lines(score.sentence())


def _say_evaluated(evaluation: Evaluation) -> None:
    print_lines(evaluation.result_table())


if __name__ == "__main__":
    sys.exit(main())
