"""An ONNX network of the user's own, read as what it is: plain operators and numbers, no code.

Such files come from anywhere. Admitted are operators of ONNX itself, one input and weights in the
file or beside it; what could run or read anything else is refused before a library executes it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wsgn.errors import InputError, MissingExtraError, UsageError
from wsgn.support.files import input_errors, require_file

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto, TensorProto

# The opset of every exported engine (wsgn/export/graphs/selection_function.py).
OPSET = 18
_PLAIN_DOMAINS = ("", "ai.onnx")
# A protocol buffer cannot hold more.
_LARGEST_BYTES = 2**31 - 1
# The first axis of the input: images or snippets, as many as there are.
BATCH = "N"


@dataclass(frozen=True, kw_only=True, eq=False)
class OnnxNetwork:
    """A network that was admitted: one input, one output, opset OPSET, all weights inside."""

    document: ModelProto
    input_name: str
    # Sizes of the input's axes; None where the file leaves one open.
    input_shape: tuple[int | None, ...]
    takes_bytes: bool
    output_name: str


def read_network(path: Path, output: str | None = None) -> OnnxNetwork:
    """Read and check a network; `output` names any value in it, by default its only output.

    Raises `InputError` for a file that is damaged or not admitted, `UsageError` for an output that
    it does not have, `MissingExtraError` without the extra `export`.
    """
    onnx = _onnx()
    document = _document(onnx, path)
    _require_plain(path, document)
    document = _converted(onnx, path, document)
    name, shape, takes_bytes = _only_input(onnx, path, document.graph)
    chosen = _chosen_output(path, document.graph, output, name)
    _keep_only(document, chosen)
    batch = document.graph.input[0].type.tensor_type.shape.dim[0]
    batch.Clear()
    batch.dim_param = BATCH
    # Its shape is found out by running it.
    del document.graph.output[:]
    document.graph.output.append(
        onnx.helper.make_tensor_value_info(chosen, onnx.TensorProto.FLOAT, None)
    )
    return OnnxNetwork(
        document=document,
        input_name=name,
        input_shape=shape,
        takes_bytes=takes_bytes,
        output_name=chosen,
    )


def weight_files(path: Path) -> tuple[Path, ...]:
    """The files beside a network that hold weights of it, in the order of their names.

    The network is one that `read_network` admitted.
    """
    document = _onnx().load_model_from_string(path.read_bytes())
    names = {
        entry.value
        for tensor in _tensors(document)
        for entry in tensor.external_data
        if entry.key == "location"
    }
    return tuple(path.parent / name for name in sorted(names))


def _onnx() -> Any:
    try:
        import onnx
        import onnx.external_data_helper
        import onnx.inliner
        import onnx.version_converter
    except ImportError as error:
        raise MissingExtraError(f"A backbone in an ONNX file ({error.name})", "export") from error
    return onnx


def _document(onnx: Any, path: Path) -> ModelProto:
    """The file with its weights from beside it."""
    with input_errors(f"the network {path}"):
        require_file(path, f"the network {path}")
        if path.stat().st_size > _LARGEST_BYTES:
            raise InputError(f"the network {path} is larger than an ONNX file can be (2 GiB).")
        content = path.read_bytes()
    try:
        document: ModelProto = onnx.load_model_from_string(content)
    except Exception as error:
        raise InputError(f"{path} is not an ONNX file, or is damaged or cut off.") from error
    if not document.graph.node:
        raise InputError(f"{path} is not an ONNX file, or holds no network.")
    for tensor in _tensors(document):
        _require_beside(onnx, path, tensor)
    try:
        onnx.external_data_helper.load_external_data_for_model(document, str(path.parent))
        onnx.checker.check_model(document)
        inlined: ModelProto = onnx.inliner.inline_local_functions(document)
    except Exception as error:
        raise InputError(
            f"the network {path} is damaged, or its weights beside it are: {_first_line(error)}."
        ) from error
    return inlined


def _require_beside(onnx: Any, path: Path, tensor: TensorProto) -> None:
    """Refuse a tensor whose values lie anywhere but in the file's own folder."""
    if tensor.data_location != onnx.TensorProto.EXTERNAL:
        return
    where = {entry.key: entry.value for entry in tensor.external_data}.get("location", "")
    folder = path.parent.resolve()
    target = folder / where
    if (
        not where
        or "\0" in where
        or Path(where).is_absolute()
        or not target.resolve().is_relative_to(folder)
    ):
        raise InputError(
            f"the network {path} asks for weights in '{where}', outside its own folder: such files "
            "are not read. Save it as one file."
        )
    with input_errors(f"the weights {target}"):
        require_file(target, f"the weights {target} of the network {path.name}")


def _require_plain(path: Path, document: ModelProto) -> None:
    """Operators of ONNX itself only, none that holds graphs of its own, and no sparse weights."""
    if document.graph.sparse_initializer:
        raise InputError(
            f"the network {path} has sparse weights, which an engine does not take: export it "
            "again with dense ones."
        )
    for node in document.graph.node:
        if node.domain not in _PLAIN_DOMAINS:
            raise InputError(
                f"the network {path} uses the operator {node.domain}::{node.op_type}, which is "
                "none of ONNX's own: only those are admitted; export it again without it."
            )
        if any(one.HasField("g") or one.graphs for one in node.attribute):
            raise InputError(
                f"the network {path} has branches or loops ({node.op_type}), which an engine does "
                "not take: export it again with fixed sizes."
            )


def _converted(onnx: Any, path: Path, document: ModelProto) -> ModelProto:
    """The network in OPSET, with no other domain."""
    versions = [one.version for one in document.opset_import if one.domain in _PLAIN_DOMAINS]
    del document.functions[:]
    del document.opset_import[:]
    document.opset_import.append(onnx.helper.make_opsetid("", max(versions, default=1)))
    if versions == [OPSET]:
        return document
    try:
        found: ModelProto = onnx.version_converter.convert_version(document, OPSET)
        onnx.checker.check_model(found)
    except Exception as error:
        raise InputError(
            f"the network {path} has opset {max(versions, default=1)} and cannot be turned into "
            f"{OPSET}, which engines have: export it again with opset {OPSET} "
            f"({_first_line(error)})."
        ) from error
    return found


def _only_input(
    onnx: Any, path: Path, graph: GraphProto
) -> tuple[str, tuple[int | None, ...], bool]:
    weights = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in weights]
    if len(inputs) != 1:
        names = ", ".join(value.name for value in inputs) or "none"
        raise InputError(f"the network {path} must have one input, the frames; it has {names}.")
    # Weights that are inputs too could be replaced by who runs it; here they are weights.
    del graph.input[:]
    graph.input.append(inputs[0])
    kind = inputs[0].type.tensor_type
    if kind.elem_type not in (onnx.TensorProto.FLOAT, onnx.TensorProto.UINT8):
        raise InputError(f"the input of the network {path} must be float32 or uint8 pixels.")
    if not kind.shape.dim:
        raise InputError(f"the input of the network {path} has no axes: it must be images.")
    shape = tuple(one.dim_value if one.dim_value > 0 else None for one in kind.shape.dim)
    return inputs[0].name, shape, kind.elem_type == onnx.TensorProto.UINT8


def _chosen_output(path: Path, graph: GraphProto, wanted: str | None, input_name: str) -> str:
    outputs: list[str] = [value.name for value in graph.output]
    if wanted is None:
        if len(outputs) == 1:
            return outputs[0]
        raise UsageError(
            f"the network {path} has the outputs {', '.join(outputs)}: name one with --onnx-output."
        )
    made = {name for node in graph.node for name in node.output if name}
    if wanted not in made or wanted == input_name:
        last = [name for node in list(graph.node)[-6:] for name in node.output if name]
        raise UsageError(
            f"the network {path} makes no value '{wanted}'; its outputs are {', '.join(outputs)}, "
            f"the last values before them {', '.join(last)}."
        )
    return wanted


def _keep_only(document: ModelProto, output: str) -> None:
    """Drop what the output does not depend on."""
    graph = document.graph
    needed, kept = {output}, []
    for node in reversed(list(graph.node)):
        if needed.intersection(node.output):
            needed.update(node.input)
            kept.append(node)
    weights = [tensor for tensor in graph.initializer if tensor.name in needed]
    for field, values in (("node", kept[::-1]), ("initializer", weights)):
        graph.ClearField(field)
        getattr(graph, field).extend(values)
    for field in ("value_info", "metadata_props", "quantization_annotation"):
        graph.ClearField(field)


def _tensors(document: ModelProto) -> Iterator[TensorProto]:
    """All tensors, also those in attributes, in graphs in attributes and in functions."""
    yield from _graph_tensors(document.graph)
    for function in document.functions:
        yield from _node_tensors(function.node)


def _graph_tensors(graph: GraphProto) -> Iterator[TensorProto]:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    yield from _node_tensors(graph.node)


def _node_tensors(nodes: Any) -> Iterator[TensorProto]:
    node: NodeProto
    for node in nodes:
        for one in node.attribute:
            yield from (one.t, *one.tensors)
            for sparse in (one.sparse_tensor, *one.sparse_tensors):
                yield from (sparse.values, sparse.indices)
            for graph in (one.g, *one.graphs):
                yield from _graph_tensors(graph)


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__).rstrip(".")[:200]
