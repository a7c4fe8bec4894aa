"""Plans that run, on a stand-in for the GPU and its library that computes with ONNX Runtime."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

import made_plans
import numpy as np
import onnxruntime
import pytest
from bindings import differences
from stand_in import Machine

from wsgn.engines.tensorrt.bindings import RuntimeBindings
from wsgn.engines.tensorrt.session import PlanSession
from wsgn.errors import EngineError


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    """A plan on features."""
    return made_plans.write_plan(tmp_path / "wsgn.plan")


def features(num_rows: int, seed: int = 0) -> np.ndarray:
    shape = (num_rows, made_plans.SIZE)
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def expected(inputs: np.ndarray, model: bytes | None = None, name: str = "features") -> Any:
    """What ONNX Runtime says, one snippet at a time."""
    session = onnxruntime.InferenceSession(model or made_plans.feature_model())
    rows = [session.run(None, {name: inputs[i : i + 1]}) for i in range(len(inputs))]
    logits, probabilities = (np.concatenate(part) for part in zip(*rows, strict=True))
    return {"selection_logits": logits, "class_probabilities": probabilities}


def assert_outputs(outputs: dict[str, np.ndarray], inputs: np.ndarray) -> None:
    wanted = expected(inputs)
    assert set(outputs) == set(wanted)
    for name, value in wanted.items():
        np.testing.assert_allclose(outputs[name], value, rtol=1e-5, atol=1e-6)


def test_the_stand_in_fits_the_types() -> None:
    assert differences(RuntimeBindings, Machine().module) == []


def test_a_plan_computes_what_its_graph_says(machine: Machine, plan: Path) -> None:
    with PlanSession.open(plan) as session:
        assert_outputs(session.run({"features": features(3)}), features(3))


def test_the_demos_frames_give_the_demos_outputs(machine: Machine, tmp_path: Path) -> None:
    manifest = made_plans.demo_manifest()
    shape = (8, manifest.frames.height, manifest.frames.width, 3)  # type: ignore[union-attr]
    whole = made_plans.profile("streaming", (1, 2, 4), rest=shape, tensor="frames")
    model = made_plans.DEMO.read_bytes()
    path = made_plans.write_plan(
        tmp_path / "demo.plan", manifest=manifest, model=model, profiles=(whole,)
    )
    frames = np.random.default_rng(3).integers(0, 256, (3, *shape), dtype=np.uint8)
    with PlanSession.open(path) as session:
        outputs = session.run({"frames": frames})
    wanted = expected(frames, model, "frames")
    for name, value in wanted.items():
        np.testing.assert_allclose(outputs[name], value, rtol=1e-4, atol=1e-5)


def test_batches_in_flight_are_not_mixed_up(machine: Machine, plan: Path) -> None:
    with PlanSession.open(plan) as session:
        inputs = [features(rows, seed=rows) for rows in (2, 4, 1, 3, 4)]
        futures = []
        for array in inputs:
            given = array.copy()
            futures.append(session.submit({"features": given}))
            # The caller's array is its own again.
            given[:] = np.nan
        for future, array in reversed(list(zip(futures, inputs, strict=True))):
            assert_outputs(session.collect(future), array)


def test_two_batches_are_on_their_way_at_a_time(machine: Machine, plan: Path) -> None:
    with PlanSession.open(plan) as session:
        first = session.submit({"features": features(2)})
        second = session.submit({"features": features(2)})
        assert machine.num_executed == 0
        session.collect(second)
        assert machine.num_executed == 1
        session.collect(first)
    assert machine.num_executed == 2


def test_outputs_stay_when_the_next_batch_has_run(machine: Machine, plan: Path) -> None:
    with PlanSession.open(plan) as session:
        kept = session.run({"features": features(4)})
        for seed in range(1, 4):
            session.run({"features": features(4, seed)})
    assert_outputs(kept, features(4))


@pytest.mark.parametrize(
    ("num_rows", "profiles"),
    [(1, [0]), (4, [0]), (5, [1]), (16, [1]), (17, [1, 0]), (40, [1, 1, 1]), (33, [1, 1, 0])],
)
def test_the_first_profile_that_fits_is_chosen_and_large_batches_are_cut(
    machine: Machine, plan: Path, num_rows: int, profiles: list[int]
) -> None:
    with PlanSession.open(plan) as session:
        outputs = session.run({"features": features(num_rows)})
    assert machine.profiles_used == profiles
    assert_outputs(outputs, features(num_rows))


def test_a_remainder_that_no_profile_takes_is_refused(machine: Machine, tmp_path: Path) -> None:
    only = (made_plans.profile("offline", (4, 8, 16)),)
    path = made_plans.write_plan(tmp_path / "wsgn.plan", profiles=only)
    with (
        PlanSession.open(path) as session,
        pytest.raises(EngineError, match=r"shapes offline features \(4, 5\) .*got .* \(1, 5\)"),
    ):
        session.run({"features": features(17)})


def test_only_snippets_are_cut(machine: Machine, tmp_path: Path) -> None:
    manifest = made_plans.feature_manifest(graph="whole-video")
    path = made_plans.write_plan(tmp_path / "wsgn.plan", manifest=manifest)
    with PlanSession.open(path) as session:
        assert_outputs(session.run({"features": features(16)}), features(16))
        with pytest.raises(EngineError, match="other profiles"):
            session.run({"features": features(17)})


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ({"frames": features(2)}, "takes features float32, got frames float32"),
        ({"features": features(2).astype(np.float64)}, "got features float64"),
        ({}, "got nothing"),
        ({"features": features(0)}, r"got features \(0, 5\)"),
        ({"features": features(2)[:, :4]}, r"got features \(2, 4\)"),
        ({"features": np.float32(1).reshape(())}, r"got features \(\)"),
    ],
)
def test_wrong_inputs_are_refused(
    machine: Machine, plan: Path, inputs: dict[str, np.ndarray], words: str
) -> None:
    with PlanSession.open(plan) as session, pytest.raises(EngineError, match=words):
        session.run(inputs)


def test_inputs_of_any_layout_are_taken(machine: Machine, plan: Path) -> None:
    turned = np.asfortranarray(features(4))
    with PlanSession.open(plan) as session:
        assert_outputs(session.run({"features": turned}), features(4))


def test_a_growing_batch_gets_few_new_buffers(machine: Machine, plan: Path) -> None:
    with PlanSession.open(plan) as session:
        for num_rows in range(1, 17):
            inputs = features(num_rows, seed=num_rows)
            assert_outputs(session.run({"features": inputs}), inputs)
            # Two slots, three tensors each.
            assert len(machine.memory) <= 6
    # Twice from 1 row to 16 is four times, for each of six.
    assert machine.diary.count("buffer") <= 6 * 5


def test_everything_is_given_back_in_order(machine: Machine, plan: Path) -> None:
    session = PlanSession.open(plan)
    future = session.submit({"features": features(20)})
    session.close()
    session.close()
    gc.collect()
    assert machine.memory == {}
    buffers = ["buffer"] * 3
    assert machine.diary == [
        "context",
        *buffers,
        "context",
        *buffers,
        "engine",
        "runtime",
        "device",
    ]
    for call in (lambda: session.collect(future), lambda: session.run({"features": features(1)})):
        with pytest.raises(EngineError, match="has been closed"):
            call()


def test_a_version_compatible_plan_may_bring_its_code(machine: Machine, tmp_path: Path) -> None:
    for flags, allowed in (((), False), (("version_compatible",), True)):
        path = made_plans.write_plan(tmp_path / "wsgn.plan", flags=flags)
        with PlanSession.open(path) as session:
            assert session._runtime is not None
            assert session._runtime.engine_host_code_allowed is allowed
