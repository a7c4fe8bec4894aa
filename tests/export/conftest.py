"""The part of an export that is PyTorch's, done once for each network of a test run."""

from __future__ import annotations

import hashlib
import io
import os
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import onnx
import pytest
import torch

_EXPORT = torch.onnx.export


@pytest.fixture(scope="session", autouse=True)
def _exported_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let `torch.onnx.export` give again what it gave for a network before, in any process.

    It takes seconds, and many tests need the same few networks. A test that is about the export
    itself asks for `fresh_exports`.
    """
    base = tmp_path_factory.getbasetemp()
    # pytest-xdist gives each worker a folder of its own in one that they share.
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "exported_networks"
    folder.mkdir(exist_ok=True)
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(torch.onnx, "export", _remembering(folder))
        yield


@pytest.fixture
def fresh_exports(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing that was exported before is used again."""
    monkeypatch.setattr(torch.onnx, "export", _EXPORT)


def _remembering(folder: Path) -> Callable[..., Any]:
    def export(network: torch.nn.Module, examples: tuple[Any, ...], **options: Any) -> Any:
        content = _content((network, examples)) + repr(sorted(options.items())).encode()
        path = folder / hashlib.sha256(content).hexdigest()
        if not path.exists():
            document = _EXPORT(network, examples, **options).model_proto
            written = path.with_suffix(f".{os.getpid()}")
            written.write_bytes(document.SerializeToString())
            written.rename(path)
        return SimpleNamespace(model_proto=onnx.load_model_from_string(path.read_bytes()))

    return export


def _content(value: object) -> bytes:
    """All that a network consists of, its weights included; equal networks give equal bytes."""

    class Pickler(pickle.Pickler):
        def reducer_override(self, part: object) -> Any:
            if not isinstance(part, torch.Tensor):
                return NotImplemented
            # PyTorch's own pickles hold addresses.
            numbers = part.detach().cpu().contiguous().numpy().tobytes()
            return torch.tensor, (numbers, str(part.dtype), tuple(part.shape))

    file = io.BytesIO()
    pickler = Pickler(file)
    # Without references back to what came before: equal parts need not be the same one.
    pickler.fast = True
    pickler.dump(value)
    return file.getvalue()
