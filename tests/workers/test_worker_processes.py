"""Workers that are processes: signals at bad moments, and errors that look like others."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from commands import HANG_SECONDS
from made_work import CtrlCOpener, MadeOpener
from places import ROOT

from wsgn.errors import WsgnError
from wsgn.workers.pool import Died, Done, Told, WorkerPool
from wsgn.workers.processes import ProcessTransport

# A command of one worker, whose job never ends; it prints the worker's process.
_COMMAND = """
import sys
sys.path.insert(0, {folder!r})
from made_work import MadeOpener
from wsgn.support.command import run_command
from wsgn.workers.pool import Told, WorkerPool
from wsgn.workers.processes import ProcessTransport

def work():
    opener = MadeOpener(asks_parent={asks_parent})
    with WorkerPool(ProcessTransport(opener), 1, stall_seconds=1e6) as pool:
        pool.begin()
        for message in pool.run(iter([(0, "hang")])):
            print(message.news, flush=True)
    return 0

if __name__ == "__main__":
    sys.exit(run_command("made", work, interrupted=lambda: "interrupted."))
"""


def _run(opener: MadeOpener, *jobs: str) -> list[Told | Done | Died]:
    """What becomes of jobs on one worker; what they tell is left out."""
    with WorkerPool(ProcessTransport(opener), 1, stall_seconds=HANG_SECONDS) as pool:
        assert pool.begin() == "ready"
        found = list(pool.run(enumerate(jobs)))
    return [message for message in found if not isinstance(message, Told)]


def test_a_signal_to_a_worker_alone_costs_no_other_job() -> None:
    """Who was asked to end takes no more: the next job waits for another worker."""
    jobs = ("a", "asked", "b", "asked", "asked", "c")
    assert _run(MadeOpener(), *jobs) == [
        Done(number=number, result=job) for number, job in enumerate(jobs)
    ]


@pytest.mark.parametrize(
    ("job", "code", "words"),
    [
        ("no more", None, "EOFError in a worker: the file has ended"),
        ("reset", 6, "the store has hung up"),
        ("full", 6, "No space left on device"),
        ("bug", None, "KeyError in a worker: 'a'"),
    ],
)
def test_an_error_of_the_work_ends_the_run_as_in_one_process(
    job: str, code: int | None, words: str
) -> None:
    """Also those that a pipe raises when nobody is there any more."""
    expected = RuntimeError if code is None else WsgnError
    with pytest.raises(expected, match=words) as caught:
        _run(MadeOpener(), "a", job, "b")
    assert getattr(caught.value, "exit_code", None) == code


def test_ctrl_c_while_a_worker_starts_is_none_of_its_business(
    capfd: pytest.CaptureFixture[str],
) -> None:
    assert _run(CtrlCOpener(), "a") == [Done(number=0, result="a")]
    assert capfd.readouterr().err == ""


def _hanging_command(folder: Path, *, asks_parent: bool) -> tuple[subprocess.Popen[str], int]:
    """A command whose worker hangs, and the worker's process."""
    program = folder / "made_command.py"
    program.write_text(_COMMAND.format(folder=str(Path(__file__).parent), asks_parent=asks_parent))
    command = subprocess.Popen(
        [sys.executable, program],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert command.stdout is not None
    return command, int(command.stdout.readline())


def test_ctrl_c_twice_ends_a_command_whose_worker_hangs(tmp_path: Path) -> None:
    """The second comes while the worker, which was asked to end, is waited for."""
    command, _ = _hanging_command(tmp_path, asks_parent=True)
    with command:
        command.send_signal(signal.SIGINT)
        _, words = command.communicate(timeout=HANG_SECONDS)
    assert command.returncode == 130
    assert "Traceback" not in words


def test_a_worker_that_hangs_ends_with_its_command(tmp_path: Path) -> None:
    command, worker = _hanging_command(tmp_path, asks_parent=False)
    with command:
        command.kill()
    ends = time.monotonic() + HANG_SECONDS
    while _is_alive(worker):
        assert time.monotonic() < ends
        time.sleep(0.1)


def _is_alive(process: int) -> bool:
    """Whether it runs; one that has ended may still be there for whoever asks how."""
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"
