"""Times, allocations, launches, the roofline, and how they are shown."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch

from benchmarks.kernels import cpu
from benchmarks.kernels.cli import main
from benchmarks.kernels.correctness import Verdict
from benchmarks.kernels.figure import draw, panels
from benchmarks.kernels.results import (
    BOTH,
    FORWARD,
    Gap,
    OperatorRow,
    Results,
    Roofline,
    markdown,
)
from benchmarks.kernels.roofline import arithmetic_roofline, bytes_needed, gigabytes_per_second
from benchmarks.kernels.timing import launches, peak_bytes, peak_cpu_bytes
from benchmarks.kernels.workload import Shape
from benchmarks.measuring import Spread, spread_of
from benchmarks.results import Machine, describe_machine
from wsgn.kernels.ahead_of_time.compiled import KernelReport

RIGHT = Verdict(tensor="dx", difference=1e-7, tolerance=1e-6)
WRONG = replace(RIGHT, difference=1.0)
SMALL = Shape(name="small", lengths=(3, 1, 5), num_classes=4)


def timing(microseconds: float) -> Spread:
    return spread_of([microseconds])


def roofline(copy_microseconds: float) -> Roofline:
    copy_us = timing(copy_microseconds)
    return Roofline(shape="small", dtype="fp32", measured=BOTH, bytes=1, copy_us=copy_us)


def row(implementation: str, microseconds: float | None, measured: str = BOTH) -> OperatorRow:
    return OperatorRow(
        shape="small",
        dtype="fp32",
        measured=measured,
        implementation=implementation,
        verdict=RIGHT if microseconds else WRONG,
        time_us=timing(microseconds) if microseconds else None,
        peak_bytes=4_000_000 if microseconds else None,
    )


def results(*rows: OperatorRow, device: str = "cuda") -> Results:
    found = Results(machine=describe_machine(), device=device, softmax_scale="max_one")
    found.operator += rows
    return found


def test_peak_memory_counts_what_is_held_at_a_time() -> None:
    x = torch.zeros(250_000)  # 1 MB; not counted, it is there before

    def work() -> None:
        a = x + 1
        b = a + 1
        del a
        c = b + 1
        d = torch.cat([b, c])
        del b, c, d

    # b, c and d of 1, 1 and 2 MB; scalars add some bytes.
    assert peak_cpu_bytes(work) == pytest.approx(4_000_000, abs=1000)


@torch.library.custom_op("wsgn_test::with_temporaries", mutates_args=())
def with_temporaries(x: torch.Tensor) -> torch.Tensor:
    return ((x + 1) * (x + 2)).sum()


def test_peak_memory_sees_inside_custom_operators() -> None:
    x = torch.zeros(250_000)
    # x + 1, x + 2 and their product.
    assert peak_cpu_bytes(lambda: with_temporaries(x)) == pytest.approx(3_000_000, abs=1000)


def test_only_work_on_the_gpu_is_a_launch() -> None:
    kinds = ["kernel", "cuda_runtime", "gpu_memset", "cpu_op", "gpu_memcpy", "kernel", None]
    assert launches([{"cat": kind} for kind in kinds]) == 4


def test_memory_of_other_devices_and_order_in_the_file_do_not_matter() -> None:
    def change(at: float, size: int, device: int = 0) -> dict[str, object]:
        return {"name": "[memory]", "ts": at, "args": {"Bytes": size, "Device Type": device}}

    events = [change(3.0, 50), change(1.0, 100), change(2.0, -100), change(1.5, 999, device=1)]
    assert peak_bytes([*events, {"name": "aten::add", "ts": 0.0}]) == 100


def test_the_least_traffic_reads_twice_and_writes_once() -> None:
    # 9 snippets of 4 classes in bf16: x and h; then x, h, dx and dh.
    assert bytes_needed(SMALL, FORWARD, torch.bfloat16) == 2 * 36 * 2
    assert bytes_needed(SMALL, BOTH, torch.bfloat16) == 6 * 36 * 2
    assert gigabytes_per_second(4_300_000_000, timing(1e6)) == pytest.approx(4.3)


def kernel(name: str, target: int, num_classes: int, instructions: float) -> KernelReport:
    return KernelReport(
        kernel=name, target=target, dtype="bfloat16", num_classes=num_classes, registers=96,
        spilled_bytes=0, shared_bytes=0, load_bits=128, barriers=0,
        instructions_per_element=instructions,
        special_functions_per_element=instructions / 10,
    )  # fmt: skip


def gpu_machine() -> Machine:
    return replace(
        describe_machine(), gpu="H200", capability=90, multiprocessors=100, clock_megahertz=1000.0
    )


def test_the_arithmetic_roofline_uses_every_slot_of_the_right_kernels() -> None:
    shape = Shape(name="", lengths=(10_000,), num_classes=100)
    compiled = [
        kernel("pool_chunks", 90, 157, 32.0),
        kernel("gradients", 90, 157, 96.0),
        kernel("finish_videos", 90, 157, math.nan),
        # Another architecture, a newer one, and a number of classes that is further off.
        kernel("pool_chunks", 80, 157, 1.0),
        kernel("pool_chunks", 100, 157, 1.0),
        kernel("pool_chunks", 90, 20, 1.0),
    ]
    forward, both = (
        arithmetic_roofline(shape, measured, torch.bfloat16, compiled, gpu_machine())
        for measured in (FORWARD, BOTH)
    )
    assert forward is not None
    assert both is not None
    # 1e6 elements, 32 instructions each, 128 at a time in 100 multiprocessors at 1000 per us.
    assert forward.instructions_us == pytest.approx(1e6 * 32 / 128 / 100 / 1000)
    assert both.instructions_us == pytest.approx(4 * forward.instructions_us)
    assert forward.special_functions_us == pytest.approx(1e6 * 3.2 / 16 / 100 / 1000)


def test_without_a_report_there_is_no_arithmetic_roofline() -> None:
    assert arithmetic_roofline(SMALL, BOTH, torch.bfloat16, [], gpu_machine()) is None
    other = [kernel("pool_chunks", 90, 4, 1.0)]
    assert arithmetic_roofline(SMALL, BOTH, torch.float32, other, gpu_machine()) is None


def test_the_tables_show_ratios_to_the_roofline_and_to_ours() -> None:
    found = results(row("ours", 20.0), row("eager, packed", 80.0))
    found.rooflines.append(roofline(10.0))
    lines = [line for line in markdown(found).splitlines() if line.startswith("| ")]
    heading, ours, eager, line, *_ = ([c.strip() for c in line.split("|")] for line in lines)
    copy, to_ours = heading.index("time / copy"), heading.index("time / ours")
    assert (ours[copy], ours[to_ours]) == ("2.00", "1.00")
    assert (eager[copy], eager[to_ours]) == ("8.00", "4.00")
    assert line[1] == "roofline: copy of the bytes"
    # Nothing was measured as a graph, so there is no such column.
    assert "as graph" not in heading


def test_what_is_wrong_is_named_and_has_no_time() -> None:
    text = markdown(results(row("ours", None), row("eager, packed", 80.0)))
    (line,) = [line for line in text.splitlines() if line.startswith("| ours")]
    assert "WRONG: dx 1.0e+00 (<= 1.0e-06)" in line
    assert " us" not in line
    assert text.endswith("- ours, small, fp32, forward + backward\n")


@pytest.mark.parametrize(("failed", "code"), [(True, 1), (False, 0)])
def test_a_failure_decides_the_exit_code_and_a_gap_does_not(failed: bool, code: int) -> None:
    found = results(row("ours", 1.0))
    found.gaps.append(Gap(what="a part", reason="because", failed=failed))
    assert found.exit_code == code
    assert ("FAILED" in markdown(found)) == failed


def test_the_picture_shows_every_implementation_and_the_rooflines(tmp_path: Path) -> None:
    found = results(row("ours", 10.0), row("eager, packed", 100.0), row("eager, loop", 1000.0))
    found.rooflines.append(roofline(5.0))
    (panel,) = panels(found)
    assert [(bar.name, bar.microseconds / panel.unit) for bar in panel.bars] == [
        ("ours", 2.0), ("eager, packed", 20.0), ("eager, loop", 200.0),
    ]  # fmt: skip
    assert [line.name for line in panel.rooflines] == ["copy"]
    draw(found, tmp_path / "bars.svg")
    assert b"<svg" in (tmp_path / "bars.svg").read_bytes()


def test_a_picture_of_an_unknown_kind_is_refused_before_anything_is_measured(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["--figure", "bars.txt"]) == 2
    assert "the name must end in .svg, .png, .pdf" in capsys.readouterr().err


def test_without_matplotlib_a_picture_is_refused_before_anything_is_measured(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert main(["--figure", "bars.svg"]) == 2
    assert "pip install 'wsgn[bench]'" in capsys.readouterr().err


def test_the_cpu_comparison_gives_times_and_memory() -> None:
    found = results(device="cpu")
    cpu.compare(found, SMALL, torch.float32, aim_seconds=0.0)
    names = [row.implementation for row in found.operator]
    assert names == ["eager, packed", "eager, padded", "eager, loop", "ours"]
    assert all(row.time_us and row.peak_bytes for row in found.operator)
    assert found.wrong == []


def test_parts_that_fail_or_do_not_fit_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails() -> None:
        raise ValueError("no such kernel")

    parts = [("interpreter", 0.0, fails), ("comparison", 1e9, fails)]
    monkeypatch.setattr(cpu, "_parts", lambda results, budget_seconds, quick: iter(parts))
    found = results(device="cpu")
    cpu.run_on_cpu(found, budget_seconds=10, quick=True)
    assert [(gap.what, gap.failed) for gap in found.gaps] == [
        ("interpreter", True),
        ("comparison", False),
    ]
    assert found.gaps[0].reason == "ValueError: no such kernel"


def test_rows_survive_the_way_from_the_interpreters_process() -> None:
    sent = replace(row("ours", 1.0), time_us=None)
    assert cpu.row_from_json(json.dumps(asdict(sent))) == sent


def test_wrong_arguments_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--budget", "-1"]) == 2
    assert "must be positive" in capsys.readouterr().err


def test_what_was_measured_before_ctrl_c_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(found: Results, *_: object) -> None:
        found.operator.append(row("ours", 10.0))
        raise KeyboardInterrupt

    monkeypatch.setattr("benchmarks.kernels.cli._measure", interrupted)
    assert main(["-o", str(tmp_path / "kernels")]) == 130
    assert "| ours" in capsys.readouterr().out
    (kept,) = json.loads((tmp_path / "kernels.json").read_text())["operator"]
    assert kept["time_us"]["median"] == 10.0


def test_help_needs_no_gpu(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.kernels", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert "--budget" in done.stdout
