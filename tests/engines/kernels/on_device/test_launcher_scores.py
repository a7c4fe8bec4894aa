"""Compiled kernels under their launcher against the formulas in float64.

Without a GPU the host's part runs as it would: files, argument order, sizes, grids, buffers. What
it launches is interpreted, with the constants that the machine code was compiled with.
"""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from interpreted_device import InterpretedDevice
from kernel_device import DEVICE, ROUNDINGS

from wsgn.engines.kernels.bundle import read_bundle
from wsgn.engines.kernels.launcher import SelectionKernels, class_logits_of
from wsgn.localization.scoring import frame_scores, video_scores
from wsgn.manifest import SelectionRule, VideoScore
from wsgn.runtime.cli.scorers import KernelScorer
from wsgn.runtime.streaming.whole_video import NumpyScorer

pytestmark = pytest.mark.skipif(
    DEVICE != "cpu", reason="the machine code itself runs in test_launcher_on_gpu.py"
)
ALL = ("local_gaussian", "global_gaussian", "temporal_softmax")
# Classes, components, scale of the softmax or of all, gate, class activation, video scores.
MODELS: dict[str, tuple[int, tuple[str, ...], str, str, str, VideoScore]] = {
    "all": (20, ALL, "max_one", "none", "softmax", VideoScore()),
    "wide": (40, ("local_gaussian", "temporal_softmax"), "mean_one", "none", "softmax",
             VideoScore()),
    "global": (5, ("global_gaussian",), "sum_one", "none", "sigmoid", VideoScore()),
    "average": (20, ALL, "average", "product", "softmax", VideoScore(pooling="weighted")),
    # These are pooled on the host.
    "top": (3, ALL, "average", "cut", "sigmoid",
            VideoScore(pooling="top", of="logits", activation="sigmoid")),
    "logits": (3, ALL[1:], "average", "none", "identity", VideoScore()),
}  # fmt: skip
# Compiling needs a process in which Triton does not interpret.
COMPILE = """
import sys
from pathlib import Path
from wsgn.kernels.ahead_of_time.bundle import compile_bundle, options_for, write_bundle
for name, (num_classes, more) in {models}.items():
    options = options_for(num_classes, **more)
    write_bundle(compile_bundle(options, [90]), Path(sys.argv[1], name))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bundles")
    environment = {key: value for key, value in os.environ.items() if key != "TRITON_INTERPRET"}
    models = {name: (MODELS[name][0], compiled_options(name)) for name in MODELS}
    program = COMPILE.format(models=models)
    subprocess.run([sys.executable, "-c", program, str(path)], env=environment, check=True)
    return path


def compiled_options(name: str) -> dict[str, Any]:
    """What the kernels are specialised on, in the words of a rule."""
    _, components, scale, gate, activation, _ = MODELS[name]
    average = scale == "average"
    return {
        "components": components,
        "softmax_scale": "sum_one" if average else scale,
        "weight_scale": "average" if average else "per_frame",
        "gate": gate,
        "class_activation": activation,
    }


def rule_of(name: str, generator: np.random.Generator) -> SelectionRule:
    num_classes, components, *_, video_score = MODELS[name]
    used = "global_gaussian" in components
    return SelectionRule(
        **compiled_options(name),
        gate_level=0.3,
        video_score=video_score,
        global_mean=tuple(generator.normal(0, 2, num_classes)) if used else (),
        global_std=tuple(generator.uniform(0.5, 2, num_classes)) if used else (),
        variance_epsilon=1e-4,
    )


def probabilities(logits: np.ndarray, activation: str) -> np.ndarray:
    if activation == "identity":
        return logits
    if activation == "sigmoid":
        return 1 / (1 + np.exp(-logits))
    p = np.exp(logits - logits.max(1, keepdims=True))
    return p / p.sum(1, keepdims=True)


# How much a rounding of x, up to 8, grows over the spread, about 2. Of two snippets each lies one
# deviation from the mean, whatever that is.
GROWTH = 8


def check(got: np.ndarray, wanted: np.ndarray) -> None:
    """Within the roundings of the number format; see `kernel_device`."""
    allowed = ROUNDINGS * np.finfo(np.float32).eps / 2 * GROWTH * np.abs(wanted).max()
    assert got.shape == wanted.shape
    assert np.isfinite(got).all()
    assert np.abs(got - wanted).max() <= allowed


@pytest.mark.parametrize("name", ["all", "top"])
def test_a_run_scores_its_sources_by_them(folder: Path, name: str) -> None:
    generator = np.random.default_rng(7)
    num_classes, *_, activation, _ = MODELS[name]
    rule = rule_of(name, generator)
    x, h = (generator.normal(0, 2, (140, num_classes)).astype(np.float32) for _ in range(2))
    p = probabilities(h.astype(np.float64), activation).astype(np.float32)
    device = InterpretedDevice(bundle=read_bundle(folder / name))
    with SelectionKernels.open(folder / name, device, rule, num_classes) as kernels:
        got, wanted = KernelScorer(kernels, rule)(x, p), NumpyScorer(rule)(x, p)
    check(got.frames, wanted.frames)
    check(got.videos, wanted.videos)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("from_probabilities", [False, True])
def test_scores_are_those_of_the_paper(folder: Path, name: str, from_probabilities: bool) -> None:
    num_classes, *_, activation, _ = MODELS[name]
    generator = np.random.default_rng(len(name))
    rule = rule_of(name, generator)
    device = InterpretedDevice(bundle=read_bundle(folder / name))
    with SelectionKernels.open(folder / name, device, rule, num_classes) as kernels:
        # The second batch is smaller and lies in the first one's memory.
        for lengths in [(1, 130, 7, 140), (2, 65)]:
            offsets = np.array([0, *lengths]).cumsum()
            size = (offsets[-1], num_classes)
            x = generator.normal(0, 2, size).astype(np.float32)
            h = generator.normal(0, 2, size).astype(np.float32)
            p = probabilities(h.astype(np.float64), activation)
            given = class_logits_of(p.astype(np.float32), activation) if from_probabilities else h
            got = kernels.score(x, given, offsets.astype(np.int32))
            wanted, of_videos = [], []
            for a, b in itertools.pairwise(offsets):
                wanted.append(frame_scores(x[a:b], p[a:b], rule))
                of_videos.append(video_scores(x[a:b], p[a:b], rule, wanted[-1]))
            check(got.scores, np.concatenate(wanted))
            check(got.video_scores, np.stack(of_videos))
