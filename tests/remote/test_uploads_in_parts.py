"""Uploads in several parts that break in the middle: no object, and no parts that a store keeps."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from object_store import SECRET, ObjectStore

from wsgn.features.cli import main
from wsgn.features.file import write_feature_file
from wsgn.manifest import Sampling

# Bytes; s3fs has 50 MB, and takes parts for twice that.
PART = 4_000
SHARD = "f/features-000000.tar"
SAMPLING = Sampling(frame_rate=25.0, snippet_length=16, snippet_stride=16)
# Of a request by its method and number: the server's answer in its place.
Break = Callable[[str, int], int | None]


@pytest.fixture
def words(
    object_store: ObjectStore, temporary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> list[str]:
    """A command whose tar file is uploaded in three parts."""
    monkeypatch.setattr("s3fs.core.calculate_chunksize", lambda size, chunksize=None: PART)
    # The least that a store takes for a part but the last.
    monkeypatch.setattr("moto.s3.models.S3_UPLOAD_PART_MIN_SIZE", PART)
    values = np.random.default_rng(0).normal(size=(2, 40, 16)).astype(np.float32)
    for name, features in zip(("a", "b"), values, strict=True):
        write_feature_file(tmp_path / "files" / f"{name}.safetensors", features, SAMPLING)
    object_store.bucket("feats")
    return [str(tmp_path / "files"), "-o", "s3://feats/f", "--pack", "1GB", "-q"]


def broken(store: ObjectStore, at: Break) -> None:
    """Let requests that are about the tar file go wrong."""
    counts: dict[str, int] = {}

    def fault(method: str, path: str) -> int | None:
        if not path.endswith(SHARD):
            return None
        counts[method] = counts.get(method, 0) + 1
        return at(method, counts[method])

    store.fault = fault


def test_it_comes_in_parts(object_store: ObjectStore, words: list[str]) -> None:
    assert main(words) == 0
    assert [one.method for one in object_store.asked("PUT", SHARD)] == ["PUT"] * 3
    assert len(object_store.get("feats", SHARD)) > 2 * PART
    assert object_store.unfinished("feats") == []


@pytest.mark.parametrize("fault", [403, 500, 503, 0])
@pytest.mark.parametrize(
    "at",
    [("POST", 1), ("PUT", 1), ("PUT", 2), ("PUT", 3), ("POST", 2)],
    ids=["begin", "first part", "second part", "last part", "end"],
)
def test_a_part_that_fails_leaves_nothing(
    object_store: ObjectStore,
    words: list[str],
    temporary: Path,
    capsys: pytest.CaptureFixture[str],
    at: tuple[str, int],
    fault: int,
) -> None:
    # From then on: a client asks again by itself where a connection was closed.
    broken(
        object_store,
        lambda method, number: fault if method == at[0] and number >= at[1] else None,
    )
    assert main(words) == 6
    said = capsys.readouterr().err
    assert f"wsgn-convert: s3://feats/{SHARD} cannot be written" in said.splitlines()[-1]
    assert "Traceback" not in said
    assert SECRET not in said
    assert object_store.keys("feats") == []
    assert object_store.unfinished("feats") == []
    assert list(temporary.iterdir()) == []
    object_store.fault = None
    assert main(words) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_waits_for_the_last_part(
    object_store: ObjectStore, words: list[str], temporary: Path, number: signal.Signals
) -> None:
    broken(
        object_store,
        lambda method, n: os.kill(os.getpid(), number) if (method, n) == ("PUT", 2) else None,
    )
    assert main(words) == 128 + number
    assert object_store.keys("feats") == [SHARD]
    assert object_store.unfinished("feats") == []
    assert list(temporary.iterdir()) == []
    object_store.fault = None
    assert main(words) == 0
