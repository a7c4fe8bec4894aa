"""Arrays of strangers: damaged headers; archives and pickles that are small and stand for much."""

from __future__ import annotations

import os
import resource
import struct
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from commands import run_python
from layouts_on_disk import SAMPLING, WRITERS, object_array_bytes, random_features

from wsgn.errors import InputError
from wsgn.features.cli import main
from wsgn.features.file import write_feature_file
from wsgn.features.layouts import open_features
from wsgn.features.npy_file import read_npy, read_npz, read_npz_header
from wsgn.features.pickled_arrays import read_object_array, read_plain_list

# Of memory, for all that a refusal may take beyond what the tests hold.
MOST_BYTES = 500 << 20
TIME_BASE = ["--frame-rate", "25", "--snippet-length", "16", "--snippet-stride", "16", "-q"]


def npy(header: str, values: bytes = b"") -> bytes:
    """A .npy file with any words as its header."""
    text = header.encode("latin-1").ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + values


def header(descr: object = "<f4", shape: object = (4, 3)) -> str:
    return f"{{'descr': {descr!r}, 'fortran_order': False, 'shape': {shape}, }}"


@pytest.mark.parametrize("shape", [(40, 64), (7, 1, 1, 16)])
@pytest.mark.parametrize("type_name", ["f4", "f2", "f8"])
def test_every_bit_of_a_header_is_refused_or_right(
    tmp_path: Path, type_name: str, shape: tuple[int, ...]
) -> None:
    values = np.random.default_rng(0).normal(size=shape).astype(type_name)
    path = tmp_path / "a.npy"
    np.save(path, values)
    whole, num_refused = path.read_bytes(), 0
    for bit in range(8 * 128):
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        try:
            found = read_npy(path)
        except InputError:
            num_refused += 1
        else:
            np.testing.assert_array_equal(found, values)
    # Blanks behind the header, and its end, mean nothing to NumPy.
    assert num_refused > 600


@pytest.mark.parametrize(
    ("text", "words"),
    [
        # Python source that ends in the middle, for NumPy's reader of older headers.
        ("{'descr': '<f4', 'shape': (4, 3", "not a readable"),
        (header(shape="(True, 12)"), "shape"),
        (header(shape="(-4, -3)"), "shape"),
        (header(shape="(4.0, 3)"), "not a readable"),
        (header(shape=(1,) * 40), "shape"),
        (header(shape=f"({10**40}, 3)"), "cut short"),
        (header(shape=(1 << 40, 0)), "damaged"),
        (header("|V0", shape=(1 << 40,)), "damaged"),
        (header("|S0", shape=(1 << 40,)), "damaged"),
        (header(shape=(4, 2)), "damaged"),
        ("(" * 100, "not a readable"),
        ("-" * 117, "not a readable"),
        (header("<f4," * 12 + "O"), "Python objects"),
        (header([("a", [("b", "O")])]), "Python objects"),
    ],
)
def test_a_made_header_is_refused(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "a.npy").write_bytes(npy(text, bytes(48)))
    with pytest.raises(InputError, match=words):
        read_npy(tmp_path / "a.npy")
    with pytest.raises(InputError):
        read_plain_list(tmp_path / "a.npy")


def test_arrays_of_the_other_byte_order_are_read(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(40, 8)).astype(">f4")
    np.save(tmp_path / "a.npy", values)
    np.testing.assert_array_equal(read_npy(tmp_path / "a.npy"), values)


def test_a_damaged_video_does_not_stop_the_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in").mkdir()
    for name in "abc":
        np.save(tmp_path / "in" / f"{name}.npy", np.ones((5, 8), dtype=np.float32))
    damaged = bytearray((tmp_path / "in" / "b.npy").read_bytes())
    damaged[damaged.index(b"}")] ^= 1
    (tmp_path / "in" / "b.npy").write_bytes(damaged)
    assert main([str(tmp_path / "in"), "-o", str(tmp_path / "out"), *TIME_BASE]) == 4
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "a.safetensors", "c.safetensors",
    ]  # fmt: skip
    said = capsys.readouterr().err
    assert "b.npy is not a readable .npy array" in said
    assert "bug" not in said


@pytest.mark.parametrize("layout", ["npy", "charades"])
def test_a_damaged_first_video_does_not_hide_the_layout(tmp_path: Path, layout: str) -> None:
    features = random_features()
    WRITERS[layout](tmp_path, features)
    (tmp_path / "a_first.npy").write_bytes(b"no array")
    reader = open_features(tmp_path, sampling=SAMPLING)
    assert reader.layout == layout
    np.testing.assert_array_equal(reader.read("video_a"), features["video_a"])
    with pytest.raises(InputError, match="not a readable"):
        reader.info("a_first")


def write_npz(path: Path, values: np.ndarray, kind: int = zipfile.ZIP_DEFLATED) -> None:
    with zipfile.ZipFile(path, "w", kind) as archive, archive.open("feature.npy", "w") as member:
        np.lib.format.write_array(member, values)


@pytest.mark.parametrize("kind", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_an_archive_that_unpacks_to_far_more_is_refused(tmp_path: Path, kind: int) -> None:
    path = tmp_path / "a-rgb.npz"
    write_npz(path, np.zeros((1, 10_000, 1024), dtype=np.float32), kind)
    assert path.stat().st_size < 1 << 20
    for read in (read_npz, read_npz_header):
        with pytest.raises(InputError, match="packed as no features are"):
            read(path, "feature")


def test_an_archive_that_lies_about_its_size_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a-rgb.npz"
    write_npz(path, np.ones((1, 4, 8), dtype=np.float32))
    data = path.read_bytes()
    size = struct.pack("<I", zipfile.ZipFile(path).getinfo("feature.npy").file_size)
    for wrong in (0, 64, 2**31):
        path.write_bytes(data.replace(size, struct.pack("<I", wrong)))
        with pytest.raises(InputError):
            read_npz(path, "feature")


def test_archives_of_features_are_read_whatever_their_zeros(tmp_path: Path) -> None:
    path = tmp_path / "a-rgb.npz"
    values = np.maximum(np.random.default_rng(0).normal(size=(1, 50, 64)), 0).astype(np.float32)
    for written in (values, np.zeros_like(values)):
        write_npz(path, written)
        np.testing.assert_array_equal(read_npz(path, "feature"), written)


# Pickles in the opcodes of protocol 2. The memo names a value that is doubled 60 times.
DOUBLED = b"K\x01\x85q\x00" + b"0h\x00h\x00\x86q\x00" * 60 + b"0"
NEST = b")" + b"\x85" * 1_000_000
DTYPE = b"cnumpy\ndtype\nU\x02f4\x85R"
EMPTY_ARRAY = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\n)\x87R"
HOSTILE = {
    "a deep tuple as a key": b"}" + NEST + b"K\x01s",
    "a wide tuple as a key": DOUBLED + b"}h\x00K\x01s",
    "a list as a key": b"}]K\x01s",
    "a wide tuple as a function": DOUBLED + b"h\x00)R",
    "a deep tuple as a function": NEST + b")R",
    "a deep list as a function": b"]q\x00" + b"]h\x00aq\x00" * 100_000 + b")R",
    "a wide tuple as a type": DOUBLED + b"cnumpy\ndtype\nh\x00\x85R",
    "a wide tuple as a shape": DOUBLED + EMPTY_ARRAY + b"(K\x01h\x00" + DTYPE + b"\x89U\x00tb",
    "a wide tuple as values": DOUBLED + EMPTY_ARRAY + b"(K\x01K\x01\x85" + DTYPE + b"\x89h\x00tb",
    "a wide tuple as an object": DOUBLED + b"h\x00K\x01b",
    "a wide tuple as a list": DOUBLED + b"h\x00h\x00b",
    "a long text made often": b"X\x00\x10\x00\x00" + b"a" * 4096 + b"q\x000"
    + b"c_codecs\nencode\nq\x010h\x00U\x06latin1\x86q\x020]" + b"h\x01h\x02Ra" * 100_000,
    "many rows of nothing": EMPTY_ARRAY + b"(K\x01J" + struct.pack("<i", 60_000_000)
    + b"K\x00\x86" + DTYPE + b"\x89U\x00tb",
    "many texts of nothing": EMPTY_ARRAY + b"(K\x01J" + struct.pack("<i", 60_000_000)
    + b"\x85cnumpy\ndtype\nU\x02S0\x85R" + b"\x89U\x00tb",
    "too many steps": b"N0" * 3_000_000 + b"N",
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_small_pickle_cannot_crash_hang_or_fill_memory(tmp_path: Path, name: str) -> None:
    path = tmp_path / "a.npy"
    path.write_bytes(object_array_bytes(b"\x80\x02" + HOSTILE[name] + b"."))
    before = peak_bytes()
    for read in (read_object_array, read_plain_list):
        with pytest.raises(InputError) as caught:
            read(path)
        assert len(str(caught.value)) < 500 + len(str(path))
    assert peak_bytes() - before < MOST_BYTES


def peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (
        1 if sys.platform == "darwin" else 1024
    )


@pytest.mark.parametrize(
    "values",
    [
        np.zeros((60_000, 0), dtype=np.float32),
        np.zeros((4_000_000, 1), dtype=np.uint8),
        np.zeros(4_000_000, dtype=np.uint8),
    ],
)
def test_a_plain_array_of_too_many_values_is_no_list(tmp_path: Path, values: np.ndarray) -> None:
    np.save(tmp_path / "a.npy", values)
    if values.size:
        with pytest.raises(InputError, match="values"):
            read_plain_list(tmp_path / "a.npy")
    else:
        assert read_plain_list(tmp_path / "a.npy") == [[]] * len(values)


def test_names_that_are_no_names_are_refused(tmp_path: Path) -> None:
    holder = np.empty(2, dtype=object)
    for value, words in (("x" * 5000, "too long"), ({"a": 1}, "dict")):
        holder[:] = ["a", value]
        np.save(tmp_path / "videoname.npy", holder, allow_pickle=True)
        with pytest.raises(InputError, match=words):
            read_plain_list(tmp_path / "videoname.npy")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no FIFOs")
@pytest.mark.parametrize("name", ["b.npy", "b-rgb.npz", "b.safetensors"])
def test_a_fifo_among_features_is_named_and_the_others_are_read(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    values = np.ones((5, 8), dtype=np.float32)
    layout = {"b.npy": "npy", "b-rgb.npz": "cmcs", "b.safetensors": "safetensors"}[name]
    if layout == "npy":
        np.save(folder / "a.npy", values)
    elif layout == "cmcs":
        write_npz(folder / "a-rgb.npz", values[None])
    else:
        write_feature_file(folder / "a.safetensors", values, SAMPLING)
    os.mkfifo(folder / name)
    reader = open_features(
        folder, layout=layout, sampling=None if layout == "safetensors" else SAMPLING
    )
    assert reader.info("a").num_snippets == 5
    for look in (reader.info, reader.read):
        with pytest.raises(InputError, match="is a FIFO where a file is needed"):
            look("b")


def test_a_command_on_a_hostile_bundle_ends_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "Made-Annotations").mkdir()
    np.save(tmp_path / "Made-Annotations" / "videoname.npy", np.array(["a", "b", "c"]))
    bundle = tmp_path / "Made-I3D.npy"
    bundle.write_bytes(object_array_bytes(b"\x80\x02" + HOSTILE["a deep tuple as a key"] + b"."))
    done = run_python(
        "-m", "wsgn.features.cli", bundle, "-o", tmp_path / "out", "--layout", "wtalc", *TIME_BASE
    )
    assert done.returncode == 3
    assert "damaged pickle" in done.stderr
    assert not (tmp_path / "out").exists()
