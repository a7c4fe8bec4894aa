"""Recorded updates: the padding changes no loss, and nothing but memory changes between replays.

A stand-in records the operators of PyTorch with the tensors that they met, as a CUDA graph records
launches with their addresses: what the host computes in between is not done again in a replay.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from toy import ToySource, feature_model, frame_model, short_training

from wsgn.config import ModelConfig
from wsgn.errors import UsageError
from wsgn.methods.config import StpnConfig
from wsgn.training.recorder import Recorder, Work, require_recordable
from wsgn.training.trainer import Trainer
from wsgn.training.update import with_precision

NUM_STEPS = 12
# Two of these for the batches of the toy world, whose snippets are more than both.
BUCKET = 64


class Tape(TorchDispatchMode):
    """Operators with their tensors, to be run again on the same memory."""

    def __init__(self) -> None:
        super().__init__()
        self.entries: list[tuple[Any, Any, Any, Any]] = []

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        result = function(*args, **(kwargs or {}))
        self.entries.append((function, args, kwargs or {}, result))
        return result

    def replay(self) -> None:
        with torch.no_grad():
            for function, args, kwargs, result in self.entries:
                again = function(*args, **kwargs)
                for old, new in zip(tree_leaves(result), tree_leaves(again), strict=True):
                    if isinstance(old, Tensor) and old.data_ptr() != new.data_ptr():
                        old.copy_(new)


class Recordings:
    """A capture as `wsgn.training.recorder` wants it; counts what was recorded and replayed."""

    def __init__(self) -> None:
        self.recorded = self.replayed = 0

    def capture(self, work: Work) -> Work:
        self.recorded += 1
        # Unlike a graph the tape runs while it records, which is the first replay.
        with Tape() as tape:
            output = work()
        first = True

        def replay() -> Tensor:
            nonlocal first
            if not first:
                tape.replay()
            first = False
            self.replayed += 1
            return output

        return replay


def trainings(
    model: ModelConfig, **train: object
) -> tuple[list[Tensor], dict[str, Tensor], list[Tensor], dict[str, Tensor], Recordings]:
    """Losses with norms, and weights, of a plain training, and of a recorded one."""
    found: list[Any] = []
    recordings = Recordings()
    settings: dict[str, object] = {"num_steps": NUM_STEPS, "batch_videos": 5, "thinning": 1}
    for recorder in (None, Recorder(capture=recordings.capture, bucket=BUCKET)):
        config = short_training(**(settings | train))
        trainer = Trainer(model, config, ToySource(9), recorder=recorder)
        steps = [trainer.run_step() for _ in range(NUM_STEPS)]
        trainer.close()
        found += [
            [value for step in steps for value in (step.loss, step.gradient_norm)],
            {k: v.clone() for k, v in trainer.model.state_dict().items()},
        ]
    return (*found, recordings)


# Without components nothing reads offsets on the host; with them the CPU's operator does, and so
# its recording would hold the lengths of one batch. On a GPU the kernels read them.
@pytest.mark.parametrize(
    ("method", "train"),
    [
        ({"standardise": True}, {}),
        ({}, {"accumulate_snippets": 100}),
        ({}, {"supervision": "frame"}),
        ({}, {"precision": "bfloat16", "gradient_clip": 0.0}),
    ],
    ids=["plain", "in parts", "supervised", "bfloat16"],
)
def test_a_replayed_training_is_the_plain_one(
    method: dict[str, object], train: dict[str, object]
) -> None:
    model = feature_model(components=(), dropout=0.0, **method)
    expected, weights, found, replayed, recordings = trainings(model, **train)
    rough = train.get("precision") == "bfloat16"
    close = {"rtol": 2e-2, "atol": 2e-3} if rough else {"rtol": 2e-5, "atol": 2e-6}
    # More batches were replayed than were recorded, of several sizes, and ends of updates.
    assert recordings.recorded >= 2
    assert recordings.replayed > recordings.recorded + 3
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, **close)
    for name, value in weights.items():
        torch.testing.assert_close(replayed[name], value, **close)


@pytest.mark.parametrize("scale", ["per_frame", "average"])
def test_a_video_of_zeros_behind_the_others_changes_no_loss(scale: str) -> None:
    """With all components: every batch runs with its padding, none is replayed."""
    model = feature_model(weight_scale=scale, dropout=0.0)
    plain, padded = (
        Trainer(
            model,
            short_training(num_steps=NUM_STEPS, batch_videos=5),
            ToySource(9),
            recorder=recorder,
        )
        for recorder in (None, Recorder(capture=lambda work: work, bucket=BUCKET))
    )
    for _ in range(NUM_STEPS):
        a, b = plain.run_step(), padded.run_step()
        torch.testing.assert_close(b.loss, a.loss, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(b.gradient_norm, a.gradient_norm, rtol=1e-4, atol=1e-6)
    for one in (plain, padded):
        one.close()


def test_what_waits_for_the_gpu_cannot_be_recorded() -> None:
    plain = short_training()
    for model, train, words in (
        (feature_model(method=StpnConfig()), plain, "'stpn' waits"),
        (feature_model(coactivity_weight=0.5), short_training(batch_pairs=2), "batch_pairs"),
        (
            feature_model(peak_weight=1.0, class_activation="sigmoid", pooling="logits"),
            plain,
            "top_k",
        ),
        (frame_model(), plain, "on features"),
    ):
        with pytest.raises(UsageError, match=words):
            require_recordable(model, train, 1)
    with pytest.raises(UsageError, match="one process"):
        require_recordable(feature_model(), plain, 2)


def test_precision_by_default_is_that_of_the_device() -> None:
    train = short_training()
    gpu, cpu = torch.device("cuda"), torch.device("cpu")
    assert with_precision(train, cpu).precision == "float32"
    assert with_precision(train, gpu).precision == "bfloat16"
    for name in ("float32", "tf32", "bfloat16"):
        assert with_precision(short_training(precision=name), gpu).precision == name
    with pytest.raises(UsageError, match="tf32 is a GPU's"):
        with_precision(short_training(precision="tf32"), cpu)


def test_tf32_is_for_the_update_alone() -> None:
    trainer = Trainer(feature_model(), short_training(), ToySource(5))
    seen: list[bool] = []
    matmul = torch.backends.cuda.matmul
    trainer.model.register_forward_hook(lambda *_: seen.append(matmul.allow_tf32))
    before = matmul.allow_tf32
    matmul.allow_tf32 = True
    try:
        trainer.run_step()
        assert seen == [False]
        assert matmul.allow_tf32
    finally:
        matmul.allow_tf32 = before
        trainer.close()
