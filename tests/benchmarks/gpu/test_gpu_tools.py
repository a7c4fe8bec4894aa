"""What the parts of `gpu.sh` read out of NVIDIA's tools, and what they compile without a GPU."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path

import pytest
import torch

pytest.importorskip("triton")
import triton

from benchmarks.gpu import code, counters, sanitize, train
from benchmarks.gpu.compile_only import compiling
from benchmarks.gpu.part import NotHere
from benchmarks.kernels.baselines import FUSED
from benchmarks.kernels.workload import Shape, evaluate, make_batch
from wsgn.kernels.ahead_of_time.compiled import KernelReport

# As the tools print them (compute-sanitizer 2025.3, documentation and guides).
RACE = """========= COMPUTE-SANITIZER
========= Error: Race reported between Write access at planted+0x60 in <unknown>:4
=========     and Read access at planted+0xb0 in <unknown>:6 [256 hazards]
=========
========= RACECHECK SUMMARY: 1 hazard displayed (1 error, 0 warnings)
"""
CLEAN_RACE = """========= COMPUTE-SANITIZER
every kernel ran
========= RACECHECK SUMMARY: 0 hazards displayed (0 errors, 0 warnings)
"""
BOUNDS = """========= COMPUTE-SANITIZER
========= Invalid __global__ write of size 4 bytes
=========     at planted+0x70
=========     by thread (0,0,0) in block (0,0,0)
========= ERROR SUMMARY: 64 errors
"""
CLEAN_BOUNDS = "========= COMPUTE-SANITIZER\nevery kernel ran\n========= ERROR SUMMARY: 0 errors\n"
REFUSED = "========= COMPUTE-SANITIZER\n========= Error: Device not supported\n"


def found(**texts: str) -> list[sanitize.Found]:
    """The four checks with these texts in place of good ones."""
    good = {
        "racecheck": CLEAN_RACE, "racecheck_planted": RACE,
        "memcheck": CLEAN_BOUNDS, "memcheck_planted": BOUNDS,
    }  # fmt: skip
    return [
        sanitize.read_summary(
            name.partition("_")[0], name.endswith("planted"), texts.get(name, text)
        )
        for name, text in good.items()
    ]


def test_kernels_without_races_and_a_tool_that_would_tell() -> None:
    results = sanitize.judged(found())
    assert (results.wrong, dict(results.left_out)) == ((), {})
    assert "| planted mistake |     64 |" in results.table


def test_what_a_check_finds_is_wrong() -> None:
    results = sanitize.judged(found(racecheck=CLEAN_RACE.replace("0 hazards", "2 hazards")))
    assert results.wrong == ("racecheck finds 2 errors in the kernels; see the log.",)


@pytest.mark.parametrize(
    "text", [REFUSED, CLEAN_BOUNDS.replace("every kernel ran\n", "no module"), ""]
)
def test_a_check_without_an_end_proves_nothing(text: str) -> None:
    results = sanitize.judged(found(memcheck=text))
    assert set(results.left_out) == {"memcheck"}
    assert "did not come to its end" in results.left_out["memcheck"]


def test_a_check_that_misses_its_planted_mistake_proves_nothing() -> None:
    results = sanitize.judged(found(racecheck_planted=CLEAN_RACE))
    assert "does not find a planted mistake" in results.left_out["racecheck"]


def test_a_machine_that_refuses_all_checks_is_skipped() -> None:
    with pytest.raises(NotHere, match=r"racecheck: .*Device not supported.*; memcheck: "):
        sanitize.judged(found(**dict.fromkeys(("racecheck_planted", "memcheck_planted"), REFUSED)))


def ncu_page(*launches: tuple[str, str, str], time_unit: str = "ns") -> str:
    """Kernel, time and bytes as `ncu --csv --page raw` prints them, with its words around."""
    heading = ["ID", "Kernel Name", counters.METRICS["time"], counters.METRICS["bytes"],
               counters.METRICS["registers"]]  # fmt: skip
    rows = [heading, ["", "", time_unit, "Mbyte", "register/thread"]]
    rows += [[str(number), *launch, "96"] for number, launch in enumerate(launches)]
    table = "\n".join(",".join(f'"{cell}"' for cell in row) for row in rows)
    return f"==PROF== Connected to process 7\nevery kernel ran\n==PROF== Disconnected\n{table}\n"


def test_counters_are_read_with_their_units() -> None:
    page = ncu_page(("pool_chunks", "36,320", "88.4"), ("gradients", "50000", "200"))
    first, second = counters.read_rows("a batch", page)
    assert (first.kernel, first.case) == ("pool_chunks", "a batch")
    assert first.time_us == pytest.approx(36.32)
    assert first.gigabytes_per_second == pytest.approx(88.4e6 / 36.32e-6 / 1e9)
    assert second.gigabytes_per_second == pytest.approx(4000)
    assert second.counters == {"registers": 96.0}
    (slow,) = counters.read_rows("", ncu_page(("gradients", "1.5", "3"), time_unit="ms"))
    assert slow.time_us == 1500.0


def test_ncu_without_counters_gives_no_rows() -> None:
    assert list(counters.read_rows("", "==ERROR== Failed to initialize the profiler\n")) == []


def report(**change: object) -> KernelReport:
    made = KernelReport(
        kernel="gradients", target=90, dtype="bfloat16", num_classes=157, registers=96,
        spilled_bytes=0, shared_bytes=0, load_bits=16, barriers=0, instructions_per_element=47.3,
        special_functions_per_element=4.1,
    )  # fmt: skip
    return dataclasses.replace(made, **change)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({}, None),
        ({"instructions_per_element": 49.0}, None),
        ({"instructions_per_element": 51.0}, "has 51.0 instructions an element, expected 47.3"),
        ({"barriers": 12}, "has 12 barriers in its main loop"),
        ({"spilled_bytes": 16}, "spills 16 bytes"),
    ],
)
def test_other_code_than_expected_is_told(
    tmp_path: Path, change: dict[str, object], sentence: str | None
) -> None:
    path = tmp_path / "code.json"
    # A kernel without a number of its own stands as null.
    rows = [report(), report(kernel="finish_videos", instructions_per_element=None)]
    path.write_text(json.dumps({"kernels": [dataclasses.asdict(row) for row in rows]}))
    have = [report(**change), report(kernel="finish_videos", instructions_per_element=float("nan"))]
    wrong = code.differences(have, code._expected(path))
    assert [sentence in each for each in wrong if sentence] == ([True] if sentence else [])
    assert bool(wrong) == bool(sentence)


def test_what_was_compiled_anew_under_the_same_name_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    for number, moment in enumerate((1000.0, 2000.0, 3000.0)):
        path = tmp_path / str(number) / "walk.cubin"
        path.parent.mkdir()
        path.write_text("")
        os.utime(path, (moment, moment))
    assert (code.cached_binaries(), code.cached_binaries(2000.0)) == (3, 2)
    monkeypatch.delenv("TRITON_CACHE_DIR")
    assert code.cached_binaries() is None


def row(name: str, first_loss: float, last_loss: float = 0.5) -> train.Row:
    return train.Row(
        name=name, step_ms=2.0, host_ms=1.0, snippets_per_second=1e6, first_loss=first_loss,
        last_loss=last_loss, peak_megabytes=None,
    )  # fmt: skip


def test_losses_that_are_off_are_told() -> None:
    full, half = (
        next(each for each in train.VARIANTS if each.tolerance == tolerance)
        for tolerance in (train.TOLERANCE, train.ROUGH_TOLERANCE)
    )
    first = row("first", 0.7)
    assert train.differences(row("new", 0.70001), first, full) == []
    assert len(train.differences(row("new", 0.7002), first, full)) == 1
    assert train.differences(row("new", 0.72), first, half) == []
    assert len(train.differences(row("new", 0.74), first, half)) == 1
    assert len(train.differences(row("new", float("nan"), float("nan")), first, half)) == 2


@pytest.mark.skipif(
    os.environ.get("TRITON_INTERPRET") == "1", reason="the interpreter compiles nothing"
)
def test_what_a_gpu_would_launch_is_compiled_and_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Through the operator itself, on CPU tensors; afterwards these go their usual way again."""
    batch = make_batch(
        Shape(name="any", lengths=(1, 5), num_classes=20), torch.bfloat16, torch.device("cpu")
    )
    launched = []
    run = triton.JITFunction.run

    def noted(self: object, *arguments: object, warmup: bool, **constants: object) -> object:
        launched.append((self.__name__, warmup))  # type: ignore[attr-defined]
        return run(self, *arguments, warmup=warmup, **constants)

    monkeypatch.setattr(triton.JITFunction, "run", noted)
    wanted = evaluate(FUSED, batch, "mean_one").video_scores
    assert launched == []
    with compiling(90):
        evaluate(FUSED, batch, "mean_one")
    names = ["describe_chunks", "describe_videos", "pool_chunks", "finish_videos"]
    assert launched[:4] == [(name, True) for name in names]
    assert launched[-1] == ("gradients", True)
    assert torch.equal(evaluate(FUSED, batch, "mean_one").video_scores, wanted)
    assert launched[-1] == ("gradients", True)
