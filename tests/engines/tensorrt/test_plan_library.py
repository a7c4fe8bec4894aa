"""Finding and loading TensorRT: what is missing is said in one sentence."""

from __future__ import annotations

import functools
import importlib
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from wsgn.engines.tensorrt import library
from wsgn.engines.tensorrt.library import LibraryLog, LogLine, installed_libraries, load_library
from wsgn.errors import EngineError

NAMES = ("tensorrt", "tensorrt_bindings", "tensorrt_rtx", "tensorrt_rtx_bindings")
WORKING = """
__version__ = "11.4.0.106"
class ILogger:
    pass
"""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of packages, in which nothing of TensorRT is installed yet."""
    others = [place for place in sys.path if not _holds_tensorrt(Path(place))]
    monkeypatch.setattr(sys, "path", [str(tmp_path), *others])
    for name in list(sys.modules):
        if name.partition(".")[0] in NAMES:
            monkeypatch.delitem(sys.modules, name)
    # What is loaded for good in this process stays as it is.
    monkeypatch.setattr(library, "_load", functools.cache(library._load.__wrapped__))
    importlib.invalidate_caches()
    yield tmp_path
    for name in NAMES:
        sys.modules.pop(name, None)


def _holds_tensorrt(place: Path) -> bool:
    return any((place / name).exists() for name in NAMES)


def install(site: Path, name: str, source: str) -> None:
    (site / f"{name}.py").write_text(source)
    importlib.invalidate_caches()


def test_nothing_is_installed(site: Path) -> None:
    assert installed_libraries() == ()
    with pytest.raises(EngineError, match="neither TensorRT nor TensorRT-RTX is installed"):
        load_library()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("tensorrt", r"^TensorRT is not installed: pip install 'wsgn\[tensorrt\]'\.$"),
        ("tensorrt_rtx", r"^TensorRT-RTX is not installed: pip install tensorrt_rtx\.$"),
        ("openvino", "must be tensorrt or tensorrt_rtx, got 'openvino'"),
    ],
)
def test_a_library_that_is_not_there_is_named(site: Path, name: str, words: str) -> None:
    with pytest.raises(EngineError, match=words):
        load_library(name)


def test_full_tensorrt_comes_first(site: Path) -> None:
    for name in ("tensorrt_rtx_bindings", "tensorrt"):
        install(site, name, WORKING)
    assert installed_libraries() == ("tensorrt", "tensorrt_rtx")
    assert load_library().title == "TensorRT 11.4.0.106"
    assert load_library("tensorrt_rtx").title == "TensorRT-RTX 11.4.0.106"


def test_the_package_comes_before_its_bindings(site: Path) -> None:
    install(site, "tensorrt_bindings", WORKING)
    assert load_library("tensorrt").module.__name__ == "tensorrt_bindings"
    library._load.cache_clear()
    install(site, "tensorrt", WORKING)
    assert load_library("tensorrt").module.__name__ == "tensorrt"


def test_a_folder_of_that_name_is_no_library(site: Path) -> None:
    (site / "tensorrt").mkdir()
    assert installed_libraries() == ()


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (
            "raise ImportError('libnvinfer.so.11: cannot open shared object file: No such file')",
            r"installed without its library libnvinfer\.so\.11: put the folder",
        ),
        ("raise ImportError('undefined symbol: x')", r"cannot be loaded \(undefined symbol: x\)"),
        ("raise OSError()", r"cannot be loaded \(OSError\): install it again"),
        ("import nothing_of_this_name", "No module named 'nothing_of_this_name'"),
        ("x = 1", "the module 'tensorrt' is not TensorRT"),
    ],
)
def test_a_broken_library_is_an_error_and_is_not_passed_over(
    site: Path, source: str, words: str
) -> None:
    install(site, "tensorrt", source)
    install(site, "tensorrt_rtx", WORKING)
    with pytest.raises(EngineError, match=words):
        load_library()


def test_lines_go_to_whoever_listens(site: Path) -> None:
    install(site, "tensorrt", WORKING)
    loaded = load_library()
    assert load_library() is loaded

    def write(severity: str, text: str) -> None:
        loaded.logger.log(SimpleNamespace(name=severity), text)

    write("ERROR", "before")
    with loaded.collected() as outer:
        write("WARNING", "only\n  outer")
        with loaded.collected() as inner:
            write("ERROR", "both")
        write("ERROR", "again outer")
    write("ERROR", "after")
    assert inner.lines == [LogLine(severity="ERROR", text="both")]
    assert [line.text for line in outer.lines] == ["only outer", "both", "again outer"]
    assert outer.texts("WARNING") == ("only outer",)


def test_the_words_of_a_failure() -> None:
    log = LibraryLog()
    assert log.errors() == "the library gave no reason"
    for severity, text in (
        ("WARNING", "a"),
        ("ERROR", "b"),
        ("ERROR", "b"),
        ("INTERNAL_ERROR", "c"),
    ):
        log.lines.append(LogLine(severity=severity, text=text))
    assert log.errors() == "b"


def test_the_words_of_a_failure_are_few_and_without_source_lines() -> None:
    # As TensorRT-RTX 1.7.1 wrote it for --workspace-mb 1.
    written = (
        "IBuilder::buildSerializedNetwork: Error Code 1: Myelin ([tactic.cpp:1676: "
        "enumerate_tactics] Tactic Selection: no tactics to implement the operation within "
        "workspace limit. Consider increase the allowed workspace size if applicable.; "
        "[tactic.cpp:264: run] Error during tactic selection. In compileGraph at "
        "/_src/optimizer/myelin/codeGenerator.cpp:2012)"
    )
    log = LibraryLog(lines=[LogLine(severity="ERROR", text=written)])
    assert log.errors() == (
        "Tactic Selection: no tactics to implement the operation within workspace limit. Consider "
        "increase the allowed workspace size if applicable"
    )
    long = LibraryLog(lines=[LogLine(severity="ERROR", text="word " * 100)])
    assert len(long.errors()) == 200


def test_a_signal_waits_while_the_library_is_listened_to(site: Path) -> None:
    install(site, "tensorrt", WORKING)
    loaded = load_library()
    reached: list[str] = []

    def listen() -> None:
        with loaded.collected():
            signal.raise_signal(signal.SIGINT)
            reached.append("the end")

    with pytest.raises(KeyboardInterrupt):
        listen()
    assert reached == ["the end"]


def test_an_interrupted_import_is_no_broken_library(site: Path) -> None:
    # What pybind11 makes of a KeyboardInterrupt in the initialization of a module.
    source = (
        "import signal\ntry:\n    signal.raise_signal(signal.SIGINT)\n"
        "except KeyboardInterrupt as error:\n"
        "    raise ImportError('initialization failed') from error\n"
    )
    install(site, "tensorrt", source + WORKING)
    with pytest.raises(KeyboardInterrupt):
        load_library()


def test_tensorrt_rtx_itself_is_loaded_and_heard() -> None:
    pytest.importorskip("tensorrt_rtx_bindings", reason="needs pip install tensorrt_rtx")
    loaded = load_library("tensorrt_rtx")
    with loaded.collected() as log:
        builder = loaded.module.Builder(loaded.logger)
        network = builder.create_network(0)
        parser = loaded.module.OnnxParser(network, loaded.logger)
        assert not parser.parse(b"no document")
    assert "MODEL_DESERIALIZE_FAILED" in log.errors()


def test_nothing_is_loaded_at_import() -> None:
    program = (
        "import sys; import wsgn.engines.tensorrt.library as library; "
        "library.installed_libraries(); "
        "print([n for n in sys.modules if 'tensorrt' in n.partition('.')[0]])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
