"""The host in C++, compiled and held against golden vectors of engines with all kinds of rules."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import planted
import pytest
from manifests import small_manifest
from peers import peers_with
from places import ROOT

from wsgn.manifest import COMPONENTS, Manifest, MultiThresholdRule, SelectionRule, VideoScore
from wsgn.runtime.cli.main import main
from wsgn.runtime.demo import engine_path as demo_path
from wsgn.runtime.golden import DOCUMENT

HOST = ROOT / "runtime" / "host"
Host = Callable[..., "subprocess.CompletedProcess[str]"]
MU = {"global_mean": (0.1, 0.3, 0.2), "global_std": (0.5, 0.8, 1.0)}
WEIGHTED = VideoScore(pooling="weighted")


def rule(**changes: Any) -> SelectionRule:
    values = {"components": COMPONENTS, "softmax_scale": "max_one", "class_activation": "softmax"}
    return SelectionRule(**(values | MU | changes))


RULES = {
    "none": rule(components=()),
    "max_one": rule(),
    "mean_one": rule(softmax_scale="mean_one", class_activation="sigmoid"),
    "sum_one": rule(softmax_scale="sum_one", components=COMPONENTS[2:]),
    "soft_gate": rule(softmax_scale="soft_gate"),
    "attention": rule(components=("attention",), class_activation="sigmoid"),
    "average": rule(weight_scale="average", video_score=WEIGHTED),
    "product": rule(weight_scale="average", gate="product", video_score=WEIGHTED),
    "cut": rule(weight_scale="average", gate="cut", components=COMPONENTS[:2]),
    "soft": rule(weight_scale="average", gate="soft", gate_level=0.3),
    "hard": rule(weight_scale="average", gate="hard", gate_level=0.9),
}


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Host:
    """The program."""
    if shutil.which("g++") is None:
        pytest.skip("there is no g++")
    headers = peers_with("onnxruntime_headers") / "onnxruntime_headers"
    libraries = list(Path(onnxruntime.__file__).parent.glob("capi/libonnxruntime.so.*"))
    if not (headers / "onnxruntime_c_api.h").is_file() or len(libraries) != 1:
        pytest.skip("ONNX Runtime's headers or its library are not there")
    folder = tmp_path_factory.mktemp("host")
    (folder / "libonnxruntime.so.1").symlink_to(libraries[0])
    program = folder / "wsgn_host"
    words = ["g++", "-std=c++17", "-O1", "-Wall", "-Wextra", "-Werror", HOST / "wsgn_host.cpp"]
    subprocess.run(
        [*words, "-isystem", headers, folder / "libonnxruntime.so.1", "-o", program], check=True
    )
    environment = {"LD_LIBRARY_PATH": str(folder), "ORT_DISABLE_TELEMETRY": "1"}

    def run(*words: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [program, *words], capture_output=True, text=True, env=os.environ | environment,
            check=False,
        )  # fmt: skip

    return run


def golden(engine: object, folder: Path, *words: object) -> dict[str, Any]:
    assert main(["golden", str(engine), "-o", str(folder), *map(str, words)]) == 0
    return json.loads((folder / DOCUMENT).read_text())


def manifest(name: str, **changes: Any) -> Manifest:
    means = (0.5,) * 3
    prior = replace(planted.planted_manifest().prior, mean_local=means, mean_global=means)
    detection = replace(
        small_manifest(smoothing_snippets=3, merge_gap_seconds=0.7).detection, peak_gate=0.0
    )
    return planted.planted_manifest(
        **({"selection": RULES[name], "detection": detection, "prior": prior} | changes)
    )


SCENES = (("red", 1.5), ("black", 1.0), ("red", 2.0), ("green", 2.2), ("black", 3.0), ("red", 2.0))


@pytest.mark.parametrize("name", RULES)
def test_it_agrees_under_every_rule(host: Host, tmp_path: Path, name: str) -> None:
    classes = ("rouge \u00e9 \u4e2d \U0001f6b2", 'a "green" \\ one', "blue")
    engine = planted.write_engine(tmp_path / "engine.onnx", manifest(name, classes=classes))
    video = planted.write_video(tmp_path / "video.mp4", SCENES)
    document = golden(engine, tmp_path / "golden", "--source", video)
    assert document["segments"], "nothing would be compared"
    done = host(engine, tmp_path / "golden")
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert "segments, seconds" in done.stdout


def test_it_agrees_on_the_packaged_engine_and_sees_what_does_not(
    host: Host, tmp_path: Path
) -> None:
    engine = demo_path("demo")
    video = engine.parent / "demo.mp4"
    document = golden(engine, tmp_path, "--source", video, "--seconds", "12")
    assert host(engine, tmp_path).returncode == 0
    # Each thing that it compares, a little off.
    for name in ("selection_logits", "class_probabilities", "frame_scores"):
        values = np.load(tmp_path / f"{name}.npy")
        scale = max(1, np.abs(values).max())
        for wrong in (3e-4 * scale, np.nan):
            spoilt = values.copy()
            spoilt[3, 1] += wrong
            np.save(tmp_path / f"{name}.npy", spoilt)
            assert host(engine, tmp_path).returncode == 1, name
        np.save(tmp_path / f"{name}.npy", values)
    for key, value in (("label", "bow"), ("end_seconds", 6.21), ("score", 0.6)):
        segments = [dict(one) for one in document["segments"]]
        segments[1][key] = value
        (tmp_path / DOCUMENT).write_text(json.dumps(document | {"segments": segments}))
        assert host(engine, tmp_path).returncode == 1, key
    (tmp_path / DOCUMENT).write_text(json.dumps(document | {"segments": document["segments"][1:]}))
    assert host(engine, tmp_path).returncode == 1


def test_what_it_cannot_do_it_says(host: Host, tmp_path: Path) -> None:
    many = manifest("average", proposals=MultiThresholdRule())
    engine = planted.write_engine(tmp_path / "engine.onnx", many)
    golden(engine, tmp_path / "golden")
    done = host(engine, tmp_path / "golden")
    assert done.returncode == 0
    assert "segments are not compared" in done.stdout
    (tmp_path / "golden" / "frames.npy").write_bytes(b"\x93NUMPY")
    for words in ((engine, tmp_path / "golden"), (engine, tmp_path), (tmp_path, tmp_path), ()):
        done = host(*words)
        assert done.returncode == 2
        assert done.stderr.startswith("wsgn_host: ")
        assert done.stderr.count("\n") == 1
