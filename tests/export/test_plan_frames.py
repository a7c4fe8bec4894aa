"""Graphs on frames: how many snippets fit into a call."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from onnx import TensorProto, helper
from plan_graphs import document, feature_manifest, save

from wsgn.export.plan.input import read_plan_input
from wsgn.export.plan.profiles import Limits, plan_profiles
from wsgn.manifest import FrameInput


@pytest.mark.parametrize(
    ("height", "length", "expected"),
    [(64, 8, 1024), (224, 16, 83), (256, 16, 64), (1080, 32, 1)],
)
def test_raw_frames_get_no_more_than_fits(
    tmp_path: Path, height: int, length: int, expected: int
) -> None:
    manifest = replace(
        feature_manifest(), features=None, frames=FrameInput(height=height, width=height)
    )
    manifest = replace(manifest, sampling=replace(manifest.sampling, snippet_length=length))
    made = document(
        [helper.make_node("Cast", ["frames"], ["scores"], to=TensorProto.FLOAT)],
        inputs={"frames": (TensorProto.UINT8, ["N", length, height, height, 3])},
        outputs={"scores": ["N", length, height, height, 3]},
        manifest=manifest,
    )
    source = read_plan_input(save(made, tmp_path / "m.onnx"))
    profiles = plan_profiles(source, Limits())
    assert profiles[-1].inputs["frames"].maximum[0] == expected
    # Each profile takes something that those before it do not.
    most = [profile.inputs["frames"].maximum[0] for profile in profiles]
    assert most == sorted(set(most))
