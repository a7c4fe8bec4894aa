"""What each kind of graph takes and gives, as docs/graphs.md tells writers of hosts."""

from __future__ import annotations

import dataclasses

import pytest
from manifests import small_manifest

from wsgn.engines.tensors import graph_tensors
from wsgn.manifest import FeatureInput, FrameInput, Sampling

FRAMES = dataclasses.replace(
    small_manifest(),
    classes=("wave", "jump", "bow"),
    sampling=Sampling(frame_rate=10, snippet_length=8, snippet_stride=4),
    frames=FrameInput(height=16, width=24),
)
FEATURES = dataclasses.replace(FRAMES, frames=None, features=FeatureInput(size=5))


@pytest.mark.parametrize(
    ("graph", "inputs", "outputs"),
    [
        (
            "snippet",
            ["frames uint8 (N, 8, 16, 24, 3)"],
            ["selection_logits float32 (N, 3)", "class_probabilities float32 (N, 3)"],
        ),
        (
            "whole-video",
            ["frames uint8 (B, T, 8, 16, 24, 3)"],
            ["scores float32 (B, T, 3)", "video_scores float32 (B, 3)"],
        ),
        (
            "streaming",
            ["frames uint8 (B, N, 8, 16, 24, 3)", "state float32 (B, 5, 3)"],
            [
                "selection_logits float32 (B, N, 3)",
                "class_probabilities float32 (B, N, 3)",
                "scores float32 (B, N, 3)",
                "next_state float32 (B, 5, 3)",
            ],
        ),
    ],
)
def test_a_graph_takes_and_gives(graph: str, inputs: list[str], outputs: list[str]) -> None:
    tensors = graph_tensors(dataclasses.replace(FRAMES, graph=graph))
    assert [str(one) for one in tensors.inputs] == inputs
    assert [str(one) for one in tensors.outputs] == outputs


def test_features_stand_in_the_place_of_frames() -> None:
    (features,) = graph_tensors(dataclasses.replace(FEATURES, graph="whole-video")).inputs
    assert str(features) == "features float32 (B, T, 5)"
    assert features.axes == ("B", "T")
    assert features.sizes == (None, None, 5)
    assert features.shape_at({"B": 2, "T": 7}) == (2, 7, 5)
