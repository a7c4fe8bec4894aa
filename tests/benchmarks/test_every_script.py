"""Every script of benchmarks/ and tools/, as a user starts it, with a tiny budget."""

from __future__ import annotations

import csv
import importlib
import json
import math
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from browser import require_browser
from PIL import Image
from places import ROOT
from tiny_demo import TinyDemo, make_tiny_demo

from benchmarks.fuzz.surfaces import SURFACES
from benchmarks.kernels.workload import INTERPRETER_SHAPES
from benchmarks.killed_commands import COMMANDS
from benchmarks.scale.constants import KINDS, read_constants
from wsgn.features.file import write_feature_file
from wsgn.manifest import Sampling

pytest.importorskip("triton")

# How a part of gpu.sh says that this machine lacks what it needs.
SKIPPED = 77
# Of each command; many more are for people.
NUM_KILLS = 2
# Hostile inputs of all kinds, and frames of a stream.
NUM_FUZZED, NUM_SOAKED = 250, 600
# Run elsewhere, by what.
ELSEWHERE = {
    "benchmarks.kernels.cpu": "a process of benchmarks.kernels",
    "benchmarks.live_child": "processes of benchmarks.live_load and live_delay",
    "tools/make_demo.sh": "the fixture `demo`",
    "tools/typecheck.sh": "make test",
}


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a script left."""

    stem: Path
    done: subprocess.CompletedProcess[str]

    def figures(self, *path: str) -> list[float]:
        """All numbers of STEM.json under a path of keys; lists and tables are gone through."""
        found = _values(json.loads(self.stem.with_name(f"{self.stem.name}.json").read_text()), path)
        assert found, path
        assert all(isinstance(value, int | float) and math.isfinite(value) for value in found)
        return found

    def table(self) -> str:
        """STEM.md."""
        return self.stem.with_name(f"{self.stem.name}.md").read_text()


def _values(value: Any, path: tuple[str, ...]) -> list[float]:
    if isinstance(value, list):
        return [each for item in value for each in _values(item, path)]
    if not path:
        return [value]
    items = value.values() if path[0] == "*" else [value[path[0]]]
    return [each for item in items for each in _values(item, path[1:])]


@dataclass(frozen=True, kw_only=True)
class Script:
    """How one is run, and what must be found then."""

    # Of the shared demo and a stem for results in a folder of the script's own.
    options: Callable[[TinyDemo, Path], list[object]]
    check: Callable[[Outcome], None]
    exit_code: int = 0
    # Skips the test where the machine lacks what it takes.
    needs: Callable[[], None] = lambda: None


def has_positive(*path: str) -> Callable[[Outcome], None]:
    """Numbers above 0 under this path, and the table."""

    def check(outcome: Outcome) -> None:
        assert min(outcome.figures(*path)) > 0
        assert re.search(r"\d", outcome.table())
        assert outcome.figures("machine", "cores") != []

    return check


def check_seeds(outcome: Outcome) -> None:
    """mAP of every row, in percent."""
    assert min(outcome.figures("results", "map", "*")) >= 0
    assert min(outcome.figures("results", "training_seconds")) >= 0
    assert outcome.figures("results", "train", "num_steps") == [2, 2]
    assert "| naive" in outcome.table()


def check_per_frame(outcome: Outcome) -> None:
    """Four rows beside chance."""
    assert len(outcome.figures("results", "scores", "*", "mAP")) == 4 * 5
    assert min(outcome.figures("results", "peak_megabytes")) > 0
    assert "| random segments" in outcome.table()


def check_few_clips(outcome: Outcome) -> None:
    """Two counts, then both halves of the recordings and their mean."""
    assert outcome.figures("results", "clips") == [4, 6, 4, 4]
    assert len(outcome.figures("results", "average_map")) == 4
    assert "every part in turn" in outcome.table()


def check_table(outcome: Outcome) -> None:
    """A row with what was chosen for it, under all rules, and one that takes the same choice."""
    document = json.loads(outcome.stem.with_suffix(".json").read_text())
    assert outcome.figures("chosen", "*", "setting", "learning_rate") == 3 * [1e-3]
    searched = {path.name.split("_")[0] for path in (outcome.stem.parent / "search").iterdir()}
    assert searched == {"naive", "UntrimmedNets", "complete"}
    assert set(document["results"]) == searched
    # Class probabilities, three components, their mean and the product.
    assert len(outcome.figures("results", "complete", "outputs", "*")) == 2 * 6 * 7
    assert outcome.table().count("| complete ") == 1 + 6
    assert len(outcome.figures("results", "naive", "map", "*")) == 2 * 10 * 7
    assert "| naive" in outcome.table()
    heading, *rows = csv.reader((outcome.stem.parent / "table.csv").open())
    assert heading[-2:] == ["average", "average deviation"]
    assert {row[0] for row in rows} == searched
    assert r"\pm" in (outcome.stem.parent / "table.tex").read_text()


def check_thumos14(outcome: Outcome) -> None:
    """Two seeds of training on the first features, one on the second; all under the same choice."""
    results = json.loads(outcome.stem.with_suffix(".json").read_text())["results"]
    assert [len(results[seed]["naive"]) for seed in ("1", "2")] == [2, 1]
    assert outcome.table().count("| naive") == 2


def check_sharing(outcome: Outcome) -> None:
    """One process and shards, these also with a crash and a hang."""
    assert min(outcome.figures("costs", "processor_seconds")) > 0
    document = json.loads(outcome.stem.with_suffix(".json").read_text())
    (faulty,) = document["faulty"]
    assert (faulty["exit_codes"], faulty["same"]) == ([4, 4, 0, 0, 4], True)
    assert outcome.table().count(" 4 shards ") == 2


def check_streaming(outcome: Outcome) -> None:
    """The engine says what the model says."""
    (difference,) = outcome.figures("exact_against_torch", "largest_frame_score_difference")
    assert difference < 1e-4
    assert outcome.figures("exact_against_torch", "videos_with_other_segments") == [0]
    assert len(outcome.figures("prior_sweep_map_at_0.5", "*", "*", "*")) == 2 * 2 * 7


def check_false_alarms(outcome: Outcome) -> None:
    """Videos with actions and a folder that is taken for quiet, at three rules each."""
    assert min(outcome.figures("rows", "hours")) > 0
    own, few, many, own_quiet, few_quiet, many_quiet = outcome.figures("rows", "false_alarms")
    assert own >= many >= few
    assert own_quiet >= many_quiet >= few_quiet
    found = outcome.figures("rows", "found")
    assert found[0] >= found[2] >= found[1]
    assert " alarms, 1 an hour, set here |" in outcome.table()


def check_evaluator(outcome: Outcome) -> None:
    """Fast and plain agree."""
    document = json.loads(outcome.stem.with_suffix(".json").read_text())
    plain = [row for row in document["rows"] if row["plain_ms"] is not None]
    assert len(plain) == 2
    assert all(row["largest_difference"] < 1e-9 for row in plain)
    assert min(outcome.figures("rows", "package_ms")) > 0


def check_kills(outcome: Outcome) -> None:
    """All kills were done, runs went on behind them, and nothing was found."""
    # On a busy machine a command may always have ended before its random time.
    kinds = (outcome.figures("commands", kind) for kind in ("after_a_time", "before_a_change"))
    assert [sum(kills) for kills in zip(*kinds, strict=True)] == [NUM_KILLS] * len(COMMANDS)
    assert min(outcome.figures("commands", "whole_runs")) > 0
    commands = json.loads(outcome.stem.with_suffix(".json").read_text())["commands"]
    assert [command["complaints"] for command in commands] == [[]] * len(COMMANDS)


def check_fuzz(outcome: Outcome) -> None:
    """Every surface had its cases, and none of them ended as none may."""
    document = json.loads(outcome.stem.with_suffix(".json").read_text())
    assert document["found"] == []
    assert sum(outcome.figures("surfaces", "cases")) == NUM_FUZZED
    assert len(document["surfaces"]) == len(SURFACES)
    assert min(outcome.figures("surfaces", "cases")) >= 2
    # What is damaged is noticed by some, and does no harm to others.
    assert (
        min(sum(outcome.figures("surfaces", kind)) for kind in ("ran", "refused")) > NUM_FUZZED / 10
    )


def check_soak(outcome: Outcome) -> None:
    """All frames went through, and what the process held was looked at all along."""
    assert outcome.figures("end", "seconds") == [pytest.approx(NUM_SOAKED / 15, abs=0.5)]
    assert len(outcome.figures("samples", "megabytes")) == 100


def check_live_delay(outcome: Outcome) -> None:
    """Bar codes were read, and no picture was there before it was filmed."""
    document = json.loads(outcome.stem.with_suffix(".json").read_text())
    assert [(one["way"], one["type"]) for one in document["delays"]] == [
        ("RTSP", "start"), ("RTSP", "segment"), ("a pipe", "start"), ("a pipe", "segment"),
    ]  # fmt: skip
    assert min(outcome.figures("pictures")) > 0


def check_live_faults(outcome: Outcome) -> None:
    """Both were noticed, and came back."""
    assert len(outcome.figures("faults", "noticed_seconds")) == 2
    assert min(outcome.figures("faults", "recovered_seconds")) > 0
    assert [outcome.table().count(f" {cause} |") for cause in ("not_found", "ended")] == [1, 1]


def check_live_kills(outcome: Outcome) -> None:
    """The kill left a state that the next run went on from."""
    assert outcome.figures("kills") == [1]
    # Also behind the runs that ended in order, before and after it.
    assert outcome.figures("states") == [3]
    assert len(outcome.figures("forgotten_seconds")) == 1
    assert json.loads(outcome.stem.with_suffix(".json").read_text())["complaints"] == []


def check_live_load(outcome: Outcome) -> None:
    """Both arrangements, and an engine that is too slow, whose drops are counted by the script."""
    assert outcome.figures("loads", "processes") == [1, 2]
    assert min(outcome.figures("loads", "wait_median_seconds")) > 0
    assert min(outcome.figures("loads", "proportional_megabytes")) > 10
    assert min(outcome.figures("too_slow", "wait_median_seconds")) > 0.3


def check_live_page(outcome: Outcome) -> None:
    """Nobody, and two who got updates and pictures."""
    assert outcome.figures("results", "cameras") == [1, 1]
    assert [one > 0 for one in outcome.figures("results", "pictures")] == [False, True]
    assert [one > 0 for one in outcome.figures("results", "updates")] == [False, True]


def require_serve() -> None:
    """Skip the test where no page can be served."""
    pytest.importorskip("uvicorn", reason="needs the extra serve")


def need_store() -> None:
    for name in ("moto", "flask", "s3fs"):
        pytest.importorskip(name, reason="needs a store of objects")


def check_remote_features(outcome: Outcome) -> None:
    """A listing, the index of packs, and three videos; later no more than the listing."""
    first, later = "store, first epoch", "store, later epochs"
    assert outcome.figures("epochs", f"files, {first}", "requests") == [4]
    assert outcome.figures("epochs", f"packs, {first}", "requests") == [5]
    for form in ("files", "packs"):
        assert outcome.figures("epochs", f"{form}, this disk", "requests") == [0]
        assert outcome.figures("epochs", f"{form}, {later}", "requests") == [1]
        (num_bytes,) = outcome.figures("epochs", f"{form}, {first}", "num_bytes")
        assert 1 <= num_bytes / outcome.figures("bytes")[0] < 1.01
    assert min(outcome.figures("epochs", "*", "processor_seconds")) > 0


def check_live_soak(outcome: Outcome) -> None:
    """One camera came back each time that it was cut; the other one saw all."""
    assert outcome.figures("cut", "cuts") == outcome.figures("cut", "restored") >= [1]
    assert len(outcome.figures("steady", "*", "expected")) == 1
    assert min(outcome.figures("holdings", "megabytes")) > 10


def check_scale(outcome: Outcome) -> None:
    """Constants of videos; those of features and cameras take minutes more."""
    constants = read_constants(outcome.stem.with_suffix(".json")).constants
    left_out = {name for name in KINDS if re.match("feature|merge|resume|camera", name)}
    assert constants.keys() == KINDS.keys() - left_out
    assert min(constants[name].median for name in ("start", "decode_frame", "engine_snippet")) > 0
    assert outcome.done.stdout.count("\n| ") == len(constants)


def check_kernels(outcome: Outcome) -> None:
    """Nothing is wrong; without a GPU the interpreter has run every shape in two types."""
    assert outcome.figures("operator", "time_us", "median") != []
    document = json.loads(outcome.stem.with_suffix(".json").read_text())
    assert (document["wrong"], document["gaps"]) == ([], [])
    if not torch.cuda.is_available():
        assert len(document["interpreted"]) == 2 * len(INTERPRETER_SHAPES)
        assert len(outcome.figures("compiled", "registers")) > 0
    assert b"<svg" in outcome.stem.with_suffix(".svg").read_bytes()


def check_engines(outcome: Outcome) -> None:
    """All engines of a CPU, in their order, as torch computes."""
    rows = json.loads(outcome.stem.with_suffix(".json").read_text())["rows"]
    assert [row["engine"] for row in rows] == ["torch eager", "torch.compile", "ONNX Runtime"]
    assert all(0 <= row["largest_difference"] < 1e-4 for row in rows)
    assert rows[0]["times_eager"] == 1


def check_runs(outcome: Outcome) -> None:
    """Two runs on the CPU find the same."""
    first, second = json.loads(outcome.stem.with_suffix(".json").read_text())["runs"]
    assert first["frames"] == 160
    assert first["segments"]
    assert first["segments"] == second["segments"]
    assert min(outcome.figures("runs", "seconds", "median")) > 0


def check_launch(outcome: Outcome) -> None:
    """One line says what is missing, where there is no GPU."""
    if torch.cuda.is_available():
        assert outcome.figures("rows", "largest_difference") != []
        return
    assert outcome.done.stdout.count("\n") == 1
    assert "--device" not in outcome.done.stdout


def check_plan(outcome: Outcome) -> None:
    """Minutes, or a reason, for each of the nine parts, and the minutes of all."""
    *lines, last = outcome.done.stdout.splitlines()
    assert len(lines) == 9
    assert all(re.search(r": (at most [\d.]+ min: |would be skipped: )", line) for line in lines)
    assert re.fullmatch(r"in all: at most [0-8]\.\d min for \d of 9 parts", last)


def check_skipped(outcome: Outcome) -> None:
    """One line says why."""
    assert outcome.done.stdout.count("\n") == 1


def require_no_gpu() -> None:
    """A machine with one has the tool, or says what is wrong with it."""
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")


def require_module(name: str) -> None:
    pytest.importorskip(name)


def _equal(found: object, wanted: object) -> None:
    assert found == wanted


def check_code(outcome: Outcome) -> None:
    """Kernels without a spill, whose walks have a number."""
    assert outcome.figures("kernels", "target") == 5 * [90]
    assert set(outcome.figures("kernels", "spilled_bytes")) == {0}
    assert "| describe_chunks |" in outcome.table()


def check_training(outcome: Outcome) -> None:
    """What does not need a GPU, with the loss of the first; in half precision nearly so."""
    assert min(outcome.figures("rows", "step_ms")) > 0
    first, half = outcome.figures("rows", "first_loss")
    assert 0 < abs(half - first) < 0.05 * first


def check_prepared(outcome: Outcome) -> None:
    """A plan, and what it was made with."""
    folder = outcome.stem.parent
    assert (folder / "demo.plan").stat().st_size > 0
    assert json.loads((folder / "prepared.json").read_text())["left_out"] == {}
    assert "benchmarks/gpu.sh --with" in outcome.done.stdout


def require_browser_and_serve() -> None:
    """Skip the test where no page can be served or shown."""
    require_serve()
    require_browser()


def check_picture(outcome: Outcome, name: str) -> None:
    """A picture of the size of that in docs/."""
    with Image.open(outcome.stem.with_suffix(".png")) as drawn:
        with Image.open(ROOT / "docs" / "pictures" / name) as there:
            assert drawn.size == there.size
        assert len(set(drawn.convert("RGB").tobytes()[::1001])) > 10


def thumos14(path: Path) -> Path:
    """Annotations of five short videos in the style of THUMOS14."""
    classes = ["BaseballPitch", "Diving", "HighJump"]
    database = {
        f"video_{subset}_{number}": {
            "subset": subset,
            "duration": 40.0,
            "annotations": [{"label": classes[number], "segment": [5.0, 15.0]}],
        }
        for subset, count in (("validation", 3), ("test", 2))
        for number in range(count)
    }
    path.write_text(json.dumps({"classes": classes, "database": database}))
    return path


def toy_features(folder: Path) -> list[Path]:
    """Annotations and features of a few videos whose actions are plain to see."""
    folder.mkdir()
    sampling = Sampling(frame_rate=10.0, snippet_length=4, snippet_stride=4)
    random = np.random.default_rng(0)
    database = {}
    for number in range(8):
        label = number % 2
        features = random.normal(size=(30, 6)).astype(np.float32)
        features[5:15, label] += 4
        write_feature_file(folder / f"{number}.safetensors", features, sampling)
        database[str(number)] = {
            "subset": "test" if number > 5 else "validation",
            "duration": 12.0,
            "annotations": [{"label": "ab"[label], "segment": [2.0, 6.0]}],
        }
    annotations = folder.with_suffix(".json")
    annotations.write_text(json.dumps({"database": database}))
    return [annotations, folder]


def toy_clips(folder: Path) -> list[object]:
    """The same videos as clips of four recordings, and what the benchmark is told of them."""
    annotations, features = toy_features(folder)
    rows = [f"{n},{'ab'[n % 2]},{'test' if n > 5 else 'train'},{n // 2}" for n in range(8)]
    clips = folder.with_suffix(".csv")
    clips.write_text("\n".join(["video,label,subset,group", *rows]))
    return [clips, "--features", features, "--videos", annotations]


SCRIPTS = {
    "benchmarks.backbones": Script(
        options=lambda demo, stem: [
            demo.video, "--backbone", "resnet18", "--threads", 1, "--short-side", 40,
            "--crop-size", 32, "-o", stem,
        ],
        check=has_positive("rows", "usage", "seconds"),
    ),
    "benchmarks.libraries": Script(
        options=lambda demo, stem: [
            "--network", "demo", "--snippets", 2, "--turns", 2, "-o", stem,
        ],
        check=has_positive("rows", "speed", "median"),
    ),
    "benchmarks.evaluator": Script(
        options=lambda demo, stem: ["--quick", "--detections", 300, "-o", stem],
        check=check_evaluator,
    ),
    "benchmarks.false_alarms": Script(
        options=lambda demo, stem: [
            demo.engine, "--calibrate", demo.dataset / "annotations.json", demo.dataset / "videos",
            "train", "--test", demo.dataset / "annotations.json", demo.dataset / "videos", "test",
            "--quiet", demo.dataset / "videos", "--rates", 1, 1000, "-o", stem,
        ],
        check=check_false_alarms,
    ),
    "benchmarks.few_clips": Script(
        options=lambda demo, stem: [
            *toy_clips(stem.with_name("toy")), "--counts", 2, 0, "--folds", 2, "--joined", 2,
            "--seeds", 0, "--steps", 2, "-o", stem.parent,
        ],
        check=check_few_clips,
    ),
    "benchmarks.fuzz": Script(
        options=lambda demo, stem: ["--cases", NUM_FUZZED, "-o", stem], check=check_fuzz
    ),
    "benchmarks.gpu.code": Script(
        # The first is always compiled.
        options=lambda demo, stem: ["--target", 90, "--budget", 0, "-o", stem],
        check=check_code,
    ),
    "benchmarks.gpu.counters": Script(
        options=lambda demo, stem: ["-o", stem], check=check_skipped, exit_code=SKIPPED,
        needs=require_no_gpu,
    ),
    "benchmarks.gpu.engines": Script(
        options=lambda demo, stem: [
            "--device", "cpu", "--networks", "heads", "--batches", 2, "--budget", 36000, "-o", stem,
        ],
        check=check_engines,
    ),
    "benchmarks.gpu.launch": Script(
        options=lambda demo, stem: ["--budget", 36000, "-o", stem],
        check=check_launch,
        exit_code=0 if torch.cuda.is_available() else SKIPPED,
    ),
    "benchmarks.feeding": Script(
        options=lambda demo, stem: [
            stem.with_name("data"), "--steps", 1, "--widths", 4, "--presets", "wsgn+",
            "--threads", 1, "-o", stem,
        ],
        check=has_positive("results", "time", "median"),
    ),
    "benchmarks.gpu.once": Script(
        options=lambda demo, stem: ["--device", "cpu", "--lengths", 1, 5],
        check=lambda outcome: _equal(outcome.done.stdout, "every kernel ran\n"),
    ),
    "benchmarks.gpu.prepare": Script(
        options=lambda demo, stem: [stem.parent, "--only", "plan"],
        check=check_prepared,
        needs=lambda: require_module("tensorrt_rtx_bindings"),
    ),
    "benchmarks.gpu.report": Script(
        options=lambda demo, stem: ["--dry-run", "-o", stem], check=check_plan
    ),
    "benchmarks.gpu.run": Script(
        options=lambda demo, stem: [
            "--video", demo.video, "--engine", demo.engine, "--devices", "cpu", "cpu",
            "--repeats", 1, "--budget", 36000, "-o", stem,
        ],
        check=check_runs,
    ),
    "benchmarks.gpu.sanitize": Script(
        options=lambda demo, stem: ["-o", stem], check=check_skipped, exit_code=SKIPPED,
        needs=require_no_gpu,
    ),
    "benchmarks.gpu.train": Script(
        options=lambda demo, stem: [
            "--device", "cpu", "--feature-size", 8, "--videos", 16, "--steps", 2,
            "--budget", 36000, "-o", stem,
        ],
        check=check_training,
    ),
    "benchmarks.kernels": Script(
        options=lambda demo, stem: [
            "--quick", "--budget", 36000, "-o", stem, "--figure", stem.with_suffix(".svg"),
        ],
        check=check_kernels,
    ),
    "benchmarks.kills": Script(
        options=lambda demo, stem: [*COMMANDS, "--kills", NUM_KILLS, "-o", stem],
        check=check_kills,
    ),
    "benchmarks.large_dataset": Script(
        options=lambda demo, stem: [
            stem.with_name("data"), "--gigabytes", 0.05, "--steps", 2, "--batch-videos", 2,
            "-o", stem,
        ],
        check=has_positive("peak_megabytes"),
    ),
    "benchmarks.live_delay": Script(
        options=lambda demo, stem: [
            "--minutes", 0.17, "--cameras", 1, "--pipes", 1, "-o", stem,
        ],
        check=check_live_delay,
    ),
    "benchmarks.live_faults": Script(
        options=lambda demo, stem: [
            "--faults", "404", "the connection ends (FIN)", "--timeout", 5, "--repeats", 1,
            "-o", stem,
        ],
        check=check_live_faults,
    ),
    "benchmarks.live_kills": Script(
        options=lambda demo, stem: [
            "--kills", 1, "--cameras", 1, "--longest", 0.5, "-o", stem,
        ],
        check=check_live_kills,
    ),
    "benchmarks.live_load": Script(
        options=lambda demo, stem: [
            "--cameras", 2, "--many", 2, "--seconds", 1.5, "--warm-up", 0.1, "--rounds", 1,
            "-o", stem,
        ],
        check=check_live_load,
    ),
    "benchmarks.live_page": Script(
        options=lambda demo, stem: [
            "--cameras", 1, "--viewers", 2, "--seconds", 1.5, "--warm-up", 0.1, "--rounds", 1,
            "-o", stem,
        ],
        check=check_live_page,
        needs=require_serve,
    ),
    "benchmarks.live_soak": Script(
        options=lambda demo, stem: [
            "--minutes", 0.1, "--cameras", 2, "--cut-every", 2.5, "-o", stem,
        ],
        check=check_live_soak,
    ),
    "benchmarks.per_frame": Script(
        options=lambda demo, stem: [demo.dataset, "-o", stem.parent, "--seeds", 1, "--steps", 2],
        check=check_per_frame,
    ),
    "benchmarks.scale": Script(
        options=lambda demo, stem: ["measure", "--quick", "-o", stem.with_suffix(".json")],
        check=check_scale,
    ),
    "benchmarks.soak": Script(
        options=lambda demo, stem: ["--frames", NUM_SOAKED, "-o", stem], check=check_soak
    ),
    "benchmarks.streaming": Script(
        options=lambda demo, stem: [
            demo.dataset, "--checkpoint", demo.checkpoint, "--engine", demo.engine, "-o", stem,
        ],
        check=check_streaming,
    ),
    "benchmarks.synthetic_thumos14": Script(
        options=lambda demo, stem: [
            thumos14(stem.with_name("thumos14.json")), "-o", stem.parent, "--rows", "naive",
            "--seeds", 0, 1, "--feature-seeds", 1, 2, "--steps", 2, "--feature-size", 16,
            "--quick", "--workers", 1,
        ],
        check=check_thumos14,
    ),
    "benchmarks.table": Script(
        options=lambda demo, stem: [
            *toy_features(stem.with_name("toy")), "-o", stem.parent, "--rows", "naive",
            "UntrimmedNets", "complete", "--seeds", 0, 1, "--steps", 2, "--quick",
            "--each-output", "--workers", 1,
        ],
        check=check_table,
    ),
    "benchmarks.throughput": Script(
        options=lambda demo, stem: [
            "--engine", demo.engine, "--repeats", 1, "--seconds", 1, "--longest", 2, "-o", stem,
        ],
        check=has_positive("measures", "values", "median"),
    ),
    "benchmarks.sharing": Script(
        options=lambda demo, stem: [
            "--videos", 4, "--rounds", 1, "--commands", "wsgn-run", "--forms", "shards",
            "--parts", "costs", "faults", "-o", stem,
        ],
        check=check_sharing,
    ),
    "benchmarks.training_speed": Script(
        options=lambda demo, stem: [
            "--steps", 1, "--batch-videos", 6, "--widths", 8, "--lengths", 50, "--threads", 1,
            "-o", stem,
        ],
        check=has_positive("results", "wsgn_ms", "median"),
    ),
    "benchmarks.variants": Script(
        options=lambda demo, stem: [
            demo.dataset / "annotations.json", "--videos", demo.dataset / "videos",
            "-o", stem.parent, "--seeds", 0, "--variants", "naive", "GLoc", "--weights", "average",
            "--steps", 2, "--workers", 1,
        ],
        check=check_seeds,
    ),
    "benchmarks.cut_clips": Script(
        options=lambda demo, stem: ["--clips", 1, "-o", stem], check=has_positive("costs", "exact")
    ),
    "benchmarks.remote_features": Script(
        options=lambda demo, stem: ["--videos", 3, "--rounds", 1, "-o", stem],
        check=check_remote_features,
        needs=need_store,
    ),
    "benchmarks.report_pages": Script(
        options=lambda demo, stem: ["--visits", 1, "-o", stem],
        check=has_positive("results", "open_ms"),
        needs=require_browser,
    ),
    "benchmarks/gpu.sh": Script(
        options=lambda demo, stem: ["--dry-run", "-o", stem], check=check_plan
    ),
    "tools/draw_report.py": Script(
        options=lambda demo, stem: [stem.with_suffix(".png")],
        check=lambda outcome: check_picture(outcome, "report.png"),
        needs=require_browser,
    ),
    "tools/draw_live.py": Script(
        options=lambda demo, stem: [stem.with_suffix(".png"), "--seconds", 1],
        check=lambda outcome: check_picture(outcome, "live.png"),
        needs=require_browser_and_serve,
    ),
}  # fmt: skip


def scripts() -> set[str]:
    """Modules of benchmarks/ that can be started, and files that are started by their path."""
    found = {path.relative_to(ROOT).as_posix() for path in (ROOT / "benchmarks").glob("*.sh")}
    tools = (path for path in (ROOT / "tools").iterdir() if path.is_file())
    found |= {path.relative_to(ROOT).as_posix() for path in tools}
    for path in (ROOT / "benchmarks").rglob("*.py"):
        if 'if __name__ == "__main__":' in path.read_text():
            parts = path.relative_to(ROOT).with_suffix("").parts
            found.add(".".join(parts).removesuffix(".__main__"))
    return found


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> TinyDemo:
    """Made once, also where several processes run the tests."""
    folder = tmp_path_factory.getbasetemp()
    return make_tiny_demo(folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder)


def test_every_script_is_run_by_a_test() -> None:
    assert scripts() == SCRIPTS.keys() | ELSEWHERE.keys()


def test_make_test_checks_the_types() -> None:
    assert "\ttools/typecheck.sh" in (ROOT / "Makefile").read_text()


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_leaves_what_it_says(demo: TinyDemo, tmp_path: Path, name: str) -> None:
    script = SCRIPTS[name]
    script.needs()
    stem = tmp_path / "out" / "table"
    stem.parent.mkdir()
    start = [ROOT / name] if name.endswith(".sh") else [sys.executable, "-m", name]
    if name.endswith(".py"):
        start = [sys.executable, ROOT / name]
    done = subprocess.run(
        [*map(str, start), *map(str, script.options(demo, stem))],
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHON": sys.executable},
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert done.returncode == script.exit_code, done.stderr
    script.check(Outcome(stem=stem, done=done))


def test_the_demo_is_made(demo: TinyDemo) -> None:
    """Also the truth of its video, and segments in it."""
    assert json.loads(demo.video.with_suffix(".json").read_text())
    lines = demo.events.read_text().splitlines()
    events = [json.loads(line) for line in lines if line.startswith("{")]
    assert events[-1]["type"] == "end"
    assert events[-1]["frames"] == 160
    assert any(event["type"] == "segment" for event in events)


def test_a_tiny_demo_never_replaces_the_packaged_one() -> None:
    done = subprocess.run(
        [str(ROOT / "tools" / "make_demo.sh")],
        env=os.environ | {"TINY": "1", "PYTHON": "false"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "name another folder with DEMO=" in done.stderr


@pytest.mark.parametrize(
    ("name", "options", "code", "sentence"),
    [
        ("throughput", ["--engine", "none.onnx"], 5, "none.onnx"),
        ("throughput", ["--repeats", "0"], 2, "must be at least 1"),
        ("large_dataset", ["{folder}", "--gigabytes", "0"], 2, "less than one file"),
        ("kills", ["convert", "--kills", "0"], 2, "must be at least 1"),
        ("fuzz.cli", ["--cases", "0"], 2, "must be at least 1"),
        ("fuzz.cli", ["--surface", "moons"], 2, "'moons' is no surface: there are video files,"),
        ("fuzz.cli", ["--replay", "{folder}"], 2, "is no case that was kept"),
        ("live_delay", ["--pipes", "0"], 2, "must be at least 1"),
        ("remote_features", ["--videos", "0"], 2, "must be at least 1"),
        ("live_faults", ["--faults", "rain"], 2, "'rain' is no fault: there are 'connection"),
        ("live_faults", ["--timeout", "0"], 2, "must be at least 0.5"),
        ("live_kills", ["--kills", "0"], 2, "must be at least 1"),
        ("live_load", ["--rounds", "0"], 2, "must be at least 1"),
        ("live_page", ["--cameras", "0"], 2, "must be at least 1"),
        ("live_soak", ["--cameras", "1"], 2, "must be at least 2"),
        ("live_soak", ["--minutes", "nan"], 2, "must be a positive number"),
        ("scale.cli", ["measure", "--repeats", "0", "-o", "x"], 2, "must be above 0"),
        ("sharing.cli", ["--videos", "1"], 2, "at least 4 --videos"),
        ("soak", ["--frames", "1"], 2, "must be at least"),
        ("soak", ["--minutes", "0"], 2, "must be a positive number"),
        ("streaming", ["none", "--checkpoint", "none.st", "--engine", "x"], 3, "none.st"),
        ("feeding", ["{folder}", "--steps", "0"], 2, "must be positive"),
        ("training_speed", ["--batch-videos", "2"], 2, "--batch-videos at least 6"),
        ("synthetic_thumos14", ["none.json", "-o", "{folder}"], 3, "none.json"),
        ("table", ["none.json", "none", "-o", "{folder}"], 3, "none.json"),
        ("table", ["none.json", "none", "-o", "x", "--rows", "moon"], 2, "there is no row 'moon'"),
        (
            "variants",
            ["none.json", "--features", "none", "-o", "{folder}", "--workers", "1"],
            3,
            "none.json",
        ),
        ("kernels.cli", ["--figure", "bars.txt"], 2, "must end in .svg, .png, .pdf"),
    ],
)
def test_a_wrong_input_is_one_sentence(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
    options: list[str],
    code: int,
    sentence: str,
) -> None:
    given = [option.format(folder=tmp_path) for option in options]
    assert importlib.import_module(f"benchmarks.{name}").main(given) == code
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert said.startswith(f"benchmarks.{name.removesuffix('.cli')}: ")
    assert sentence in said
