"""Engines, wishes and folders that export/to_triton_server.py refuses, and what it says."""

from __future__ import annotations

import os
from pathlib import Path

import onnx
import pytest
from triton_engines import ENGINES, features_manifest, plan, profile, snippet_engine

from wsgn.export.to_triton_server import main
from wsgn.manifest import METADATA_KEY

SNIPPET_PROFILE = profile("streaming", features=((1, 4), (8, 4), (32, 4)))


def test_a_model_is_replaced_only_when_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [str(snippet_engine(tmp_path / "w.onnx")), "-o", str(tmp_path / "r")]
    assert main(arguments) == 0
    stale = tmp_path / "r" / "w" / "1" / "stale"
    stale.write_text("of the old model")
    assert main(arguments) == 6
    assert "--overwrite" in capsys.readouterr().err
    assert stale.exists()
    assert main([*arguments, "--overwrite"]) == 0
    assert not stale.exists()


def test_a_folder_that_is_no_model_is_never_replaced(tmp_path: Path) -> None:
    precious = tmp_path / "r" / "w" / "precious"
    precious.parent.mkdir(parents=True)
    precious.write_text("data")
    engine = str(snippet_engine(tmp_path / "w.onnx"))
    assert main([engine, "-o", str(tmp_path / "r"), "--overwrite"]) == 6
    assert precious.read_text() == "data"


def test_a_file_is_no_repository(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "r").write_text("a file")
    assert main([str(snippet_engine(tmp_path / "w.onnx")), "-o", str(tmp_path / "r")]) == 6
    assert "cannot be written" in capsys.readouterr().err


def bad_engine(folder: Path, kind: str) -> Path:
    """A file that cannot be served."""
    path = folder / "w.onnx"
    if kind == "garbage":
        path.write_bytes(b"GIF89a" * 9)
    elif kind == "empty":
        path.touch()
    elif kind == "without a manifest":
        document = onnx.load(str(snippet_engine(path)))
        del document.metadata_props[:]
        onnx.save(document, str(path))
    elif kind == "of a later version":
        document = onnx.load(str(snippet_engine(path)))
        text = features_manifest("snippet").to_json()
        later = text.replace('"format_version":1', '"format_version":2')
        onnx.helper.set_model_props(document, {METADATA_KEY: later})
        onnx.save(document, str(path))
    elif kind == "with another graph":
        document = onnx.load(str(snippet_engine(path)))
        text = features_manifest("streaming").to_json()
        onnx.helper.set_model_props(document, {METADATA_KEY: text})
        onnx.save(document, str(path))
    elif kind == "with weights elsewhere":
        document = onnx.load(str(snippet_engine(path)))
        onnx.save(
            document, str(path), save_as_external_data=True, location="w.data", size_threshold=0
        )
    elif kind == "a plan without a sidecar":
        path = folder / "w.plan"
        path.write_bytes(b"a plan")
    elif kind == "a plan of another library":
        manifest = features_manifest("snippet")
        path = plan(folder / "w.plan", manifest, SNIPPET_PROFILE, library="tensorrt_rtx")
    elif kind == "another plan":
        path = plan(folder / "w.plan", features_manifest("snippet"), SNIPPET_PROFILE)
        path.write_bytes(b"another plan")
    elif kind == "a plan for other inputs":
        shapes = profile("p", frames=((1, 4), (1, 4), (1, 4)))
        path = plan(folder / "w.plan", features_manifest("snippet"), shapes)
    else:
        assert kind == "missing"
    return path


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("missing", "does not exist"),
        ("garbage", "not an ONNX file"),
        ("empty", "no manifest"),
        ("without a manifest", "no manifest"),
        ("of a later version", "format version 2"),
        ("with another graph", "other inputs or outputs"),
        ("with weights elsewhere", "weights in another file"),
        ("a plan without a sidecar", "no sidecar"),
        ("a plan of another library", "tensorrt_rtx"),
        ("another plan", "not the one"),
        ("a plan for other inputs", "not for the inputs features"),
    ],
)
def test_what_cannot_be_served_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str, words: str
) -> None:
    arguments = [str(bad_engine(tmp_path, kind)), "-o", str(tmp_path / "r")]
    assert main(arguments) == 5
    assert words in capsys.readouterr().err
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize(
    ("engine", "arguments", "words"),
    [
        ("snippet", ["--max-batch", "0"], "--max-batch must be 1 to 2147483647, got 0"),
        ("snippet", ["--instances", "0"], "--instances must be 1 to"),
        ("streaming", ["--max-streams", "0"], "--max-streams must be 1 to"),
        # The server's int32.
        ("snippet", ["--max-batch", "2147483648"], "--max-batch must be 1 to 2147483647"),
        ("snippet", ["--instances", "2147483648"], "--instances must be 1 to 2147483647"),
        ("streaming", ["--max-streams", "99999999999"], "--max-streams must be 1 to 2147483647"),
        ("streaming", ["--idle-seconds", "nan"], "--idle-seconds must be"),
        ("streaming", ["--idle-seconds", "1e9"], "--idle-seconds must be"),
        ("snippet", ["--max-streams", "8"], "has no streams: leave out --max-streams,"),
        ("whole-video", ["--idle-seconds", "8"], "holds the whole-video graph"),
        ("snippet", ["--max-streams", "8", "--idle-seconds", "8"], "streams and --idle-seconds,"),
        ("snippet", ["--name", "a/b"], "'a/b'"),
        ("snippet", ["--name", ".."], "'..'"),
        ("snippet", ["--name", ""], "''"),
        ("snippet", ["--backend", "tensorrt"], "backend onnxruntime or python"),
        ("plan", ["--max-batch", "33"], "up to 32"),
        ("plan", ["--backend", "python"], "the backend tensorrt"),
        ("plan", ["--cpu"], "GPU only"),
    ],
)
def test_wishes_that_cannot_be_met_are_refused(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    engine: str,
    arguments: list[str],
    words: str,
) -> None:
    if engine == "plan":
        path = plan(tmp_path / "w.plan", features_manifest("snippet"), SNIPPET_PROFILE)
    else:
        path = ENGINES[engine](tmp_path / "w.onnx")
    assert main([str(path), "-o", str(tmp_path / "r"), *arguments]) == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "r").exists()


def test_a_file_name_that_names_no_model_leads_to_the_option(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [str(snippet_engine(tmp_path / "mein modell ü.onnx")), "-o", str(tmp_path / "r")]
    assert main(arguments) == 2
    assert "'mein modell ü' cannot be a model's name" in (said := capsys.readouterr().err)
    assert "give --name" in said
    assert main([*arguments, "--name", "mein_modell"]) == 0


def test_a_device_is_no_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([os.devnull, "-o", str(tmp_path / "r")]) == 5
    assert "is not a file" in capsys.readouterr().err


def test_two_engines_cannot_become_one_model(tmp_path: Path) -> None:
    first = snippet_engine(tmp_path / "w.onnx")
    second = plan(tmp_path / "w.plan", features_manifest("snippet"), SNIPPET_PROFILE)
    assert main([str(first), str(second), "-o", str(tmp_path / "r")]) == 2
    assert main([str(first), str(second), "-o", str(tmp_path / "r"), "--name", "a"]) == 2
    assert not (tmp_path / "r").exists()
