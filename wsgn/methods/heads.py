"""Layers that methods share."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, pad, relu

# Columns of the last layer are filled up to a multiple of this on a GPU: matrix products of half
# precision are many times slower for odd widths.
_GPU_COLUMNS = 16


class Head(nn.Module):
    """Linear(D, D), ReLU, Linear(D, C), with Xavier-uniform weights and zero biases.

    Without a hidden layer it is the last of them alone.
    """

    def __init__(self, feature_size: int, num_classes: int, *, hidden_layer: bool = True) -> None:
        super().__init__()
        self.hidden: nn.Linear | None = None
        if hidden_layer:
            self.hidden = initialised(nn.Linear(feature_size, feature_size))
        self.output = initialised(nn.Linear(feature_size, num_classes))

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Hidden features (N, D), and logits (N, C); columns beyond C on a GPU mean nothing."""
        hidden = features if self.hidden is None else relu(self.hidden(features))
        return hidden, _padded_linear(self.output, hidden)


def shared_layer(feature_size: int, *, hidden_layer: bool) -> nn.Module:
    """A hidden layer (N, D) to (N, D) that a method's linear layers share, or nothing."""
    if not hidden_layer:
        return nn.Identity()
    return nn.Sequential(initialised(nn.Linear(feature_size, feature_size)), nn.ReLU())


def initialised(layer: nn.Linear) -> nn.Linear:
    """The layer with Xavier-uniform weights and zero bias (section 4)."""
    nn.init.xavier_uniform_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


def _padded_linear(layer: nn.Linear, inputs: Tensor) -> Tensor:
    missing = -layer.out_features % _GPU_COLUMNS
    if missing == 0 or not inputs.is_cuda or torch.onnx.is_in_onnx_export():
        result: Tensor = layer(inputs)
        return result
    return linear(inputs, pad(layer.weight, (0, 0, 0, missing)), pad(layer.bias, (0, missing)))
