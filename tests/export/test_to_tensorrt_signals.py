"""Ctrl-C and SIGTERM: the old plan stays, nothing else does, and the exit code says it."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest
from contents import contents
from leftovers import left_by_a_killed_run
from plan_command import build, require_rtx, without_driver
from plan_graphs import heads, save

from wsgn.engines.tensorrt.sidecar import read_sidecar
from wsgn.export.plan import builder
from wsgn.export.plan.builder import make_monitor
from wsgn.support.files import AtomicFile
from wsgn.support.signals import HeldSignal

SIGNALS = [(signal.SIGINT, 130), (signal.SIGTERM, 143)]


@pytest.fixture
def plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An old plan, with its engine and its sidecar."""
    require_rtx()
    without_driver(monkeypatch)
    code, plan = build(save(heads(), tmp_path / "m.onnx"))
    assert code == 0
    return plan


def build_again(plan: Path) -> int:
    return build(plan.with_name("m.onnx"), "--overwrite", "--max-snippets", "9")[0]


def send_in_a_step(monkeypatch: pytest.MonkeyPatch, number: signal.Signals) -> list[str]:
    """Let a signal come in the first step of a build; the steps that it has."""
    steps: list[str] = []

    def make(bindings: Any, held: HeldSignal) -> Any:
        base: Any = type(make_monitor(bindings, held))

        class Sender(base):  # type: ignore[misc]
            def step_complete(self, phase_name: str, step: int) -> bool:
                if not steps:
                    signal.raise_signal(number)
                steps.append(phase_name)
                return bool(super().step_complete(phase_name, step))

        return Sender()

    monkeypatch.setattr(builder, "make_monitor", make)
    return steps


@pytest.mark.parametrize(("number", "code"), SIGNALS)
def test_a_signal_ends_a_build_at_its_next_step(
    plan: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    number: signal.Signals,
    code: int,
) -> None:
    before, handler = contents(plan.parent), signal.getsignal(number)
    capsys.readouterr()
    steps = send_in_a_step(monkeypatch, number)
    assert build_again(plan) == code
    assert len(steps) == 1
    assert contents(plan.parent) == before
    assert signal.getsignal(number) is handler
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "")


def test_without_a_signal_a_build_has_many_steps(
    plan: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []

    def make(bindings: Any, held: HeldSignal) -> Any:
        monitor = make_monitor(bindings, held)
        step_complete = monitor.step_complete
        monitor.step_complete = lambda phase, step: (
            steps.append(phase) or step_complete(phase, step)
        )
        return monitor

    monkeypatch.setattr(builder, "make_monitor", make)
    assert build_again(plan) == 0
    assert len(steps) > 1


@pytest.mark.parametrize(("number", "code"), SIGNALS)
@pytest.mark.parametrize("name", ["m.plan.json", "m.plan"])
def test_a_signal_while_a_file_is_written_leaves_nothing(
    plan: Path, monkeypatch: pytest.MonkeyPatch, name: str, number: signal.Signals, code: int
) -> None:
    before = contents(plan.parent)
    write_whole = AtomicFile.write

    def write(self: AtomicFile, data: bytes) -> None:
        if self.path.name == name:
            write_whole(self, data[: len(data) // 2])
            signal.raise_signal(number)
        write_whole(self, data)

    monkeypatch.setattr(AtomicFile, "write", write)
    assert build_again(plan) == code
    monkeypatch.undo()
    assert contents(plan.parent) == before


@pytest.mark.parametrize(("number", "code"), SIGNALS)
def test_a_signal_while_the_plan_comes_in_its_place_leaves_the_new_one(
    plan: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals, code: int
) -> None:
    replace = Path.replace

    def move(self: Path, target: Path) -> Path:
        if target == plan.with_name("m.plan.json"):
            signal.raise_signal(number)
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", move)
    assert build_again(plan) == code
    monkeypatch.undo()
    assert sorted(contents(plan.parent)) == ["m.onnx", "m.plan", "m.plan.json"]
    maximum = read_sidecar(plan).profiles[-1].inputs["features"].maximum
    assert maximum[0] == 9


def test_what_a_killed_run_left_is_removed_by_the_next_one(plan: Path) -> None:
    left_by_a_killed_run(plan, folder=True)
    assert build_again(plan) == 0
    assert sorted(contents(plan.parent)) == ["m.onnx", "m.plan", "m.plan.json"]
