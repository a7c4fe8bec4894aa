"""What each kind of graph takes and gives: names, element types and shapes, from its manifest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from wsgn.localization.streaming_state import state_rows
from wsgn.manifest import Manifest

# Of each of `wsgn.manifest.GRAPHS`, the free dimensions that frames or features begin with: N
# snippets; B videos of T snippets; N more snippets of each of B streams.
_AXES = {"snippet": ("N",), "whole-video": ("B", "T"), "streaming": ("B", "N")}
# Every output for classes, in order, and how many of these dimensions it begins with.
_OUTPUTS = {
    "snippet": {"selection_logits": 1, "class_probabilities": 1},
    "whole-video": {"scores": 2, "video_scores": 1},
    "streaming": {"selection_logits": 2, "class_probabilities": 2, "scores": 2},
}
_FLOAT32 = np.dtype(np.float32)


@dataclass(frozen=True, kw_only=True)
class TensorSpec:
    """An input or output of a graph."""

    name: str
    dtype: np.dtype[np.generic]
    # A size, or the name of a dimension that is given when the graph runs: ("N", 1024).
    shape: tuple[int | str, ...]

    @property
    def sizes(self) -> tuple[int | None, ...]:
        """The shape with None for what is given when the graph runs."""
        return tuple(None if isinstance(size, str) else size for size in self.shape)

    @property
    def axes(self) -> tuple[str, ...]:
        """The names of the dimensions that are given when the graph runs, in order."""
        return tuple(size for size in self.shape if isinstance(size, str))

    def shape_at(self, sizes: Mapping[str, int]) -> tuple[int, ...]:
        """The shape with a size for each of `axes`."""
        return tuple(sizes[size] if isinstance(size, str) else size for size in self.shape)

    def __str__(self) -> str:
        return f"{self.name} {self.dtype} ({', '.join(map(str, self.shape))})"


@dataclass(frozen=True, kw_only=True)
class GraphTensors:
    """Inputs and outputs in the order of the graph; frames (then flow) or features come first."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]

    @property
    def output_names(self) -> tuple[str, ...]:
        """As hosts ask for them."""
        return tuple(output.name for output in self.outputs)


def graph_tensors(manifest: Manifest) -> GraphTensors:
    """The tensors of the graph that a manifest describes; docs/graphs.md says what they hold."""
    axes, num_classes = _AXES[manifest.graph], len(manifest.classes)
    inputs = [_snippets(manifest, axes)]
    if manifest.flow is not None:
        shape = (*inputs[0].shape[:-1], 2)
        inputs.append(TensorSpec(name="flow", dtype=_FLOAT32, shape=shape))
    outputs = [
        TensorSpec(name=name, dtype=_FLOAT32, shape=(*axes[:num_axes], num_classes))
        for name, num_axes in _OUTPUTS[manifest.graph].items()
    ]
    if manifest.graph == "streaming":
        shape = (axes[0], len(state_rows(manifest.selection)), num_classes)
        inputs.append(TensorSpec(name="state", dtype=_FLOAT32, shape=shape))
        outputs.append(TensorSpec(name="next_state", dtype=_FLOAT32, shape=shape))
    return GraphTensors(inputs=tuple(inputs), outputs=tuple(outputs))


def _snippets(manifest: Manifest, axes: tuple[str, ...]) -> TensorSpec:
    """The input of frames (..., L, H, W, 3) or features (..., D)."""
    if manifest.frames is None:
        assert manifest.features is not None
        return TensorSpec(name="features", dtype=_FLOAT32, shape=(*axes, manifest.features.size))
    frames, length = manifest.frames, manifest.sampling.snippet_length
    return TensorSpec(
        name="frames",
        dtype=np.dtype(np.uint8),
        shape=(*axes, length, frames.height, frames.width, 3),
    )
