"""TensorFlow's checkpoints: what a writer of the published format wrote is read, or refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from bundle_writer import write_checkpoint
from published_states import i3d_tensorflow

from wsgn.errors import InputError
from wsgn.weights import tensorflow_bundle
from wsgn.weights.source import read_source, source_files
from wsgn.weights.tensorflow_bundle import read_index, read_tensors

TENSORS = {
    f"scope/layer_{index}/w": np.full((2, index % 3 + 1), index, np.float32) for index in range(40)
}


@pytest.fixture
def index(tmp_path: Path) -> Path:
    write_checkpoint(tmp_path / "model.ckpt", TENSORS, records_per_block=7)
    return tmp_path / "model.ckpt.index"


def damage(path: Path, position: int) -> None:
    data = bytearray(path.read_bytes())
    data[position] ^= 1
    path.write_bytes(data)


def test_every_tensor_is_found(index: Path) -> None:
    got = read_tensors(index, set(TENSORS))
    assert got.keys() == TENSORS.keys()
    for name, value in got.items():
        np.testing.assert_array_equal(value, TENSORS[name])


@pytest.mark.parametrize("position", [3, 200, 700])
def test_a_damaged_index_is_refused(index: Path, position: int) -> None:
    damage(index, position)
    with pytest.raises(InputError, match="damaged"):
        read_index(index)


def test_a_damaged_tensor_is_refused(index: Path) -> None:
    damage(index.with_name("model.ckpt.data-00000-of-00001"), 30)
    with pytest.raises(InputError, match="does not match its checksum"):
        read_tensors(index, set(TENSORS))


def test_a_truncated_data_file_is_refused(index: Path) -> None:
    data = index.with_name("model.ckpt.data-00000-of-00001")
    data.write_bytes(data.read_bytes()[:-5])
    with pytest.raises(InputError, match="cut off"):
        read_tensors(index, set(TENSORS))


def test_a_truncated_index_is_refused(index: Path) -> None:
    index.write_bytes(index.read_bytes()[:-9])
    with pytest.raises(InputError, match="cut off"):
        read_index(index)


def test_the_data_file_must_be_beside_the_index(index: Path) -> None:
    index.with_name("model.ckpt.data-00000-of-00001").unlink()
    with pytest.raises(InputError, match="needs it beside it"):
        source_files(index)


@pytest.mark.parametrize("scope", ["RGB/inception_i3d/", ""])
def test_i3d_comes_out_in_this_projects_form(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scope: str
) -> None:
    tensors = i3d_tensorflow(scope=scope)
    # Slots of an optimiser, as in the checkpoint of Kinetics-600, are of no interest.
    tensors[f"{scope}Conv3d_1a_7x7/batch_norm/beta/Momentum"] = np.zeros(64, np.float32)
    write_checkpoint(tmp_path / "model.ckpt", tensors, checksums=False)
    with monkeypatch.context() as patch:
        # 50 MB of checksums would take the plain writer a minute; blocks of the index keep theirs.
        checked = tensorflow_bundle.masked_crc32c
        patch.setattr(
            tensorflow_bundle,
            "masked_crc32c",
            lambda data: 0 if isinstance(data, memoryview) else checked(data),
        )
        found = read_source(source_files(tmp_path / "model.ckpt"))
    assert (found.config.stream, found.config.num_logits) == ("rgb", 400)
    kernel = found.tensors["layers.Mixed_5b.branch_2.1.conv.weight"]
    stored = tensors[f"{scope}Mixed_5b/Branch_2/Conv3d_0a_3x3/conv_3d/w"]
    # (out, in, T, H, W) here, (T, H, W, in, out) there.
    assert float(kernel[5, 3, 0, 1, 2]) == stored[0, 1, 2, 3, 5]
    unit = f"{scope}Mixed_3c/Branch_3/Conv3d_0b_1x1/batch_norm"
    norm = "layers.Mixed_3c.branch_3.1.norm"
    for own, other in (("bias", "beta"), ("running_var", "moving_variance")):
        expected = torch.from_numpy(tensors[f"{unit}/{other}"].ravel())
        assert torch.equal(found.tensors[f"{norm}.{own}"], expected)
    assert torch.equal(found.tensors[f"{norm}.weight"], torch.ones(64))


def test_another_network_is_refused(index: Path) -> None:
    with pytest.raises(InputError, match="not one of I3D"):
        read_source(source_files(index))
