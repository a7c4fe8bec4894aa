"""The Python form of a model by itself, without a server around it."""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from triton_engines import SIZE, WEIGHTS, snippet_engine, streaming_engine

from wsgn.export.triton_server import model as triton_model
from wsgn.export.triton_server.model import (
    Call,
    Graph,
    JoinedCalls,
    Sequences,
    Tensors,
    TritonPythonModel,
)


class Clock:
    """Seconds that pass when they are told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def piece(count: int, seed: int = 0) -> dict[str, Any]:
    values = np.random.default_rng(seed).normal(size=(1, count, SIZE))
    return {"features": values.astype(np.float32)}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sequences(tmp_path: Path, clock: Clock) -> Sequences:
    graph = Graph(streaming_engine(tmp_path / "m.onnx"))
    return Sequences(graph, idle_seconds=10.0, clock=clock)


def scores(answer: Any) -> np.ndarray:
    assert isinstance(answer, dict)
    result: np.ndarray = answer["scores"][0]
    return result


def test_it_needs_nothing_but_numpy_and_onnx_runtime() -> None:
    tree = ast.parse(Path(triton_model.__file__).read_text())
    imported = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            imported.add(node.module or "")
    outside = {name.partition(".")[0] for name in imported} - sys.stdlib_module_names
    assert outside == {"numpy", "onnxruntime"}


def test_sequences_of_one_batch_keep_apart(sequences: Sequences) -> None:
    calls = [
        Call(arrays=piece(count, seed), correlation_id=seed, starts=True)
        for seed, count in enumerate((3, 1, 3, 2), start=1)
    ]
    for call, answer in zip(calls, sequences.answer(calls), strict=True):
        logits = call.arrays["features"][0].astype(np.float64) @ WEIGHTS
        expected = np.cumsum(logits, axis=0) / np.arange(1, len(logits) + 1)[:, None]
        np.testing.assert_allclose(scores(answer), expected, atol=1e-5)


def test_an_end_frees_the_state(sequences: Sequences) -> None:
    sequences.answer([Call(arrays=piece(2), correlation_id=1, starts=True)])
    sequences.answer([Call(arrays=piece(2), correlation_id="one", starts=True)])
    assert len(sequences) == 2
    sequences.answer([Call(arrays=piece(2), correlation_id=1, ends=True)])
    assert len(sequences) == 1
    sequences.answer([Call(arrays=piece(2), correlation_id=3, starts=True, ends=True)])
    assert len(sequences) == 1


def test_an_end_that_fails_frees_the_state(sequences: Sequences) -> None:
    sequences.answer([Call(arrays=piece(2), correlation_id=1, starts=True)])
    (answer,) = sequences.answer([Call(arrays=piece(0), correlation_id=1, ends=True)])
    assert isinstance(answer, ValueError)
    assert len(sequences) == 0


def test_idle_states_are_dropped_after_the_server_has_dropped_them(
    sequences: Sequences, clock: Clock
) -> None:
    for correlation_id in (1, 2):
        sequences.answer([Call(arrays=piece(1), correlation_id=correlation_id, starts=True)])
    clock.now += 15
    sequences.answer([Call(arrays=piece(1), correlation_id=1)])
    clock.now += 15
    (answer,) = sequences.answer([Call(arrays=piece(1), correlation_id=2)])
    assert isinstance(answer, ValueError)
    assert "sequence 2" in str(answer)
    assert len(sequences) == 1
    (answer,) = sequences.answer([Call(arrays=piece(1), correlation_id=1)])
    assert isinstance(answer, dict)


def test_a_bad_request_harms_no_other(sequences: Sequences) -> None:
    first = piece(2, seed=1)
    wrong = {"features": np.zeros((1, 2, SIZE + 1), np.float32)}
    answers = sequences.answer(
        [
            Call(arrays=wrong, correlation_id=1, starts=True),
            Call(arrays=first, correlation_id=2, starts=True),
            Call(arrays={"features": np.zeros((1, 2, SIZE))}, correlation_id=3, starts=True),
        ]
    )
    assert "[1, 2, 5] of float32, it must be [-1, -1, 4] of float32" in str(answers[0])
    assert "float64" in str(answers[2])
    np.testing.assert_allclose(scores(answers[1])[0], first["features"][0, 0] @ WEIGHTS, atol=1e-5)
    assert len(sequences) == 1


def test_joined_snippets_go_back_to_their_requests(tmp_path: Path) -> None:
    model = JoinedCalls(Graph(snippet_engine(tmp_path / "m.onnx")))
    arrays = [piece(count, seed=count)["features"][0] for count in (2, 1, 4)]
    wrong = np.zeros((1, SIZE, 1), np.float32)
    calls = [Call(arrays={"features": array}) for array in (arrays[0], wrong, *arrays[1:])]
    answers = model.answer(calls)
    assert isinstance(answers.pop(1), ValueError)
    for array, answer in zip(arrays, answers, strict=True):
        assert isinstance(answer, dict)
        np.testing.assert_allclose(answer["selection_logits"], array @ WEIGHTS, atol=1e-5)


def test_a_gpu_is_never_replaced_by_the_cpu(tmp_path: Path) -> None:
    import onnxruntime

    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this ONNX Runtime may well have a GPU")
    with pytest.raises(RuntimeError, match="onnxruntime-gpu"):
        Graph(snippet_engine(tmp_path / "m.onnx"), gpu=0)


class ServerTensor:
    """The server's tensor; with `broken` its arrays come out as those of NumPy 2 did from 2.51."""

    broken = False

    def __init__(self, name: str, array: np.ndarray) -> None:
        self.name = name
        self.array = array

    @classmethod
    def from_dlpack(cls, name: str, tensor: Any) -> ServerTensor:
        return cls(name, np.from_dlpack(tensor).copy())

    def as_numpy(self) -> np.ndarray:
        return np.full_like(self.array, self.array.flat[0]) if self.broken else self.array

    def __dlpack__(self, **options: Any) -> Any:
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.array.__dlpack_device__()


@pytest.mark.parametrize("broken", [False, True])
def test_a_server_of_an_older_numpy_is_read_rightly(
    monkeypatch: pytest.MonkeyPatch, broken: bool
) -> None:
    monkeypatch.setattr(ServerTensor, "broken", broken)
    tensors = Tensors(SimpleNamespace(Tensor=ServerTensor))
    assert tensors.through_dlpack == broken
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    np.testing.assert_array_equal(tensors.read(ServerTensor("given", array)), array)
    np.testing.assert_array_equal(tensors.made("made", array).array, array)


class OldError:
    """The server's error, before it had codes."""

    def __init__(self, text: str) -> None:
        self.text = text


class CodedError(OldError):
    """The server's error with its code, of which HTTP's status 400 follows."""

    INVALID_ARG = 3

    def __init__(self, text: str, code: int) -> None:
        super().__init__(text)
        assert code == self.INVALID_ARG


@pytest.mark.parametrize("error", [OldError, CodedError])
def test_a_failed_request_answers_with_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[OldError]
) -> None:
    """The server's module, as far as the model uses it."""
    made = SimpleNamespace(
        get_input_tensor_by_name=lambda request, name: request.tensors[name],
        InferenceResponse=lambda output_tensors, error=None: (output_tensors, error),
        TritonError=error,
        Tensor=ServerTensor,
    )
    monkeypatch.setitem(sys.modules, "triton_python_backend_utils", made)
    monkeypatch.setattr(triton_model, "__file__", str(tmp_path / "model.py"))
    snippet_engine(tmp_path / "model.onnx")
    model = TritonPythonModel()
    model.initialize(
        {
            "model_config": '{"input": [{"name": "features"}], "max_batch_size": 8}',
            "model_instance_kind": "CPU",
            "model_instance_device_id": "0",
        }
    )

    def request(array: np.ndarray) -> SimpleNamespace:
        return SimpleNamespace(
            tensors={"features": ServerTensor("features", array)},
            flags=lambda: 0,
            correlation_id=lambda: 0,
        )

    good, bad = model.execute(
        [request(np.zeros((2, SIZE), np.float32)), request(np.zeros((2, 9), np.float32))]
    )
    assert good[1] is None
    assert [tensor.name for tensor in good[0]] == ["selection_logits", "class_probabilities"]
    assert bad[0] == []
    assert "'features'" in bad[1].text
