"""`benchmarks/gpu.sh`: parts under time limits, one report, and a clear end without a GPU."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from places import ROOT

from benchmarks.gpu import plan as gpu_plan
from benchmarks.gpu import report as gpu_report
from benchmarks.gpu.prepared import ABOUT, CODE, Prepared
from benchmarks.results import describe_machine, write_results

SCRIPT = ROOT / "benchmarks" / "gpu.sh"
without_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")


def part(code: str, limit_seconds: float = 600.0) -> object:
    command = (sys.executable, "-c", code)
    return gpu_plan.Part(name="a part", command=command, limit_seconds=limit_seconds)


def shell(
    *arguments: str, folder: Path | None = None, **variables: str
) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHON": sys.executable, **variables}
    return subprocess.run(
        ["bash", str(SCRIPT), *arguments], env=environment, capture_output=True, text=True,
        check=False, cwd=folder,
    )  # fmt: skip


def complaint(done: subprocess.CompletedProcess[str]) -> str:
    """The one sentence of a command that could do nothing."""
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("gpu.sh: ")
    return done.stderr


def test_a_part_that_ends_well_is_ok(tmp_path: Path) -> None:
    outcome = gpu_report.run_part(part("print('fine')"), tmp_path)
    assert (outcome.state, outcome.tail) == (gpu_report.OK, "fine")
    assert (tmp_path / "gpu.log").read_text() == "\n=== a part\nfine\n"


def test_a_part_that_fails_says_its_exit_code(tmp_path: Path) -> None:
    outcome = gpu_report.run_part(part("import sys; sys.exit('no such kernel')"), tmp_path)
    assert (outcome.state, outcome.reason) == (gpu_report.FAILED, "exit code 1")
    assert outcome.tail == "no such kernel"


def test_a_part_is_ended_at_its_limit_with_what_it_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = (
        "import subprocess, sys, time\n"
        "sleep = [sys.executable, '-c', 'import time; time.sleep(600)']\n"
        "child = subprocess.Popen(sleep, stderr=subprocess.DEVNULL)\n"
        "try:\n"
        "    print(child.pid, 'begun', sep='\\n', flush=True)\n"
        "    time.sleep(600)\n"
        "except KeyboardInterrupt:\n"
        "    print('what there is')\n"
    )
    log = tmp_path / "gpu.log"

    class PopenAtItsLimit(subprocess.Popen[bytes]):
        """Whose limit is over as soon as the part has started its own process."""

        def wait(self, timeout: float | None = None) -> int:
            if timeout != 55.0:
                # Once it was told to end, however long it takes.
                return super().wait()
            wait_until(lambda: log.read_text().endswith("begun\n"))
            raise subprocess.TimeoutExpired(self.args, timeout)

    monkeypatch.setattr(gpu_report.subprocess, "Popen", PopenAtItsLimit)
    outcome = gpu_report.run_part(part(code, limit_seconds=60.0), tmp_path)
    assert (outcome.state, outcome.reason) == (gpu_report.FAILED, "longer than its limit of 60 s")
    # It was told before it was ended.
    child, _, last = outcome.tail.splitlines()
    assert last == "what there is"
    # The system takes its time over a signal.
    wait_until(lambda: not is_running(int(child)))


def wait_until(condition: Callable[[], bool]) -> None:
    """However busy the machine is; only what hangs is ended."""
    deadline = time.monotonic() + 300
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def is_running(process: int) -> bool:
    """Whether a process is there and not merely waiting to be collected."""
    status = Path(f"/proc/{process}/stat")
    return status.is_file() and status.read_text().rsplit(")", 1)[1].split()[0] != "Z"


def test_a_skipped_part_says_why(tmp_path: Path) -> None:
    skipped = part("import sys; print('first'); print('no such library'); sys.exit(77)")
    outcome = gpu_report.run_part(skipped, tmp_path)
    assert (outcome.state, outcome.reason) == (gpu_report.SKIPPED, "no such library")


def test_a_part_without_its_modules_is_skipped_and_not_begun(tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    command = (sys.executable, "-c", f"open({str(begun)!r}, 'w')")
    needs = ("json", "no_such_module")
    needing = gpu_plan.Part(name="a part", command=command, limit_seconds=600, needs=needs)
    outcome = gpu_report.run_part(needing, tmp_path)
    assert outcome.state == gpu_report.SKIPPED
    assert outcome.reason == "it needs no_such_module, not installed here"
    assert not begun.exists()


def test_each_part_ends_itself_before_its_limit(tmp_path: Path) -> None:
    """By its budget, so that what it found until then is not lost."""
    for each in gpu_plan.parts(tmp_path):
        if "--budget" in each.command:
            budget = float(each.command[each.command.index("--budget") + 1])
            assert budget < each.limit_seconds - gpu_report.GRACE_SECONDS, each.name


def test_without_pytest_the_check_ends_before_its_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(
        gpu_plan.importlib.util,
        "find_spec",
        lambda name: None if name == "pytest" else found(name),
    )
    (correctness,) = (each for each in gpu_plan.parts(tmp_path) if "--check" in each.command)
    assert correctness.command[-2] == "--budget"
    assert float(correctness.command[-1]) < correctness.limit_seconds - gpu_report.GRACE_SECONDS


def test_what_a_gpu_changes_is_where_it_is_looked_for() -> None:
    """On an interpreter that brings no tests along they are left out without a word."""
    names = (*gpu_plan.ON_GPU, *gpu_plan.NOT_ON_GPU)
    assert [name for name in names if not (ROOT / "tests" / name).exists()] == []


def test_a_folder_that_cannot_be_made_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    assert gpu_report._run(tmp_path / "file" / "results") == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "name a folder with OUT=" in error


def test_the_limits_leave_room_within_nine_minutes(tmp_path: Path) -> None:
    limits = [part.limit_seconds for part in gpu_plan.parts(tmp_path)]
    assert sum(limits) <= gpu_plan.MOST_SECONDS - 15


def test_the_report_holds_machine_parts_and_their_results(tmp_path: Path) -> None:
    """In three files, whatever the parts wrote; also of a part that failed behind its results."""
    machine = describe_machine()
    stem = tmp_path / gpu_report.WORK / "kernels"
    stem.parent.mkdir()
    write_results(stem, {"wrong": []}, "| the kernels' table |", machine)
    done, code = (sys.executable, "-c", "pass"), "import sys; sys.exit('the last words')"
    first = gpu_plan.Part(name="first", command=done, limit_seconds=600, stem="kernels")
    outcomes = [gpu_report.run_part(each, tmp_path) for each in (first, part(code))]
    gpu_report.write_report(tmp_path, machine, outcomes)
    assert list(stem.parent.iterdir()) == []
    assert {path.name for path in tmp_path.iterdir() if path.is_file()} == {
        "gpu.json", "gpu.md", "gpu.log",
    }  # fmt: skip
    document = json.loads((tmp_path / "gpu.json").read_text())
    assert document["kernels"]["wrong"] == []
    assert document["machine"]["date"] == machine.date
    assert [entry["state"] for entry in document["parts"]] == ["ok", "FAILED"]
    text = (tmp_path / "gpu.md").read_text()
    for words in (f"{machine}.", "| FAILED |", "the last words", "kernels' table"):
        assert words in text
    assert text.count(machine.date) == 1


@pytest.mark.parametrize("workers", [1, 2])
def test_tests_that_were_run_before_an_end_by_force_are_counted(
    tmp_path: Path, workers: int
) -> None:
    """By pytest's own lines, as one process writes them and as several do."""
    end = "import os, signal; os.killpg(0, signal.SIGKILL)"
    if workers > 1:
        pytest.importorskip("xdist")
        # Of several processes it is not known which test is the last.
        end = "raise AssertionError"
    (tmp_path / "test_planted.py").write_text(
        "import pytest\n"
        "@pytest.mark.parametrize('value', ['one', 'two words'])\n"
        "def test_good(value): pass\n"
        "def test_bad(): raise AssertionError\n"
        "@pytest.mark.skip(reason='why')\n"
        "def test_skipped(): pass\n"
        f"def test_last(): {end}\n"
    )
    command = gpu_plan.tests_command([tmp_path / "test_planted.py"], workers)
    outcome = gpu_report.run_part(
        gpu_plan.Part(name="tests", command=command, limit_seconds=600), tmp_path
    )
    assert outcome.state == gpu_report.FAILED
    assert f"{workers} FAILED, 2 PASSED, 1 SKIPPED." in outcome.words, outcome.tail
    assert "test_bad" in outcome.words


@without_gpu
def test_without_a_gpu_it_ends_in_one_sentence(tmp_path: Path) -> None:
    done = shell(OUT=str(tmp_path / "results"))
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert "no CUDA device" in done.stderr
    assert not (tmp_path / "results").exists()


def test_a_dry_run_lists_the_parts() -> None:
    done = shell("--dry-run")
    assert done.returncode == 0
    names = [line.partition(":")[0] for line in done.stdout.splitlines()]
    # What decides most first.
    assert names[:4] == ["machine and code", "kernel correctness", "operator", "training"]
    assert names[4:6] == ["races and bounds", "counters"]
    assert names[6:] == ["selection without torch", "engines", "wsgn-run", "in all"]
    assert done.stdout.count(" min") == len(names)


def test_what_was_prepared_is_used(tmp_path: Path) -> None:
    assert "was not made by gpu.sh --prepare" in complaint(
        shell("--dry-run", "--with", str(tmp_path))
    )
    (tmp_path / ABOUT).write_text(json.dumps({"versions": {"Python": "3.12.1"}}))
    (tmp_path / CODE).write_text("{}")
    done = shell("--dry-run", "--with", ".", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("prepared with Python 3.12.1\n")
    assert f"--expect {tmp_path}/{CODE}" in done.stdout
    assert "--plan" not in done.stdout


def test_a_cache_is_found_where_it_was_unpacked(tmp_path: Path) -> None:
    """Triton looks where a group says that its files lie."""
    entry = tmp_path / "made" / "KEY"
    entry.mkdir(parents=True)
    children = {}
    for name in ("walk.cubin", "walk.json"):
        (entry / name).write_text("it")
        children[name] = str(entry / name)
    (entry / "__grp__walk.json").write_text(json.dumps({"child_paths": children}))
    prepared = Prepared(folder=tmp_path)
    prepared.pack_cache(tmp_path / "made")
    (tmp_path / "made").rename(tmp_path / "elsewhere")
    assert prepared.unpack_cache(tmp_path / "cache") == 1
    found = json.loads((tmp_path / "cache" / "KEY" / "__grp__walk.json").read_text())
    assert set(found["child_paths"]) == set(children)
    assert all(Path(path).read_text() == "it" for path in found["child_paths"].values())


def test_a_dry_run_says_what_would_be_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(
        gpu_plan.importlib.util,
        "find_spec",
        lambda name: None if name == "onnxscript" else found(name),
    )
    assert gpu_report.main(["--dry-run", "-o", str(tmp_path)]) == 0
    lines = dict(line.split(": ", 1) for line in capsys.readouterr().out.splitlines())
    assert lines["engines"] == "would be skipped: it needs onnxscript, not installed here"
    assert lines["wsgn-run"].startswith("at most 0.6 min")


@pytest.mark.parametrize("word", ["-h", "--help"])
def test_the_help_explains_options_and_variables(word: str) -> None:
    done = shell(word, PYTHON="not/needed")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("usage: benchmarks/gpu.sh")
    explained = [line.split()[0] for line in lines if line[:2] == "  " and line[2] != " "]
    options = ["-o", "--with", "--dry-run", "--prepare"]
    assert explained == [*options, "PYTHON", "WSGN_WHEELS", "OUT"]


def test_paths_are_relative_to_the_caller(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    # A link would make the interpreter forget its packages.
    (tmp_path / "bin" / "python").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    (tmp_path / "bin" / "python").chmod(0o755)
    for arguments, variables in (((), {"OUT": "there"}), (("-o", "there"), {})):
        done = shell("--dry-run", *arguments, folder=tmp_path, PYTHON="bin/python", **variables)
        assert done.returncode == 0, done.stderr
        assert f"-o {tmp_path}/there/parts/gpu_run" in done.stdout


@pytest.mark.parametrize("name", ["no-such-python", "./no/python", "/"])
def test_an_interpreter_that_is_not_there_is_one_sentence(tmp_path: Path, name: str) -> None:
    said = complaint(shell(folder=tmp_path, PYTHON=name))
    assert f"the interpreter '{name}' cannot be run: name one with PYTHON=" in said


def test_a_folder_without_wheels_is_one_sentence(tmp_path: Path) -> None:
    for name in ("missing", "."):
        said = complaint(shell(folder=tmp_path, WSGN_WHEELS=name))
        assert f"no wheel (*.whl) lies in WSGN_WHEELS='{name}'" in said


def test_wheels_are_used_without_being_installed(tmp_path: Path) -> None:
    """A wheel by hand whose module is seen by the script's interpreter only."""
    import zipfile

    info = "wsgn_planted-1.0.dist-info"
    with zipfile.ZipFile(tmp_path / "wsgn_planted-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("sitecustomize.py", "import sys; print('planted wheel', file=sys.stderr)\n")
        wheel.writestr(
            f"{info}/METADATA", "Metadata-Version: 2.1\nName: wsgn-planted\nVersion: 1.0\n"
        )
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{info}/RECORD", "")
    done = shell("--dry-run", folder=tmp_path.parent, WSGN_WHEELS=tmp_path.name)
    assert done.returncode == 0, done.stderr
    assert "planted wheel" in done.stderr
    assert importlib.util.find_spec("wsgn_planted") is None
