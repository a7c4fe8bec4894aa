"""The command `python -m benchmarks.kernels`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from benchmarks.kernels.machine import describe_machine
from benchmarks.kernels.results import Results
from wsgn.errors import UsageError, WsgnError
from wsgn.manifest import SOFTMAX_SCALES
from wsgn.support.files import write_whole_file

# So that the whole takes less than 5 minutes on a GPU and 2 on a CPU.
DEFAULT_BUDGET_SECONDS = {"cuda": 285.0, "cpu": 100.0}
_INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Measure; returns 0, 1 where something is wrong or failed, 2 usage, 6 output, 130."""
    arguments = _parser().parse_args(argv)
    results = Results(
        machine=describe_machine(),
        device="cuda" if torch.cuda.is_available() else "cpu",
        softmax_scale=arguments.softmax_scale,
    )
    try:
        return _run(arguments, results)
    except WsgnError as error:
        print(f"benchmarks.kernels: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        # What was measured until then is kept.
        _store(results, arguments.output)
        return _INTERRUPTED


def _run(arguments: argparse.Namespace, results: Results) -> int:
    budget = arguments.budget or DEFAULT_BUDGET_SECONDS[results.device]
    if budget < 0:
        raise UsageError(f"--budget must be positive, got {budget:g}.")
    # Heavy, and torch.compile and Triton are not needed for a usage error.
    if results.device == "cuda":
        from benchmarks.kernels.gpu import run_on_gpu

        run_on_gpu(
            results,
            budget_seconds=budget,
            quick=arguments.quick,
            check_only=arguments.check,
            save=lambda: _written(results, arguments.output),
        )
    else:
        from benchmarks.kernels.cpu import run_on_cpu

        print(
            "No CUDA device: checking the kernels in Triton's interpreter, compiling them, and "
            "comparing the CPU path with plain PyTorch; nothing here is a GPU's speed.",
            file=sys.stderr,
        )
        run_on_cpu(results, budget_seconds=budget, quick=arguments.quick)
    _store(results, arguments.output)
    return results.exit_code


def _store(results: Results, folder: Path | None) -> None:
    print(_written(results, folder), end="")


def _written(results: Results, folder: Path | None) -> str:
    """The tables; written with everything else where a folder is named."""
    from benchmarks.kernels.figure import draw
    from benchmarks.kernels.report import markdown

    text = markdown(results)
    if folder is not None:
        files = {"kernels.json": results.json(), "kernels.md": text, "kernels.svg": draw(results)}
        for name, content in files.items():
            write_whole_file(folder / name, content.encode(), what="benchmark result")
    return text


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.kernels",
        description="The fused operator and the training step beside plain PyTorch and the floor.",
    )
    parser.add_argument(
        "-o", "--output", type=Path, metavar="DIR", help="for kernels.json, .md and .svg"
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
