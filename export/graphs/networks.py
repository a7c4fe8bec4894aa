"""The three graphs of a trained model as modules that `torch.onnx.export` walks through."""

from __future__ import annotations

from collections.abc import Sequence

import onnx
import torch
from torch import Tensor, nn

from wsgn.export.graphs import frame_selection, streaming_selection
from wsgn.export.graphs.selection_function import DOMAIN, Attributes
from wsgn.localization.streaming_state import prior_rows, state_rows
from wsgn.manifest import IDENTITY, Manifest
from wsgn.methods.interface import HeadOutput
from wsgn.methods.rules import selection_rule
from wsgn.model import WeakDetector
from wsgn.selection.operator import class_probabilities


class SnippetGraph(nn.Module):
    """Frames (N, L, H, W, 3) uint8 or features (N, D) -> selection logits, class probabilities.

    What the class probabilities are is the model's `class_activation`: under 'identity' class
    logits. `front` makes features out of frames, and flow (N, L, H, W, 2) float32 if it looks at
    any, where the model itself takes features.
    """

    def __init__(self, model: WeakDetector, front: nn.Module | None = None) -> None:
        super().__init__()
        self.front = nn.Identity() if front is None else front
        self.model = model
        self.class_activation = selection_rule(model).class_activation

    def heads(self, inputs: Tensor, flow: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Selection and class logits (N, C); nothing depends on other snippets."""
        seen = (as_numbers(inputs),) if flow is None else (as_numbers(inputs), flow)
        heads: HeadOutput = self.model(self.front(*seen))
        num_classes = len(self.model.config.classes)
        class_logits = heads.class_logits
        if class_logits.shape[1] > num_classes:
            # Some methods have a background behind their classes.
            class_logits = class_logits[:, :num_classes]
        return heads.selection_logits, class_logits

    def forward(self, inputs: Tensor, flow: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Both outputs are (N, C) float32."""
        selection_logits, class_logits = self.heads(inputs, flow)
        return selection_logits, activated(class_logits, self.class_activation)


def activated(class_logits: Tensor, class_activation: str) -> Tensor:
    """What a graph puts out of class logits (N, C); under 'identity' another tensor of them."""
    if class_activation == IDENTITY:
        return class_logits.clone()
    return class_probabilities(class_logits, class_activation)


def as_numbers(inputs: Tensor) -> Tensor:
    """Pixels as float32, the first thing of every graph.

    TensorRT does nothing with uint8 but turn it into another type: what cuts or reshapes comes
    after.
    """
    return inputs.float()


def per_video(values: Tensor, shape: Sequence[int]) -> Tensor:
    """(B T, ...) -> (B, T, ...) for the shape (B, T)."""
    return values.reshape(*shape, *values.shape[1:])


class _SelectingGraph(nn.Module):
    """The snippets' network and the constants of a selection, as initializers of the graph."""

    mu: Tensor
    sigma: Tensor

    def __init__(self, snippets: SnippetGraph, manifest: Manifest) -> None:
        super().__init__()
        self.snippets = snippets
        self.rule = manifest.selection
        # Where the global Gaussian is not in use the manifest may leave its constants out.
        num_classes = len(manifest.classes)
        mean = self.rule.global_mean or (0.0,) * num_classes
        std = self.rule.global_std or (1.0,) * num_classes
        self.register_buffer("mu", torch.tensor(mean))
        self.register_buffer("sigma", torch.tensor(std))
        if self.rule.video_score.bias:
            self.register_buffer("bias", torch.tensor(self.rule.video_score.bias))


class WholeVideoGraph(_SelectingGraph):
    """Frames (B, T, L, H, W, 3) or features (B, T, D) -> scores (B, T, C), video scores (B, C)."""

    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """For the export only: in torch itself the values are undefined."""
        logits = self.snippets.heads(as_numbers(inputs).flatten(0, 1))  # (B T, C)
        x, h = (per_video(values, inputs.shape[:2]) for values in logits)  # (B, T, C)
        constants = frame_selection.input_names(self.rule)[2:]
        scores, video_scores = _call(
            frame_selection.NAME,
            (x, h, *(getattr(self, name) for name in constants)),
            frame_selection.node_attributes(self.rule),
            ((*x.shape,), (x.shape[0], x.shape[2])),
        )
        return scores, video_scores


class StreamingGraph(_SelectingGraph):
    """Frames (B, N, L, H, W, 3) or features (B, N, D), state (B, R, C) -> four outputs.

    They are selection logits, class probabilities and scores (B, N, C), and the next state.
    """

    prior: Tensor

    def __init__(self, snippets: SnippetGraph, manifest: Manifest) -> None:
        super().__init__(snippets, manifest)
        self.register_buffer("prior", torch.from_numpy(prior_rows(manifest.prior, self.rule)))

    def forward(self, inputs: Tensor, state: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """For the export only: in torch itself scores and state are undefined."""
        logits, probabilities = self.snippets(as_numbers(inputs).flatten(0, 1))  # (B N, C)
        x = per_video(logits, inputs.shape[:2])  # (B, N, C)
        p = per_video(probabilities, inputs.shape[:2])
        scores, next_state = _call(
            streaming_selection.NAME,
            (x, p, state, self.mu, self.sigma, self.prior),
            streaming_selection.node_attributes(self.rule),
            ((*x.shape,), (x.shape[0], len(state_rows(self.rule)), x.shape[2])),
        )
        return x, p, scores, next_state


def _call(
    name: str,
    inputs: tuple[Tensor, ...],
    attributes: Attributes,
    shapes: tuple[tuple[int, ...], ...],
) -> tuple[Tensor, ...]:
    """One node that calls a function of ours, with float32 outputs."""
    return tuple(
        torch.onnx.ops.symbolic_multi_out(
            f"{DOMAIN}::{name}",
            inputs,
            {**attributes},
            dtypes=(torch.float32,) * len(shapes),
            shapes=shapes,
            version=1,
        )
    )


_NETWORKS = {"whole-video": WholeVideoGraph, "streaming": StreamingGraph}
_FUNCTIONS = {
    "whole-video": frame_selection.frame_selection_function,
}


def graph_network(snippets: SnippetGraph, manifest: Manifest) -> nn.Module:
    """The module to export as the graph that a manifest names."""
    selecting = _NETWORKS.get(manifest.graph)
    return snippets if selecting is None else selecting(snippets, manifest)


def graph_function(manifest: Manifest, *, calls: str = "any") -> onnx.FunctionProto | None:
    """The function that the graph calls; None for the one that has no selection in it.

    That of streams is for one of its CALLS.
    """
    if manifest.graph == "streaming":
        return streaming_selection.streaming_selection_function(manifest.selection, calls=calls)
    function = _FUNCTIONS.get(manifest.graph)
    return None if function is None else function(manifest.selection)
