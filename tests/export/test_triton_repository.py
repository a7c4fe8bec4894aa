"""The files of a model repository, read by the server's own definition of a model's config."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from places import ROOT
from triton_engines import (
    ENGINES,
    features_manifest,
    frames_manifest,
    model_config_class,
    plan,
    profile,
    snippet_engine,
    streaming_engine,
    whole_video_engine,
)

from wsgn.errors import EngineError
from wsgn.export.to_triton_server import main
from wsgn.export.triton_server.config import Word, to_text
from wsgn.export.triton_server.engine import largest_batch, read_engine
from wsgn.manifest import Manifest

SNIPPET_PROFILE = profile("streaming", features=((1, 4), (8, 4), (32, 4)))


def written(folder: Path, *arguments: object) -> Any:
    """Run the command; the config of the one model, strictly parsed."""
    from google.protobuf import text_format

    repository = folder / "repository"
    assert main([*map(str, arguments), "-o", str(repository)]) == 0
    (model,) = repository.iterdir()
    config = model_config_class()()
    text_format.Parse((model / "config.pbtxt").read_text(), config)
    assert config.name == model.name
    return config


def tensors(values: Any) -> dict[str, tuple[int, tuple[int, ...]]]:
    return {value.name: (value.data_type, tuple(value.dims)) for value in values}


def test_a_snippet_model_joins_snippets_of_many_requests(tmp_path: Path) -> None:
    config = written(tmp_path, snippet_engine(tmp_path / "wsgn.onnx"))
    assert (config.name, config.backend, config.max_batch_size) == ("wsgn", "onnxruntime", 64)
    fp32 = (
        config.input[0].DESCRIPTOR.file.enum_types_by_name["DataType"].values_by_name["TYPE_FP32"]
    )
    assert tensors(config.input) == {"features": (fp32.number, (4,))}
    assert tensors(config.output) == {
        "selection_logits": (fp32.number, (3,)),
        "class_probabilities": (fp32.number, (3,)),
    }
    assert list(config.dynamic_batching.preferred_batch_size) == [8, 16, 32, 64]
    assert 0 < config.dynamic_batching.max_queue_delay_microseconds <= 5000
    assert not config.HasField("sequence_batching")
    (group,) = config.instance_group
    assert (group.count, group.kind) == (1, group.KIND_CPU)
    assert not group.profile


@pytest.mark.parametrize("backend", ["onnx", "python"])
def test_a_streaming_model_takes_one_stream_of_any_length(tmp_path: Path, backend: str) -> None:
    engine = streaming_engine(tmp_path / "live.onnx")
    config = written(tmp_path, engine, "--backend", backend, "--max-batch", 12, "--instances", 2)
    assert {name: dims for name, (_, dims) in tensors(config.input).items()} == {
        "features": (-1, 4)
    }
    assert {name: dims for name, (_, dims) in tensors(config.output).items()} == {
        "selection_logits": (-1, 3),
        "class_probabilities": (-1, 3),
        "scores": (-1, 3),
    }
    assert not config.HasField("dynamic_batching")
    batching = config.sequence_batching
    assert batching.max_sequence_idle_microseconds == 60_000_000
    assert batching.oldest.max_candidate_sequences == 256
    assert list(batching.oldest.preferred_batch_size) == [8, 12]
    assert config.max_batch_size == 12
    assert config.instance_group[0].count == 2
    assert len(batching.control_input) == 0


def test_the_server_keeps_the_state_of_an_onnx_model(tmp_path: Path) -> None:
    config = written(tmp_path, streaming_engine(tmp_path / "live.onnx"))
    (state,) = config.sequence_batching.state
    assert (state.input_name, state.output_name) == ("state", "next_state")
    (start,) = state.initial_state
    assert start.zero_data
    assert list(state.dims) == list(start.dims) == [5, 3]
    assert state.data_type == start.data_type == config.input[0].data_type


def test_the_python_model_keeps_the_state_itself(tmp_path: Path) -> None:
    engine = streaming_engine(tmp_path / "live.onnx")
    config = written(tmp_path, engine, "--backend", "python", "--idle-seconds", 1.5)
    assert len(config.sequence_batching.state) == 0
    assert config.sequence_batching.max_sequence_idle_microseconds == 1_500_000


def test_a_whole_video_waits_for_no_other(tmp_path: Path) -> None:
    config = written(tmp_path, whole_video_engine(tmp_path / "video.onnx"), "--max-batch", 2)
    assert config.max_batch_size == 2
    assert not config.HasField("dynamic_batching")
    assert not config.HasField("sequence_batching")
    assert tuple(config.input[0].dims) == (-1, 4)
    assert {value.name: tuple(value.dims) for value in config.output} == {
        "scores": (-1, 3),
        "video_scores": (3,),
    }


def test_frames_are_bytes(tmp_path: Path) -> None:
    shapes = ((1, 8, 6, 5, 3), (4, 8, 6, 5, 3), (16, 8, 6, 5, 3))
    engine = plan(tmp_path / "w.plan", frames_manifest("snippet"), profile("s", frames=shapes))
    config = written(tmp_path, engine)
    (value,) = config.input
    types = value.DESCRIPTOR.file.enum_types_by_name["DataType"].values_by_name
    assert (value.name, value.data_type) == ("frames", types["TYPE_UINT8"].number)
    assert tuple(value.dims) == (8, 6, 5, 3)


def test_a_plan_runs_on_gpus_with_all_its_profiles(tmp_path: Path) -> None:
    offline = profile("offline", features=((1, 4), (40, 4), (48, 4)))
    engine = plan(tmp_path / "w.plan", features_manifest("snippet"), SNIPPET_PROFILE, offline)
    config = written(tmp_path, engine)
    assert (config.backend, config.platform) == ("tensorrt", "tensorrt_plan")
    (group,) = config.instance_group
    assert group.kind == group.KIND_GPU
    assert list(group.profile) == ["0", "1"]
    assert config.max_batch_size == 48
    assert list(config.dynamic_batching.preferred_batch_size) == [8, 40, 48]


def test_a_streaming_plan_has_its_state_in_the_server(tmp_path: Path) -> None:
    shapes = profile(
        "streaming",
        features=((1, 1, 4), (8, 2, 4), (16, 8, 4)),
        state=((1, 5, 3), (8, 5, 3), (16, 5, 3)),
    )
    config = written(tmp_path, plan(tmp_path / "w.plan", features_manifest("streaming"), shapes))
    assert config.max_batch_size == 16
    assert [state.output_name for state in config.sequence_batching.state] == ["next_state"]


@pytest.mark.parametrize(
    ("profiles", "largest"),
    [
        # One profile for many streams, one for a long piece of a single one: joined long pieces
        # would fit neither.
        ([((1, 1), (64, 4)), ((1, 1), (1, 256))], 1),
        ([((1, 1), (64, 4)), ((1, 5), (8, 256))], 8),
        ([((1, 1), (16, 8))], 16),
        # No profile takes batches of 5 to 7.
        ([((1, 1), (4, 8)), ((8, 1), (64, 8))], 4),
    ],
)
def test_every_batch_of_a_plan_fits_a_profile(
    tmp_path: Path, profiles: list[tuple[tuple[int, int], tuple[int, int]]], largest: int
) -> None:
    made = [
        profile(
            "p",
            features=((*low, 4), (*low, 4), (*high, 4)),
            state=((low[0], 5, 3), (low[0], 5, 3), (high[0], 5, 3)),
        )
        for low, high in profiles
    ]
    path = plan(tmp_path / "w.plan", features_manifest("streaming"), *made)
    assert largest_batch(read_engine(path)) == largest


def test_a_plan_that_takes_no_single_snippet_is_refused(tmp_path: Path) -> None:
    path = plan(
        tmp_path / "w.plan",
        features_manifest("snippet"),
        profile("p", features=((2, 4), (8, 4), (16, 4))),
    )
    with pytest.raises(EngineError, match="minimum is 1"):
        largest_batch(read_engine(path))


@pytest.mark.parametrize("backend", ["onnx", "python"])
def test_all_files_are_there(tmp_path: Path, backend: str) -> None:
    engine = snippet_engine(tmp_path / "wsgn.onnx")
    repository = tmp_path / "repository"
    arguments = [str(engine), "-o", str(repository), "--name", "detector", "--backend", backend]
    assert main(arguments) == 0
    model = repository / "detector"
    assert (model / "1" / "model.onnx").read_bytes() == engine.read_bytes()
    assert (model / "1" / "model.py").exists() == (backend == "python")
    assert (model / "labels.txt").read_text().splitlines() == ["wave", "jump", "bow"]
    manifest = Manifest.from_json((model / "manifest.json").read_text())
    assert manifest == features_manifest("snippet")
    assert [path.name for path in repository.iterdir()] == ["detector"]


def test_several_engines_become_several_models(tmp_path: Path) -> None:
    engines = [str(make(tmp_path / f"{name}.onnx")) for name, make in ENGINES.items()]
    assert main([*engines, "-o", str(tmp_path / "r")]) == 0
    assert {path.name for path in (tmp_path / "r").iterdir()} == set(ENGINES)


def test_options_of_streams_are_for_the_engines_that_have_some(tmp_path: Path) -> None:
    engines = [str(make(tmp_path / f"{name}.onnx")) for name, make in ENGINES.items()]
    assert main([*engines, "-o", str(tmp_path / "r"), "--max-streams", "7"]) == 0
    for name in ENGINES:
        text = (tmp_path / "r" / name / "config.pbtxt").read_text()
        assert ("max_candidate_sequences: 7" in text) == (name == "streaming")


def test_the_largest_numbers_are_read(tmp_path: Path) -> None:
    limit = 2**31 - 1
    options = [f"--{name}={limit}" for name in ("max-batch", "instances", "max-streams")]
    config = written(tmp_path, streaming_engine(tmp_path / "w.onnx"), *options)
    assert config.max_batch_size == config.instance_group[0].count == limit
    assert config.sequence_batching.oldest.max_candidate_sequences == limit


@pytest.mark.parametrize(
    ("folder", "odd"),
    [("a b", " "), ("schön", "ö"), ("it's $5", " $'"), ("a+b=@%~c,d:e#f-g.h_i", "")],
)
def test_a_path_that_the_python_backend_cannot_take_is_warned_of(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], folder: str, odd: str
) -> None:
    """Server 2.51 served a model under the last, and failed with every other character."""
    arguments = [str(snippet_engine(tmp_path / "w.onnx")), "-o", str(tmp_path / folder)]
    assert main([*arguments, "--backend", "python"]) == 0
    said = capsys.readouterr().err
    assert f"a path with '{odd}': serve the repository from another" in said if odd else not said
    assert main([*arguments, "--backend", "onnx", "--overwrite"]) == 0
    assert capsys.readouterr().err == ""


def test_every_model_that_the_page_asks_is_made_by_its_commands() -> None:
    """docs/triton_server.md: by --name, or by the name of the engine's file."""
    page = (ROOT / "docs" / "triton_server.md").read_text()
    made = {
        name or engine
        for engine, name in re.findall(r"to_triton_server.py (\w+)\.onnx(?: --name (\w+))?", page)
    }
    engines = set(re.findall(r"to_triton_server.py (\w+\.onnx)", page))
    asked = set(re.findall(r"/models/(\w+)/infer|infer\(\"(\w+)\"", page))
    assert engines <= set(re.findall(r"to_onnx.py .*-o (\w+\.onnx)", page))
    assert {first or second for first, second in asked} == made == {"wsgn", "live"}


def test_text_is_quoted_and_words_are_not() -> None:
    message = {"a": 'x"\\y\n', "b": Word("KIND_CPU"), "c": True, "d": [-1, 2], "e": [{"f": [1]}]}
    assert to_text(message) == 'a: "x\\"\\\\y\\n"\nb: KIND_CPU\nc: true\nd: [ -1, 2 ]\n' + (
        "e {\n  f: [ 1 ]\n}\n"
    )
