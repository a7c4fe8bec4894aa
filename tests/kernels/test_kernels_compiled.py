"""The kernels' machine code for GPUs that need not be there."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from commands import run_python
from peers import peers_with
from places import ROOT

pytest.importorskip("triton", reason="Triton is not installed (it exists for Linux only)")
pytestmark = pytest.mark.skipif(
    os.environ.get("TRITON_INTERPRET") == "1", reason="the interpreter compiles nothing"
)
if os.environ.get("TRITON_INTERPRET") != "1":
    from wsgn.kernels import backward_kernels, describe_kernels, finish_kernels, forward_kernels
    from wsgn.kernels.ahead_of_time import compiled
    from wsgn.kernels.ahead_of_time.compiled import (
        KernelReport,
        absent_gpu,
        compile_kernels,
        compile_report,
    )

TARGETS = (80, 90, 100)
EARLIER = [
    line for line in (ROOT / "tests" / "tritons.txt").read_text().split("\n") if line[:1].isdigit()
]
# Compiled by them: what each kernel has most of, in one type, to keep it short.
OF_EARLIER = """
import dataclasses, json, sys
import torch, triton
from wsgn.kernels import versions
from wsgn.kernels.ahead_of_time.compiled import compile_kernels, compile_report
found = compile_report((90,), (torch.bfloat16,))
found += compile_report((90,), (torch.bfloat16,), (157,), weight_scale="average")
rows = [dataclasses.asdict(report) for report in found]
general = compile_kernels(90, torch.bfloat16, 20, weight_scale="average", frame_gradient=True)
more = {name: [code.spilled_bytes, code.count("BAR")] for name, code in general.items()}
if versions.OLDEST_AHEAD_OF_TIME <= tuple(map(int, triton.__version__.split(".")[:2])):
    from wsgn.kernels.ahead_of_time import bundle, plugin_kernel
    plugin_kernel.compile_plugin_kernel(bundle.options_for(20), 90)
json.dump({"triton": triton.__version__, "rows": rows, "more": more}, sys.stdout)
"""
WALKS = ("describe_chunks", "pool_chunks", "gradients")
# 128 registers leave room for 16 warps on a multiprocessor of 65,536.
MOST_REGISTERS = 128
# Lane instructions for an element. Found: at most 12.5, 46.3 and 50.8; the bound is a tenth above.
MOST_INSTRUCTIONS = {
    ("describe_chunks", 157): 14,
    ("pool_chunks", 157): 51,
    ("gradients", 157): 56,
}


@pytest.fixture(scope="module", params=TARGETS)
def reports(request: pytest.FixtureRequest) -> tuple[KernelReport, ...]:
    return compile_report((request.param,))


@pytest.fixture(scope="module")
def average_reports() -> tuple[KernelReport, ...]:
    return compile_report((90,), (torch.bfloat16,), (157,), weight_scale="average")


def test_every_kernel_is_reported(reports: tuple[KernelReport, ...]) -> None:
    names = {report.kernel for report in reports}
    assert names == {*WALKS, "describe_videos", "finish_videos"}
    assert len(reports) == len(names) * 2 * 2


@pytest.mark.parametrize("version", EARLIER)
def test_an_earlier_triton_makes_the_same_code(
    version: str, average_reports: tuple[KernelReport, ...], tmp_path: Path
) -> None:
    """Neither more instructions nor barriers, whatever layout it chooses by itself."""
    folder = peers_with(f"triton-{version}") / f"triton-{version}"
    own = compile_report((90,), (torch.bfloat16,)) + average_reports
    environment = {**os.environ, "PYTHONPATH": str(folder), "TRITON_CACHE_DIR": str(tmp_path)}
    done = run_python("-c", OF_EARLIER, env=environment, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["triton"] == version
    assert {"pool_chunks_weighted", "score_chunks"} <= set(found["more"])
    assert set(map(tuple, found["more"].values())) == {(0, 0)}, found["more"]
    for ours, row in zip(own, found["rows"], strict=True):
        theirs = KernelReport(**row)
        same = {"kernel": ours.kernel, "num_classes": ours.num_classes}
        assert same.items() <= dataclasses.asdict(theirs).items()
        assert theirs.spilled_bytes == ours.spilled_bytes == 0, theirs
        assert theirs.barriers == ours.barriers == 0, theirs
        assert theirs.registers <= MOST_REGISTERS
        if theirs.kernel in WALKS:
            share = theirs.instructions_per_element / ours.instructions_per_element
            assert 0.95 < share < 1.05, (theirs, ours)


def test_nothing_spills(reports: tuple[KernelReport, ...]) -> None:
    assert [report for report in reports if report.spilled_bytes] == []


def test_no_warp_waits_for_another_in_a_walk(reports: tuple[KernelReport, ...]) -> None:
    assert [report for report in reports if report.barriers] == []


def test_registers_leave_sixteen_warps(reports: tuple[KernelReport, ...]) -> None:
    assert [report for report in reports if report.registers > MOST_REGISTERS] == []


def test_the_walks_issue_few_instructions(reports: tuple[KernelReport, ...]) -> None:
    for report in reports:
        if report.kernel in WALKS and report.num_classes == 157:
            bound = MOST_INSTRUCTIONS[report.kernel, report.num_classes]
            assert 8 < report.instructions_per_element < bound, report


def test_one_exponential_for_each_that_the_formulas_have(
    reports: tuple[KernelReport, ...],
) -> None:
    """Statistics one, pooling and backward four, and little for whole rows."""
    exponentials = {"describe_chunks": 1, "pool_chunks": 4, "gradients": 4}
    for report in reports:
        if report.kernel in WALKS and report.num_classes == 157:
            extra = report.special_functions_per_element - exponentials[report.kernel]
            assert 0 <= extra < 0.5, report


def test_logits_are_loaded_a_class_for_each_lane(reports: tuple[KernelReport, ...]) -> None:
    """Two tensors in pooling, and no load beside them: constants stay in registers."""
    for report in reports:
        if report.kernel in ("describe_chunks", "pool_chunks"):
            assert report.load_bits == (16 if report.dtype == "bfloat16" else 32), report


def test_merging_kernels_have_no_number_per_element(reports: tuple[KernelReport, ...]) -> None:
    for report in reports:
        assert math.isnan(report.instructions_per_element) == (report.kernel not in WALKS)


@pytest.mark.parametrize(
    ("num_classes", "weight_scale"), [(157, "per_frame"), (256, "per_frame"), (157, "average")]
)
def test_the_general_backward_does_not_spill(num_classes: int, weight_scale: str) -> None:
    kernels = compile_kernels(
        90, torch.bfloat16, num_classes, softmax_scale="max_one", weight_scale=weight_scale,
        frame_gradient=True,
    )  # fmt: skip
    assert "pool_chunks_weighted" in kernels
    assert ("score_chunks" in kernels) == (weight_scale == "average")
    assert {name: code.spilled_bytes for name, code in kernels.items()} == dict.fromkeys(kernels, 0)


def test_the_weighted_average_costs_an_eighth_more(
    average_reports: tuple[KernelReport, ...],
) -> None:
    """In pooling and in the backward; found: 51 and 50.8 for 45.0 and 47.2 instructions."""
    walks = {report.kernel: report for report in average_reports if report.kernel in WALKS}
    assert set(walks) == set(WALKS)
    for kernel, report in walks.items():
        assert report.spilled_bytes == 0
        assert report.registers <= MOST_REGISTERS
        assert report.instructions_per_element < 1.15 * MOST_INSTRUCTIONS[kernel, 157]


def test_padding_costs_nothing() -> None:
    all_odd, all_padded = (compile_kernels(90, torch.bfloat16, 157, width=w) for w in (157, 160))
    for kernel in WALKS:
        odd, padded = all_odd[kernel], all_padded[kernel]
        assert padded.count("BAR") == 0
        assert len(padded.main_loop) <= len(odd.main_loop)
        assert padded.count("LDG") == odd.count("LDG")


def test_other_batches_compile_nothing_new(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the number of snippets nor that of videos is part of what is compiled."""
    # Their machine code is not looked at, and reading it takes longer than finding it again.
    monkeypatch.setattr(compiled, "read_cubin", lambda cubin, shared_bytes: None)
    jitted = [
        describe_kernels.describe_chunks, describe_kernels.describe_videos,
        forward_kernels.pool_chunks, finish_kernels.finish_videos, backward_kernels.gradients,
    ]  # fmt: skip

    def num_compiled() -> int:
        return sum(len(kernel.device_caches[90][0]) for kernel in jitted)

    with absent_gpu(90):
        compile_kernels(90, torch.float32, 20)
        before = num_compiled()
        assert before >= len(jitted)
        for offsets in [(0, 1), (0, 16), tuple(range(18))]:
            compile_kernels(90, torch.float32, 20, offsets=offsets)
        assert num_compiled() == before
        # The count does see what is new.
        compile_kernels(90, torch.float32, 21)
        assert num_compiled() > before


@pytest.mark.parametrize(
    ("version", "module", "needed"),
    [("3.2.0", "wsgn.kernels", "3.3"), ("3.5.1", "wsgn.kernels.ahead_of_time.bundle", "3.6")],
)
def test_a_triton_that_is_too_old_is_one_clear_sentence(
    version: str, module: str, needed: str
) -> None:
    program = (
        f"import triton; triton.__version__ = '{version}'; import {module} as module\n"
        "module.compile_bundle(module.options_for(20))"
    )
    done = run_python("-c", program)
    assert done.stderr.splitlines()[-1].startswith("wsgn.errors.UsageError: ")
    assert f"needs Triton {needed} or later, {version} is installed" in done.stderr


def test_a_missing_triton_is_one_clear_sentence() -> None:
    program = "import sys; sys.modules['triton'] = None; import wsgn.kernels"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert "MissingExtraError" in done.stderr
    assert "pip install 'wsgn[train]'" in done.stderr.splitlines()[-1]


def test_importing_the_kernels_registers_them_for_cuda() -> None:
    for name in ("frame_selection", "video_selection", "frame_selection_backward"):
        assert torch._C._dispatch_has_kernel_for_dispatch_key(f"wsgn::{name}", "CUDA")
