"""The command `python -m benchmarks.kernels`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from benchmarks.kernels.results import Results, markdown
from benchmarks.results import add_output, describe_machine, publish, write_results
from wsgn.errors import UsageError
from wsgn.manifest import SOFTMAX_SCALES
from wsgn.support.command import run_command

NAME = "benchmarks.kernels"
# So that the whole takes less than 5 minutes on a GPU and 2 on a CPU.
DEFAULT_BUDGET_SECONDS = {"cuda": 285.0, "cpu": 100.0}


def main(argv: Sequence[str] | None = None) -> int:
    """Measure; returns 0, 1 where something is wrong or failed, 2 usage, 6 output, 130."""
    return run_command(NAME, lambda: _run(_parser().parse_args(argv)))


def _run(arguments: argparse.Namespace) -> int:
    results = Results(
        machine=describe_machine(with_torch=True),
        device="cuda" if torch.cuda.is_available() else "cpu",
        softmax_scale=arguments.softmax_scale,
    )
    budget = arguments.budget or DEFAULT_BUDGET_SECONDS[results.device]
    if budget < 0:
        raise UsageError(f"--budget must be positive, got {budget:g}.")
    if arguments.figure is not None:
        from benchmarks.kernels.figure import check_drawable

        check_drawable(arguments.figure)
    try:
        _measure(results, budget, arguments)
    finally:
        # Also what was measured until Ctrl-C is kept.
        _show(results, arguments.output, arguments.figure)
    return results.exit_code


def _measure(results: Results, budget: float, arguments: argparse.Namespace) -> None:
    # Heavy, and torch.compile and Triton are not needed for a usage error.
    if results.device == "cuda":
        from benchmarks.kernels.gpu import run_on_gpu

        run_on_gpu(
            results,
            budget_seconds=budget,
            quick=arguments.quick,
            check_only=arguments.check,
            save=lambda: _save(results, arguments.output),
        )
        return
    from benchmarks.kernels.cpu import run_on_cpu

    print(
        "No CUDA device: checking the kernels in Triton's interpreter, compiling them, and "
        "comparing the CPU path with plain PyTorch; nothing here is a GPU's speed.",
        file=sys.stderr,
    )
    run_on_cpu(results, budget_seconds=budget, quick=arguments.quick)


def _save(results: Results, stem: Path | None) -> None:
    if stem is not None:
        write_results(stem, results.document(), markdown(results), results.machine)


def _show(results: Results, stem: Path | None, figure: Path | None) -> None:
    publish(stem, results.document(), markdown(results), results.machine)
    if figure is not None:
        from benchmarks.kernels.figure import draw

        draw(results, figure)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"python -m {NAME}",
        description=(
            "The fused operator and the training step beside plain PyTorch and the roofline."
        ),
    )
    add_output(parser)
    parser.add_argument(
        "--figure", type=Path, metavar="FILE", help="draw bars of the times (.svg, .png or .pdf)"
    )
    parser.add_argument("--quick", action="store_true", help="few shapes, bf16 only")
    parser.add_argument("--check", action="store_true", help="compare with float64, time nothing")
    parser.add_argument(
        "--budget",
        type=float,
        default=0.0,
        metavar="SECONDS",
        help="what does not fit is left out and listed (default: 285 on a GPU, 100 without)",
    )
    parser.add_argument(
        "--softmax-scale",
        choices=SOFTMAX_SCALES,
        default="max_one",
        help="of the temporal softmax (default: %(default)s, as in the model)",
    )
    return parser
