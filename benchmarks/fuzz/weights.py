"""Checkpoints of this project, and weights of others: bundles of TensorFlow, files of PyTorch."""

from __future__ import annotations

import io
import json
import pickletools
import struct
import zipfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.fuzz.case import Case, Draw, Place, SilentlyWrongError, Surface, require_finite, run
from benchmarks.fuzz.damage import damaged_bytes, damaged_document
from benchmarks.fuzz.of_tests import MAGIC, block, entry, field, varint
from wsgn.weights.crc32c import masked_crc32c

_CHECKPOINT = "model.safetensors"
_STEM = "model.ckpt"
_INDEX, _DATA, _TORCH = f"{_STEM}.index", f"{_STEM}.data-00000-of-00001", "resnet.pt"
# Where a bundle says of a tensor what it is.
_TYPE, _SHAPE, _SHARD, _OFFSET, _SIZE, _CHECKSUM = 1, 2, 3, 4, 5, 6
_NUM_CHANNELS = 8


def _prepare_checkpoint(bases: Path) -> None:
    import torch

    from wsgn.checkpoint import Calibration, Checkpoint, save_checkpoint
    from wsgn.config import ModelConfig, TrainConfig
    from wsgn.manifest import DetectionRule, FeatureInput, Prior, Sampling
    from wsgn.model import WeakDetector

    torch.manual_seed(0)
    sampling = Sampling(frame_rate=10.0, snippet_length=8, snippet_stride=4)
    features = FeatureInput(size=_NUM_CHANNELS)
    model = ModelConfig(classes=("wave", "jump"), sampling=sampling, features=features)
    low, high = (0.0, 0.0), (1.0, 1.0)
    prior = Prior(
        count=8.0, mean=low, variance=high, log_mean_exponential=low, maximum=high,
        mean_local=high, mean_global=high,
    )  # fmt: skip
    rule = DetectionRule(open_thresholds=high, close_thresholds=low)
    weights = WeakDetector(model).state_dict()
    checkpoint = Checkpoint(
        model=model, train=TrainConfig(), step=3, weights=weights, optimizer={},
        calibration=Calibration(prior=prior, detection=rule),
    )  # fmt: skip
    save_checkpoint(bases / _CHECKPOINT, checkpoint)


def _whole_checkpoint(bases: Path) -> Case:
    return Case(files={_CHECKPOINT: (bases / _CHECKPOINT).read_bytes()}, words=(_CHECKPOINT,))


def _damaged_checkpoint(draw: Draw, bases: Path) -> Case:
    data = (bases / _CHECKPOINT).read_bytes()
    kind = draw.random()
    if kind < 0.3:
        file = damaged_bytes(draw, data, within=4000)
        return Case(files={_CHECKPOINT: file}, words=(_CHECKPOINT,), change="bytes")
    (size,) = struct.unpack("<Q", data[:8])
    header, values = json.loads(data[8 : 8 + size]), data[8 + size :]
    if kind < 0.8:
        document = json.loads(header["__metadata__"]["wsgn"])
        text, change = damaged_document(draw, document)
        header["__metadata__"]["wsgn"] = text.decode("utf-8", "replace")
        new = json.dumps(header).encode()
    else:
        new, change = damaged_document(draw, header)
    file = struct.pack("<Q", len(new)) + new + values
    return Case(files={_CHECKPOINT: file}, words=(_CHECKPOINT,), change=change)


def _read_checkpoint(place: Place, words: Sequence[str]) -> int:
    import torch

    from wsgn.checkpoint import load_checkpoint

    checkpoint = load_checkpoint(words[0])
    checkpoint.build()
    if checkpoint.calibration is not None:
        prior = vars(checkpoint.calibration.prior).values()
        numbers = [n for value in prior for n in (value if isinstance(value, tuple) else (value,))]
        require_finite(iter(numbers), "the prior")
    for name, value in checkpoint.weights.items():
        require_finite(iter([0.0 if bool(torch.isfinite(value).all()) else np.nan]), name)
    return 0


@cache
def _tensorflow_tensors() -> Mapping[str, Any]:
    from published_states import i3d_tensorflow

    tensors: Mapping[str, Any] = i3d_tensorflow()
    return tensors


def _prepare_tensorflow(bases: Path) -> None:
    data, records = bytearray(), []
    for name, values in sorted(_tensorflow_tensors().items()):
        part = values.astype("<f4").tobytes()
        record = entry(values, len(data), masked_crc32c(part))
        records.append([name, record.hex()])
        data += part
    (bases / _DATA).write_bytes(data)
    (bases / "records.json").write_text(json.dumps(records))


def _records(bases: Path) -> list[tuple[bytes, bytes]]:
    records = json.loads((bases / "records.json").read_text())
    header = (b"", field(1, 1) + field(3, field(1, 1)))
    return [header, *((name.encode(), bytes.fromhex(record)) for name, record in records)]


def _index(records: Sequence[tuple[bytes, bytes]], *, per_block: int = 50) -> bytes:
    """The file of an index, whose blocks have the right checksums whatever is in them."""
    table, handles = bytearray(), []

    def placed(content: bytes) -> bytes:
        handle: bytes = varint(len(table)) + varint(len(content))
        trailer = b"\0"
        table.extend(content + trailer + struct.pack("<I", masked_crc32c(content + trailer)))
        return handle

    for start in range(0, len(records), per_block):
        part = records[start : start + per_block]
        handles.append((part[-1][0], placed(block(part))))
    meta, index = placed(block([])), placed(block(handles))
    return bytes(table) + (meta + index).ljust(40, b"\0") + struct.pack("<Q", MAGIC)


def _tensorflow_case(bases: Path, index: bytes, change: str) -> Case:
    return Case(files={_INDEX: index}, links={_DATA: _DATA}, words=("check", _INDEX), change=change)


def _whole_tensorflow(bases: Path) -> Case:
    return _tensorflow_case(bases, _index(_records(bases)), "nothing")


def _damaged_tensorflow(draw: Draw, bases: Path) -> Case:
    records = _records(bases)
    kind = draw.random()
    if kind < 0.2:
        return _tensorflow_case(bases, damaged_bytes(draw, _index(records)), "bytes of the index")
    if kind < 0.3:
        data = bytearray((bases / _DATA).read_bytes())
        place = draw.randrange(len(data))
        if draw.random() < 0.5:
            del data[place:]
        else:
            data[place] ^= 1 << draw.randrange(8)
        files = {_INDEX: _index(records), _DATA: bytes(data)}
        return Case(files=files, words=("check", _INDEX), change="the data")
    number = draw.randrange(1, len(records))
    name, record = records[number]
    if kind < 0.5:
        records[number] = name, damaged_bytes(draw, record)
        change = "a record, with the right checksum of its block"
    elif kind < 0.9:
        key = draw.choice((_TYPE, _SHARD, _OFFSET, _SIZE))
        value = draw.choice((0, 1, 3, 2**31, 2**32, 2**63, 2**64 - 1, 10**9))
        if draw.random() < 0.4:
            key, sizes = (
                _SHAPE,
                draw.choice(((0,), (2**62,), (2**32, 2**32), (1,) * 40, (2**64 - 1,))),
            )
            record += field(_SHAPE, b"".join(field(2, field(1, size)) for size in sizes))
        else:
            record += field(key, value)
        records[number], change = (name, record), f"field {key} once more"
    else:
        odd = draw.choice((b"\xff\xfe", b"", name + b"\0", records[-1][0], b"x" * 5000))
        records[number], change = (odd, record), "a name"
    return _tensorflow_case(bases, _index(sorted(records)), change)


def _read_weights(place: Place, words: Sequence[str]) -> int:
    code = run("wsgn.weights.cli", words)
    data = Path(_DATA)
    if code == 0 and data.is_file() and not data.is_symlink():
        raise SilentlyWrongError("changed data of a bundle are taken")
    return code


def _prepare_torch(bases: Path) -> None:
    import torch

    from wsgn.backbones.config import ResNetConfig
    from wsgn.weights.identify import expected_shapes

    state = {
        name: torch.zeros(shape, dtype=torch.int64 if name.endswith("tracked") else torch.float32)
        for name, shape in expected_shapes(ResNetConfig(depth=18, num_logits=10)).items()
    }
    torch.save(state, bases / _TORCH)


@cache
def _torch_entries(path: Path) -> Mapping[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _torch_file(entries: Mapping[str, bytes]) -> bytes:
    holder = io.BytesIO()
    with zipfile.ZipFile(holder, "w", zipfile.ZIP_STORED) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return holder.getvalue()


def _whole_torch(bases: Path) -> Case:
    return Case(links={_TORCH: _TORCH}, words=("check", _TORCH))


def _damaged_torch(draw: Draw, bases: Path) -> Case:
    data = (bases / _TORCH).read_bytes()
    kind = draw.random()
    if kind < 0.2:
        tail = len(data) - 20_000
        changed = data[:tail] + damaged_bytes(draw, data[tail:])
        return Case(files={_TORCH: changed}, words=("check", _TORCH), change="its directory")
    entries = dict(_torch_entries(bases / _TORCH))
    program = next(name for name in entries if name.endswith("/data.pkl"))
    if kind < 0.6:
        entries[program], change = damaged_bytes(draw, entries[program]), "bytes of its pickle"
    elif kind < 0.9:
        entries[program], change = _other_argument(draw, entries[program]), "numbers in its pickle"
    else:
        name = draw.choice(sorted(entries))
        change = f"the entry {name}"
        entries[name] = draw.choice((b"", entries[name][:-1], entries[name] + b"x", b"x" * 100))
    return Case(files={_TORCH: _torch_file(entries)}, words=("check", _TORCH), change=change)


def _other_argument(draw: Draw, program: bytes) -> bytes:
    """The pickle with other whole numbers behind some opcodes: sizes, strides, offsets."""
    places = [
        (place, code.name)
        for code, _, place in pickletools.genops(program)
        if place is not None and code.name in ("BININT", "BININT1", "BININT2")
    ]
    damaged = bytearray(program)
    for place, name in draw.sample(places, k=draw.randint(1, 3)):
        size = {"BININT": 4, "BININT1": 1, "BININT2": 2}[name]
        number = draw.choice((0, 1, 2**31 - 1, 2**32 - 1, 2**31, 65535, 255, 7)) % 256**size
        damaged[place + 1 : place + 1 + size] = number.to_bytes(size, "little")
    return bytes(damaged)


SURFACES = (
    Surface(
        name="checkpoints", share=40, whole=_whole_checkpoint, damaged=_damaged_checkpoint,
        read=_read_checkpoint, prepare=_prepare_checkpoint,
    ),
    Surface(
        name="TensorFlow", share=10, whole=_whole_tensorflow, damaged=_damaged_tensorflow,
        read=_read_weights, prepare=_prepare_tensorflow,
    ),
    Surface(
        name=".pt", share=15, whole=_whole_torch, damaged=_damaged_torch, read=_read_weights,
        prepare=_prepare_torch,
    ),
)  # fmt: skip
