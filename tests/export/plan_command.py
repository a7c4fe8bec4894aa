"""The command with TensorRT-RTX on a machine without a GPU, wherever the tests run."""

from __future__ import annotations

from pathlib import Path

import pytest

from wsgn.errors import EngineError
from wsgn.export.plan import target as plan_target
from wsgn.export.to_tensorrt import main


def without_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the command find no driver."""

    def missing() -> None:
        raise EngineError("no NVIDIA driver was found (libcuda.so.1 cannot be loaded): buy one.")

    monkeypatch.setattr(plan_target, "probe_driver", missing)


def require_rtx() -> None:
    """Skip where TensorRT-RTX is not installed."""
    pytest.importorskip("tensorrt_rtx_bindings", reason="needs pip install tensorrt_rtx")


def build(engine: Path, *more: str, name: str = "m.plan") -> tuple[int, Path]:
    """The exit code and the path of the plan."""
    plan = engine.parent / name
    return main([str(engine), "-o", str(plan), "--library", "tensorrt_rtx", *more]), plan
