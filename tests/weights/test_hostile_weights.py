"""Files of weights of strangers: the damage reaches the tensors of a network that is complete."""

from __future__ import annotations

import io
import os
import pickle
import struct
import zipfile
from collections import Counter, OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from bundle_writer import MAGIC, block, field, masked, plain_crc32c, varint, write_checkpoint
from safetensors.torch import save_file

from wsgn.errors import InputError
from wsgn.weights import identify
from wsgn.weights.i3d_layouts import from_tensorflow
from wsgn.weights.source import read_source, source_files
from wsgn.weights.tensorflow_bundle import read_index, read_tensors

# A network that is known by its first name, and so small that it is written often.
SHAPES = {
    "layer1.0.conv1.weight": (4, 3, 3, 3),
    "layer1.0.bn1.num_batches_tracked": (),
    "layer1.0.bn1.running_mean": (4,),
    "fc.weight": (10, 4),
    "fc.bias": (10,),
}


@pytest.fixture(autouse=True)
def small_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identify, "expected_shapes", lambda config: dict(SHAPES))


def state() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    found = {name: torch.randn(shape, generator=generator) for name, shape in SHAPES.items()}
    found["layer1.0.bn1.num_batches_tracked"] = torch.tensor(7)
    return OrderedDict(found)


def save_archive(path: Path) -> None:
    torch.save(state(), path)


def save_old(path: Path) -> None:
    torch.save(state(), path, _use_new_zipfile_serialization=False)


def save_safetensors(path: Path) -> None:
    save_file(dict(state()), path)


WRITERS: dict[str, Callable[[Path], None]] = {
    "archive.pt": save_archive, "old.pt": save_old, "a.safetensors": save_safetensors,
}  # fmt: skip


def read(path: Path) -> dict[str, torch.Tensor]:
    return read_source(source_files(path)).tensors


@pytest.mark.parametrize("name", WRITERS)
def test_a_whole_file_is_read_to_its_last_number(tmp_path: Path, name: str) -> None:
    WRITERS[name](tmp_path / name)
    found = read(tmp_path / name)
    for key, value in state().items():
        assert torch.equal(found[key].to(value.dtype), value)


@pytest.mark.parametrize("name", WRITERS)
def test_damage_is_refused_or_gives_a_whole_network(tmp_path: Path, name: str) -> None:
    WRITERS[name](tmp_path / name)
    whole, random = (tmp_path / name).read_bytes(), np.random.default_rng(0)
    path, num_read = tmp_path / f"damaged{Path(name).suffix}", 0
    for case in range(400):
        damaged = bytearray(whole)
        for place in random.integers(0, len(whole), size=1 + case % 4):
            damaged[place] ^= 1 << random.integers(8)
        path.write_bytes(damaged[: random.integers(len(whole))] if case % 10 == 0 else damaged)
        try:
            found = read(path)
        except InputError:
            continue
        num_read += 1
        assert {key: tuple(value.shape) for key, value in found.items()} == SHAPES
        assert all(bool(torch.isfinite(value).all()) for value in found.values())
    # In numbers themselves: nothing but a checksum could notice that.
    assert num_read > 20


def with_value(**changes: object) -> dict[str, object]:
    return {**state(), **{key.replace("__", "."): value for key, value in changes.items()}}


def nested(depth: int) -> tuple[object, ...]:
    value: tuple[object, ...] = ()
    for _ in range(depth):
        value = (value, value)
    return value


@pytest.mark.parametrize(
    "document",
    [
        with_value(fc__bias=torch.zeros(1).expand(10)),
        with_value(fc__bias=torch.tensor(1.0)),
        with_value(fc__bias=torch.zeros(10, 1)),
        with_value(fc__bias=torch.zeros(10).to_sparse()),
        with_value(fc__bias=torch.zeros(10, device="meta")),
        with_value(fc__bias=torch.zeros(10, dtype=torch.complex64)),
        with_value(fc__bias=torch.zeros(10, dtype=torch.int64)),
        with_value(fc__bias=torch.full((10,), torch.nan)),
        with_value(fc__bias=None),
        {("a", "b"): torch.zeros(1)},
        {7: torch.zeros(1)},
        [state()],
        {"state_dict": [1]},
        Counter("abc"),
        {"a": bytearray(8)},
        {"a": {1, 2}},
        {},
    ],
)
@pytest.mark.parametrize("old", [False, True])
def test_what_is_no_weights_gets_a_sentence(tmp_path: Path, document: Any, *, old: bool) -> None:
    path = tmp_path / "a.pt"
    torch.save(document, path, _use_new_zipfile_serialization=not old)
    with pytest.raises(InputError):
        read(path)


def archive_with(content: bytes, path: Path, *, packed: bool = False) -> None:
    """An archive of PyTorch around any pickle."""
    kind = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
    with zipfile.ZipFile(path, "w", kind) as archive:
        archive.writestr("a/data.pkl", content)
        archive.writestr("a/version", b"3\n")
        archive.writestr("a/data/0", bytes(64))


DOUBLED = b"K\x01\x85q\x00" + b"0h\x00h\x00\x86q\x00" * 60 + b"0"
REBUILD = b"ctorch._utils\n_rebuild_tensor_v2\n"
STORAGE = b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpu"


def storage(count: int) -> bytes:
    return STORAGE + b"\x8a\x08" + struct.pack("<q", count) + b"tQ"


HOSTILE = {
    "a wide tuple as a key": DOUBLED + b"}h\x00K\x01s",
    "a deep tuple as a key": b"}" + b")" + b"\x85" * 1_000_000 + b"K\x01s",
    "a wide tuple as a function": DOUBLED + b"h\x00)R",
    "a wide tuple as a size": REBUILD + b"(" + storage(4) + b"K\x00" + DOUBLED + b"h\x00)tR",
    "a wide tuple as a storage": DOUBLED + b"h\x00Q",
    "a storage larger than the file": REBUILD + b"(" + storage(1 << 40) + b"K\x00K\x01\x85)\x89}tR",
    "many bytes": b"c__builtin__\nbytearray\n\x8a\x06" + struct.pack("<q", 1 << 40)[:6] + b"\x85R",
    "a tensor without numbers": b"ctorch\nFloatStorage\n\x8a\x06"
    + struct.pack("<q", 1 << 40)[:6] + b"\x85R",
    "a counter": b"ccollections\nCounter\n" + DOUBLED + b"h\x00\x85\x85R",
    "a call": b"cos\nsystem\nX\x02\x00\x00\x00ls\x85R",
    "too many dimensions": REBUILD + b"(" + storage(4) + b"K\x00(" + b"K\x01" * 5000 + b"t)\x89}tR",
}  # fmt: skip


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("name", HOSTILE)
def test_a_small_file_cannot_crash_hang_or_fill_memory(
    tmp_path: Path, name: str, *, old: bool
) -> None:
    program = b"\x80\x02" + HOSTILE[name] + b"."
    path = tmp_path / "a.pt"
    if old:
        plain = [0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}]
        path.write_bytes(b"".join(pickle.dumps(one, 2) for one in plain) + program)
    else:
        archive_with(program, path)
    with pytest.raises(InputError) as caught:
        read(path)
    assert len(str(caught.value)) < 600 + 2 * len(str(path))


def test_a_packed_archive_that_stands_for_more_is_refused(tmp_path: Path) -> None:
    archive_with(b"\x80\x02" + b"N0" * 1_000_000 + b"N.", tmp_path / "a.pt", packed=True)
    with pytest.raises(InputError, match="claims more bytes than it has"):
        read(tmp_path / "a.pt")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no FIFOs")
@pytest.mark.parametrize("name", ["a.pt", "a.safetensors", "a.index"])
def test_a_fifo_is_named(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / name)
    with pytest.raises(InputError, match="is a FIFO where a file is needed"):
        read(tmp_path / name)


# TensorFlow's checkpoints, with every checksum right.
TENSORS = {f"scope/layer_{n}/w": np.full((2, n % 3 + 1), n, np.float32) for n in range(4)}


def write_index(path: Path, records: list[tuple[bytes, bytes]], *, times: int = 1) -> None:
    """An index of these records in one block, which is named so many times."""
    table = io.BytesIO()

    def place(content: bytes) -> bytes:
        handle = varint(table.tell()) + varint(len(content))
        table.write(content + b"\0" + struct.pack("<I", masked(plain_crc32c(content + b"\0"))))
        return handle

    handle = place(block(records))
    meta = place(block([]))
    index = place(block([(b"%09d" % number, handle) for number in range(times)]))
    footer = (meta + index).ljust(40, b"\0") + struct.pack("<Q", MAGIC)
    path.write_bytes(table.getvalue() + footer)


def tensor_entry(shape: bytes | int, *, offset: int = 0, size: int = 4) -> bytes:
    checksum = struct.pack("<I", masked(plain_crc32c(bytes(4))))
    message = field(1, 1) + field(2, shape) + field(4, offset) + field(5, size)
    return message + varint(6 << 3 | 5) + checksum


def sizes(*values: int) -> bytes:
    return b"".join(field(2, field(1, value)) for value in values)


@pytest.mark.parametrize(
    "entry",
    [
        tensor_entry(sizes(2)),
        # The product is 1 in 64 bits, or nothing is there at all.
        tensor_entry(sizes(1 << 32, 1 << 32)),
        tensor_entry(sizes((1 << 64) - 1, (1 << 64) - 1)),
        tensor_entry(sizes(*[1] * 300)),
        tensor_entry(sizes(1), offset=1 << 60),
        tensor_entry(sizes(1), size=1 << 60),
        # A number where the bytes of a message belong.
        tensor_entry(1 << 40),
        tensor_entry(field(2, 7)),
        tensor_entry(b"\xff" * 9),
        b"\xff" * 500,
        b"",
    ],
)
def test_an_entry_that_is_wrong_gets_a_sentence(tmp_path: Path, entry: bytes) -> None:
    index = tmp_path / "model.ckpt.index"
    write_index(index, [(b"w", entry)])
    (tmp_path / "model.ckpt.data-00000-of-00001").write_bytes(bytes(4))
    with pytest.raises(InputError):
        read_tensors(index, {"w"})


def test_an_index_that_is_right_is_read(tmp_path: Path) -> None:
    """The one that the wrong entries differ from."""
    index = tmp_path / "model.ckpt.index"
    write_index(index, [(b"w", tensor_entry(sizes(1)))])
    (tmp_path / "model.ckpt.data-00000-of-00001").write_bytes(bytes(4))
    assert read_tensors(index, {"w"})["w"].tolist() == [0.0]


def test_blocks_that_are_named_very_often_are_refused(tmp_path: Path) -> None:
    index = tmp_path / "model.ckpt.index"
    write_index(index, [(b"w%d" % n, tensor_entry(sizes(1))) for n in range(500)], times=2000)
    with pytest.raises(InputError, match="damaged"):
        read_index(index)


def test_a_number_without_end_is_refused(tmp_path: Path) -> None:
    index = tmp_path / "model.ckpt.index"
    index.write_bytes(b"\x80" * 1_000_000 + b"\xff" * 40 + struct.pack("<Q", MAGIC))
    with pytest.raises(InputError, match="damaged"):
        read_index(index)


def test_damage_of_a_checkpoint_is_refused_or_harmless(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "model.ckpt", TENSORS, records_per_block=5)
    files = [tmp_path / name for name in ("model.ckpt.index", "model.ckpt.data-00000-of-00001")]
    random = np.random.default_rng(0)
    for case in range(80):
        path = files[case % 2]
        whole = path.read_bytes()
        damaged = bytearray(whole)
        damaged[random.integers(len(whole))] ^= 1 << random.integers(8)
        path.write_bytes(damaged)
        try:
            found = read_tensors(files[0], set(TENSORS))
        except InputError:
            pass
        else:
            for name, value in TENSORS.items():
                np.testing.assert_array_equal(found[name], value)
        path.write_bytes(whole)


@pytest.mark.parametrize("shape", [(64,), (7, 7, 7, 3), (1, 1, 1, 1, 1, 1)])
def test_a_kernel_of_other_dimensions_gets_a_sentence(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="has the shape"):
        from_tensorflow({"layers.Conv3d_1a_7x7.conv.weight": torch.zeros(shape)})
