"""A training from start to end in a folder: checkpoints, the log of losses, TensorBoard."""

from __future__ import annotations

import csv
import io
import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from wsgn.checkpoint import load_checkpoint, save_checkpoint
from wsgn.errors import MissingExtraError
from wsgn.support.files import require_present, write_whole_file
from wsgn.training.trainer import StepLog, Trainer, require_finite

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

LOG_COLUMNS = ("step", "loss", "learning_rate", "gradient_norm", "seconds")
# Reading a loss waits for the GPU, so there it is done for so many steps at once.
_GPU_LOG_STEPS = 20


@dataclass(frozen=True, kw_only=True)
class StepResult:
    """One line of the loss log."""

    step: int
    loss: float
    learning_rate: float
    gradient_norm: float
    # Of this process's clock; on a GPU the time in which the step was handed over.
    seconds: float


def run_training(
    trainer: Trainer,
    folder: Path,
    on_step: Callable[[StepResult], None] = lambda result: None,
    *,
    tensorboard: bool = False,
) -> Path:
    """Train to the end; the folder gets `losses.csv`, `last.safetensors` and `model.safetensors`.

    Steps already in the log beyond the trainer's own (after a crash) are dropped. With
    `tensorboard` the same values go to `folder/tensorboard`. Of several processes the first one
    writes. Returns the path of the finished model. Raises `OutputError` where the folder cannot be
    written, or was removed meanwhile.
    """
    config, first = trainer.train_config, trainer.world.is_first
    path, last = folder / "model.safetensors", folder / "last.safetensors"
    pending: list[StepLog] = []
    with _Log(folder, trainer.step, enabled=first, tensorboard=tensorboard) as log:

        def read_pending() -> None:
            for step in pending:
                result = _read(step)
                log.write(result)
                on_step(result)
            pending.clear()

        try:
            while trainer.step < config.num_steps:
                pending.append(trainer.run_step())
                due = trainer.step % config.checkpoint_every == 0
                if trainer.device.type == "cpu" or due or len(pending) == _GPU_LOG_STEPS:
                    read_pending()
                if due and first:
                    log.sync()
                    save_checkpoint(last, trainer.checkpoint())
            read_pending()
            log.sync()
        finally:
            trainer.close()
    # The first process goes on alone; the others must not wait for it.
    trainer.world.leave()
    if first:
        save_checkpoint(last, trainer.checkpoint())
        save_checkpoint(path, trainer.finished())
    return path


def resume_from(folder: Path, trainer: Trainer) -> None:
    """Go on with the training that left its last checkpoint in the folder."""
    trainer.resume(load_checkpoint(folder / "last.safetensors"))


def _read(step: StepLog) -> StepResult:
    return StepResult(
        step=step.step,
        loss=require_finite(step.loss.item(), "loss", step.step),
        learning_rate=step.learning_rate,
        gradient_norm=require_finite(step.gradient_norm.item(), "gradient", step.step),
        seconds=step.seconds,
    )


class _Log:
    """`losses.csv`, and TensorBoard's events where they are wanted."""

    def __init__(self, folder: Path, step: int, *, enabled: bool, tensorboard: bool) -> None:
        self._enabled = enabled
        if not enabled:
            return
        self._path = path = folder / "losses.csv"
        kept = io.StringIO(newline="")
        csv.writer(kept).writerows([LOG_COLUMNS, *_kept_lines(path, step)])
        # The lines that are kept stand in a whole file at any time, also when a run is killed here.
        write_whole_file(path, kept.getvalue().encode(), what="the log of losses")
        self._file = path.open("a", newline="", encoding="utf-8")
        self._lines = csv.writer(self._file)
        self._board = _open_board(folder / "tensorboard", step) if tensorboard else None

    def __enter__(self) -> _Log:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not self._enabled:
            return
        self._file.close()
        if self._board is not None:
            self._board.close()

    def sync(self) -> None:
        """Bring the lines to the disk; `OutputError` where their file was removed meanwhile."""
        if self._enabled:
            require_present([self._path])
            os.fsync(self._file.fileno())

    def write(self, result: StepResult) -> None:
        """One line, at once."""
        if not self._enabled:
            return
        self._lines.writerow([getattr(result, name) for name in LOG_COLUMNS])
        self._file.flush()
        if self._board is not None:
            for name in ("loss", "learning_rate", "gradient_norm"):
                self._board.add_scalar(f"training/{name}", getattr(result, name), result.step)


def _open_board(folder: Path, step: int) -> SummaryWriter:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise MissingExtraError("TensorBoard's log", "tensorboard") from error
    # What a crashed training wrote beyond its last checkpoint is hidden.
    return SummaryWriter(str(folder), purge_step=step + 1)


def _kept_lines(path: Path, step: int) -> list[list[str]]:
    """The whole lines of an earlier log until a step."""
    if step == 0 or not path.is_file():
        return []
    # Whatever a crash of the machine has left of a line is no reason to lose a training.
    text = path.read_text(encoding="utf-8", errors="replace").replace("\0", "")
    lines = list(csv.reader(text.splitlines()))[1:]
    return [line for line in lines if len(line) == len(LOG_COLUMNS) and _step(line[0]) <= step]


def _step(text: str) -> float:
    return int(text) if text.isdecimal() else math.inf
