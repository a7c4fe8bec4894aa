"""A training from start to end in a folder: checkpoints, the log of losses, TensorBoard."""

from __future__ import annotations

import csv
import io
import math
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from wsgn.checkpoint import load_checkpoint, save_checkpoint
from wsgn.errors import MissingExtraError, TrainingError, UsageError
from wsgn.support.files import output_errors, require_present, write_whole_file
from wsgn.support.mirrors import at_hand, bring, is_there, mirror_of, remove_file
from wsgn.training.report import write_training_report
from wsgn.training.trainer import StepLog, Trainer, require_finite
from wsgn.training.validation import Looked, Validation
from wsgn.training.verdict import TrainingScore

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


def _unheard(result: Any) -> None:
    """Nobody listens."""


LOG_COLUMNS = ("step", "loss", "learning_rate", "gradient_norm", "seconds")
VALIDATION_COLUMNS = ("step", "video_map_percent", "chance_percent")
# Reading a loss waits for the GPU, so there it is done for so many steps at once.
_GPU_LOG_STEPS = 20


@dataclass(frozen=True, kw_only=True)
class ValidationResult:
    """One line of the log of the videos that are held out."""

    step: int
    video_map_percent: float
    # What videos in a random order would have.
    chance_percent: float


@dataclass(frozen=True, kw_only=True)
class Hearing:
    """Who hears of a training as it goes on."""

    on_step: Callable[[StepResult], None] = _unheard
    on_validated: Callable[[ValidationResult], None] = _unheard
    # Of the finished model on its training videos.
    on_scored: Callable[[TrainingScore], None] = _unheard
    # Of the last look at held-out videos, or None, once the training has ended.
    on_ended: Callable[[Looked | None], None] = _unheard


@dataclass(frozen=True, kw_only=True)
class StepResult:
    """One line of the loss log."""

    step: int
    loss: float
    learning_rate: float
    gradient_norm: float
    # Of this process's clock; on a GPU the time in which the step was handed over.
    seconds: float


_NOBODY = Hearing()


def run_training(
    trainer: Trainer,
    folder: Path,
    hearing: Hearing = _NOBODY,
    *,
    tensorboard: bool = False,
    validation: Validation | None = None,
    validate_every: int = 50,
) -> Path:
    """Train to the end; the folder gets `losses.csv`, `last.safetensors` and `model.safetensors`.

    With a `validation` it gets `validation.csv` too; `report.html` shows the logs. Steps already in
    them beyond the trainer's own (after a crash) are dropped. With `tensorboard` the same values go
    to `folder/tensorboard`.
    Of several processes the first one writes. Returns the path of the finished model. Raises
    `TrainingError` where that says the same of every snippet and is not written, `OutputError`
    where the folder cannot be written, or was removed meanwhile.
    """
    config, first = trainer.train_config, trainer.world.is_first
    last = folder / "last.safetensors"
    pending: list[StepLog] = []
    looked: Looked | None = None
    with _Log(folder, trainer.step, enabled=first, tensorboard=tensorboard) as log:

        def read_pending() -> None:
            for step in pending:
                result = _read(step)
                log.write(result)
                hearing.on_step(result)
            pending.clear()

        try:
            while trainer.step < config.num_steps:
                pending.append(trainer.run_step())
                due = trainer.step % config.checkpoint_every == 0
                looks = trainer.step % validate_every == 0 or trainer.step == config.num_steps
                looks = looks and validation is not None and first
                if trainer.device.type == "cpu" or due or looks or len(pending) == _GPU_LOG_STEPS:
                    read_pending()
                if looks and validation is not None:
                    looked = validation.look(trainer.model)
                    hearing.on_validated(log.write_validation(_validated(trainer.step, looked)))
                if due and first:
                    log.sync()
                    save_checkpoint(last, trainer.checkpoint())
                if (due or looks) and first:
                    write_training_report(folder, looked, num_steps=config.num_steps, ended=False)
            read_pending()
            log.sync()
        finally:
            trainer.close()
    # The first process goes on alone; the others must not wait for it.
    trainer.world.leave()
    if first:
        save_checkpoint(last, trainer.checkpoint())
        write_training_report(folder, looked, num_steps=config.num_steps, ended=True)
        hearing.on_ended(looked)
        _finish(trainer, folder / "model.safetensors", hearing)
    return folder / "model.safetensors"


def _finish(trainer: Trainer, path: Path, hearing: Hearing) -> None:
    """Write the finished model, unless it is none; one of fewer steps does not stay there then."""
    try:
        finished = trainer.finish()
        if finished.score.is_constant:
            raise TrainingError(finished.score.sentence())
    except UsageError as error:
        remove_file(path)
        raise TrainingError(
            "the trained model is beyond all bounds, so no model.safetensors is written: lower "
            f"the learning rate ({str(error).rstrip('.')})."
        ) from error
    except TrainingError:
        remove_file(path)
        raise
    save_checkpoint(path, finished.checkpoint)
    hearing.on_scored(finished.score)


def _validated(step: int, looked: Looked) -> ValidationResult:
    return ValidationResult(
        step=step,
        video_map_percent=looked.video_map_percent,
        chance_percent=looked.chance_percent,
    )


def resume_from(folder: Path, trainer: Trainer) -> None:
    """Go on with the training that left its last checkpoint in the folder.

    Of several processes the first one reads it, and the others, whose folder may be that of another
    machine, take it from there.
    """
    world = trainer.world
    found = load_checkpoint(folder / "last.safetensors") if world.is_first else None
    frame = world.from_first(lambda: found and replace(found, weights={}, optimizer={}))
    weights = world.tensors_from_first(None if found is None else found.weights)
    optimizer = world.tensors_from_first(None if found is None else found.optimizer)
    trainer.resume(replace(frame, weights=weights, optimizer=optimizer))


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
        # The lines that are kept stand in a whole file at any time, also when a run is killed here.
        _write_lines(path, LOG_COLUMNS, _kept_lines(path, step, LOG_COLUMNS))
        self._validation = folder / "validation.csv"
        self._validated = _kept_lines(self._validation, step, VALIDATION_COLUMNS)
        if step == 0:
            # Of an earlier training.
            remove_file(self._validation)
        elif self._validated and mirror_of(folder) is not None:
            # The page is made of the log on this disk.
            _write_lines(self._validation, VALIDATION_COLUMNS, self._validated)
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
        # What cannot be written is told of the first time.
        with suppress(OSError) if error is not None else output_errors(f"the log {self._path}"):
            self._file.close()
        if self._board is not None:
            self._board.close()

    def sync(self) -> None:
        """Bring the lines to the disk, and both logs where they belong.

        Raises `OutputError`, also where the file of losses was removed meanwhile.
        """
        if self._enabled:
            require_present([self._path])
            os.fsync(self._file.fileno())
            for path in (self._path, self._validation):
                if path.exists():
                    with output_errors(f"the log {path.name}"):
                        bring(path)

    def write(self, result: StepResult) -> None:
        """One line, at once."""
        if not self._enabled:
            return
        with output_errors(f"the log {self._path}"):
            self._lines.writerow([getattr(result, name) for name in LOG_COLUMNS])
            self._file.flush()
        if self._board is not None:
            for name in ("loss", "learning_rate", "gradient_norm"):
                self._board.add_scalar(f"training/{name}", getattr(result, name), result.step)

    def write_validation(self, result: ValidationResult) -> ValidationResult:
        """One line of `validation.csv`, which is a whole file at any time; the same result."""
        self._validated.append([str(getattr(result, name)) for name in VALIDATION_COLUMNS])
        _write_lines(self._validation, VALIDATION_COLUMNS, self._validated)
        if self._board is not None:
            name = "validation/video_map_percent"
            self._board.add_scalar(name, result.video_map_percent, result.step)
        return result


def _write_lines(path: Path, columns: Sequence[str], lines: Sequence[Sequence[str]]) -> None:
    text = io.StringIO(newline="")
    csv.writer(text).writerows([columns, *lines])
    what, data = f"the log {path.name}", text.getvalue().encode()
    if mirror_of(path) is None:
        write_whole_file(path, data, what=what)
        return
    # It goes where it belongs with the next checkpoint.
    with output_errors(what):
        path.write_bytes(data)


def _open_board(folder: Path, step: int) -> SummaryWriter:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise MissingExtraError("TensorBoard's log", "tensorboard") from error
    # What a crashed training wrote beyond its last checkpoint is hidden.
    return SummaryWriter(str(folder), purge_step=step + 1)


def _kept_lines(path: Path, step: int, columns: Sequence[str]) -> list[list[str]]:
    """The whole lines of an earlier log until a step."""
    if step == 0 or not is_there(path):
        return []
    # Whatever a crash of the machine has left of a line is no reason to lose a training.
    with at_hand(path) as log:
        text = log.read_text(encoding="utf-8", errors="replace").replace("\0", "")
    lines = list(csv.reader(text.splitlines()))[1:]
    return [line for line in lines if len(line) == len(columns) and _step(line[0]) <= step]


def _step(text: str) -> float:
    return int(text) if text.isdecimal() else math.inf
