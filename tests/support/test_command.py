"""How a command ends: its exit code, and one sentence where something went wrong."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from places import ROOT

from wsgn.errors import EngineError, InputError, OutputError, UsageError
from wsgn.support.command import failure_code, report_failures, run_command


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (SystemExit(), 0, ""),
        (SystemExit(3), 3, ""),
        (SystemExit("words"), 2, ""),
        (KeyboardInterrupt(), 130, "it: interrupted.\n"),
        (BrokenPipeError(), 6, ""),
        (UsageError("wrong."), 2, "it: wrong.\n"),
        (InputError("wrong."), 3, "it: wrong.\n"),
        (EngineError("wrong."), 5, "it: wrong.\n"),
        (OutputError("wrong."), 6, "it: wrong.\n"),
        (OSError(28, "No space left"), 6, "it: [Errno 28] No space left.\n"),
        (KeyError("a"), 1, "it: unexpected KeyError: 'a'; this is a bug, please report it.\n"),
    ],
)
def test_what_goes_wrong_is_a_code_and_a_sentence(
    capsys: pytest.CaptureFixture[str], error: BaseException, code: int, said: str
) -> None:
    def work() -> int:
        print("result")
        raise error

    assert run_command("it", work, interrupted=lambda: "interrupted.") == code
    assert capsys.readouterr() == ("result\n", said)


def test_the_works_own_code_is_the_commands() -> None:
    assert run_command("it", lambda: 4) == 4


def test_sigterm_ends_in_order() -> None:
    def work() -> int:
        signal.raise_signal(signal.SIGTERM)
        return 0

    before = signal.getsignal(signal.SIGTERM)
    assert run_command("it", work) == 143
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.skipif(os.name != "posix", reason="needs a shell")
@pytest.mark.parametrize("module", ["wsgn.runtime.cli.main", "wsgn.metrics.cli"])
def test_without_a_stdout_nothing_is_begun(module: str, tmp_path: Path) -> None:
    program = f"import sys; from {module} import main; sys.exit(main(['nothing.json']))"
    shell = 'exec "$0" -c "$1" >&-'
    done = subprocess.run(
        ["sh", "-c", shell, sys.executable, program],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert done.returncode == 6
    assert done.stderr.count("\n") == 1
    assert "stdout is closed" in done.stderr


@pytest.mark.skipif(not os.access("/dev/full", os.W_OK), reason="needs /dev/full")
def test_a_full_stdout_is_said_once() -> None:
    program = (
        "import sys; from wsgn.support.command import run_command\n"
        "sys.exit(run_command('it', lambda: print('result') or 0))"
    )
    with open("/dev/full", "wb") as full:  # noqa: PTH123
        done = subprocess.run(
            [sys.executable, "-c", program],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert (done.returncode, done.stderr) == (6, "it: [Errno 28] No space left on device.\n")


@pytest.mark.parametrize(("num_failed", "num_good", "code"), [(0, 0, 0), (2, 0, 3), (1, 1, 4)])
def test_failures_are_listed(
    capsys: pytest.CaptureFixture[str], num_failed: int, num_good: int, code: int
) -> None:
    assert failure_code(num_failed, num_good) == code
    failed = [(f"v{number}", "no video.") for number in range(num_failed)]
    assert report_failures("it", failed, num_good) == code
    assert len(capsys.readouterr().err.splitlines()) == (1 + num_failed if num_failed else 0)
