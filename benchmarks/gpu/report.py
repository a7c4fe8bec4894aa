"""Runs the parts of `benchmarks/gpu.sh`, each under its own time limit, and writes one report.

A part that fails or takes too long does not stop the others, and the report is written after each.
It is three files, however many parts there are: gpu.json, gpu.md and gpu.log. Returns 0 when every
part that could run went well, else 1.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from benchmarks.gpu.plan import Part, describe_all, parts, why_skipped
from benchmarks.gpu.prepared import ABOUT, Prepared
from benchmarks.results import ROOT, Machine, describe_machine
from benchmarks.tables import table
from wsgn.support.files import write_whole_file

_STATES = "PASSED|FAILED|SKIPPED|ERROR|XFAIL|XPASS"
_TEST_LINE = re.compile(
    rf"^\[gw\d+\] \[ *\d+%\] (?P<before>{_STATES}) (?P<name>\S.*?)\s*$"
    rf"|^(?P<first>\S+::.*?) (?P<after>{_STATES})\b"
)
OK, FAILED, SKIPPED = "ok", "FAILED", "skipped"
# How a part says that this machine lacks what it needs; its last line says what.
SKIPPED_CODE = 77
# Of a part's output in the report; the whole of it is in gpu.log.
TAIL_LINES = 8
BLANK_LINE = "\n\n"
# For a part to write what it has, once it is told to end.
GRACE_SECONDS = 5.0
# Where results of parts lie until they are in the report.
WORK = "parts"


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
    # What it found, for programs and as Markdown without the machine; empty for a log only.
    document: Mapping[str, object] = field(default_factory=dict)
    words: str = ""


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


def run_part(part: Part, output: Path) -> Outcome:
    """Run a part; what it says goes behind gpu.log, and its own files into the outcome.

    At its limit it is interrupted, and a little later ended with all its processes.
    """
    if reason := why_skipped(part):
        return Outcome(name=part.name, state=SKIPPED, reason=reason)
    (output / WORK).mkdir(exist_ok=True)
    started = time.monotonic()
    with (output / "gpu.log").open("ab") as file:
        file.write(f"\n=== {part.name}\n".encode())
        file.flush()
        before = file.tell()
        process = subprocess.Popen(
            part.command, stdout=file, stderr=subprocess.STDOUT, cwd=ROOT, start_new_session=True,
            # Nothing is held back, so that nothing is lost at an end by force.
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
        )  # fmt: skip
        code = _end_of(process, part.limit_seconds)
    if code is None:
        state, reason = FAILED, f"longer than its limit of {part.limit_seconds:.0f} s"
    else:
        state, reason = (OK, "") if code == 0 else (FAILED, f"exit code {code}")
    with (output / "gpu.log").open("rb") as file:
        file.seek(before)
        lines = file.read().decode(errors="replace").splitlines()
    if code == SKIPPED_CODE:
        state, reason = SKIPPED, lines[-1] if lines else "it did not say why"
    document, words = _taken(output / WORK, part.stem)
    return Outcome(
        name=part.name,
        state=state,
        reason=reason,
        seconds=round(time.monotonic() - started, 1),
        tail="\n".join(lines[-TAIL_LINES:]),
        stem=part.stem,
        document=document,
        words=words or _counted(lines),
    )


def _end_of(process: subprocess.Popen[bytes], limit_seconds: float) -> int | None:
    """Its exit code, or None where it had to be ended, which it may use to write what it has."""
    try:
        return process.wait(limit_seconds - GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_SECONDS)
        return None
    finally:
        # What the part has started, such as the workers of a compiler.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _taken(folder: Path, stem: str) -> tuple[dict[str, object], str]:
    """What a part wrote, read and removed; a file that was cut off by its end counts as none."""
    if not stem:
        return {}, ""
    results, words = (folder / f"{stem}.{suffix}" for suffix in ("json", "md"))
    document: dict[str, object] = {}
    text = ""
    if results.is_file():
        with suppress(ValueError):
            document = json.loads(results.read_text())
        results.unlink()
    if words.is_file():
        # Below the machine, which is the same for all.
        text = words.read_text().partition(BLANK_LINE)[2]
        words.unlink()
    return document, text


def _counted(lines: Sequence[str]) -> str:
    """How many tests passed, failed and were skipped, as pytest's lines say one after the other."""
    found: dict[str, set[str]] = {}
    for line in lines:
        # "[gw3] [ 12%] PASSED tests/...", or with one process "tests/... PASSED [ 12%]".
        match = _TEST_LINE.search(line)
        if match:
            found.setdefault(match["before"] or match["after"], set()).add(
                match["name"] or match["first"]
            )
    if not found:
        return ""
    counts = ", ".join(f"{len(names)} {state}" for state, names in sorted(found.items()))
    failed = sorted(found.get("FAILED", set()) | found.get("ERROR", set()))
    return "\n".join([f"{counts}.", *(f"- {name}" for name in failed)]) + "\n"


def write_report(output: Path, machine: Machine, outcomes: Sequence[Outcome]) -> None:
    """gpu.json and gpu.md, with what the parts found inside."""
    kept = ("name", "state", "reason", "seconds", "tail", "stem")
    document: dict[str, object] = {
        "machine": asdict(machine),
        "parts": [{name: getattr(each, name) for name in kept} for each in outcomes],
    }
    text = markdown(machine, outcomes)
    for outcome in outcomes:
        if outcome.document:
            document[outcome.stem] = outcome.document
        if outcome.words:
            text += f"\n## {outcome.name}\n\n{outcome.words}"
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
    parser.add_argument(
        "--with", type=Path, dest="prepared", metavar="FOLDER", help="what --prepare has made"
    )
    arguments = parser.parse_args(argv)
    output: Path = arguments.output.resolve()
    prepared = Prepared(folder=arguments.prepared.resolve()) if arguments.prepared else None
    if prepared is not None and prepared.file(ABOUT) is None:
        print(f"gpu.sh: {prepared.folder} was not made by gpu.sh --prepare.", file=sys.stderr)
        return 1
    if arguments.dry_run:
        if prepared is not None:
            print(prepared.sentence())
        print(describe_all(output / WORK, prepared))
        return 0
    reason = obstacle()
    if reason is not None:
        print(f"gpu.sh: {reason}", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as scratch:
        # One for all parts, and none that an earlier run filled.
        cache = Path(os.environ.setdefault("TRITON_CACHE_DIR", str(Path(scratch) / "triton")))
        if prepared is not None:
            count = prepared.unpack_cache(cache)
            print(f"{prepared.sentence()}; {count} binaries.", flush=True)
        return _run(output, prepared)


def _run(output: Path, prepared: Prepared | None = None) -> int:
    machine = describe_machine(with_torch=True)
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        print(
            f"gpu.sh: {output} cannot be made ({error.strerror}); name a folder with OUT=.",
            file=sys.stderr,
        )
        return 1
    # In the background it is ignored, also by what is started here: parts could not be told to end.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    # Results of a former run into the same folder must not pass for this one's.
    shutil.rmtree(output / WORK, ignore_errors=True)
    (output / "gpu.log").write_text(f"{machine}\n")
    outcomes: list[Outcome] = []
    for part in parts(output / WORK, prepared):
        outcomes.append(run_part(part, output))
        outcome = outcomes[-1]
        why = f": {outcome.reason}" if outcome.reason else ""
        print(f"{outcome.name}: {outcome.state}{why}", flush=True)
        # After each part, so that an end by force loses little.
        write_report(output, machine, outcomes)
    # Nothing is left in it, unless a part wrote what is not its own.
    with suppress(OSError):
        (output / WORK).rmdir()
    print((output / "gpu.md").read_text(), end="")
    return int(any(outcome.state == FAILED for outcome in outcomes))


if __name__ == "__main__":
    sys.exit(main())
