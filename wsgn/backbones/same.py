"""TensorFlow's 'SAME' padding: out = ceil(in / stride), the odd row of padding at the end.

With input size n, kernel k and stride s along an axis, the padding is
max((ceil(n / s) - 1) s + k - n, 0), of which the smaller half comes first. It depends on n, so it
is worked out from the input; an exported graph therefore fixes T, H and W.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

# Along T, H, W.
Size3 = tuple[int, int, int]


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Rows before and after one axis."""
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def _padded(x: Tensor, kernel: Size3, stride: Size3, value: float) -> tuple[Tensor, Size3]:
    """The input as it goes into the operation, and the padding left to the operation itself.

    An operation can only pad both sides alike, which saves a copy of the input.
    """
    t, h, w = (same_padding(n, k, s) for n, k, s in zip(x.shape[2:], kernel, stride, strict=True))
    if all(before == after for before, after in (t, h, w)):
        return x, (t[0], h[0], w[0])
    return F.pad(x, [*w, *h, *t], value=value), (0, 0, 0)


class SameConv3d(nn.Module):
    """A convolution without bias, with zeros as padding."""

    def __init__(self, in_channels: int, out_channels: int, kernel: Size3, stride: Size3) -> None:
        super().__init__()
        self.kernel, self.stride = kernel, stride
        # The weight as the library starts it.
        self.weight = nn.Conv3d(in_channels, out_channels, kernel, bias=False).weight

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, T, H, W) -> (N, C', ceil(T / s), ceil(H / s), ceil(W / s))."""
        x, padding = _padded(x, self.kernel, self.stride, 0.0)
        return F.conv3d(x, self.weight, stride=self.stride, padding=padding)


class SameMaxPool3d(nn.Module):
    """The maximum over windows; padding never wins."""

    def __init__(self, kernel: Size3, stride: Size3) -> None:
        super().__init__()
        self.kernel, self.stride = kernel, stride

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, T, H, W) -> (N, C, ceil(T / s), ceil(H / s), ceil(W / s))."""
        x, padding = _padded(x, self.kernel, self.stride, float("-inf"))
        return F.max_pool3d(x, self.kernel, self.stride, padding)
