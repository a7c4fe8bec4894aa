"""What every command that reads an exported ONNX document looks for in it first."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import onnx
from onnx import TensorProto, external_data_helper

from wsgn.engines.open import read_manifest
from wsgn.errors import EngineError
from wsgn.manifest import METADATA_KEY, Manifest

REMEDY = "give a file made by export/to_onnx.py"


def require_one_piece(path: Path, document: onnx.ModelProto) -> None:
    """Raise an `EngineError` where a constant lies in another file."""
    if any(external_data_helper.uses_external_data(tensor) for tensor in all_tensors(document)):
        raise EngineError(
            f"the engine '{path}' keeps its weights in another file: export it again as one file "
            "with export/to_onnx.py."
        )


def manifest_of(path: Path, document: onnx.ModelProto) -> Manifest:
    """The manifest in the document's metadata. Raises `EngineError`."""
    texts = {entry.key: entry.value for entry in document.metadata_props}
    if METADATA_KEY not in texts:
        raise EngineError(
            f"the engine '{path}' has no manifest (metadata key '{METADATA_KEY}'), which says its "
            f"classes and sampling: {REMEDY}."
        )
    # Read once more as the runtime does: a damaged graph must not become a plan.
    return read_manifest(path)


def all_nodes(document: onnx.ModelProto) -> Iterator[onnx.NodeProto]:
    """Every node, also of functions and of graphs inside nodes."""
    waiting = [*document.graph.node, *(node for f in document.functions for node in f.node)]
    while waiting:
        node = waiting.pop()
        yield node
        for attribute in node.attribute:
            for graph in (attribute.g, *attribute.graphs):
                waiting += graph.node


def all_tensors(document: onnx.ModelProto) -> Iterator[TensorProto]:
    """Every constant, also of functions and of graphs inside nodes."""
    yield from document.graph.initializer
    for node in all_nodes(document):
        for attribute in node.attribute:
            yield from (attribute.t, *attribute.tensors)
            for graph in (attribute.g, *attribute.graphs):
                yield from graph.initializer
