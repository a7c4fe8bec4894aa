"""Work that processes share out, on files of a store: what one process writes on this disk."""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import planted
import pytest
from object_store import ObjectStore
from places import ROOT
from ray_nodes import two_nodes

NAMES = ("a", "b", "c")


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    folder = tmp_path / "videos"
    for number, name in enumerate(NAMES, 1):
        (folder / name).mkdir(parents=True)
        planted.write_video(folder / name / "v.mp4", (("green", float(number)), ("black", 1.0)))
    return folder


@pytest.fixture
def stored(object_store: ObjectStore, videos: Path) -> ObjectStore:
    """The videos in `films`, and an empty bucket `found`."""
    for path in sorted(videos.rglob("*.mp4")):
        object_store.put("films", f"day/{path.relative_to(videos)}", path.read_bytes())
    object_store.bucket("found")
    return object_store


def call(module: str, *words: object) -> int:
    code: int = import_module(f"wsgn.{module}").main([str(word) for word in words])
    return code


def require_same(store: ObjectStore, folder: Path) -> None:
    """Everything in `found` below `out/`, byte for byte what the folder has, and no more."""
    here = {
        f"out/{path.relative_to(folder).as_posix()}": path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }
    assert len(here) >= len(NAMES)
    assert store.keys("found") == sorted(here)
    for name, data in here.items():
        assert store.get("found", name) == data, name
    assert store.unfinished("found") == []


def test_features_of_two_processes(
    stored: ObjectStore,
    videos: Path,
    temporary: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    options = ("--backbone", "motion", "--threads", 1, "-q")
    assert call("extraction.cli", videos, "-o", tmp_path / "out", *options) == 0
    there = ("s3://films/day/", "-o", "s3://found/out", *options, "--processes", 2)
    assert call("extraction.cli", *there) == 0, capsys.readouterr().err
    require_same(stored, tmp_path / "out")
    assert list(temporary.iterdir()) == []
    # What is there is not done again.
    stored.requests.clear()
    assert call("extraction.cli", *there) == 0
    assert stored.asked("PUT") == []
    assert "3 already there" in capsys.readouterr().out


@pytest.fixture
def ray_address(stored: ObjectStore) -> Iterator[str]:
    """A cluster of two machines, which know the store as this one does."""
    pytest.importorskip("ray", reason="Ray has no wheel for this Python")
    with two_nodes(os.pathsep.join((str(ROOT / "tests"), str(ROOT)))) as nodes:
        yield nodes.address


def test_a_ray_cluster(
    stored: ObjectStore,
    videos: Path,
    temporary: Path,
    tmp_path: Path,
    ray_address: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    engine = planted.write_engine(tmp_path / "e.onnx")
    address = stored.put("films", "e.onnx", engine.read_bytes())
    options = ("-f", "jsonl,json,csv", "--threads", 1)
    out = tmp_path / "out"
    assert call("runtime.cli.main", videos, "-e", engine, "-o", out, *options) == 0
    capsys.readouterr()
    there = ("s3://films/day/", "-e", address, "-o", "s3://found/out", *options)
    assert call("runtime.cli.main", *there, "--ray", ray_address) == 0, capsys.readouterr().err
    said = capsys.readouterr()
    assert "s3://films/day/a/v.mp4" in said.out
    assert str(temporary) not in said.out + said.err
    for path in out.rglob("*.jsonl"):
        # Lines name where a video was read.
        text = path.read_text().replace(f"{videos}/", "s3://films/day/")
        path.write_text(text)
    require_same(stored, out)
    assert [path for path in temporary.iterdir() if "wsgn" in path.name] == []
