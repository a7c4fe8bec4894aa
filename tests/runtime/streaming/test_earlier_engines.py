"""Engines from before averages, gates and many thresholds: nothing of theirs has moved."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from wsgn.engines.open import read_manifest
from wsgn.runtime.streaming.detector import Detector, SnippetLogits
from wsgn.runtime.streaming.rules import SCORE_MODES, DetectorOptions

DEMO = Path(__file__).parents[3] / "runtime" / "demo" / "demo.onnx"
# What the code of then gave of the packaged engine's manifest and these snippets.
GIVEN = json.loads(Path(__file__).with_name("earlier_events.json").read_text(encoding="utf-8"))


def snippets(num_classes: int) -> SnippetLogits:
    random = np.random.default_rng(17)
    walk = np.cumsum(random.normal(size=(2, 60, num_classes)), axis=1)
    x, h = walk * np.array([0.2, 1.0])[:, None, None]
    probabilities = np.exp(h) / np.exp(h).sum(axis=1, keepdims=True)
    return SnippetLogits(
        start_seconds=0.4 * np.arange(60),
        epoch=np.repeat([0, 1], 30),
        selection_logits=x.astype(np.float32),
        class_probabilities=probabilities.astype(np.float32),
    )


@pytest.mark.parametrize("mode", SCORE_MODES)
def test_the_packaged_engine_gives_the_events_it_gave(mode: str) -> None:
    manifest = read_manifest(DEMO)
    detector = Detector(manifest, DetectorOptions(scores=mode, window_seconds=8.0))
    events = detector.push(snippets(len(manifest.classes)))
    # States that were saved then can be gone on from: what came later may be left out of them.
    later = {"scorer.older", "scorer.offset"} if mode == "window" else set()
    assert set(detector.state_dict()) - later == set(GIVEN[mode]["state"])
    found = [dataclasses.asdict(event) for event in events + detector.flush()]
    assert len(found) == len(GIVEN[mode]["events"])
    for event, given in zip(found, GIVEN[mode]["events"], strict=True):
        later = {name for name, value in event.items() if value is None and name not in given}
        assert {name: value for name, value in event.items() if name not in later} == {
            name: pytest.approx(value, rel=1e-9) if isinstance(value, float) else value
            for name, value in given.items()
        }


def test_its_manifest_is_written_as_it_was() -> None:
    import onnx

    (text,) = (entry.value for entry in onnx.load(DEMO).metadata_props)
    assert read_manifest(DEMO).to_json() == text
