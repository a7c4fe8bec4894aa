"""Every layout of features as others write it, with random values: what tests read back."""

from __future__ import annotations

import pickle
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np

from wsgn.features.file import write_feature_file
from wsgn.features.layouts import open_features
from wsgn.features.reader import FeatureReader
from wsgn.manifest import Sampling

SAMPLING = Sampling(frame_rate=25.0, snippet_length=16, snippet_stride=16)
NAMES = ("video_a", "video_b", "video_c")
# Channels of one stream.
WIDTH = 6

Features = dict[str, np.ndarray]


def random_features(width: int = 2 * WIDTH, seed: int = 0) -> Features:
    """(T, D) float32 for each name; RGB is the first half of the channels."""
    random = np.random.default_rng(seed)
    return {
        name: random.normal(size=(index + 3, width)).astype(np.float32)
        for index, name in enumerate(NAMES)
    }


def write_safetensors(root: Path, features: Features) -> Path:
    for name, values in features.items():
        path = root / f"{name}.safetensors"
        write_feature_file(path, values, SAMPLING, streams=("rgb", "flow"), source="made")
    return root


def write_npy(root: Path, features: Features) -> Path:
    for name, values in features.items():
        np.save(root / f"{name}.npy", values)
    return root


def write_charades(root: Path, features: Features) -> Path:
    for name, values in features.items():
        np.save(root / f"{name}.npy", values[:, None, None, :])
    return root


def write_basnet(root: Path, features: Features) -> Path:
    for index, (name, values) in enumerate(features.items()):
        subset = ("train", "test")[index % 2]
        for stream, half in zip(("rgb", "flow"), np.split(values, 2, axis=1), strict=True):
            folder = root / "features" / subset / stream
            folder.mkdir(parents=True, exist_ok=True)
            np.save(folder / f"{name}.npy", half)
    return root


def write_cmcs(root: Path, features: Features, *, crops: int = 1) -> Path:
    """The crops differ by whole numbers whose mean is 0."""
    offsets = np.arange(crops, dtype=np.float32) - (crops - 1) / 2
    for name, values in features.items():
        for stream, half in zip(("rgb", "flow"), np.split(values, 2, axis=1), strict=True):
            feature = half[None] + offsets[:, None, None]  # (B, T, D)
            np.savez_compressed(root / f"{name}-{stream}.npz", feature=feature, frame_cnt=7)
    return root


def write_wtalc(root: Path, features: Features) -> Path:
    """The bundle as Python 2 wrote it, and the names beside it."""
    (root / "Madeset-Annotations").mkdir()
    np.save(root / "Madeset-Annotations" / "videoname.npy", np.array(list(features), dtype="S"))
    path = root / "Madeset-I3D-JOINTFeatures.npy"
    path.write_bytes(object_array_bytes(python2_pickle(list(features.values()))))
    return path


def object_array_bytes(pickled: bytes) -> bytes:
    """A .npy file of objects around a pickle."""
    header = b"{'descr': '|O', 'fortran_order': False, 'shape': (3,), }"
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + pickled


def python3_pickle(arrays: list[np.ndarray], protocol: int) -> bytes:
    """An object array of arrays as Python 3 pickles it."""
    holder = np.empty(len(arrays), dtype=object)
    holder[:] = arrays
    return pickle.dumps(holder, protocol=protocol)


def python2_pickle(arrays: list[np.ndarray]) -> bytes:
    """An object array of float32 arrays as Python 2 pickled it: the values are a byte string."""
    items = b"".join(_array(a.shape, _type(b"f4", b"<"), _string(a.tobytes())) for a in arrays)
    return b"\x80\x02" + _array((len(arrays),), _type(b"O8", b"|"), b"](" + items + b"e") + b"."


def _array(shape: tuple[int, ...], kind: bytes, data: bytes) -> bytes:
    sizes = b"(" + b"".join(b"J" + struct.pack("<i", size) for size in shape) + b"t"
    empty = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
    return empty + b"(K\x01" + sizes + kind + b"\x89" + data + b"tb"


def _type(code: bytes, order: bytes) -> bytes:
    # The flags of object types.
    flags = b"\x3f" if code.startswith(b"O") else b"\x00"
    state = b"(K\x03U\x01" + order + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK" + flags + b"tb"
    return b"cnumpy\ndtype\nU" + bytes([len(code)]) + code + b"K\x00K\x01\x87R" + state


def _string(raw: bytes) -> bytes:
    return b"T" + struct.pack("<i", len(raw)) + raw


Write = Callable[..., Path]
WRITERS: dict[str, Write] = {
    "safetensors": write_safetensors,
    "npy": write_npy,
    "charades": write_charades,
    "basnet": write_basnet,
    "cmcs": write_cmcs,
    "wtalc": write_wtalc,
}


def opened(path: Path, written_as: str, **options: object) -> FeatureReader:
    """Open what one of the writers wrote; only the project's own layout knows its time base."""
    sampling = None if written_as == "safetensors" else SAMPLING
    return open_features(path, sampling=sampling, **options)  # type: ignore[arg-type]
