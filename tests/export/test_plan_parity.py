"""A plan that computes something else than ONNX Runtime is refused, whatever it is that differs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper
from plan_graphs import NUM_CLASSES, SIZE, document, heads, running_sum, save

from wsgn.errors import EngineError
from wsgn.export.plan.input import FeatureScale, PlanInput, read_plan_input
from wsgn.export.plan.parity import ROUGH_TOLERANCE, TOLERANCE, check_plan_parity, parity_sizes
from wsgn.export.plan.profiles import Limits, plan_profiles
from wsgn.manifest import FrameInput

Outputs = dict[str, np.ndarray]


class StandIn:
    """A session that computes by ONNX Runtime, and spoils what it found."""

    def __init__(
        self, source: PlanInput, spoil: Callable[[Mapping[str, Any], Outputs], Outputs]
    ) -> None:
        self._session = onnxruntime.InferenceSession(
            source.content, providers=["CPUExecutionProvider"]
        )
        self._names = source.outputs
        self._spoil = spoil
        self.shapes: list[tuple[int, ...]] = []

    def run(self, inputs: Mapping[str, Any]) -> Outputs:
        self.shapes.append(inputs["features"].shape)
        found = self._session.run(list(self._names), dict(inputs))
        return self._spoil(inputs, dict(zip(self._names, found, strict=True)))


@pytest.fixture
def source(tmp_path: Path) -> PlanInput:
    return read_plan_input(save(heads(), tmp_path / "m.onnx"))


def compare(source: PlanInput, session: StandIn, tolerance: float = TOLERANCE) -> Any:
    profiles = plan_profiles(source, Limits(max_snippets=300))
    return check_plan_parity(source, profiles, session, tolerance)


def as_it_is(inputs: Mapping[str, Any], outputs: Outputs) -> Outputs:
    return outputs


def test_an_exact_plan_passes_and_is_asked_for_every_profile(source: PlanInput) -> None:
    session = StandIn(source, as_it_is)
    rows = compare(source, session)
    assert [(row.output, row.largest_difference) for row in rows] == [
        ("selection_logits", 0.0),
        ("class_probabilities", 0.0),
    ]
    assert all(row.largest_value > 0.5 for row in rows)
    sizes = {shape[0] for shape in session.shapes}
    assert sizes == {1, 7, 8, 64, 75, 300}
    assert {shape[1] for shape in session.shapes} == {SIZE}


def test_standardised_features_are_compared_at_their_own_scale(source: PlanInput) -> None:
    """Others would be magnified until nothing but the rounding of float32 is seen."""
    scale = FeatureScale(
        mean=np.linspace(-3, 3, SIZE, dtype=np.float32),
        deviation=np.geomspace(1e-3, 1e2, SIZE, dtype=np.float32),
    )
    given: list[np.ndarray] = []

    def keep(inputs: Mapping[str, Any], outputs: Outputs) -> Outputs:
        given.append(inputs["features"])
        return outputs

    scaled = replace(source, feature_scale=scale)
    compare(scaled, StandIn(scaled, keep))
    behind = (np.concatenate(given) - scale.mean) / scale.deviation
    np.testing.assert_allclose(behind.mean(axis=0), 0, atol=0.2)
    np.testing.assert_allclose(behind.std(axis=0), 1, atol=0.2)


def one_element(inputs: Mapping[str, Any], outputs: Outputs) -> Outputs:
    if len(inputs["features"]) == 300:
        outputs["class_probabilities"][299, 1] += 5e-4
    return outputs


def not_a_number(inputs: Mapping[str, Any], outputs: Outputs) -> Outputs:
    outputs["selection_logits"][0, 0] = np.nan
    return outputs


def infinite(inputs: Mapping[str, Any], outputs: Outputs) -> Outputs:
    outputs["selection_logits"][0, 0] = np.inf
    return outputs


def other_order(inputs: Mapping[str, Any], outputs: Outputs) -> Outputs:
    return {name: values[::-1] for name, values in outputs.items()}


def exchanged(inputs: Mapping[str, Any], outputs: Outputs) -> Outputs:
    first, second = outputs
    return {first: outputs[second], second: outputs[first]}


def in_bfloat(inputs: Mapping[str, Any], outputs: Outputs) -> Outputs:
    """Numbers of 8 bits."""
    return {n: (v.view(np.uint32) & 0xFFFF0000).view(np.float32) for n, v in outputs.items()}


@pytest.mark.parametrize(
    "spoil", [one_element, not_a_number, infinite, other_order, exchanged, in_bfloat]
)
def test_a_planted_error_is_found(source: PlanInput, spoil: Any) -> None:
    with pytest.raises(EngineError, match=r"the plan is off: .* differs from ONNX Runtime by"):
        compare(source, StandIn(source, spoil))


def test_a_plan_in_half_may_differ_by_as_much_as_its_numbers_do(source: PlanInput) -> None:
    def in_half(inputs: Mapping[str, Any], outputs: Outputs) -> Outputs:
        return {n: v.astype(np.float16).astype(np.float32) for n, v in outputs.items()}

    rows = compare(source, StandIn(source, in_half), ROUGH_TOLERANCE)
    assert all(0 < row.largest_difference < 1e-2 for row in rows)


def cut_short(inputs: Mapping[str, Any], outputs: Outputs) -> Outputs:
    return {name: values[:1] for name, values in outputs.items()}


def left_out(inputs: Mapping[str, Any], outputs: Outputs) -> Outputs:
    return {"selection_logits": outputs["selection_logits"]}


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (cut_short, r"gives selection_logits of shape \(1, 3\), ONNX Runtime \(7, 3\)"),
        (left_out, "does not give the output class_probabilities"),
    ],
)
def test_outputs_of_another_form_are_refused(source: PlanInput, spoil: Any, words: str) -> None:
    with pytest.raises(EngineError, match=words):
        compare(source, StandIn(source, spoil))


def test_the_state_of_a_stream_goes_in_again(tmp_path: Path) -> None:
    source = read_plan_input(save(running_sum(), tmp_path / "s.onnx"))
    profiles = plan_profiles(source, Limits(max_snippets=9, max_batch=3))
    session = StandIn(source, as_it_is)
    rows = check_plan_parity(source, profiles, session, TOLERANCE)
    assert {row.output for row in rows} == {"scores", "next_state"}
    assert {shape[:2] for shape in session.shapes} == {
        (batch, count) for batch in (1, 3) for count in (1, 7, 8, 9)
    }
    forgetful = StandIn(source, as_it_is)
    run = forgetful.run

    def forgetting(inputs: Mapping[str, Any]) -> Outputs:
        return run({**inputs, "state": np.zeros_like(inputs["state"])})

    forgetful.run = forgetting  # type: ignore[method-assign]
    with pytest.raises(EngineError, match="the plan is off"):
        check_plan_parity(source, profiles, forgetful, TOLERANCE)


def test_what_takes_a_cpu_too_long_is_left_out(source: PlanInput) -> None:
    profiles = plan_profiles(source, Limits(max_snippets=8_000_000))
    sizes = [one["N"] for one in parity_sizes(source, profiles)]
    assert sizes == [1, 7, 8, 64, 2_000_000]


def test_the_smallest_shape_is_never_left_out(tmp_path: Path) -> None:
    manifest = replace(
        read_plan_input(save(heads(), tmp_path / "m.onnx")).manifest,
        features=None,
        frames=FrameInput(height=1024, width=1024),
    )
    frames = document(
        [helper.make_node("Cast", ["frames"], ["pixels"], to=TensorProto.FLOAT)],
        inputs={"frames": (TensorProto.UINT8, ["N", 8, 1024, 1024, 3])},
        outputs={"pixels": ["N", 8, 1024, 1024, 3]},
        manifest=manifest,
    )
    large = read_plan_input(save(frames, tmp_path / "f.onnx"))
    profiles = plan_profiles(large, Limits(max_snippets=40))
    assert parity_sizes(large, profiles) == ({"N": 1},)


def test_an_input_that_nobody_knows_is_refused(tmp_path: Path) -> None:
    strange = document(
        [helper.make_node("Cast", ["features"], ["scores"], to=TensorProto.FLOAT)],
        inputs={"features": (TensorProto.INT64, ["N", NUM_CLASSES])},
        outputs={"scores": ["N", NUM_CLASSES]},
        manifest=read_plan_input(save(heads(), tmp_path / "m.onnx")).manifest,
    )
    source = read_plan_input(save(strange, tmp_path / "s.onnx"))
    with pytest.raises(EngineError, match="'features' has the type INT64"):
        compare(source, StandIn(source, as_it_is))


def test_a_graph_that_onnx_runtime_cannot_load_is_named(tmp_path: Path) -> None:
    strange = document(
        [helper.make_node("Fused", ["features"], ["scores"], domain="example.org")],
        inputs={"features": (TensorProto.FLOAT, ["N", SIZE])},
        outputs={"scores": ["N", SIZE]},
        manifest=read_plan_input(save(heads(), tmp_path / "m.onnx")).manifest,
    )
    source = read_plan_input(save(strange, tmp_path / "s.onnx"))
    with pytest.raises(EngineError, match=r"ONNX Runtime cannot load .*s\.onnx.*Fused"):
        check_plan_parity(source, (), StandIn.__new__(StandIn), TOLERANCE)
