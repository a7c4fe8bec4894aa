"""Engines side by side on one device: torch eager, torch.compile, ONNX Runtime, TensorRT.

    python -m benchmarks.gpu.engines -o results/engines

Each takes the same snippets as NumPy arrays and gives NumPy arrays, so that copies count for all.
They take turns. Parity is to torch on the CPU in float32. What is not installed is left out of the
table, with the reason below it.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.gpu.part import (
    NotHere,
    Results,
    part_parser,
    require_engine,
    run_as_part,
    write_results,
)
from benchmarks.measuring import Budget, Spread, time_in_turn
from benchmarks.random_engine import HEADS, RandomEngine
from benchmarks.tables import table
from wsgn.engines.open import open_engine
from wsgn.errors import EngineError, WsgnError
from wsgn.export.graphs.document import example_input
from wsgn.support.arrays import AnyArray

Infer = Callable[[AnyArray], tuple[AnyArray, AnyArray]]
NETWORKS = (HEADS, "resnet18", "i3d-rgb")
PARITY_SNIPPETS = 3
# Of the largest value of an output: float32 in another order, and TF32 or float16 convolutions.
TOLERANCE, ROUGH_TOLERANCE = 1e-3, 5e-2
# Shares of the time of one network that measuring and building may take.
MEASURED_SHARE = 0.15


@dataclass(frozen=True, kw_only=True)
class Contender:
    """One way to compute the outputs of a network."""

    name: str
    open: Callable[[RandomEngine, str], Infer]
    tolerance: float


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the table."""

    network: str
    engine: str
    batch: int
    time_us: Spread
    # Time of torch eager over this one's.
    times_eager: float
    largest_difference: float


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and write the results."""
    parser = part_parser("benchmarks.gpu.engines", __doc__, budget_seconds=120.0)
    add = parser.add_argument
    add("--device", default="cuda", choices=("cuda", "cpu"), help="cpu is to try this script")
    add("--networks", nargs="+", default=NETWORKS, help=f"backbones; {HEADS} takes features")
    add("--batches", nargs="+", type=int, default=[1, 16], help="snippets in a call")
    add("--short-side", type=int, default=256, help="pixels that frames are scaled to")
    add("--crop-size", type=int, default=224, help="pixels of the square cut out of them")
    return run_as_part(parser, measure, argv)


def measure(arguments: argparse.Namespace, budget: Budget) -> Results:
    """All networks, as far as the budget reaches."""
    if arguments.device == "cuda" and not torch.cuda.is_available():
        raise NotHere(f"PyTorch {torch.__version__} finds no CUDA device")
    try:
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise NotHere(f"engines cannot be exported: {error.name} is not installed") from error
    # The parity of all contenders is judged at full precision.
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    rows: list[Row] = []
    left_out: dict[str, str] = {}
    wrong: list[str] = []
    for network in arguments.networks:
        if budget.left < 0:
            left_out[network] = "the budget was spent"
            continue
        with tempfile.TemporaryDirectory() as folder:
            engine = RandomEngine(
                folder=Path(folder),
                backbone=network,
                short_side=arguments.short_side,
                crop_size=arguments.crop_size,
            )
            engine.write_model()
            rows += _rows(engine, arguments, budget, left_out, wrong)
        # A compiler that runs past the limit of this part must not take the others with it.
        write_results(arguments.output, _results(rows, left_out, wrong))
    return _results(rows, left_out, wrong)


def _results(rows: Sequence[Row], left_out: dict[str, str], wrong: Sequence[str]) -> Results:
    return Results(
        document={"rows": [asdict(row) for row in rows]},
        table=_table(rows),
        left_out=left_out,
        wrong=tuple(wrong),
    )


def _rows(
    engine: RandomEngine,
    arguments: argparse.Namespace,
    budget: Budget,
    left_out: dict[str, str],
    wrong: list[str],
) -> Iterator[Row]:
    seconds = budget.left * MEASURED_SHARE
    subject = engine.in_torch()
    parity_input = example_input(subject.manifest, PARITY_SNIPPETS)
    with torch.inference_mode():
        expected = [output.numpy() for output in subject.graph(parity_input)]
    running: dict[str, Infer] = {}
    differences: dict[str, float] = {}
    for contender in _contenders(engine, arguments.device, budget):
        try:
            # The first is what the others' times are held against.
            if running and budget.left < 0:
                raise NotHere("the budget was spent")
            require_engine(contender.name, arguments.device)
            infer, found = _begin(contender, engine, arguments.device, parity_input.numpy())
        except NotHere as reason:
            left_out[f"{engine.backbone}, {contender.name}"] = str(reason)
            continue
        except WsgnError as error:
            wrong.append(f"{contender.name} failed for {engine.backbone}: {error}")
            continue
        running[contender.name] = infer
        differences[contender.name] = _difference(found, expected)
        if not differences[contender.name] <= contender.tolerance:
            wrong.append(
                f"{contender.name} differs from torch by {differences[contender.name]:.1e} for "
                f"{engine.backbone}, at most {contender.tolerance:.0e} is allowed."
            )
    for batch in arguments.batches:
        inputs = example_input(subject.manifest, batch).numpy()
        works = {name: partial(infer, inputs) for name, infer in running.items()}
        for work in works.values():
            work()
        times = time_in_turn(works, seconds / len(arguments.batches))
        for name, time_us in times.items():
            yield Row(
                network=engine.backbone,
                engine=name,
                batch=batch,
                time_us=time_us,
                times_eager=times["torch eager"].median / time_us.median,
                largest_difference=differences[name],
            )


def _begin(
    contender: Contender, engine: RandomEngine, device: str, inputs: AnyArray
) -> tuple[Infer, tuple[AnyArray, AnyArray]]:
    """Open it and compute once. Raises `NotHere` where torch.compile fails, in whatever way."""
    try:
        infer = contender.open(engine, device)
        return infer, infer(inputs)
    except Exception as error:
        # Where there is no C compiler, for one.
        if contender.open is not _compiled:
            raise
        first_line = (str(error).strip().splitlines() or ["no reason given"])[0]
        raise NotHere(f"{type(error).__name__}: {first_line}") from error


def _contenders(engine: RandomEngine, device: str, budget: Budget) -> list[Contender]:
    """What can be asked of this device; half precision only where something is convolved."""
    chosen = [
        Contender(name="torch eager", open=_eager, tolerance=TOLERANCE),
        Contender(name="torch.compile", open=_compiled, tolerance=TOLERANCE),
        Contender(name="ONNX Runtime", open=_onnxruntime, tolerance=TOLERANCE),
    ]
    if device == "cpu":
        return chosen
    tensorrt = partial(_tensorrt, budget=budget)
    chosen += [
        Contender(name="TensorRT", open=tensorrt, tolerance=TOLERANCE),
        Contender(
            name="TensorRT, TF32", open=partial(tensorrt, tf32=True), tolerance=ROUGH_TOLERANCE
        ),
    ]
    if engine.backbone != HEADS:
        for name, opener in (("ONNX Runtime", _onnxruntime), ("TensorRT", tensorrt)):
            chosen.append(
                Contender(
                    name=f"{name}, half", open=partial(opener, half=True), tolerance=ROUGH_TOLERANCE
                )
            )
    return chosen


def _eager(engine: RandomEngine, device: str) -> Infer:
    return _in_torch(engine.in_torch().graph.to(device), device)


def _compiled(engine: RandomEngine, device: str) -> Infer:
    return _in_torch(torch.compile(engine.in_torch().graph.to(device), dynamic=False), device)


def _onnxruntime(engine: RandomEngine, device: str, *, half: bool = False) -> Infer:
    return _opened(_exported(engine, half=half), device)


def _tensorrt(
    engine: RandomEngine, device: str, *, budget: Budget, half: bool = False, tf32: bool = False
) -> Infer:
    """By the product's own command, which refuses a plan that is off."""
    onnx = _exported(engine, half=half)
    plan = onnx.with_suffix(".tf32.plan" if tf32 else ".plan")
    options = ["--tf32"] if tf32 else []
    command = [sys.executable, "-m", "wsgn.export.to_tensorrt", str(onnx), "-o", str(plan)]
    left = max(1.0, budget.left)
    try:
        done = subprocess.run([*command, "--overwrite", *options], timeout=left, check=False)
    except subprocess.TimeoutExpired as error:
        raise NotHere(f"the plan was not built in the {left:.0f} s that were left") from error
    if done.returncode != 0:
        raise EngineError(
            f"to_tensorrt ended with exit code {done.returncode}; its sentence is in the log."
        )
    return _opened(plan, device)


def _exported(engine: RandomEngine, *, half: bool) -> Path:
    return engine.export("--overwrite", *(["--half"] if half else []))


def _in_torch(graph: Any, device: str) -> Infer:
    def infer(inputs: AnyArray) -> tuple[AnyArray, AnyArray]:
        with torch.inference_mode():
            first, second = graph(torch.from_numpy(inputs).to(device))
            return first.cpu().numpy(), second.cpu().numpy()

    return infer


def _opened(path: Path, device: str) -> Infer:
    # Left open until the process ends, as the others are.
    opened = open_engine(path, device=device)

    def infer(inputs: AnyArray) -> tuple[AnyArray, AnyArray]:
        outputs = opened.infer(inputs)
        return outputs.selection_logits, outputs.class_probabilities

    return infer


def _difference(found: Sequence[AnyArray], expected: Sequence[AnyArray]) -> float:
    """Largest difference of an output, as a share of its largest value; NaN stays."""
    shares = [
        np.abs(have - want).max() / max(1.0, float(np.abs(want).max()))
        for have, want in zip(found, expected, strict=True)
    ]
    return float(np.max(shares))


def _table(rows: Sequence[Row]) -> str:
    heading = [
        "network", "engine", "snippets in a call", "ms (10 to 90 %)", "snippets / s",
        "times torch eager", "difference from torch",
    ]  # fmt: skip
    lines = [
        [
            row.network, row.engine, row.batch, row.time_us.scaled(1e-3),
            f"{1e6 * row.batch / row.time_us.median:,.0f}", f"{row.times_eager:.2f}",
            f"{row.largest_difference:.1e}",
        ]
        for row in rows
    ]  # fmt: skip
    return table(heading, lines)


if __name__ == "__main__":
    sys.exit(main())
