"""What the command refuses: one sentence, the right exit code, and no file left behind."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, external_data_helper, helper
from plan_command import build, require_rtx, without_driver
from plan_graphs import SIZE, document, feature_manifest, heads, save

from wsgn.export.plan import target as plan_target
from wsgn.export.to_tensorrt import main
from wsgn.support.files import AtomicFile


@pytest.fixture(autouse=True)
def _no_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    without_driver(monkeypatch)


@pytest.fixture
def engine(tmp_path: Path) -> Path:
    return save(heads(), tmp_path / "m.onnx")


@pytest.fixture
def rtx() -> None:
    require_rtx()


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-60])


def without_manifest(path: Path) -> None:
    made = heads()
    del made.metadata_props[:]
    save(made, path)


def newer_manifest(path: Path) -> None:
    made = heads()
    made.metadata_props[0].value = made.metadata_props[0].value.replace(
        '"format_version":1', '"format_version":9'
    )
    save(made, path)


def external(path: Path) -> None:
    made = heads()
    external_data_helper.convert_model_to_external_data(made, location="w", size_threshold=0)
    onnx.save(made, path)


def other_axis(path: Path) -> None:
    save(heads(open_axis="snippets"), path)


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda path: path.unlink(), "does not exist"),
        (lambda path: path.write_bytes(b""), "empty file"),
        (lambda path: path.write_bytes(b"RIFF not an engine"), "not an ONNX file"),
        (truncated, "truncated or damaged"),
        (without_manifest, "no manifest"),
        (newer_manifest, "format version 9"),
        (external, "weights in another file"),
        (other_axis, "leaves snippets open, one of the kind 'snippet' must leave N open"),
        (folder, "is a directory"),
        (pipe, "is no regular file"),
    ],
)
def test_an_engine_that_is_none_is_named(
    engine: Path, capsys: pytest.CaptureFixture[str], spoil: Callable[[Path], object], words: str
) -> None:
    spoil(engine)
    code, plan = build(engine)
    said = capsys.readouterr().err
    assert code == 5
    assert words in said
    assert said.count("\n") == 1
    assert not plan.exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--max-snippets", "0"], "--max-snippets must be at least 1, got 0"),
        (["--max-snippets", "-3"], "--max-snippets must be at least 1, got -3"),
        (["--max-snippets", "500000000"], "at most 2^31 - 1 elements"),
        (["--max-batch", "2"], "--max-batch is for graphs of whole videos and of streams"),
        (["--workspace-mb", "0"], "--workspace-mb must be at least 1"),
        (["--max-snippets", "many"], "must be a whole number"),
        (["-o", "m.onnx"], "a plan's name ends in"),
    ],
)
def test_nonsense_is_a_usage_error(
    engine: Path, capsys: pytest.CaptureFixture[str], options: list[str], words: str
) -> None:
    code, plan = build(engine, *options)
    assert code == 2
    assert words in capsys.readouterr().err
    assert not plan.exists()


@pytest.mark.usefixtures("rtx")
@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--version-compatible"], "no version-compatible plans"),
        (["--hardware-compatible"], "as it is"),
        (["--timing-cache", "timings"], "keeps no timings"),
    ],
)
def test_what_tensorrt_rtx_lacks_is_refused(
    engine: Path, capsys: pytest.CaptureFixture[str], options: list[str], words: str
) -> None:
    code, plan = build(engine, *options)
    assert code == 2
    assert words in capsys.readouterr().err
    assert not plan.exists()


def test_what_cannot_be_written_is_found_before_the_build(
    engine: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan_target, "load_library", lambda name: pytest.fail("it was built"))
    assert main([str(engine), "-o", str(engine / "folder" / "m.plan")]) == 6
    assert "cannot be written" in capsys.readouterr().err
    engine.with_name("d.plan").mkdir()
    assert main([str(engine), "-o", str(engine.with_name("d.plan")), "--overwrite"]) == 6
    assert "is a directory" in capsys.readouterr().err


@pytest.mark.usefixtures("rtx")
def test_a_plan_that_cannot_be_written_is_said_with_the_users_name(
    engine: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: AtomicFile, data: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(AtomicFile, "write", full)
    code, plan = build(engine)
    assert code == 6
    said = capsys.readouterr().err
    assert f"the sidecar {plan}.json cannot be written: No space left on device." in said
    assert ".tmp" not in said


def with_nodes(*nodes: onnx.NodeProto) -> onnx.ModelProto:
    return document(
        nodes,
        inputs={"features": (TensorProto.FLOAT, ["N", SIZE])},
        outputs={"scores": ["N", SIZE]},
        manifest=feature_manifest(),
    )


@pytest.mark.usefixtures("rtx")
def test_every_operator_that_the_parser_refuses_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = with_nodes(
        helper.make_node("Fused", ["features"], ["a"], name="foreign", domain="example.org"),
        helper.make_node("Relu", ["a"], ["b"], name="fine"),
        helper.make_node("Unique", ["b"], ["scores"], name="standard"),
    )
    code, plan = build(save(made, tmp_path / "m.onnx"))
    assert code == 5
    said = capsys.readouterr().err
    assert "node 'foreign' (Fused): " in said
    assert "Plugin not found" in said
    assert "node 'standard' (Unique): the operator is not supported" in said
    assert "fine" not in said
    assert said.count("\n") == 1
    assert sorted(p.name for p in plan.parent.iterdir()) == ["m.onnx"]


@pytest.mark.usefixtures("rtx")
def test_too_little_memory_fails_in_the_librarys_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    channels = np.ones((64, 8, 3, 3), dtype=np.float32)
    made = document(
        [
            helper.make_node("Conv", ["frames", "w"], ["a"], name="one", pads=[1] * 4),
            helper.make_node("Conv", ["a", "v"], ["b"], name="two", pads=[1] * 4),
            helper.make_node("ReduceMean", ["b", "axes"], ["scores"], name="mean", keepdims=0),
        ],
        inputs={"frames": (TensorProto.FLOAT, ["N", 8, 64, 64])},
        outputs={"scores": ["N", 64]},
        constants={
            "w": channels,
            "v": np.ones((64, 64, 3, 3), dtype=np.float32),
            "axes": np.array([2, 3], dtype=np.int64),
        },
        manifest=feature_manifest(),
    )
    code, plan = build(save(made, tmp_path / "m.onnx"), "--workspace-mb", "1", "-v")
    said = capsys.readouterr().err
    assert code == 5
    assert "within workspace limit" in said
    assert "--workspace-mb" in said
    # With -v the library's own line stands there as well.
    assert "TensorRT-RTX" in said.splitlines()[0]
    assert "error: IBuilder::buildSerializedNetwork" in said
    assert not plan.exists()
