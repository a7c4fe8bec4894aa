"""What the parts of `gpu.sh` share: how one is left out, fails, and leaves its results."""

from __future__ import annotations

import argparse
import importlib.util
import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import results as files
from benchmarks.measuring import Budget
from wsgn.engines.cuda.driver import probe_driver
from wsgn.engines.tensorrt.library import installed_libraries
from wsgn.errors import WsgnError

# Exit code of a part that could not run here; its last line says why.
SKIPPED_CODE = 77
_TOOL_FOLDERS = ("/usr/local/cuda/bin", "/usr/local/cuda/compute-sanitizer")


class NotHere(Exception):
    """This machine lacks what the part needs; the text says what."""


@dataclass(frozen=True, kw_only=True)
class Results:
    """What a part found: for programs, and as Markdown for people."""

    document: dict[str, object]
    table: str
    # What this machine could not run, by name, with the reason.
    left_out: Mapping[str, str]
    # Sentences about results that are wrong.
    wrong: tuple[str, ...] = ()

    @property
    def markdown(self) -> str:
        """The table, and below it what was left out."""
        sentences = (f"Left out: {name}: {reason}." for name, reason in self.left_out.items())
        return "\n".join([self.table, "", *sentences]).rstrip()


def part_parser(
    name: str, documentation: str | None, *, budget_seconds: float
) -> argparse.ArgumentParser:
    """The parser of a part, which says the defaults, with its output and its budget."""
    parser = argparse.ArgumentParser(
        prog=f"python -m {name}",
        description=(documentation or "").splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    files.add_output(parser, required=True)
    parser.add_argument(
        "--budget", type=float, default=budget_seconds, metavar="SECONDS", help="for everything"
    )
    return parser


def run_as_part(
    parser: argparse.ArgumentParser,
    work: Callable[[argparse.Namespace, Budget], Results],
    argv: Sequence[str] | None,
) -> int:
    """Parse, work, write STEM.json and STEM.md; 0 for right, 1 for wrong or failed, 77 for none."""
    arguments = parser.parse_args(argv)
    try:
        results = work(arguments, Budget(seconds=arguments.budget))
        write_results(arguments.output, results)
    except NotHere as reason:
        print(reason)
        return SKIPPED_CODE
    except WsgnError as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 1
    print(results.markdown)
    for sentence in results.wrong:
        print(f"WRONG: {sentence}", file=sys.stderr)
    return int(bool(results.wrong))


def require_engine(name: str, device: str) -> None:
    """Raise `NotHere` unless GPU and libraries are; an engine that fails all the same is wrong."""
    if device != "cuda":
        return
    try:
        probe_driver()
    except WsgnError as reason:
        raise NotHere(reason_alone(reason)) from reason
    if name.startswith("TensorRT"):
        if not installed_libraries():
            raise NotHere("neither TensorRT nor TensorRT-RTX is installed")
        if not any(map(_is_installed, ("pycuda", "cuda"))):
            raise NotHere("neither pycuda nor cuda-bindings is installed")
    elif name.startswith("ONNX Runtime"):
        from wsgn.support.packages import load_package

        onnxruntime = load_package("onnxruntime")
        providers = onnxruntime.get_available_providers()
        if "CUDAExecutionProvider" not in providers:
            raise NotHere(f"ONNX Runtime {onnxruntime.__version__} has {', '.join(providers)} only")


def require_driver() -> None:
    """Raise `NotHere` where no GPU answers."""
    try:
        probe_driver().gpu(0)
    except WsgnError as reason:
        raise NotHere(reason_alone(reason)) from reason


def find_tool(name: str) -> str:
    """One of NVIDIA's tools, on the path or where CUDA lies. Raises `NotHere`."""
    folders = os.pathsep.join([os.environ.get("PATH", ""), *_TOOL_FOLDERS])
    found = shutil.which(name, path=folders)
    if found is None:
        raise NotHere(f"{name} is not installed")
    return found


def finish_tool(command: Sequence[str], budget: Budget, environment: Mapping[str, str]) -> str:
    """All that a tool says within the budget, which is printed for the log; cut off at its end."""
    left = max(1.0, budget.left)
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
        env=environment, cwd=files.ROOT, start_new_session=True,
    ) as process:  # fmt: skip
        try:
            text = process.communicate(timeout=left)[0]
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            text = f"{process.communicate()[0]}\nit was ended after {left:.0f} s"
    print(shlex.join(command), text, sep="\n", flush=True)
    return text


def reason_alone(error: WsgnError) -> str:
    """Without the advice to use a CPU, which is for `wsgn-run`; no full stop."""
    return str(error).partition(" or use --device cpu")[0].rstrip(",.")


def _is_installed(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


def write_results(stem: Path, results: Results) -> None:
    """STEM.json and STEM.md; a part that may be ended by force also calls it in between."""
    found = {"left_out": dict(results.left_out), "wrong": list(results.wrong)}
    machine = files.describe_machine(with_torch=importlib.util.find_spec("torch") is not None)
    files.write_results(stem, results.document | found, results.markdown, machine)
