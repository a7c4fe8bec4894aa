"""A run over files of a store and into one: results as on this disk, and its requests."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import planted
import pytest
from contents import contents
from object_store import SECRET, ObjectStore
from outcomes import Run

from wsgn.remote.reading import BLOCK_BYTES
from wsgn.runtime.cli.main import main

pytestmark = pytest.mark.usefixtures("temporary")
FORMATS = "jsonl,json,csv"


@pytest.fixture(scope="session")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Short videos in two folders, two of one name, and something else."""
    # Names of results have as much of a place as tells them apart: here and there the same.
    folder = tmp_path_factory.mktemp("stored") / "day"
    (folder / "deep").mkdir(parents=True)
    scenes: dict[str, Sequence[str]] = {
        "a.mp4": ("green", "black"),
        "b.mp4": ("black", "green", "black"),
        "deep/a.mp4": ("red", "black"),
    }
    for name, colours in scenes.items():
        planted.write_video(folder / name, tuple((one, 1.5) for one in colours))
    (folder / "notes.md").write_text("no video")
    return folder


def stored(store: ObjectStore, folder: Path) -> None:
    """Put the files of a folder into the bucket `films`, below `day/`."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            name = path.relative_to(folder).as_posix()
            store.put("films", f"day/{name}", path.read_bytes())


def test_a_run_over_a_store_and_into_one_is_that_on_this_disk(
    run: Run, videos: Path, object_store: ObjectStore, tmp_path: Path, temporary: Path
) -> None:
    stored(object_store, videos)
    # Of an empty folder the client asks once more whether it is a file.
    object_store.put("found", "run/1/kept.txt", b"kept")
    local = run(videos, "-o", tmp_path / "out", "-f", FORMATS)
    remote = run("s3://films/day/", "-o", "s3://found/run/1", "-f", FORMATS)
    assert (local.code, remote.code) == (0, 0)
    assert "left out: 1 file that does not look like a video (.md 1)" in remote.err
    expected = contents(tmp_path / "out")
    assert object_store.keys("found") == sorted(f"run/1/{name}" for name in (*expected, "kept.txt"))
    for name, data in expected.items():
        if not name.endswith(".jsonl"):
            assert object_store.get("found", f"run/1/{name}") == data
    # One listing of each folder; of each video its bytes, once; of each result one request.
    reads = object_store.asked("GET", ".mp4")
    assert sorted(one.num_bytes for one in reads) == sorted(
        path.stat().st_size for path in videos.rglob("*.mp4")
    )
    assert len(object_store.asked("GET", "films")) == len(object_store.asked("GET", "found")) == 1
    assert len(object_store.asked("PUT")) == len(expected)
    assert list(temporary.iterdir()) == []


def test_what_is_there_is_kept_refused_or_replaced(
    run: Run, videos: Path, object_store: ObjectStore
) -> None:
    stored(object_store, videos)
    object_store.bucket("found")
    whole = ("s3://films/day/", "-o", "s3://found", "-f", FORMATS)
    run(whole[0], *whole[1:])
    first = {key: object_store.get("found", key) for key in object_store.keys("found")}
    refused = run(*whole)
    assert refused.code == 6
    assert "'s3://found/a.jsonl' and 10 more exist already" in refused.err
    object_store.client.delete_object(Bucket="found", Key="b.csv")
    object_store.requests.clear()
    assert run(*whole, "--resume").code == 0
    # The one that lacked a file, and the documents of all.
    assert len(object_store.asked("GET", ".mp4")) == 1
    assert len(object_store.asked("PUT")) == 3 + 2
    assert len(object_store.asked("GET", "found")) == 1
    assert run(*whole, "--overwrite").code == 0
    again = {key: object_store.get("found", key) for key in object_store.keys("found")}
    assert again == first


def test_shards_are_merged_where_they_are(
    run: Run, videos: Path, object_store: ObjectStore, tmp_path: Path
) -> None:
    object_store.bucket("found")
    run(videos, "-o", tmp_path / "one", "-f", "json,csv,html")
    for shard in ("1/2", "2/2"):
        options = ("-f", "json,csv,html", "--shard", shard)
        assert run(videos, "-o", "s3://found/x", *options).code == 0
    assert main(["merge", "s3://found/x"]) == 0
    for name in ("detections.json", "detections.csv"):
        assert object_store.get("found", f"x/{name}") == (tmp_path / "one" / name).read_bytes()
    assert b"deep/a" in object_store.get("found", "x/index.html")
    assert main(["merge", "s3://found/x"]) == 6


def test_sources_that_cannot_be_read_cost_themselves(
    run: Run, videos: Path, object_store: ObjectStore
) -> None:
    stored(object_store, videos)

    def fault(method: str, path: str) -> int | None:
        return 403 if path.endswith("day/b.mp4") else None

    object_store.fault = fault
    names = ("day/a.mp4", "day/b.mp4", "day/none.mp4", "day/notes.md")
    out = run(*(f"s3://films/{name}" for name in names), "s3://no-bucket/x/", "s3://films/empty/")
    assert out.code == 4
    assert len(out.of_type("end")) == 6
    for sentence in (
        "no permission to read s3://films/day/b.mp4",
        "there is no s3://films/day/none.mp4",
        "s3://films/day/notes.md is not a video",
        "there is no s3://no-bucket/x/",
        "there is no s3://films/empty/, and no file in it",
    ):
        assert sentence in out.err
    assert SECRET not in out.err


def test_lists_patterns_and_engines_may_lie_in_a_store(
    run: Run, videos: Path, object_store: ObjectStore, engine_path: Path
) -> None:
    stored(object_store, videos)
    object_store.put("films", "day/some.txt", b"# two\na.mp4\ns3://films/day/deep/a.mp4\n")
    object_store.put("films", "engine.onnx", engine_path.read_bytes())
    listed = run("s3://films/day/some.txt")
    assert [one["source"] for one in listed.of_type("source")] == [
        "s3://films/day/a.mp4",
        "s3://films/day/deep/a.mp4",
    ]
    matched = run("s3://films/day/*.mp4")
    assert len(matched.of_type("source")) == 2
    for _ in range(2):
        assert main(["s3://films/day/a.mp4", "-e", "s3://films/engine.onnx"]) == 0
    assert len(object_store.asked("GET", "engine.onnx")) == 1
    assert main(["s3://films/day/a.mp4", "-e", "s3://films/other.onnx"]) == 3


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A film of noise, of 12 s and as many megabytes."""
    path = tmp_path_factory.mktemp("large") / "noise.mp4"
    noise = np.random.default_rng(0)
    with av.open(path, "w") as container:
        stream = container.add_stream("mjpeg", rate=10, options={"q": "2"})
        stream.width, stream.height, stream.pix_fmt = 640, 480, "yuvj420p"
        stream.codec_context.time_base = Fraction(1, 10)
        for _ in range(120):
            picture = noise.integers(0, 256, (480, 640, 3), dtype=np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path.read_bytes()


def test_a_part_costs_what_it_holds(run: Run, large: bytes, object_store: ObjectStore) -> None:
    address = object_store.put("films", "noise.mp4", large)
    assert len(large) > 7 * BLOCK_BYTES
    assert run(address).code == 0
    whole = [one.num_bytes for one in object_store.asked("GET", "noise.mp4")]
    assert sum(whole) == len(large)
    assert len(whole) == -(-len(large) // BLOCK_BYTES)
    object_store.requests.clear()
    assert run(address, "--start", "9", "--end", "10").code == 0
    part = [one.num_bytes for one in object_store.asked("GET", "noise.mp4")]
    # The beginning, the index at the end, and the blocks that hold one second of twelve.
    assert sum(part) <= 4 * BLOCK_BYTES


@pytest.mark.parametrize("fault", [500, 0])
def test_a_broken_upload_is_a_sentence_and_leaves_nothing(
    run: Run, videos: Path, object_store: ObjectStore, temporary: Path, fault: int
) -> None:
    object_store.bucket("found")
    object_store.fault = lambda method, path: fault if method == "PUT" else None
    out = run(videos, "-o", "s3://found/run", "-f", "jsonl")
    assert out.code == 6
    assert "s3://found/run/a.jsonl" in out.err
    assert str(temporary) not in out.err
    assert SECRET not in out.err
    assert object_store.keys("found") == []
    assert list(temporary.iterdir()) == []


def test_a_store_that_takes_nothing_says_so_before_the_work(
    run: Run, videos: Path, object_store: ObjectStore, capsys: pytest.CaptureFixture[str]
) -> None:
    out = run(videos, "-o", "s3://no-bucket/run")
    assert (out.code, out.of_type("source")) == (6, [])
    assert "results cannot go to s3://no-bucket/run" in out.err
    for place, sentence in (
        ("ftp://user:hush@server/x", "'ftp://server/x': results are written to object stores only"),
        ("foo://x", "'foo://x': results are written to object stores only"),
    ):
        refused = run(videos, "-o", place)
        assert (refused.code, refused.of_type("source")) == (2, [])
        assert sentence in refused.err
        assert "hush" not in refused.err
    live = run(videos / "a.mp4", "--realtime", "-o", "s3://found/run")
    assert live.code == 2
    assert "files of live sources grow" in live.err
    assert run("s3://films/a.mp4", "--realtime").code == 2


def test_workers_read_and_write_addresses(
    run: Run, videos: Path, object_store: ObjectStore, tmp_path: Path, temporary: Path
) -> None:
    stored(object_store, videos)
    object_store.put("found", "run/kept.txt", b"kept")
    run("s3://films/day/", "-o", tmp_path / "one", "-f", FORMATS, "--threads", 1)
    options = ("-f", FORMATS, "--threads", 1, "--workers", 1)
    shared = run("s3://films/day/", "-o", "s3://found/run", *options)
    assert shared.code == 0, shared.err
    expected = contents(tmp_path / "one")
    names = {f"run/{name}" for name in (*expected, "kept.txt")}
    assert set(object_store.keys("found")) == names
    for name, data in expected.items():
        assert object_store.get("found", f"run/{name}") == data
    # The workers ask for no listing of their own.
    assert len(object_store.asked("GET", "found")) == 1
    assert list(temporary.iterdir()) == []


def test_sigterm_in_an_upload_ends_in_order(
    videos: Path,
    engine_path: Path,
    command: list[str],
    environment: dict[str, str],
    object_store: ObjectStore,
    temporary: Path,
) -> None:
    object_store.bucket("found")
    words = [*command, str(videos), "-e", str(engine_path), "-o", "s3://found/run"]
    variables = environment | dict(os.environ) | {"TMPDIR": str(temporary)}
    with subprocess.Popen(
        words,
        env=variables | {"PYTHONPATH": environment["PYTHONPATH"]},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:

        def stop(method: str, path: str) -> None:
            if method == "PUT":
                process.send_signal(signal.SIGTERM)

        object_store.fault = stop
        _, err = process.communicate()
    assert process.returncode == 128 + signal.SIGTERM
    assert "Traceback" not in err
    # Each is there whole or not at all; what was begun was brought to its end.
    keys = object_store.keys("found")
    assert keys
    assert all(object_store.get("found", key).endswith(b"}\n") for key in keys)
    assert object_store.unfinished("found") == []
    assert list(temporary.iterdir()) == []
