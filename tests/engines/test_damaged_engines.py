"""Engines prove themselves: a damaged one is refused or said to be changed, never just run."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import planted
import pytest
from onnx import helper
from places import ROOT

from wsgn.engines.onnx_file import graph_sha256
from wsgn.engines.open import describe_engine, open_engine
from wsgn.errors import EngineError
from wsgn.export.graphs.document import seal
from wsgn.export.plan.input import read_plan_input
from wsgn.export.triton_server.engine import read_engine
from wsgn.manifest import METADATA_KEY, Manifest, was_changed
from wsgn.runtime.cli.main import main

DEMO = ROOT / "runtime" / "demo" / "demo.onnx"
# As of the engine that was packaged before manifests had checksums: the graph is still that one.
DEMO_GRAPH = "781d2bdc80b6b38f4f8eafb9d76cf9c4111eff5764e72a1d8101d119b2d4acfb"
NUM_DAMAGED = 552


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The planted engine with its checksums."""
    manifest = planted.planted_manifest()
    document = planted.planted_model(manifest)
    seal(document, manifest)
    path = tmp_path_factory.mktemp("sealed") / "sealed.onnx"
    onnx.save(document, path)
    return path


def rewritten(path: Path, target: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """The engine with another manifest, as somebody's own tool would write it."""
    document = onnx.load(path)
    (text,) = [entry.value for entry in document.metadata_props if entry.key == METADATA_KEY]
    manifest = json.loads(text)
    change(manifest)
    helper.set_model_props(document, {METADATA_KEY: json.dumps(manifest)})
    onnx.save(document, target)
    return target


def damaged(content: bytes, random: np.random.Generator) -> bytes:
    """One to eight bytes changed, a piece cut out, put in, doubled or set to zero."""
    data = bytearray(content)
    place, size = int(random.integers(len(data))), int(random.integers(1, 200))
    match int(random.integers(6)):
        case 0:
            data[place] ^= 1 << int(random.integers(8))
        case 1:
            for index in random.integers(len(data), size=int(random.integers(1, 9))):
                data[index] ^= int(random.integers(1, 256))
        case 2:
            del data[place : place + size]
        case 3:
            data[place:place] = random.bytes(size)
        case 4:
            data[place:place] = data[place : place + size]
        case _:
            data[place : place + size] = bytes(len(data[place : place + size]))
    return bytes(data)


@pytest.mark.parametrize("which", ["demo", "planted"])
def test_no_damaged_engine_is_taken_in_silence(which: str, sealed: Path, tmp_path: Path) -> None:
    """Of the demo it is nearly always the weights, of the planted engine often the manifest."""
    content = (DEMO if which == "demo" else sealed).read_bytes()
    path, random, num_refused, num_said = tmp_path / "a.onnx", np.random.default_rng(0), 0, 0
    sentences: set[str] = set()
    for _ in range(NUM_DAMAGED):
        harmed = damaged(content, random)
        if harmed == content:
            continue
        path.write_bytes(harmed)
        try:
            description = describe_engine(path)
        except EngineError as error:
            num_refused += 1
            sentences.add(str(error))
        else:
            num_said += 1
            assert description.notices
    assert not any("\n" in sentence for sentence in sentences)
    assert num_refused > 0.9 * NUM_DAMAGED if which == "demo" else num_said > 0


def test_the_packaged_engine_computes_what_it_did(tmp_path: Path) -> None:
    description = describe_engine(DEMO)
    assert description.notices == ()
    assert description.manifest.checksum is not None
    assert description.manifest.checksum.graph == graph_sha256(DEMO.read_bytes()) == DEMO_GRAPH


def test_a_graph_with_the_manifest_of_another_is_refused(sealed: Path, tmp_path: Path) -> None:
    document = onnx.load(sealed)
    (white,) = [one for one in document.graph.initializer if one.name == "white"]
    white.CopyFrom(onnx.numpy_helper.from_array(np.array(254, dtype=np.float32), "white"))
    onnx.save(document, tmp_path / "a.onnx")
    for read in (describe_engine, open_engine, read_plan_input, read_engine):
        with pytest.raises(EngineError, match=r"'.*a.onnx' is damaged: its graph is not the one"):
            read(tmp_path / "a.onnx")
    assert main(["manifest", str(tmp_path / "a.onnx")]) == EngineError.exit_code


def test_a_changed_manifest_runs_and_is_said(
    sealed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def rename(manifest: dict[str, Any]) -> None:
        manifest["classes"][0] = "talk to (e.g., a group)"

    path = rewritten(sealed, tmp_path / "a.onnx", rename)
    with (
        pytest.warns(UserWarning, match="is not the one that was exported"),
        open_engine(path, num_threads=1) as engine,
    ):
        assert engine.manifest.classes[0] == "talk to (e.g., a group)"
    video = planted.write_video(tmp_path / "a.mp4")
    assert main([str(video), "-e", str(path)]) == 0
    assert capsys.readouterr().err.count("is not the one that was exported") == 1


def test_an_engine_of_before_is_taken_as_it_is(sealed: Path, tmp_path: Path) -> None:
    """It cannot be told whether it is damaged, and it runs as it always did."""
    path = planted.write_engine(tmp_path / "old.onnx")
    assert describe_engine(path).notices == ()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        open_engine(path, num_threads=1).close()
    text = planted.planted_manifest().to_json()
    assert "checksum" not in text
    assert not was_changed(text)


def test_metadata_of_others_and_another_layout_are_no_damage(sealed: Path, tmp_path: Path) -> None:
    document = onnx.load(sealed)
    document.metadata_props.add(key="author", value="somebody")
    onnx.save(document, tmp_path / "a.onnx")
    assert describe_engine(tmp_path / "a.onnx").notices == ()
    path = rewritten(sealed, tmp_path / "b.onnx", lambda manifest: None)
    assert describe_engine(path).notices == ()


def test_a_seal_is_of_what_is_sealed() -> None:
    manifest = planted.planted_manifest().sealed("0" * 64)
    assert Manifest.from_json(manifest.to_json()) == manifest
    assert not was_changed(manifest.to_json())
    assert was_changed(replace(manifest, provenance={"seed": "1"}).to_json())
    assert manifest.sealed("1" * 64).checksum != manifest.checksum


def _set(*path: str | int, to: object) -> Callable[[dict[str, Any]], None]:
    def change(manifest: dict[str, Any]) -> None:
        place: Any = manifest
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = to

    return change


NAN, INFINITY, HUGE = float("nan"), float("inf"), 10**400
NUMBERS = [
    ("sampling", "frame_rate"),
    ("selection", "variance_epsilon"),
    ("selection", "global_mean"),
    ("selection", "global_std"),
    ("prior", "count"),
    ("prior", "mean"),
    ("prior", "variance"),
    ("prior", "log_mean_exponential"),
    ("prior", "maximum"),
    ("detection", "open_thresholds"),
    ("detection", "close_thresholds"),
    ("detection", "video_score_gate"),
    ("detection", "video_score_weight"),
    ("detection", "peak_gate"),
    ("detection", "minimum_duration_seconds"),
    ("detection", "merge_gap_seconds"),
]
LISTS = ("global_mean", "global_std", "thresholds", "mean", "variance", "exponential", "maximum")


@pytest.mark.parametrize("value", [NAN, INFINITY, -INFINITY, HUGE, -HUGE, 1e300, 1 << 70])
@pytest.mark.parametrize("place", NUMBERS, ids=lambda place: place[1])
def test_every_number_is_finite_and_bounded(
    sealed: Path, tmp_path: Path, place: tuple[str, str], value: float
) -> None:
    listed = [value] * 3 if place[1].endswith(LISTS) else value
    path = rewritten(sealed, tmp_path / "a.onnx", _set(*place, to=listed))
    with pytest.raises(EngineError) as caught:
        describe_engine(path)
    assert str(caught.value).count("\n") == 0
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    "change",
    [
        _set("sampling", "snippet_length", to=10**5),
        _set("sampling", "snippet_length", to=10**9),
        _set("sampling", "snippet_length", to=HUGE),
        _set("sampling", "snippet_stride", to=2**31),
        _set("sampling", "frame_rate", to=1e-9),
        _set("sampling", "frame_rate", to=1e6),
        _set("frames", "height", to=2**15),
        _set("frames", "width", to=2**31),
        _set("frames", to={"height": 4000, "width": 4000, "resize": "stretch"}),
        _set("detection", "smoothing_snippets", to=10**9 + 1),
        _set("detection", "smoothing_snippets", to=HUGE + 1),
        _set("detection", "video_score_weight", to=-1.0),
        _set("selection", "global_std", to=[1e-300] * 3),
        _set("classes", to=[str(index) for index in range(100_000)]),
        _set("classes", 0, to="\ud800"),
        _set("classes", 0, to="a" * 10_000),
        _set("provenance", to={"seed": "\udfff"}),
        _set("checksum", "graph", to="00"),
        _set("checksum", "manifest", to="g" * 64),
        _set("checksum", to=7),
    ],
)
def test_sizes_and_names_that_no_engine_has_are_refused(
    sealed: Path, tmp_path: Path, change: Callable[[dict[str, Any]], None]
) -> None:
    def bare(manifest: dict[str, Any]) -> None:
        manifest["selection"] |= {"components": ["global_gaussian"], "global_mean": [0.0] * 3}
        manifest["selection"]["global_std"] = [1.0] * 3
        manifest["frames"] = {"height": 500, "width": 500, "resize": "stretch"}
        change(manifest)

    path = rewritten(sealed, tmp_path / "a.onnx", bare)
    with pytest.raises(EngineError) as caught:
        describe_engine(path)
    str(caught.value).encode()
    assert str(caught.value).count("\n") == 0
    assert len(str(caught.value)) < 500
    assert "cannot be used" in str(caught.value)


def test_graphs_in_graphs_are_walked_without_end(tmp_path: Path) -> None:
    """Deeper than Python can call itself; what ONNX Runtime makes of it is a sentence too."""
    content = onnx.GraphProto(name="innermost").SerializeToString()
    for _ in range(2000):
        # Field 6 of an attribute, 5 of a node and 1 of a graph, around what there is.
        for number in (6, 5, 1):
            content = bytes([number << 3 | 2]) + _varint(len(content)) + content
    head = onnx.ModelProto(ir_version=10).SerializeToString()
    path = tmp_path / "deep.onnx"
    path.write_bytes(head + b"\x3a" + _varint(len(content)) + content)
    with pytest.raises(EngineError, match="has no manifest"):
        describe_engine(path)


def test_what_cannot_be_loaded_leaves_stdout_alone(
    sealed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """ONNX Runtime's own second try would print to where results go."""
    document = onnx.load(sealed)
    document.graph.node[0].op_type = "NoOperator"
    data = rewritten_bytes(document).replace(b"NoOperator", b"No\xffperator")
    (tmp_path / "a.onnx").write_bytes(data)
    with pytest.raises(EngineError, match="cannot load the engine"):
        open_engine(tmp_path / "a.onnx")
    assert capsys.readouterr().out == ""


def rewritten_bytes(document: Any) -> bytes:
    """The file of an engine without checksums."""
    (text,) = [entry.value for entry in document.metadata_props if entry.key == METADATA_KEY]
    manifest = json.loads(text)
    del manifest["checksum"]
    helper.set_model_props(document, {METADATA_KEY: json.dumps(manifest)})
    content: bytes = document.SerializeToString()
    return content


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])
