"""The command that compiles kernels for GPUs that are not here: what it writes and refuses."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx
import pytest
from places import ROOT
from triton_engines import features_manifest, plan, profile, snippet_engine

from wsgn.engines.kernels.bundle import read_bundle
from wsgn.errors import EngineError, MissingExtraError, OutputError, UsageError
from wsgn.export.to_cubin import main
from wsgn.manifest import METADATA_KEY


@pytest.fixture
def compiler() -> None:
    """A Triton that compiles, or a skip."""
    pytest.importorskip("triton", reason="Triton is not installed (it exists for Linux only)")
    if os.environ.get("TRITON_INTERPRET") == "1":
        pytest.skip("the interpreter compiles nothing")


def with_selection(path: Path, **changes: Any) -> Path:
    """A snippet engine whose manifest has another selection rule."""
    document = onnx.load(str(snippet_engine(path)))
    manifest = features_manifest("snippet")
    changed = replace(manifest, selection=replace(manifest.selection, **changes))
    onnx.helper.set_model_props(document, {METADATA_KEY: changed.to_json()})
    onnx.save(document, str(path))
    return path


@pytest.mark.usefixtures("compiler")
def test_the_command_writes_what_the_function_compiles(tmp_path: Path) -> None:
    from wsgn.kernels.ahead_of_time.bundle import compile_bundle, options_for, write_bundle

    folder = tmp_path / "out"
    arguments = ["--classes", "20", "--targets", "90", "-o", str(folder)]
    assert main(arguments) == 0
    write_bundle(compile_bundle(options_for(20), [90]), tmp_path / "again")
    names = sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    # The document, and two forms of four kernels.
    assert len(names) == 1 + 2 * 4
    for name in names:
        assert (folder / name).read_bytes() == (tmp_path / "again" / name).read_bytes()
    assert main(arguments) == OutputError.exit_code
    assert main([*arguments, "--overwrite"]) == 0


@pytest.mark.usefixtures("compiler")
def test_the_table_has_a_row_for_each_kernel(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--classes", "20", "--targets", "80,90", "--table"]) == 0
    rows = capsys.readouterr().out.splitlines()
    assert len(rows) == 2 + 2 * 4
    assert len({row.count("|") for row in rows}) == 1


@pytest.mark.usefixtures("compiler")
def test_options_say_what_to_compile_without_an_engine(tmp_path: Path) -> None:
    options = ["--weight-scale", "average", "--gate", "cut", "--class-activation", "sigmoid"]
    folder = tmp_path / "out"
    assert main(["--classes", "3", "--targets", "90", "-o", str(folder), *options]) == 0
    bundle = read_bundle(folder)
    found = (bundle.weight_scale, bundle.gate, bundle.class_activation)
    assert found == ("average", "cut", "sigmoid")


@pytest.mark.usefixtures("compiler")
@pytest.mark.parametrize("kind", ["onnx", "plan"])
def test_an_engine_says_what_to_compile(tmp_path: Path, kind: str) -> None:
    manifest = features_manifest("snippet")
    if kind == "onnx":
        engine = snippet_engine(tmp_path / "w.onnx")
    else:
        shapes = profile("p", features=((1, 4), (8, 4), (32, 4)))
        engine = plan(tmp_path / "w.plan", manifest, shapes)
    code = main(["--engine", str(engine), "--targets", "90", "-o", str(tmp_path / "out")])
    assert code == 0
    read_bundle(tmp_path / "out").check_rule(manifest.selection, len(manifest.classes))


@pytest.mark.usefixtures("compiler")
@pytest.mark.parametrize(
    "selection",
    [{"components": ("temporal_softmax",), "softmax_scale": "soft_gate"}, {"components": ()}],
    ids=["wsgn+", "naive"],
)
def test_an_engine_without_a_kernel_is_refused_and_says_who_scores_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], selection: dict[str, Any]
) -> None:
    engine = with_selection(tmp_path / "w.onnx", **selection)
    code = main(["--engine", str(engine), "-o", str(tmp_path / "out")])
    assert code == EngineError.exit_code
    said = capsys.readouterr().err
    assert f"no kernel for the engine '{engine}'" in said
    assert "score with wsgn.localization.scoring.frame_scores" in said
    assert not (tmp_path / "out").exists()


def test_the_help_says_which_models_have_no_kernel(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    words = " ".join(capsys.readouterr().out.split())
    for word in ("soft_gate", "wsgn+", "naive", "wsgn.localization.scoring.frame_scores"):
        assert word in words


@pytest.mark.usefixtures("compiler")
def test_a_folder_with_sources_is_refused_before_anything_is_compiled(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from wsgn.kernels.ahead_of_time import bundle

    monkeypatch.setattr(bundle, "compile_bundle", lambda *_: pytest.fail("compiled"))
    (tmp_path / "selection.py").touch()
    assert main(["--classes", "20", "-o", str(tmp_path), "--overwrite"]) == OutputError.exit_code
    assert "holds other files (selection.py)" in capsys.readouterr().err


def bad_engine(folder: Path, kind: str) -> Path:
    path = folder / ("w.plan" if kind == "a missing plan" else "w.onnx")
    if kind == "a film":
        path.write_bytes(b"\x00\x00\x00\x20ftypisom" * 9)
    elif kind == "cut off":
        whole = snippet_engine(path).read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
    elif kind == "a folder":
        path.mkdir()
    elif kind == "without a manifest":
        document = onnx.load(str(snippet_engine(path)))
        del document.metadata_props[:]
        onnx.save(document, str(path))
    return path


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("missing", "does not exist: check its path"),
        ("a missing plan", "does not exist: check its path"),
        ("a film", "is not an ONNX file: give a file made by export/to_onnx.py"),
        ("cut off", "is truncated or damaged: copy or export it again"),
        ("a folder", "is a directory: give the .onnx file"),
        ("without a manifest", "has no manifest"),
    ],
)
def test_what_is_no_engine_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str, words: str
) -> None:
    arguments = ["--engine", str(bad_engine(tmp_path, kind)), "-o", str(tmp_path / "out")]
    assert main(arguments) == EngineError.exit_code
    (line,) = capsys.readouterr().err.splitlines()
    assert words in line


@pytest.mark.usefixtures("compiler")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--classes", "20"], "nothing to do"),
        (["--classes", "257", "--table"], "1 to 256 classes, got 257"),
        (["--classes", "20", "--table", "--gate", "product"], "of the weight_scale average alone"),
        (["--classes", "20", "--table", "--targets", "75"], "some of 80,86"),
        (["--engine", "no.plan", "--table", "--softmax-scale", "max_one"], "--softmax-scale"),
    ],
)
def test_wrong_arguments_are_one_sentence(
    capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert main(arguments) == UsageError.exit_code
    assert said in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize("start", [["export/to_cubin.py"], ["-m", "wsgn.export.to_cubin"]])
@pytest.mark.parametrize(
    ("missing", "arguments", "extra"),
    [
        ("torch", ["--classes", "20"], "train"),
        ("triton", ["--classes", "20"], "train"),
        ("onnx", ["--engine", "runtime/demo/demo.onnx"], "export"),
    ],
)
def test_a_missing_extra_is_one_sentence(
    tmp_path: Path, start: list[str], missing: str, arguments: list[str], extra: str
) -> None:
    # Found before the installed one.
    absent = f"raise ModuleNotFoundError('No module named {missing}', name='{missing}')\n"
    (tmp_path / f"{missing}.py").write_text(absent)
    done = subprocess.run(
        [sys.executable, *start, *arguments, "-o", str(tmp_path / "out")],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == MissingExtraError.exit_code
    (line,) = done.stderr.splitlines()
    assert line.endswith(f"pip install 'wsgn[{extra}]'.")
