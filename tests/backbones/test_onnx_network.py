"""A user's own ONNX network as a backbone: equal to running it by hand; what is not admitted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from small_networks import network, written

from wsgn.backbones.config import OnnxConfig
from wsgn.backbones.onnx_file import read_network
from wsgn.backbones.onnx_network import OnnxOptions, describe_network, open_network
from wsgn.errors import InputError, UsageError, WsgnError
from wsgn.extraction.choose import choose_networks

MEAN, DEVIATION = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


def frames(num_snippets: int = 3, length: int = 4) -> np.ndarray:
    shape = (num_snippets, length, 16, 16, 3)
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def by_hand(path: Path, inputs: np.ndarray, output: str | None = None) -> np.ndarray:
    """The file itself in ONNX Runtime."""
    document = onnx.load(path)
    if output is not None:
        value = helper.make_tensor_value_info(output, TensorProto.FLOAT, None)
        document.graph.output.append(value)
    session = onnxruntime.InferenceSession(
        document.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return session.run([output] if output else None, {"frames": inputs})[0]


def backbone_features(path: Path, snippets: np.ndarray, **options: object) -> np.ndarray:
    config = describe_network(path, OnnxOptions(**options), side=16)  # type: ignore[arg-type]
    return open_network(config, path)(torch.from_numpy(snippets)).numpy()


def normalised(snippets: np.ndarray) -> np.ndarray:
    return ((snippets / 255 - MEAN) / DEVIATION).astype(np.float32)


@pytest.mark.parametrize(
    ("shape", "order"),
    [(("N", 3, 16, 16), (0, 3, 1, 2)), ((1, "h", "w", 3), (0, 1, 2, 3))],
    ids=["NCHW", "NHWC"],
)
def test_images_are_averaged_over_the_snippet(
    tmp_path: Path, shape: tuple[int | str, ...], order: tuple[int, ...]
) -> None:
    path = written(tmp_path / "n.onnx", network(shape))
    snippets = frames()
    images = normalised(snippets).reshape(12, 16, 16, 3).transpose(order)
    rows = [by_hand(path, image[None])[0] for image in images]
    expected = np.stack(rows).reshape(3, 4, 5).mean(axis=1)
    np.testing.assert_allclose(backbone_features(path, snippets), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("shape", "order"),
    [
        (("N", 3, 4, 16, 16), (0, 4, 1, 2, 3)),
        (("N", "t", 16, 16, 3), (0, 1, 2, 3, 4)),
        (("N", 4, 3, 16, 16), (0, 1, 4, 2, 3)),
    ],
    ids=["NCTHW", "NTHWC", "NTCHW"],
)
def test_snippets_go_in_whole(
    tmp_path: Path, shape: tuple[int | str, ...], order: tuple[int, ...]
) -> None:
    path = written(tmp_path / "n.onnx", network(shape))
    snippets = frames()
    expected = by_hand(path, normalised(snippets).transpose(order))
    np.testing.assert_allclose(backbone_features(path, snippets), expected, rtol=1e-4, atol=1e-6)
    if 4 in shape:
        with pytest.raises(UsageError, match="snippets of 4 frames, got 2"):
            backbone_features(path, snippets[:, :2])


def test_pixels_and_output_are_as_the_options_say(tmp_path: Path) -> None:
    path = written(tmp_path / "n.onnx", network())
    snippets = frames(length=1)
    images = snippets[:, 0].transpose(0, 3, 1, 2)
    options = {"mean": (0.0, 0.0, 0.0), "deviation": (1.0, 1.0, 1.0), "channels": "bgr"}
    inputs = (images[:, ::-1] / 255).astype(np.float32)
    found = backbone_features(path, snippets, output="logits", **options)
    np.testing.assert_allclose(found, by_hand(path, inputs, "logits"), rtol=1e-4, atol=1e-6)
    # Maps are averaged over their places, which is what this network does itself.
    found = backbone_features(path, snippets, output="maps", **options)
    np.testing.assert_allclose(found, by_hand(path, inputs, "features"), rtol=1e-4, atol=1e-6)


def test_bytes_stay_bytes(tmp_path: Path) -> None:
    path = written(tmp_path / "n.onnx", network(element=TensorProto.UINT8))
    snippets = frames(length=1)
    expected = by_hand(path, snippets[:, 0].transpose(0, 3, 1, 2))
    np.testing.assert_allclose(backbone_features(path, snippets), expected, rtol=1e-4, atol=1e-3)


def test_weights_beside_the_file_are_read(tmp_path: Path) -> None:
    document = network()
    path = tmp_path / "n.onnx"
    expected = backbone_features(written(path, document), frames())
    onnx.save(document, path, save_as_external_data=True, location="n.data", size_threshold=0)
    assert (tmp_path / "n.data").stat().st_size > 500
    np.testing.assert_array_equal(backbone_features(path, frames()), expected)
    # Features by other weights beside the same file are others.
    (first,) = choose_networks([f"onnx:{path}"])
    weights = bytearray((tmp_path / "n.data").read_bytes())
    weights[-1] ^= 1
    (tmp_path / "n.data").write_bytes(weights)
    (second,) = choose_networks([f"onnx:{path}"])
    assert first.network.source != second.network.source
    (tmp_path / "n.data").unlink()
    with pytest.raises(InputError, match=r"n\.data"):
        read_network(path)


@pytest.mark.parametrize("location", ["../secret", "/etc/hostname", "link/secret", ""])
def test_no_file_outside_the_folder_is_read(tmp_path: Path, location: str) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    (tmp_path / "secret").write_bytes(bytes(4096))
    (folder / "link").symlink_to(tmp_path)
    document = network()
    tensor = document.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    with pytest.raises(InputError, match="outside its own folder"):
        read_network(written(folder / "n.onnx", document))


def custom(document: onnx.ModelProto) -> None:
    document.graph.node[3].domain = "com.someone"
    document.opset_import.append(helper.make_opsetid("com.someone", 1))


def branching(document: onnx.ModelProto) -> None:
    body = helper.make_graph(
        [helper.make_node("Identity", ["features"], ["inner"])], "b", [],
        [helper.make_tensor_value_info("inner", TensorProto.FLOAT, ["a", 5])],
    )  # fmt: skip
    yes = helper.make_node("Constant", [], ["yes"], value_int=1)
    flag = helper.make_node("Cast", ["yes"], ["flag"], to=TensorProto.BOOL)
    branch = helper.make_node("If", ["flag"], ["chosen"], then_branch=body, else_branch=body)
    document.graph.node.extend([yes, flag, branch])


def sparse(document: onnx.ModelProto) -> None:
    values = numpy_helper.from_array(np.ones(1, dtype=np.float32), "few")
    indices = numpy_helper.from_array(np.zeros(1, dtype=np.int64), "where")
    document.graph.sparse_initializer.append(helper.make_sparse_tensor(values, indices, [3]))


def without_axes(document: onnx.ModelProto) -> None:
    number = helper.make_tensor_value_info("frames", TensorProto.FLOAT, [])
    document.graph.input[0].CopyFrom(number)


def two_inputs(document: onnx.ModelProto) -> None:
    value = helper.make_tensor_value_info("other", TensorProto.FLOAT, [1])
    document.graph.input.append(value)


def two_outputs(document: onnx.ModelProto) -> None:
    document.graph.output.append(
        helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["a", 9])
    )


def broken(document: onnx.ModelProto) -> None:
    document.graph.node[2].input[0] = "nothing"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (custom, "operator com.someone::Relu"),
        (branching, "branches or loops"),
        (sparse, "sparse weights"),
        (without_axes, "has no axes"),
        (two_inputs, "must have one input"),
        (two_outputs, "outputs features, logits: name one"),
        (broken, "damaged"),
    ],
)
def test_what_is_not_admitted_is_said(tmp_path: Path, change: object, words: str) -> None:
    document = network()
    change(document)  # type: ignore[operator]
    with pytest.raises(WsgnError, match=words):
        read_network(written(tmp_path / "n.onnx", document))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"ending": "tokens"}, r"float32 of shape \(2, 5, 196\)"),
        ({"ending": "fixed"}, "open first axis"),
        ({"shape": ("N", 3, 16, 20)}, "16 x 20 pixels; a backbone sees squares"),
        ({"shape": ("N", 4, 16, 16)}, r"takes \(\?, 4, 16, 16\)"),
        ({"element": TensorProto.DOUBLE}, "float32 or uint8"),
    ],
)
def test_shapes_that_do_not_fit_are_said(
    tmp_path: Path, settings: dict[str, object], words: str
) -> None:
    path = tmp_path / "n.onnx"
    if settings.get("shape") == ("N", 4, 16, 16):
        document = network()
        document.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 4
    else:
        document = network(**settings)  # type: ignore[arg-type]
    with pytest.raises(WsgnError, match=words):
        describe_network(written(path, document), side=16)


def test_what_is_no_onnx_file_is_said(tmp_path: Path) -> None:
    for content in (b"", b"no network", network().SerializeToString()[:300]):
        (tmp_path / "n.onnx").write_bytes(content)
        with pytest.raises(InputError, match=r"is not an ONNX file|damaged"):
            read_network(tmp_path / "n.onnx")
    with pytest.raises(InputError, match=r"does not exist|cannot be read"):
        read_network(tmp_path / "none.onnx")
    with pytest.raises(UsageError, match="makes no value 'fc'"):
        read_network(written(tmp_path / "n.onnx", network()), "fc")
    with pytest.raises(UsageError, match="deviation positive"):
        OnnxConfig(
            output="f", axes="NCHW", side=16, snippet_length=None, feature_size=1,
            deviation=(0.0, 1.0, 1.0),
        )  # fmt: skip
