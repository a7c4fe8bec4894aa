"""`wsgn-train` from end to end on made features: steps a second, by where the features stay, the
precision, the operator and the recording; one thing changes from each line to the next.

    python -m benchmarks.gpu.train -o results/train

The features are made here (random, float16, lengths like THUMOS14's training videos). Steps are
timed from the outside, between two waits for the GPU, once every video was read. The losses of all
lines are held against those of the first.
"""

from __future__ import annotations

import argparse
import csv
import importlib
import json
import math
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from unittest import mock

import numpy as np
import torch

from benchmarks.gpu.part import NotHere, Results, part_parser, run_as_part, write_results
from benchmarks.large_dataset import SAMPLING
from benchmarks.measuring import Budget
from benchmarks.tables import table
from benchmarks.training_speed import NUM_CLASSES, video_lengths
from wsgn.features.file import write_feature_file
from wsgn.training.trainer import StepLog, Trainer

# Of the loss of the first step: float32 in another order; TF32 and bfloat16 layers.
TOLERANCE, ROUGH_TOLERANCE = 1e-4, 5e-2
_CACHED = ("--cache", "device")
_HALF = (*_CACHED, "--precision", "bfloat16")


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One way to train."""

    name: str
    options: tuple[str, ...]
    tolerance: float = ROUGH_TOLERANCE
    # By plain PyTorch instead of the kernels.
    plain_operator: bool = False
    # May fail for reasons that are not wsgn's: a compiler that is not there.
    is_optional: bool = False


VARIANTS = (
    Variant(
        name="read in every step, float32",
        options=("--cache", "none", "--precision", "float32"),
        tolerance=TOLERANCE,
    ),
    Variant(
        name="kept on the device, float32",
        options=(*_CACHED, "--precision", "float32"),
        tolerance=TOLERANCE,
    ),
    Variant(name="the same, bfloat16", options=_HALF),
    Variant(name="the same, plain operator", options=_HALF, plain_operator=True),
    Variant(name="bfloat16, CUDA graph", options=(*_HALF, "--cuda-graph")),
    Variant(name="kept on the device, TF32", options=(*_CACHED, "--precision", "tf32")),
    Variant(
        name="kept in memory, bfloat16",
        options=("--cache", "ram", "--precision", "bfloat16"),
    ),
    Variant(
        name="bfloat16, layers compiled", options=(*_HALF, "--compile"), is_optional=True
    ),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Row:
    """One variant."""

    name: str
    step_ms: float
    # Of it the host, handing the step over.
    host_ms: float
    snippets_per_second: float
    first_loss: float
    last_loss: float
    # Of the GPU, at most.
    peak_megabytes: float | None


def main(argv: Sequence[str] | None = None) -> int:
    """Make the features, train, compare."""
    parser = part_parser("benchmarks.gpu.train", __doc__, budget_seconds=120.0)
    add = parser.add_argument
    add("--device", default="cuda", choices=("cuda", "cpu"), help="cpu is to try this script")
    add("--preset", default="thumos14", help="of wsgn-train")
    add("--feature-size", type=int, default=2048, metavar="D", help="channels")
    add("--videos", type=int, default=200, metavar="N", help="made videos")
    add("--steps", type=int, default=150, metavar="N", help="updates that are timed")
    return run_as_part(parser, measure, argv)


def measure(arguments: argparse.Namespace, budget: Budget) -> Results:
    """One variant after the other, as far as the budget reaches; kept after each."""
    if arguments.device == "cuda" and not torch.cuda.is_available():
        raise NotHere(f"PyTorch {torch.__version__} finds no CUDA device")
    rows: list[Row] = []
    left_out: dict[str, str] = {}
    wrong: list[str] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        num_snippets = make_features(folder, arguments.videos, arguments.feature_size)
        words = (
            f"{arguments.videos} videos, {num_snippets:,} snippets of {arguments.feature_size} "
            f"channels in float16; preset {arguments.preset}."
        )
        longest = 0.0
        for variant in _variants(arguments.device):
            if not budget.allows(longest if rows else 0.0):
                left_out[variant.name] = "the budget was spent"
                continue
            started = time.monotonic()
            try:
                rows.append(_train(variant, folder, arguments, num_snippets))
            except Exception as error:
                # Also one of a compiler or of CUDA: the other rows are kept.
                first_line = (str(error).strip().splitlines() or [""])[0]
                reason = f"{type(error).__name__}: {first_line}".rstrip(".")
                if variant.is_optional:
                    left_out[variant.name] = reason
                else:
                    wrong.append(f"{variant.name} failed ({reason}).")
            else:
                wrong += differences(rows[-1], rows[0], variant)
            longest = max(longest, time.monotonic() - started)
            write_results(arguments.output, _results(rows, left_out, wrong, words))
    return _results(rows, left_out, wrong, words)


def _variants(device: str) -> Iterator[Variant]:
    for variant in VARIANTS:
        of_gpu = {"device", "tf32", "--cuda-graph"} & {*variant.options}
        if device == "cuda" or not (of_gpu or variant.is_optional):
            yield variant


def make_features(folder: Path, num_videos: int, feature_size: int) -> int:
    """Write annotations and feature files; how many snippets there are."""
    random = np.random.default_rng(0)
    lengths = (video_lengths(None) * (1 + num_videos // 200))[:num_videos]
    database = {}
    (folder / "features").mkdir()
    for index, length in enumerate(lengths):
        name = f"video_{index:05d}"
        features = random.standard_normal((length, feature_size), dtype=np.float32)
        path = folder / "features" / f"{name}.safetensors"
        write_feature_file(path, features.astype(np.float16), SAMPLING)
        database[name] = {"subset": "train", "labels": [f"class {index % NUM_CLASSES}"]}
    document = {"classes": [f"class {index}" for index in range(NUM_CLASSES)]}
    (folder / "annotations.json").write_text(json.dumps(document | {"database": database}))
    return sum(lengths)


def _train(variant: Variant, folder: Path, arguments: argparse.Namespace, num_snippets: int) -> Row:
    """Twice as many steps as it takes to see every video before those that are timed."""
    train = importlib.import_module("wsgn.training.cli").main
    on_gpu = arguments.device == "cuda"
    output = folder / "run"
    # 16 videos in a step.
    warm_up = math.ceil(2 * arguments.videos / 16)
    if "--cuda-graph" in variant.options:
        # Each size of a batch is recorded once.
        warm_up *= 3
    num_steps = warm_up + arguments.steps
    command = [
        str(folder / "annotations.json"), "--features", str(folder / "features"),
        "-o", str(output), "--overwrite", "--quiet", "--preset", arguments.preset,
        "--steps", str(num_steps), "--checkpoint-every", str(num_steps),
        "--device", arguments.device, *variant.options,
    ]  # fmt: skip
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
    with _timed(warm_up, on_gpu=on_gpu) as times, _operator(variant, arguments.device):
        code = train(command)
    if code != 0:
        raise RuntimeError(f"wsgn-train ended with exit code {code}; its sentence is in the log")
    with (output / "losses.csv").open(newline="") as file:
        losses = [float(row["loss"]) for row in csv.DictReader(file)]
    seconds = (times.end - times.start) / arguments.steps
    videos_per_second = 16 / seconds
    return Row(
        name=variant.name,
        step_ms=1e3 * seconds,
        host_ms=1e3 * float(np.median(times.host)),
        snippets_per_second=videos_per_second * num_snippets / arguments.videos,
        first_loss=losses[0],
        last_loss=losses[-1],
        peak_megabytes=torch.cuda.max_memory_allocated() / 1e6 if on_gpu else None,
    )


@dataclass(kw_only=True)
class _Times:
    """Of the steps behind the warm-up, on the clock of this process."""

    start: float = math.nan
    end: float = math.nan
    host: list[float]


@contextmanager
def _timed(warm_up: int, *, on_gpu: bool) -> Iterator[_Times]:
    """Look at the trainer's steps from the outside."""
    times = _Times(host=[])
    run_step = Trainer.run_step

    def now() -> float:
        if on_gpu:
            torch.cuda.synchronize()
        return time.perf_counter()

    def timed_step(self: Trainer) -> StepLog:
        if self.step == warm_up:
            times.start = now()
        step = run_step(self)
        if self.step > warm_up:
            times.host.append(step.seconds)
        if self.step == self.train_config.num_steps:
            times.end = now()
        return step

    with mock.patch.object(Trainer, "run_step", timed_step):
        yield times


@contextmanager
def _operator(variant: Variant, device: str) -> Iterator[None]:
    """The frame selection without the kernels where that is asked for."""
    if not variant.plain_operator:
        yield
        return
    operator = importlib.import_module("wsgn.selection.operator")
    if device == "cuda":
        # Else the trainer's first import of them would register them again.
        importlib.import_module("wsgn.kernels")
    with mock.patch.dict(operator._IMPLEMENTATIONS):
        operator._IMPLEMENTATIONS.pop(device, None)
        yield


def differences(row: Row, first: Row, variant: Variant) -> list[str]:
    """Sentences about losses that are not those of the first line."""
    far = abs(row.first_loss - first.first_loss) / max(abs(first.first_loss), 1e-9)
    sentences = []
    # NaN is wrong as well.
    if not far <= variant.tolerance:
        sentences.append(
            f"{row.name}: the first step's loss is {row.first_loss:.6g}, {first.name} has "
            f"{first.first_loss:.6g}; at most {variant.tolerance:.0e} of it is allowed."
        )
    if not math.isfinite(row.last_loss):
        sentences.append(f"{row.name}: the last step's loss is {row.last_loss}.")
    return sentences


def _results(
    rows: Sequence[Row], left_out: dict[str, str], wrong: Sequence[str], words: str
) -> Results:
    heading = [
        "training", "ms a step", "host's ms of it", "snippets / s", "times the first",
        "first loss", "last loss", "peak MB of the GPU",
    ]  # fmt: skip
    lines = [
        [
            row.name, f"{row.step_ms:.2f}", f"{row.host_ms:.2f}",
            f"{row.snippets_per_second:,.0f}", f"{rows[0].step_ms / row.step_ms:.2f}",
            f"{row.first_loss:.5f}", f"{row.last_loss:.5f}",
            "" if row.peak_megabytes is None else f"{row.peak_megabytes:,.0f}",
        ]
        for row in rows
    ]  # fmt: skip
    return Results(
        document={"rows": [asdict(row) for row in rows]},
        table=f"{words}\n\n{table(heading, lines)}",
        left_out=left_out,
        wrong=tuple(wrong),
    )


if __name__ == "__main__":
    sys.exit(main())
