"""Planted engine and videos, made once."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import planted
import pytest
from object_store import _server, object_store, temporary  # noqa: F401
from outcomes import Outcome, Run
from places import ROOT

from wsgn.runtime.cli.main import main

RunCommand = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def engine_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The planted engine."""
    return planted.write_engine(tmp_path_factory.mktemp("engine") / "planted.onnx")


@pytest.fixture(scope="session")
def video_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The planted video with `planted.SEGMENTS`."""
    return planted.write_video(tmp_path_factory.mktemp("video") / "planted.mp4")


@pytest.fixture(scope="session")
def command() -> list[str]:
    """`wsgn-run` of this checkout as a command line."""
    code = "import sys; from wsgn.runtime.cli.main import main; sys.exit(main())"
    return [sys.executable, "-c", code]


@pytest.fixture(scope="session")
def environment() -> dict[str, str]:
    """An environment in which that command finds this checkout."""
    root = str(ROOT)
    return os.environ | {"PYTHONPATH": root}


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], engine_path: Path) -> Run:
    """Run the command in this process."""

    def run_once(*arguments: object, engine: Path = engine_path) -> Outcome:
        code = main([*map(str, arguments), "-e", str(engine)])
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return Outcome(code, captured.out, captured.err)

    return run_once
