"""`wsgn-convert --pack`: tar files that any tar reads, and an index that saves reading them."""

from __future__ import annotations

import json
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from contents import contents
from layouts_on_disk import NAMES, SAMPLING, random_features, write_npy, write_safetensors

from wsgn.errors import InputError
from wsgn.features import npy_file
from wsgn.features.cli import main
from wsgn.features.file import write_feature_file
from wsgn.features.layouts import open_features

INDEX = "features.index.json"
# Of the files here one has 512 bytes or so, and a member 1,024 or 1,536.
SMALL = "2kB"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    return write_safetensors(folder, random_features())


def pack(source: Path, output: Path, *options: str, size: str = "1GB") -> int:
    return main([str(source), "-o", str(output), "--quiet", "--pack", size, *options])


def members(folder: Path) -> dict[str, bytes]:
    """By Python's own reader."""
    found = {}
    for path in sorted(folder.glob("*.tar")):
        with tarfile.open(path, "r:") as archive:
            for one in archive:
                file = archive.extractfile(one)
                assert file is not None
                found[one.name] = file.read()
    return found


def files_of(folder: Path) -> dict[str, bytes]:
    return contents(folder, lambda name: name.endswith(".safetensors"))


def edited(folder: Path, edit: Callable[[dict[str, Any]], None]) -> None:
    document = json.loads((folder / INDEX).read_text())
    edit(document)
    (folder / INDEX).write_text(json.dumps(document))


def test_members_are_the_files_byte_for_byte(source: Path, tmp_path: Path) -> None:
    assert pack(source, tmp_path / "out") == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "features-000000.tar",
        INDEX,
    ]
    assert members(tmp_path / "out") == files_of(source)


def test_the_index_says_where_the_bytes_of_a_file_lie(source: Path, tmp_path: Path) -> None:
    assert pack(source, tmp_path / "out", size=SMALL) == 0
    document = json.loads((tmp_path / "out" / INDEX).read_text())
    assert set(document["files"]) == set(NAMES)
    for name, (shard, offset, size, *_) in document["files"].items():
        tar, num_bytes = document["shards"][shard]
        data = (tmp_path / "out" / tar).read_bytes()
        assert len(data) == num_bytes
        assert data[offset : offset + size] == (source / f"{name}.safetensors").read_bytes()


def test_training_reads_of_packs_what_it_reads_of_files(source: Path, tmp_path: Path) -> None:
    assert pack(source, tmp_path / "out", size=SMALL) == 0
    for path in (tmp_path / "out", tmp_path / "out" / INDEX):
        packed, plain = open_features(path), open_features(source)
        assert packed.layout == "tar"
        assert packed.names == plain.names
        for name in NAMES:
            assert packed.info(name) == plain.info(name)
            np.testing.assert_array_equal(packed.read(name), plain.read(name))
    packed = open_features(tmp_path / "out", streams=("flow",))
    plain = open_features(source, streams=("flow",))
    assert packed.info("video_b") == plain.info("video_b")
    np.testing.assert_array_equal(packed.read("video_b"), plain.read("video_b"))


def test_what_is_known_of_all_videos_costs_no_read_of_a_tar(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert pack(source, tmp_path / "out") == 0
    reader = open_features(tmp_path / "out")

    def refuse(path: Path, *arguments: object) -> None:
        raise AssertionError(path)

    monkeypatch.setattr(npy_file.Path, "open", refuse)
    assert [reader.info(name).num_snippets for name in NAMES] == [3, 4, 5]


def test_packs_have_the_size_that_was_asked_for(source: Path, tmp_path: Path) -> None:
    assert pack(source, tmp_path / "out", size="4kB") == 0
    sizes = [path.stat().st_size for path in sorted((tmp_path / "out").glob("*.tar"))]
    # A member has a header of 512 bytes, a file filled up to 512, and 1,024 bytes end a tar.
    assert len(sizes) == 2
    assert max(sizes) <= 4000
    # A video that is larger by itself is packed all the same.
    assert pack(source, tmp_path / "each", size="1") == 0
    assert len(list((tmp_path / "each").glob("*.tar"))) == len(NAMES)


def test_the_same_features_make_the_same_bytes(source: Path, tmp_path: Path) -> None:
    for name in ("first", "second"):
        assert pack(source, tmp_path / name, size=SMALL) == 0
    assert contents(tmp_path / "first") == contents(tmp_path / "second")


def test_headers_are_those_of_ustar(source: Path, tmp_path: Path) -> None:
    """By POSIX, IEEE Std 1003.1-1988: places in a header, and the sum of its bytes."""
    assert pack(source, tmp_path / "out") == 0
    data = (tmp_path / "out" / "features-000000.tar").read_bytes()
    header = data[:512]
    assert header[:100].rstrip(b"\0") == b"video_a.safetensors"
    assert header[257:265] == b"ustar\x0000"
    assert header[156:157] == b"0"
    size = (source / "video_a.safetensors").stat().st_size
    assert int(header[124:135], 8) == size
    assert int(header[148:154], 8) == sum(header[:148]) + 8 * 32 + sum(header[156:])
    assert int(header[136:147], 8) == 0
    assert len(data) % 512 == 0
    assert data[-1024:] == bytes(1024)


LONG = "ein_sehr_langer_name_" * 9
ODD_NAMES = ("walk/1", "grüße 日本", LONG, f"{'folder_' * 12}/{'name_' * 15}", "a.b.c", "-rf")


@pytest.mark.parametrize("name", ODD_NAMES)
def test_names_of_every_kind_are_found(tmp_path: Path, name: str) -> None:
    values = np.ones((3, 2), dtype=np.float32)
    write_feature_file(tmp_path / "source" / f"{name}.safetensors", values, SAMPLING)
    assert pack(tmp_path / "source", tmp_path / "out") == 0
    assert members(tmp_path / "out") == files_of(tmp_path / "source")
    reader = open_features(tmp_path / "out")
    assert reader.names == (name,)
    np.testing.assert_array_equal(reader.read(name), values)


@pytest.mark.skipif(shutil.which("tar") is None, reason="there is no command tar")
def test_gnu_tar_unpacks_them(tmp_path: Path) -> None:
    for name in ODD_NAMES:
        path = tmp_path / "source" / f"{name}.safetensors"
        write_feature_file(path, np.ones((3, 2), dtype=np.float32), SAMPLING)
    assert pack(tmp_path / "source", tmp_path / "out", size=SMALL) == 0
    (tmp_path / "unpacked").mkdir()
    for path in sorted((tmp_path / "out").glob("*.tar")):
        done = subprocess.run(
            ["tar", "-xf", str(path), "-C", str(tmp_path / "unpacked")],
            capture_output=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, b"")
    assert files_of(tmp_path / "unpacked") == files_of(tmp_path / "source")


def test_packs_of_other_programs_are_read(source: Path, tmp_path: Path) -> None:
    """A tar of Python's own, with times and owners, and an index of a few lines."""
    with tarfile.open(tmp_path / "mine.tar", "w", format=tarfile.GNU_FORMAT) as archive:
        for name in NAMES:
            archive.add(source / f"{name}.safetensors", f"{name}.safetensors")
    with tarfile.open(tmp_path / "mine.tar") as archive:
        places = {one.name: (one.offset_data, one.size) for one in archive}
    kind = {
        "frame_rate": 25.0, "snippet_length": 16, "snippet_stride": 16, "feature_size": 12,
        "dtype": "float32", "source": "made",
        "streams": [{"name": "rgb", "size": 6}, {"name": "flow", "size": 6}],
    }  # fmt: skip
    document = {
        "format": "wsgn.features.packed/1",
        "columns": ["shard", "offset", "size", "num_snippets", "duration_seconds", "kind"],
        "shards": [["mine.tar", (tmp_path / "mine.tar").stat().st_size]],
        "kinds": [kind],
        "files": {
            name: [0, *places[f"{name}.safetensors"], index + 3, None, 0]
            for index, name in enumerate(NAMES)
        },
    }
    (tmp_path / INDEX).write_text(json.dumps(document))
    shutil.rmtree(source)
    reader = open_features(tmp_path)
    for name, values in random_features().items():
        np.testing.assert_array_equal(reader.read(name), values)


def entry(name: str, column: int, value: object) -> Callable[[dict[str, Any]], None]:
    def edit(document: dict[str, Any]) -> None:
        document["files"][name][column] = value

    return edit


def key(name: str, value: object) -> Callable[[dict[str, Any]], None]:
    return lambda document: document.__setitem__(name, value)


def swapped(document: dict[str, Any]) -> None:
    files = document["files"]
    files["video_a"][1:3], files["video_b"][1:3] = files["video_b"][1:3], files["video_a"][1:3]


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (key("format", "wsgn.features.packed/2"), "pack the features again"),
        (key("format", None), "format null"),
        (key("columns", ["shard"]), "'columns' must be"),
        (key("shards", [["../evil.tar", 4096]]), "not the name of a tar file"),
        (key("shards", [["features-000000.tar", True]]), "shards"),
        (key("shards", [["features-000000.tar", 512]]), "features-000000.tar, which has 512"),
        (key("shards", [["features-000009.tar", 1 << 40]]), "features-000009.tar is missing"),
        (key("shards", [["features-000000.tar", 1 << 40]]), "where its index says"),
        (key("kinds", []), "no numbers that are possible"),
        (key("kinds", [{"frame_rate": 25}]), "kind"),
        (key("files", {}), "names no videos"),
        (key("files", []), "files"),
        (entry("video_a", 0, 7), "no numbers that are possible"),
        (entry("video_a", 1, 511), "is to lie at 511"),
        (entry("video_a", 1, 1 << 50), "is to lie at"),
        (entry("video_a", 1, -512), "no numbers that are possible"),
        (entry("video_a", 2, 1 << 50), "is to lie at"),
        (entry("video_a", 3, 10**400), "no numbers that are possible"),
        (entry("video_a", 3, 2.5), "no numbers that are possible"),
        (entry("video_a", 4, -1), "duration"),
        (entry("video_a", 1, 1024), "is not where the index says"),
        (entry("video_a", 2, 500), "is not where the index says"),
        (entry("video_a", 3, 99), "is not what the index says of it"),
        (swapped, "is not where the index says"),
        (lambda d: d["files"].__setitem__("../a", d["files"]["video_a"]), "of a file in a tar"),
        (lambda d: d["files"].__setitem__("x", d["files"]["video_a"]), "stands there"),
    ],
)  # fmt: skip
def test_an_index_that_is_wrong_is_one_sentence(
    source: Path, tmp_path: Path, edit: Callable[[dict[str, Any]], None], words: str
) -> None:
    assert pack(source, tmp_path / "out") == 0
    edited(tmp_path / "out", edit)
    with pytest.raises(InputError, match=words):
        read_all(tmp_path / "out")


def read_all(folder: Path) -> None:
    reader = open_features(folder)
    for name in reader.names:
        reader.read(name)


def cut(folder: Path) -> None:
    tar = folder / "features-000000.tar"
    tar.write_bytes(tar.read_bytes()[:-2000])


def overwritten(folder: Path) -> None:
    tar = folder / "features-000000.tar"
    data = bytearray(tar.read_bytes())
    data[100:110] = b"x" * 10
    tar.write_bytes(data)


def twice(folder: Path) -> None:
    text = (folder / INDEX).read_text()
    (folder / INDEX).write_text(text.replace('"video_b": [', '"video_a": [', 1))


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (cut, "where its index says"),
        (overwritten, "no header of a tar file stands before it"),
        (twice, "has the key 'video_a' twice"),
        (lambda folder: (folder / INDEX).unlink(), f"without {INDEX}"),
        (lambda folder: (folder / INDEX).write_text("{"), "is not JSON"),
        (lambda folder: (folder / "features-000000.tar").unlink(), "is missing"),
    ],
)
def test_packs_that_are_damaged_are_one_sentence(
    source: Path, tmp_path: Path, damage: Callable[[Path], None], words: str
) -> None:
    assert pack(source, tmp_path / "out") == 0
    damage(tmp_path / "out")
    with pytest.raises(InputError, match=words):
        read_all(tmp_path / "out")


def test_one_tar_is_no_whole(source: Path, tmp_path: Path) -> None:
    assert pack(source, tmp_path / "out") == 0
    with pytest.raises(InputError, match="give the folder"):
        open_features(tmp_path / "out" / "features-000000.tar")


def test_every_byte_of_a_member_counts(source: Path, tmp_path: Path) -> None:
    """A byte that is wrong is refused, or is one of the values or words that nothing checks."""
    assert pack(source, tmp_path / "out") == 0
    tar = tmp_path / "out" / "features-000000.tar"
    whole = tar.read_bytes()
    expected = open_features(tmp_path / "out").read("video_a")
    num_refused = 0
    for place in range(0, 1024, 3):
        tar.write_bytes(whole[:place] + bytes([whole[place] ^ 0x15]) + whole[place + 1 :])
        try:
            values = open_features(tmp_path / "out").read("video_a")
        except InputError:
            num_refused += 1
        else:
            assert values.shape == expected.shape
    # All of the tar's header that is not empty, and nearly all of the file's own.
    assert num_refused > 250


def test_an_interrupted_run_leaves_no_index_and_is_gone_on_with(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    written: list[str] = []

    def stopping(name: str, size: int) -> bytes:
        if len(written) == 2:
            raise KeyboardInterrupt
        written.append(name)
        return member_header(name, size)

    from wsgn.features.packed import writer

    member_header = writer.member_header
    monkeypatch.setattr(writer, "member_header", stopping)
    assert pack(source, out, size=SMALL) == 130
    assert sorted(path.name for path in out.iterdir()) == [
        "features-000000.tar",
        "features.index.unfinished.json",
    ]
    with pytest.raises(InputError, match="were not packed to the end"):
        open_features(out)
    first = (out / "features-000000.tar").stat().st_ino
    monkeypatch.undo()
    assert pack(source, out, size=SMALL) == 0
    assert (out / "features-000000.tar").stat().st_ino == first
    assert pack(source, tmp_path / "whole", size=SMALL) == 0
    for folder in (out, tmp_path / "whole"):
        assert sorted(path.name for path in folder.iterdir()) == [
            *(f"features-00000{n}.tar" for n in range(3)),
            INDEX,
        ]
    assert files_of(out) == files_of(tmp_path / "whole")


def test_videos_are_added_behind_others(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, late = tmp_path / "out", source / "video_c.safetensors"
    late.rename(tmp_path / "late")
    assert pack(source, out) == 0
    assert pack(source, out) == 0
    assert "0 converted, 2 already there" in capsys.readouterr().out
    (tmp_path / "late").rename(late)
    assert pack(source, out) == 0
    assert "1 converted, 2 already there" in capsys.readouterr().out
    assert members(out) == files_of(source)
    assert open_features(out).names == NAMES


def test_other_features_of_a_video_are_not_put_beside_it(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert pack(source, out, size=SMALL) == 0
    before = contents(out)
    assert pack(source, out, "--dtype", "float16") == 2
    assert "other features of video 'video_a'" in capsys.readouterr().err
    assert contents(out) == before
    assert pack(source, out, "--dtype", "float16", "--overwrite") == 0
    assert open_features(out).info("video_a").dtype == "float16"
    assert [path.name for path in out.glob("*.tar")] == ["features-000000.tar"]


def test_packs_and_files_are_not_mixed(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main([str(source), "-o", str(out), "-q"]) == 0
    assert pack(source, out) == 2
    assert "holds feature files of their own" in capsys.readouterr().err
    assert pack(source, tmp_path / "packs") == 0
    assert main([str(source), "-o", str(tmp_path / "packs"), "-q"]) == 2
    assert "holds packed features" in capsys.readouterr().err
    # What somebody has put there all the same.
    shutil.copy(source / "video_a.safetensors", tmp_path / "packs")
    with pytest.raises(InputError, match="layouts safetensors and tar"):
        open_features(tmp_path / "packs")


def test_a_video_that_fails_does_not_stop_the_others(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (source / "video_b.safetensors").write_bytes(b"x" * 100)
    assert pack(source, tmp_path / "out") == 4
    assert "video_b: " in capsys.readouterr().err
    assert open_features(tmp_path / "out").names == ("video_a", "video_c")
    for path in source.iterdir():
        path.write_bytes(b"")
    assert pack(source, tmp_path / "none") == 3
    assert not (tmp_path / "none").exists()


def test_packs_are_made_of_other_layouts_and_of_packs(tmp_path: Path) -> None:
    (tmp_path / "arrays").mkdir()
    write_npy(tmp_path / "arrays", random_features())
    times = ("--frame-rate", "25", "--snippet-length", "16", "--snippet-stride", "16")
    assert pack(tmp_path / "arrays", tmp_path / "out", *times, size=SMALL) == 0
    assert pack(tmp_path / "out", tmp_path / "again") == 0
    assert members(tmp_path / "again") == members(tmp_path / "out")
    # And back into files.
    assert main([str(tmp_path / "out"), "-o", str(tmp_path / "files"), "-q"]) == 0
    assert files_of(tmp_path / "files") == members(tmp_path / "out")


@pytest.mark.parametrize("size", ["", "0", "1XB", "-1", "nan", "1e9", "GB", "9999999999TB"])
def test_sizes_that_are_none_are_refused(
    source: Path, tmp_path: Path, size: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert pack(source, tmp_path / "out", f"--pack={size}") == 2
    assert "--pack must be a size such as 1GB" in capsys.readouterr().err


def test_annotations_alone_are_not_packed(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--annotations", "a.json", "--annotations-out", "b.json", "--pack", "1GB"]
    assert main(words) == 2
    assert "--pack is for features" in capsys.readouterr().err


def test_two_runs_do_not_pack_into_one_folder(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from wsgn.features.packed.writer import PackWriter

    writer = PackWriter(tmp_path / "out", 10**9, overwrite=False)
    assert pack(source, tmp_path / "out") == 6
    assert "another run packs features" in capsys.readouterr().err
    writer.close()
    assert pack(source, tmp_path / "out") == 0
