"""What is said of files at addresses names these, and never their copies on this disk."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest
from object_store import ObjectStore

from wsgn.remote.cache import local_copy
from wsgn.remote.mirror import RemoteMirror
from wsgn.remote.store import RemoteError

RESULTS = {"version": "x", "results": {"v": [{"label": "a", "score": 0.5, "segment": [0, 1]}]}}
ANNOTATED = {"subset": "test", "duration": 10, "annotations": [{"label": "a", "segment": [0, 1]}]}
EVALUATE = "--truth s3://lake/t.json --protocol activitynet"

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(object_store: ObjectStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Call:
    """Runs a command that never names a copy; its exit code, stdout and stderr."""

    def run(module: str, line: str) -> tuple[int, str, str]:
        code = import_module(f"wsgn.{module}").main(line.split())
        said = capsys.readouterr()
        assert str(tmp_path / "copies") not in said.out + said.err
        assert "Traceback" not in said.err
        return code, said.out, said.err

    for name in ("one", "two"):
        object_store.put("lake", f"{name}/detections.json", json.dumps(RESULTS).encode())
    truth = json.dumps({"database": {"v": ANNOTATED}}).encode()
    object_store.put("lake", "t.json", truth)
    object_store.put("lake", "broken.json", b"{")
    object_store.put("lake", "broken.onnx", b"{")
    return run


def test_rows_are_named_by_their_addresses(call: Call) -> None:
    files = [f"s3://lake/{name}/detections.json" for name in ("one", "two")]
    code, out, _ = call("metrics.cli", f"{' '.join(files)} {EVALUATE}")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()[2:]] == ["one", "two"]
    code, out, _ = call("metrics.cli", f"{' '.join(files)} {EVALUATE} --json")
    rows = json.loads(out)["rows"]
    assert [(row["name"], row["files"]) for row in rows] == [
        ("one", files[:1]),
        ("two", files[1:]),
    ]


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("metrics.cli", f"s3://lake/broken.json {EVALUATE}"),
        ("metrics.cli", "s3://lake/one/detections.json --truth s3://lake/broken.json"),
        ("runtime.cli.main", "report s3://lake/broken.json -o {out}"),
        ("weights.cli", "check s3://lake/broken.onnx"),
        ("extraction.cli", "a.mp4 --backbone onnx:s3://lake/broken.onnx -o {out}"),
        ("runtime.cli.main", "a.mp4 --engine s3://lake/broken.onnx"),
        ("training.cli", "s3://lake/broken.json --features f -o {out}"),
    ],
)
def test_what_is_damaged_is_named_by_its_address(
    call: Call, tmp_path: Path, module: str, line: str
) -> None:
    code, _, err = call(module, line.replace("{out}", str(tmp_path / "out")))
    assert code in (3, 5)
    assert "s3://lake/broken." in err


def test_a_name_beside_may_be_one_that_only_lists_tell_of(object_store: ObjectStore) -> None:
    """Who may not list a bucket gets 403 for what is not there."""
    address = object_store.put("lake", "m.plan", b"plan")
    object_store.fault = lambda method, path: 403 if path.endswith(".json") else None
    assert local_copy(address, beside=("m.plan.json",)).read_bytes() == b"plan"


@pytest.mark.parametrize("way", ["copy", "fetch"])
def test_a_file_that_is_replaced_while_it_comes_is_not_mixed(
    object_store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    monkeypatch.setattr("wsgn.remote.cache._CHUNK_BYTES", 1_000)
    address = object_store.put("lake", "f/last.safetensors", bytes(3_000))

    def replaced(method: str, path: str) -> None:
        if len(object_store.asked("GET", "last.safetensors")) == 1:
            object_store.put("lake", "f/last.safetensors", b"x" * 3_000)

    object_store.fault = replaced
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    mirror = RemoteMirror("s3://lake/f", whole=True)
    fetch = {
        "copy": lambda: local_copy(address),
        "fetch": lambda: mirror.fetch("last.safetensors", tmp_path / "last"),
    }
    with pytest.raises(RemoteError, match=r"last\.safetensors has changed while it was copied"):
        fetch[way]()
    mirror.close()
