"""The Python form of the models, served by NVIDIA's own server on the CPU.

Its wheel holds the Python backend only: what the ONNX Runtime and TensorRT backends would do is
seen up to the point where the server looks for them.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from commands import HANG_SECONDS
from triton_engines import (
    SIZE,
    WEIGHTS,
    features_manifest,
    plan,
    profile,
    snippet_engine,
    streaming_engine,
    whole_video_engine,
)
from triton_server import SHARED_MEMORY, RefusedError, Server, running_server

from wsgn.export.to_triton_server import main
from wsgn.support.arrays import Float32Array, FloatArray

# Of the model that forgets soon; the others keep a stream for as long as a slow machine needs.
IDLE_SECONDS = 1.0
# JSON carries float32 exactly; the two sides run the same graph in batches of other sizes.
TOLERANCE = 1e-6


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Each kind of model in its Python form, and some that this server has no backend for."""
    folder = tmp_path_factory.mktemp("models")
    target = folder / "repository"
    engines = {
        "snippet": snippet_engine(folder / "snippet.onnx"),
        "streaming": streaming_engine(folder / "streaming.onnx"),
        "video": whole_video_engine(folder / "video.onnx"),
    }
    arguments = [*map(str, engines.values()), "-o", str(target), "--backend", "python"]
    streams = ["--max-streams", "8", "--idle-seconds", str(HANG_SECONDS)]
    assert main([*arguments, "--max-batch", "16", *streams]) == 0
    hurried = ["-o", str(target), "--name", "hurried", "--backend", "python"]
    idle = ["--idle-seconds", str(IDLE_SECONDS)]
    assert main([str(engines["streaming"]), *hurried, *idle]) == 0
    for name, path in engines.items():
        assert main([str(path), "-o", str(target), "--name", f"onnx_{name}"]) == 0
    shapes = profile("p", features=((1, 4), (8, 4), (32, 4)))
    made = plan(folder / "plan.plan", features_manifest("snippet"), shapes)
    assert main([str(made), "-o", str(target)]) == 0
    return target


@pytest.fixture(scope="module")
def server(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("server")
    models = ("snippet", "streaming", "hurried", "video")
    with running_server(repository, folder, *models) as started:
        yield started


def features(count: int, seed: int) -> Float32Array:
    return np.random.default_rng(seed).normal(size=(count, SIZE)).astype(np.float32)


def causal_scores(stream: Float32Array) -> FloatArray:
    """What the streaming engine is made to compute: the mean of all logits so far, in float64."""
    logits = stream.astype(np.float64) @ WEIGHTS.astype(np.float64)
    return np.cumsum(logits, axis=0) / np.arange(1, len(logits) + 1)[:, None]


def send(server: Server, sequence: int, stream: Float32Array, cuts: Sequence[int]) -> FloatArray:
    """A whole stream in pieces; its causal scores."""
    pieces = np.split(stream, cuts)
    scores = []
    for place, piece in enumerate(pieces):
        answer = server.infer(
            "streaming",
            piece[None],
            sequence_id=sequence,
            sequence_start=place == 0,
            sequence_end=place == len(pieces) - 1,
        )
        assert set(answer) == {"selection_logits", "class_probabilities", "scores"}
        scores.append(answer["scores"][0])
    return np.concatenate(scores)


def test_snippets_are_what_onnx_runtime_says(server: Server, repository: Path) -> None:
    session = onnxruntime.InferenceSession(
        repository / "onnx_snippet" / "1" / "model.onnx", providers=["CPUExecutionProvider"]
    )
    for count in (1, 5, 16):
        given = features(count, seed=count)
        logits, probabilities = session.run(None, {"features": given})
        answer = server.infer("snippet", given)
        np.testing.assert_allclose(answer["selection_logits"], logits, atol=TOLERANCE)
        np.testing.assert_allclose(answer["class_probabilities"], probabilities, atol=TOLERANCE)


def test_requests_at_the_same_time_get_their_own_answers(server: Server) -> None:
    given = [features(1 + seed % 5, seed=100 + seed) for seed in range(40)]
    shared = False
    with ThreadPoolExecutor(8) as pool:
        # Requests meet in a batch only where they come soon enough behind one another.
        for _ in range(50):
            answers = list(pool.map(lambda piece: server.infer("snippet", piece), given))
            for piece, answer in zip(given, answers, strict=True):
                np.testing.assert_allclose(answer["selection_logits"], piece @ WEIGHTS, atol=1e-5)
            (statistics,) = server.ask("models/snippet/stats")["model_stats"]
            num_requests = statistics["inference_stats"]["success"]["count"]
            shared = statistics["execution_count"] < num_requests
            if shared:
                break
    assert shared


def test_labels_name_the_classes(server: Server) -> None:
    given = features(1, seed=3)
    body = {
        "inputs": [
            {"name": "features", "datatype": "FP32", "shape": [1, SIZE], "data": given.tolist()}
        ],
        "outputs": [{"name": "class_probabilities", "parameters": {"classification": 1}}],
    }
    (output,) = server.ask("models/snippet/infer", body)["outputs"]
    best = int((given @ WEIGHTS).argmax())
    assert output["data"][0].split(":")[1:] == [str(best), ("wave", "jump", "bow")[best]]


def test_a_stream_scores_the_same_in_any_pieces(server: Server) -> None:
    stream = features(20, seed=1)
    for sequence, cuts in enumerate(([], [1], [3, 4, 11], list(range(1, 20))), start=1):
        found = send(server, sequence, stream, cuts)
        np.testing.assert_allclose(found, causal_scores(stream), atol=1e-5)


def test_streams_do_not_mix(server: Server) -> None:
    streams = {sequence: features(12, seed=sequence) for sequence in range(10, 15)}
    found: dict[int, list[FloatArray]] = {sequence: [] for sequence in streams}
    for start in range(0, 12, 2):
        for sequence, stream in streams.items():
            answer = server.infer(
                "streaming",
                stream[None, start : start + 2],
                sequence_id=sequence,
                sequence_start=start == 0,
                sequence_end=start == 10,
            )
            found[sequence].append(answer["scores"][0])
    for sequence, stream in streams.items():
        scores = np.concatenate(found[sequence])
        np.testing.assert_allclose(scores, causal_scores(stream), atol=1e-5)


def test_streams_at_the_same_time_do_not_mix(server: Server) -> None:
    """More of them than an instance holds: the others wait for their turn."""
    streams = {sequence: features(15, seed=sequence) for sequence in range(20, 32)}
    with ThreadPoolExecutor(12) as pool:
        found = pool.map(lambda key: send(server, key, streams[key], [1, 4, 5, 9]), streams)
        for stream, scores in zip(streams.values(), found, strict=True):
            np.testing.assert_allclose(scores, causal_scores(stream), atol=1e-5)


def test_an_ended_stream_is_forgotten(server: Server) -> None:
    stream = features(6, seed=6)
    send(server, 40, stream, [3])
    with pytest.raises(RefusedError, match="START flag"):
        server.infer("streaming", stream[None], sequence_id=40)
    np.testing.assert_allclose(send(server, 40, stream, []), causal_scores(stream), atol=1e-5)


def test_a_stream_that_begins_again_has_no_past(server: Server) -> None:
    stream = features(6, seed=7)
    server.infer("streaming", features(4, seed=8)[None], sequence_id=41, sequence_start=True)
    np.testing.assert_allclose(send(server, 41, stream, [2]), causal_scores(stream), atol=1e-5)


def test_an_idle_stream_is_over(server: Server) -> None:
    piece = features(2, seed=9)[None]
    server.infer("hurried", piece, sequence_id=42, sequence_start=True)
    said = ""
    # The server looks for idle sequences once in the idle time, or later where it is slow.
    for idle_times in (2.5, 10, 40):
        time.sleep(idle_times * IDLE_SECONDS)
        try:
            server.infer("hurried", piece, sequence_id=42)
        except RefusedError as error:
            said = str(error)
            break
    assert "START flag" in said


def test_whole_videos_are_scored_at_once(server: Server) -> None:
    for count, length in ((1, 70), (3, 9)):
        videos = features(count * length, seed=11).reshape(count, length, SIZE)
        logits = videos.astype(np.float64) @ WEIGHTS
        expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        answer = server.infer("video", videos)
        np.testing.assert_allclose(answer["scores"], expected, atol=TOLERANCE)
        np.testing.assert_allclose(answer["video_scores"], logits.mean(axis=1), atol=TOLERANCE)


@pytest.mark.parametrize(
    ("model", "shape", "words"),
    [
        ("snippet", (2, SIZE + 1), r"\[-1,4\], got \[2,5\]"),
        ("snippet", (17, SIZE), "batch-size must be <= 16"),
        ("snippet", (2, 1, SIZE), "got"),
        ("streaming", (1, 2, SIZE + 1), r"\[-1,-1,4\], got \[1,2,5\]"),
        ("streaming", (2, 3, SIZE), "batch-size 1"),
        ("streaming", (1, 0, SIZE), "at least 1"),
        ("video", (1, 3, SIZE + 1), r"got \[1,3,5\]"),
    ],
)
def test_a_wrong_shape_is_refused_with_both_shapes(
    server: Server, model: str, shape: tuple[int, ...], words: str
) -> None:
    sequence = {"sequence_id": 50, "sequence_start": True, "sequence_end": True}
    with pytest.raises(RefusedError, match=words) as refused:
        server.infer(
            model, np.zeros(shape, np.float32), **(sequence if model == "streaming" else {})
        )
    assert refused.value.status == 400


@pytest.mark.parametrize(
    ("model", "backend"),
    [("onnx_snippet", "onnxruntime"), ("onnx_streaming", "onnxruntime"), ("plan", "tensorrt")],
)
def test_the_server_takes_the_configs_of_backends_that_it_lacks(
    server: Server, model: str, backend: str
) -> None:
    with pytest.raises(
        RefusedError, match=f"unable to find backend library for backend .{backend}"
    ):
        server.ask(f"repository/models/{model}/load", {})


def test_the_server_checks_configs_before_it_looks_for_the_backend(
    server: Server, repository: Path
) -> None:
    """Otherwise the test above would show nothing."""
    config = repository / "onnx_video" / "config.pbtxt"
    config.write_text(config.read_text() + "dynamic_batching { preferred_batch_size: [ 99 ] }\n")
    with pytest.raises(RefusedError, match="failed to poll"):
        server.ask("repository/models/onnx_video/load", {})
    assert "dynamic batching preferred size must be <= max batch size" in server.log.read_text()


def test_nothing_is_left_of_a_server(repository: Path, tmp_path: Path) -> None:
    with running_server(repository, tmp_path, "snippet") as server:
        server.infer("snippet", features(2, seed=0))
        assert server.children() >= 1
        assert [path for path in SHARED_MEMORY.iterdir() if path.name.startswith(server.prefix)]
        server.ask("repository/models/snippet/unload", {})
        deadline = time.monotonic() + HANG_SECONDS
        while server.children() and time.monotonic() < deadline:
            time.sleep(0.05)
        assert server.children() == 0
        with pytest.raises(RefusedError, match="unknown model"):
            server.infer("snippet", features(2, seed=0))
        server.ask("repository/models/snippet/load", {})
        server.infer("snippet", features(2, seed=0))
    assert server.process.returncode == 0
    with pytest.raises(ProcessLookupError):
        os.killpg(server.process.pid, 0)
    left = [path.name for path in SHARED_MEMORY.iterdir() if path.name.startswith(server.prefix)]
    assert left == []
