"""Runs the parts of `benchmarks/gpu.sh`, each under its own time limit, and writes one report.

A part that fails or takes too long does not stop the others. Returns 0 when every part that could
run went well, else 1.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.results import ROOT, Machine, describe_machine
from benchmarks.tables import table
from wsgn.support.files import write_whole_file

OK, FAILED, SKIPPED = "ok", "FAILED", "skipped"
# How a part says that this machine lacks what it needs; its last line says what.
SKIPPED_CODE = 77
# In tests/.
_ON_GPU = (
    "kernels/on_device",
    "engines/kernels/test_launcher_on_gpu.py",
    "benchmarks/kernels/test_benchmark_on_gpu.py",
    "engines/cuda/test_device_contract.py",
    "training/test_training_on_gpu.py",
)
# What parts import before they could say that it is missing.
_OF_KERNELS = ("torch", "triton", "numpy", "dacite")
_OF_ENGINES = (*_OF_KERNELS, "onnx", "onnxscript", "onnxruntime", "safetensors", "av")
_OF_RUNS = ("numpy", "dacite", "av", "onnxruntime")
# Of a part's output in the report; the whole of it is in its log.
TAIL_LINES = 8
BLANK_LINE = "\n\n"


@dataclass(frozen=True, kw_only=True)
class Part:
    """Something to run."""

    name: str
    command: tuple[str, ...]
    limit_seconds: float
    # Its results are STEM.json and STEM.md; none where it leaves a log only.
    stem: str = ""
    # Modules that it imports before it could say that they are missing.
    needs: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of a part."""

    name: str
    # OK, FAILED or SKIPPED.
    state: str
    reason: str = ""
    seconds: float = 0.0
    tail: str = ""
    stem: str = ""


def parts(output: Path) -> list[Part]:
    """All parts in their order; the limits add up to less than 8 minutes."""
    return [
        Part(
            name="kernel correctness",
            command=_correctness(),
            limit_seconds=130,
            needs=_OF_KERNELS,
        ),
        Part(
            name="kernel benchmark",
            command=_python(
                "-m", "benchmarks.kernels", "--budget", "110", "-o", str(output / "kernels")
            ),
            # The budget is looked at between measurements, so that the last one may overrun it.
            limit_seconds=140,
            stem="kernels",
            needs=_OF_KERNELS,
        ),
        _script(
            "selection without torch", "launch", 45, output, "--budget", "35", needs=_OF_KERNELS
        ),
        _script("engines", "engines", 110, output, "--budget", "80", needs=_OF_ENGINES),
        _script("wsgn-run", "run", 40, output, "--budget", "34", needs=_OF_RUNS),
    ]


def _script(
    name: str,
    module: str,
    limit_seconds: float,
    output: Path,
    *options: str,
    needs: tuple[str, ...] = (),
) -> Part:
    """A part of its own in this folder."""
    stem = f"gpu_{module}"
    command = _python("-m", f"benchmarks.gpu.{module}", "-o", str(output / stem), *options)
    return Part(name=name, command=command, limit_seconds=limit_seconds, stem=stem, needs=needs)


def _correctness() -> tuple[str, ...]:
    """The tests that a GPU changes, or without pytest the benchmark's comparison with float64."""
    tests = [path for name in _ON_GPU if (path := ROOT / "tests" / name).exists()]
    if importlib.util.find_spec("pytest") is None or not tests:
        return _python("-m", "benchmarks.kernels", "--check", "--budget", "110")
    # Most of the time goes into compiling kernels, one process at a time otherwise.
    workers = min(8, os.cpu_count() or 1)
    parallel = ("-n", str(workers)) if importlib.util.find_spec("xdist") else ()
    return _python("-m", "pytest", "-p", "no:cacheprovider", *parallel, *map(str, tests))


def _python(*arguments: str) -> tuple[str, ...]:
    return (sys.executable, *arguments)


def obstacle() -> str | None:
    """Why nothing can run on this machine, in one sentence."""
    if importlib.util.find_spec("torch") is None:
        return f"{sys.executable} has no PyTorch; name another interpreter with PYTHON=."
    import torch

    if not torch.cuda.is_available():
        return f"PyTorch {torch.__version__} finds no CUDA device; nothing was run."
    try:
        importlib.import_module("benchmarks.kernels.cli")
    except ImportError as error:
        return (
            f"{sys.executable} cannot import the kernels ({error}): put the wheels that it lacks "
            "into a folder and name that in WSGN_WHEELS."
        )
    return None


def why_skipped(part: Part) -> str:
    """Which of its modules are missing; empty where it can begin."""
    missing = [module for module in part.needs if importlib.util.find_spec(module) is None]
    return f"it needs {', '.join(missing)}, not installed here" if missing else ""


def run_part(part: Part, output: Path) -> Outcome:
    """Run a part with its output in a log, and end it with all its processes at its limit."""
    if reason := why_skipped(part):
        return Outcome(name=part.name, state=SKIPPED, reason=reason)
    log = output / f"{part.name.replace(' ', '_')}.log"
    started = time.monotonic()
    with log.open("w") as file:
        process = subprocess.Popen(
            part.command, stdout=file, stderr=subprocess.STDOUT, cwd=ROOT, start_new_session=True
        )
        try:
            code = process.wait(part.limit_seconds)
            state, reason = (OK, "") if code == 0 else (FAILED, f"exit code {code}")
        except subprocess.TimeoutExpired:
            code, state = None, FAILED
            reason = f"longer than its limit of {part.limit_seconds:.0f} s"
        finally:
            _end_group(process)
    lines = log.read_text(errors="replace").splitlines()
    if code == SKIPPED_CODE:
        state, reason = SKIPPED, lines[-1] if lines else "it did not say why"
    return Outcome(
        name=part.name,
        state=state,
        reason=reason,
        seconds=round(time.monotonic() - started, 1),
        tail="\n".join(lines[-TAIL_LINES:]),
        stem=part.stem,
    )


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """End what the part has started, such as the workers of a compiler."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    process.wait()


def write_report(output: Path, machine: Machine, outcomes: Sequence[Outcome]) -> None:
    """gpu.json and gpu.md, with what the parts wrote inside."""
    document: dict[str, object] = {
        "machine": asdict(machine),
        "parts": [asdict(o) for o in outcomes],
    }
    text = markdown(machine, outcomes)
    for outcome in outcomes:
        if not outcome.stem:
            continue
        results, words = (output / f"{outcome.stem}.{suffix}" for suffix in ("json", "md"))
        if results.is_file():
            document[outcome.stem] = json.loads(results.read_text())
        if words.is_file():
            # Below the machine, which is the same for all.
            text += f"\n## {outcome.name}\n\n{words.read_text().partition(BLANK_LINE)[2]}"
    for path, content in (("gpu.json", json.dumps(document, indent=1) + "\n"), ("gpu.md", text)):
        write_whole_file(output / path, content.encode(), what="the report")


def markdown(machine: Machine, outcomes: Sequence[Outcome]) -> str:
    """The machine, a table, and the ends of the logs of what failed."""
    rows = [[o.name, o.state, f"{o.seconds:.1f}", o.reason] for o in outcomes]
    lines = [f"{machine}.", "", table(["part", "state", "seconds", "why"], rows)]
    for outcome in outcomes:
        if outcome.state == FAILED:
            lines += ["", f"End of what '{outcome.name}' said:", "", "```", outcome.tail, "```"]
    return "\n".join(lines) + "\n"


def main(argv: Sequence[str] | None = None) -> int:
    """Run everything, or only say what would run."""
    parser = argparse.ArgumentParser(
        prog="gpu.sh", description=(__doc__ or "").splitlines()[0], allow_abbrev=False
    )
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="DIR", help="folder for the results"
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="list the parts, say which are skipped, and end"
    )
    arguments = parser.parse_args(argv)
    output: Path = arguments.output.resolve()
    if arguments.dry_run:
        print("\n".join(_plan(part) for part in parts(output)))
        return 0
    reason = obstacle()
    if reason is not None:
        print(f"gpu.sh: {reason}", file=sys.stderr)
        return 1
    return _run(output)


def _plan(part: Part) -> str:
    if reason := why_skipped(part):
        return f"{part.name}: would be skipped: {reason}"
    return f"{part.name}: at most {part.limit_seconds:.0f} s: {' '.join(part.command)}"


def _run(output: Path) -> int:
    machine = describe_machine(with_torch=True)
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        print(
            f"gpu.sh: {output} cannot be made ({error.strerror}); name a folder with OUT=.",
            file=sys.stderr,
        )
        return 1
    # Results of a former run into the same folder must not pass for this one's.
    for part in (chosen := parts(output)):
        for suffix in ("json", "md") if part.stem else ():
            (output / f"{part.stem}.{suffix}").unlink(missing_ok=True)
    outcomes: list[Outcome] = []
    for part in chosen:
        outcomes.append(run_part(part, output))
        outcome = outcomes[-1]
        why = f": {outcome.reason}" if outcome.reason else ""
        print(f"{outcome.name}: {outcome.state}{why}", flush=True)
        # After each part, so that an end by force loses little.
        write_report(output, machine, outcomes)
    print((output / "gpu.md").read_text(), end="")
    return int(any(outcome.state == FAILED for outcome in outcomes))


if __name__ == "__main__":
    sys.exit(main())
