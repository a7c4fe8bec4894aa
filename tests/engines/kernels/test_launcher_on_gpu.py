"""The machine code itself, on a GPU, by each binding that is installed."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from kernel_device import DEVICE, ROUNDINGS

from wsgn.engines.cuda.open import BINDINGS, open_device
from wsgn.engines.kernels.launcher import SelectionKernels
from wsgn.errors import EngineError
from wsgn.kernels.ahead_of_time.bundle import TARGETS, compile_bundle, options_for, write_bundle
from wsgn.localization.scoring import frame_scores
from wsgn.manifest import SelectionRule

pytestmark = pytest.mark.skipif(DEVICE != "cuda", reason="there is no GPU")


@pytest.mark.parametrize("binding", BINDINGS)
def test_the_machine_code_gives_the_scores_of_the_paper(tmp_path: Path, binding: str) -> None:
    try:
        device = open_device(binding=binding)
    except EngineError as error:
        pytest.skip(str(error))
    generator = np.random.default_rng(0)
    rule = SelectionRule(
        components=("local_gaussian", "global_gaussian", "temporal_softmax"),
        softmax_scale="mean_one",
        class_activation="softmax",
        global_mean=tuple(generator.normal(0, 2, 157)),
        global_std=tuple(generator.uniform(0.5, 2, 157)),
        variance_epsilon=1e-4,
    )
    options = options_for(157, softmax_scale="mean_one")
    write_bundle(compile_bundle(options, TARGETS), tmp_path)
    offsets = np.array([0, 1, 64, 1000, 1129, 6000])
    x, h = (generator.normal(0, 2, (6000, 157)).astype(np.float32) for _ in range(2))
    wide = np.exp(h.astype(np.float64))
    p = wide / wide.sum(1, keepdims=True)
    with SelectionKernels.open(tmp_path, device, rule, 157) as kernels:
        got = kernels.score(x, h, offsets)
    device.close()
    wanted = [frame_scores(x[a:b], p[a:b], rule) for a, b in itertools.pairwise(offsets)]
    allowed = ROUNDINGS * np.finfo(np.float32).eps / 2 * 8
    for name, found, right in (
        ("scores", got.scores, np.concatenate(wanted)),
        ("video scores", got.video_scores, np.stack([part.mean(0) for part in wanted])),
    ):
        assert np.abs(found - right).max() <= allowed * np.abs(right).max(), name
