"""One update of a model: losses of packed batches, their gradient, clipped, and Adam."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from wsgn.config import TrainConfig
from wsgn.errors import UsageError
from wsgn.methods.interface import Losses
from wsgn.model import WeakDetector
from wsgn.training.distributed import SharedGradients, World
from wsgn.training.loader import PackedBatch
from wsgn.training.objective import Objective
from wsgn.training.recorder import Recorder


@dataclass(frozen=True, kw_only=True)
class Updated:
    """What an update says of itself: scalars on the device, the same in all processes."""

    loss: Tensor
    gradient_norm: Tensor


class Update:
    """A model with its objective and optimiser; `run` is a step of a training."""

    def __init__(
        self,
        model: WeakDetector,
        train: TrainConfig,
        device: torch.device,
        world: World | None = None,
        *,
        compile_layers: bool = False,
        recorder: Recorder | None = None,
    ) -> None:
        """`train` is a configuration with a known precision (`with_precision`).

        With a `recorder` the work on batches and parameters goes through it.
        """
        self._model = model
        self._train = train
        self._device = device
        self._recorder = recorder
        self._objective = Objective(model, train, compile_layers=compile_layers)
        self._gradients = SharedGradients(model, world or World())
        on_gpu = device.type == "cuda"
        rate: float | Tensor = train.learning_rate
        if recorder is not None:
            # A graph reads it from memory.
            rate = torch.tensor(rate, device=device)
        # On a GPU in one launch for all parameters, without a look at the number of the step.
        self.optimizer = torch.optim.Adam(
            [
                {"params": self._parameters(decayed=True), "weight_decay": train.weight_decay},
                {"params": self._parameters(decayed=False), "weight_decay": 0.0},
            ],
            lr=rate,
            fused=on_gpu or recorder is not None,
            capturable=on_gpu and recorder is not None,
        )

    def run(self, batches: Iterable[PackedBatch], learning_rate: float) -> Updated:
        """Sum the gradient over the batches until one ends the update, and follow it."""
        with _multiplying(self._train.precision):
            loss = self.accumulate(batches)
            self._set_rate(learning_rate)
            recorder = self._recorder
            norm = self._follow() if recorder is None else recorder.at_end(self._follow)
        return Updated(loss=loss, gradient_norm=norm)

    def accumulate(self, batches: Iterable[PackedBatch]) -> Tensor:
        """The loss; its gradient is in the parameters.

        Both are sums over the batches of an update, those of the other processes included.
        """
        # A graph adds to the gradients where they lie.
        self.optimizer.zero_grad(set_to_none=self._recorder is None)
        total = torch.zeros((), device=self._device)
        recorder = self._recorder
        for batch in batches:
            if batch.is_empty:
                # The others have taken all videos.
                pass
            elif recorder is None:
                total += self._descend(batch)
            else:
                total += recorder.on_batch(self._descend, batch)
            if batch.ends_update:
                break
        return self._gradients.sum(total)

    def restored(self) -> None:
        """The state of the optimiser is another one."""
        if self._recorder is not None:
            self._recorder.forget()

    def _descend(self, batch: PackedBatch) -> Tensor:
        """The loss of a batch; its gradient is added to that of the parameters."""
        loss = self._loss(batch)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach()

    def _loss(self, batch: PackedBatch) -> Tensor:
        train = self._train
        losses: Losses = self._objective(batch.inputs, batch.cu_seqlens, batch.targets)
        per_video = losses.per_video[: len(losses.per_video) - batch.num_padding]
        return per_video.sum() / train.batch_videos + losses.per_pair.sum() / max(
            1, train.batch_pairs
        )

    def _set_rate(self, learning_rate: float) -> None:
        for group in self.optimizer.param_groups:
            if self._recorder is None:
                group["lr"] = learning_rate
            else:
                group["lr"].fill_(learning_rate)

    def _follow(self) -> Tensor:
        """Change the parameters by their gradient; its norm before it was clipped."""
        limit = self._train.gradient_clip or math.inf
        norm = torch.nn.utils.clip_grad_norm_(self._model.parameters(), limit)
        self.optimizer.step()
        return norm

    def _parameters(self, *, decayed: bool) -> list[nn.Parameter]:
        return [
            parameter
            for name, parameter in self._model.named_parameters()
            if name.startswith("method.global_") != decayed
        ]


def with_precision(train: TrainConfig, device: torch.device) -> TrainConfig:
    """The configuration with `auto` as what it means on a device; `UsageError` for TF32 on none."""
    if train.precision == "tf32" and device.type != "cuda":
        raise UsageError("precision tf32 is a GPU's: take float32, or add --device cuda.")
    if train.precision != "auto":
        return train
    return replace(train, precision="bfloat16" if device.type == "cuda" else "float32")


@contextmanager
def _multiplying(precision: str) -> Iterator[None]:
    """Matrix products of float32 on a GPU round their factors to TF32 where that was asked for."""
    before = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before
