"""What must be known of an ONNX file before a library loads it, read without the onnx package.

A file is walked as the protocol buffer it is (https://protobuf.dev/programming-guides/encoding/).
Field numbers are those of onnx.proto. Tensor data are skipped, not read.
"""

from __future__ import annotations

import hashlib
import mmap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from wsgn.errors import EngineError, UsageError
from wsgn.manifest import METADATA_KEY, Manifest, was_changed

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5

# ModelProto.
_IR_VERSION, _GRAPH, _METADATA, _FUNCTIONS = 1, 7, 14, 25
# TensorProto.
_EXTERNAL_DATA, _DATA_LOCATION, _LOCATION_EXTERNAL = 13, 14, 1
# Which fields of a message lead to tensors: field number -> the kind of message in it.
_LEADS_TO_TENSORS = {
    "graph": {1: "node", 5: "tensor", 15: "sparse_tensor"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse_tensor",
                  23: "sparse_tensor"},
    "sparse_tensor": {1: "tensor", 2: "tensor"},
    "function": {7: "node", 11: "attribute"},
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class OnnxFile:
    """The parts of an ONNX file that are looked at before it is loaded."""

    path: Path
    # Of the whole file, in hexadecimal digits.
    sha256: str
    # Of what computes, which is all but the metadata.
    graph_sha256: str
    metadata: dict[str, str]
    has_external_data: bool


class _MalformedError(ValueError):
    pass


def read_onnx_file(path: Path) -> OnnxFile:
    """Read metadata and hash, and check that the file is whole. Raises `EngineError`."""
    if path.stat().st_size == 0:
        raise EngineError(f"the engine '{path}' is an empty file: export it again.")
    with path.open("rb") as file:
        # It is closed when the last view of it goes, which an error may hold.
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        return _read_model(path, memoryview(mapped))


def manifest_of(file: OnnxFile) -> Manifest:
    """The manifest in the file's metadata. Raises `EngineError`."""
    text = file.metadata.get(METADATA_KEY)
    if text is None:
        raise EngineError(
            f"the engine '{file.path}' has no manifest (metadata key '{METADATA_KEY}'), which says "
            "its classes and sampling: export it with export/to_onnx.py."
        )
    try:
        manifest = Manifest.from_json(text)
    except UsageError as error:
        raise EngineError(f"the engine '{file.path}' cannot be used: {error}") from error
    if manifest.checksum is not None and manifest.checksum.graph != file.graph_sha256:
        raise EngineError(
            f"the engine '{file.path}' is damaged: its graph is not the one that its manifest's "
            "checksum is of; copy it again, or export it again."
        )
    return manifest


def notices_of(file: OnnxFile) -> tuple[str, ...]:
    """What is odd about a file whose manifest is valid, in sentences."""
    if not was_changed(file.metadata[METADATA_KEY]):
        return ()
    return (
        f"the manifest of the engine '{file.path}' is not the one that was exported: somebody "
        "changed it, or the file is damaged; if nobody did, copy or export it again.",
    )


def graph_sha256(content: bytes | memoryview) -> str:
    """Of an ONNX file's bytes without the metadata; a `ValueError` where they are malformed."""
    view, found, position = memoryview(content), hashlib.sha256(), 0
    for number, _, end in _spans(view):
        if number != _METADATA:
            found.update(view[position:end])
        position = end
    return found.hexdigest()


def _read_model(path: Path, view: memoryview) -> OnnxFile:
    looks_like_onnx = False
    has_graph = has_external_data = False
    metadata: dict[str, str] = {}
    try:
        for number, value in _fields(view):
            if number == _IR_VERSION and isinstance(value, int):
                looks_like_onnx = True
            elif not looks_like_onnx or isinstance(value, int):
                continue
            elif number in (_GRAPH, _FUNCTIONS):
                has_graph |= number == _GRAPH
                kind = "graph" if number == _GRAPH else "function"
                has_external_data |= _refers_outside(value, kind)
            elif number == _METADATA:
                entry = {key: bytes(part) for key, part in _fields(value) if _is_bytes(part)}
                metadata[entry.get(1, b"").decode()] = entry.get(2, b"").decode()
    except (_MalformedError, UnicodeDecodeError) as error:
        raise EngineError(_malformed_message(path, looks_like_onnx)) from error
    if not has_graph:
        raise EngineError(_malformed_message(path, looks_like_onnx))
    return OnnxFile(
        path=path,
        sha256=hashlib.sha256(view).hexdigest(),
        graph_sha256=graph_sha256(view),
        metadata=metadata,
        has_external_data=has_external_data,
    )


def _malformed_message(path: Path, looks_like_onnx: bool) -> str:
    if looks_like_onnx:
        return f"the engine '{path}' is truncated or damaged: copy or export it again."
    return f"the engine '{path}' is not an ONNX file: give a file made by export/to_onnx.py."


def _refers_outside(view: memoryview, kind: str) -> bool:
    """Whether a tensor in a message has its data in another file; graphs may lie in graphs."""
    waiting = [(view, kind)]
    while waiting:
        message, kind = waiting.pop()
        children = _LEADS_TO_TENSORS.get(kind, {})
        for number, value in _fields(message):
            if kind == "tensor":
                if number == _EXTERNAL_DATA:
                    return True
                if number == _DATA_LOCATION and value == _LOCATION_EXTERNAL:
                    return True
            elif number in children and not isinstance(value, int):
                waiting.append((value, children[number]))
    return False


def _is_bytes(value: int | memoryview) -> bool:
    return isinstance(value, memoryview)


def _fields(view: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Fields of a message: an integer, or the bytes of what has a length."""
    for number, value, _ in _spans(view):
        yield number, value


def _spans(view: memoryview) -> Iterator[tuple[int, int | memoryview, int]]:
    """Fields of a message as in `_fields`, each with where it ends."""
    position, end = 0, len(view)
    while position < end:
        key, position = _varint(view, position)
        number, wire_type = key >> 3, key & 7
        if number == 0:
            raise _MalformedError
        if wire_type == _VARINT:
            value, position = _varint(view, position)
            yield number, value, position
            continue
        if wire_type == _BYTES:
            length, position = _varint(view, position)
        elif wire_type in (_FIXED32, _FIXED64):
            length = 4 if wire_type == _FIXED32 else 8
        else:
            raise _MalformedError
        if position + length > end:
            raise _MalformedError
        position += length
        yield number, view[position - length : position], position


def _varint(view: memoryview, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if position >= len(view) or shift > 63:
            raise _MalformedError
        byte = view[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
