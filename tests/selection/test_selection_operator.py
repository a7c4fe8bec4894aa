"""What surrounds the operator's formulas: padding, memory, compilers, and wrong inputs."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from wsgn.manifest import ACTIVATIONS, COMPONENTS, SOFTMAX_SCALES
from wsgn.selection import blocks as selection_blocks
from wsgn.selection import formulas, operator, reference
from wsgn.selection.api import frame_selection, video_selection
from wsgn.selection.packing import Packing
from wsgn.selection.terms import Inputs, Options

LENGTHS = (1, 2, 63, 5)
NUM_SNIPPETS = sum(LENGTHS)


def example(
    num_classes: int = 3, width: int | None = None, dtype: torch.dtype = torch.float64
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)

    x, h = (normal(NUM_SNIPPETS, width or num_classes) for _ in range(2))
    mu = normal(num_classes)
    offsets = torch.tensor([0, *LENGTHS]).cumsum(0)
    return x, h, offsets, mu, normal(num_classes).abs() + 0.5


@pytest.mark.parametrize("scale", ["mean_one", "max_one", "average"])
def test_video_selection_and_its_gradient_are_those_of_frame_selection(scale: str) -> None:
    options = {"weight_scale": scale} if scale == "average" else {"softmax_scale": scale}
    gradients = []
    values = []
    for both in (True, False):
        x, h, offsets, mu, sigma = example()
        leaves = [value.requires_grad_() for value in (x, h, mu, sigma)]
        if both:
            # Frame scores that are used with weight 0 go the general way.
            selection = frame_selection(x, h, offsets, mu, sigma, **options)
            scores = selection.video_scores + 0 * selection.scores.sum()
        else:
            scores = video_selection(x, h, offsets, mu, sigma, **options)
        values.append(scores)
        gradients.append(torch.autograd.grad(scores.square().sum(), leaves))
    torch.testing.assert_close(values[0], values[1], rtol=1e-12, atol=1e-14)
    for general, single in zip(*gradients, strict=True):
        torch.testing.assert_close(general, single, rtol=1e-10, atol=1e-13)


def test_columns_beyond_the_classes_are_ignored_and_get_zero() -> None:
    x, h, offsets, mu, sigma = example(num_classes=3, width=8)
    x[:, 3:], h[:, 3:] = math.nan, math.inf
    narrow = [value[:, :3].clone().requires_grad_() for value in (x, h)]
    wide = [value.requires_grad_() for value in (x, h)]
    expected = video_selection(*narrow, offsets, mu, sigma)
    got = video_selection(*wide, offsets, mu, sigma, num_classes=3)
    assert torch.equal(got, expected)
    grads = torch.autograd.grad(got.sum(), wide)
    for gradient, other in zip(grads, torch.autograd.grad(expected.sum(), narrow), strict=True):
        assert torch.equal(gradient[:, :3], other)
        assert torch.equal(gradient[:, 3:], torch.zeros(NUM_SNIPPETS, 5, dtype=gradient.dtype))


def test_halves_of_one_buffer_need_no_copy() -> None:
    x, h, offsets, mu, sigma = example()
    halves = torch.cat([x, h], dim=1).split(3, dim=1)
    assert not halves[1].is_contiguous()
    expected = frame_selection(x, h, offsets, mu, sigma)
    got = frame_selection(halves[0], halves[1], offsets, mu, sigma)
    assert torch.equal(got.scores, expected.scores)


@pytest.mark.parametrize("scale", ["per_frame", "average"])
@pytest.mark.parametrize("elements", [1, 60, 100, 10**6])
def test_blocks_of_any_size_give_one_result(
    elements: int, scale: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Videos in one block, alone, or in pieces."""
    generator = torch.Generator().manual_seed(0)
    weights = torch.randn(NUM_SNIPPETS, 3, generator=generator, dtype=torch.float64)
    x, h, offsets, mu, sigma = example()

    def run() -> list[Tensor]:
        leaves = [value.clone().requires_grad_() for value in (x, h, mu, sigma)]
        selection = frame_selection(
            *leaves[:2], offsets, *leaves[2:], softmax_scale="mean_one", weight_scale=scale
        )
        loss = (selection.scores * weights).sum() + selection.video_scores.square().sum()
        return [selection.scores, *torch.autograd.grad(loss, leaves)]

    expected = run()
    monkeypatch.setattr(selection_blocks, "BLOCK_ELEMENTS", elements)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    for got, wanted in zip(run(), expected, strict=True):
        torch.testing.assert_close(got, wanted, rtol=1e-11, atol=1e-13)


def test_blocks_cover_every_row_once() -> None:
    offsets = torch.tensor([0, 5, 2005, 2006, 2010, 9010])
    groups = list(selection_blocks.block_groups(offsets, num_classes=157))
    blocks = list(itertools.chain.from_iterable(groups))
    assert [block.start for block in blocks] == [0, *(block.end for block in blocks[:-1])]
    assert blocks[-1].end == 9010
    # A group holds whole videos.
    ends = [group[-1].end for group in groups]
    assert set(ends) <= set(offsets.tolist())


def test_a_block_of_videos_reduces_like_the_packed_batch() -> None:
    """Bit for bit where it holds several; a piece of one video is summed in another order."""
    x, _, offsets, _, _ = example()
    packing = Packing(offsets)
    ((block,),) = selection_blocks.block_groups(offsets, num_classes=3)
    assert block.lengths == LENGTHS
    assert torch.equal(block.counts[:, 0], packing.lengths)
    per_video = packing.max(x)
    assert torch.equal(block.max(x), per_video)
    assert torch.equal(block.sum(x), packing.sum(x))
    assert torch.equal(block.spread(per_video), packing.spread(per_video))
    ((alone,),) = selection_blocks.block_groups(torch.tensor([0, len(x)]), num_classes=3)
    whole = Packing(torch.tensor([0, len(x)]))
    assert torch.equal(alone.max(x), whole.max(x))
    torch.testing.assert_close(alone.sum(x), whole.sum(x), rtol=1e-12, atol=1e-12)
    assert torch.equal(alone.spread(per_video[:1]).expand_as(x), whole.spread(per_video[:1]))


@pytest.mark.parametrize(
    ("activation", "scale", "numbers"),
    [("softmax", "per_frame", 9), ("sigmoid", "average", 17), ("identity", "per_frame", 9)],
)
def test_little_is_kept_for_the_backward(activation: str, scale: str, numbers: int) -> None:
    """Beside the inputs two numbers for a snippet and a few for a video and class."""
    x, h, offsets, mu, sigma = example(num_classes=40, dtype=torch.float32)
    inputs = (x.requires_grad_(), h.requires_grad_(), offsets, mu, sigma)
    kept: list[Tensor] = []

    def keep(tensor: Tensor) -> Tensor:
        kept.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        video_selection(*inputs, class_activation=activation, weight_scale=scale)
    addresses = {value.data_ptr() for value in inputs}
    extra = sum(value.numel() for value in kept if value.data_ptr() not in addresses)
    assert len(kept) >= len(inputs)
    assert (
        extra == (2 * NUM_SNIPPETS if activation == "softmax" else 0) + numbers * len(LENGTHS) * 40
    )


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("with_frames", [False, True])
def test_it_compiles_without_a_break(dynamic: bool, with_frames: bool) -> None:
    """Video scores as formulas, with frame scores as one opaque operator."""

    def loss(*values: Tensor) -> Tensor:
        if with_frames:
            return frame_selection(*values, num_classes=3).video_scores.square().sum()
        scores = video_selection(*values, num_classes=3, weight_scale="average")
        return scores.square().sum()

    compiled = torch.compile(
        loss,
        backend="aot_eager",
        fullgraph=True,
        dynamic=dynamic,
    )
    x, h, offsets, mu, sigma = example(width=5)
    gradients = []
    for function in (compiled, loss):
        leaves = [value.clone().requires_grad_() for value in (x, h)]
        gradients.append(torch.autograd.grad(function(*leaves, offsets, mu, sigma), leaves))
    for got, expected in zip(*gradients, strict=True):
        if with_frames:
            assert torch.equal(got, expected)
        torch.testing.assert_close(got, expected, rtol=1e-12, atol=1e-14)


CHOICES = [
    (components, scale, activation)
    for components in (COMPONENTS, *((name,) for name in COMPONENTS))
    for scale in (*SOFTMAX_SCALES, "average")
    for activation in ACTIVATIONS
]


@pytest.mark.parametrize(("components", "scale", "activation"), CHOICES)
def test_formulas_for_compilers_are_the_operator(
    components: tuple[str, ...], scale: str, activation: str
) -> None:
    """With a tie at the largest of a video, and columns that do not count."""
    x, h, offsets, mu, sigma = example(width=5)
    x[5] = x[4] = x.amax()
    average = scale == "average"
    softmax_scale, weight_scale = ("max_one", "average") if average else (scale, "per_frame")
    options = Options(
        3, *(name in components for name in COMPONENTS), softmax_scale, activation, 1e-6,
        weight_scale,
    )  # fmt: skip

    def by_formulas(*tensors: Tensor) -> Tensor:
        a, b, c, d, e = tensors
        return formulas.video_scores(Inputs(x=a, h=b, cu_seqlens=c, mu=d, sigma=e), options)

    def by_operator(*tensors: Tensor) -> Tensor:
        return video_selection(
            *tensors,
            num_classes=3,
            components=components,
            softmax_scale=softmax_scale,
            weight_scale=weight_scale,
            class_activation=activation,
        )

    results = []
    for function in (by_formulas, by_operator):
        leaves = [value.clone().requires_grad_() for value in (x, h, mu, sigma)]
        scores = function(*leaves[:2], offsets, *leaves[2:])
        gradients = torch.autograd.grad(
            scores.square().sum(), leaves, allow_unused=True, materialize_grads=True
        )
        results.append([scores, *gradients])
    torch.testing.assert_close(results[0], results[1], rtol=1e-10, atol=1e-12)


def test_eager_pytorch_meets_no_custom_operator() -> None:
    """Their wrappers cost more of the host's time than all else."""
    met: list[str] = []

    class Recorder(TorchDispatchMode):
        def __torch_dispatch__(
            self, function: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            met.append(str(function))
            return function(*args, **(kwargs or {}))

    x, h, offsets, mu, sigma = example()
    leaves = [value.requires_grad_() for value in (x, h)]
    with Recorder():
        selection = frame_selection(x, h, offsets, mu, sigma)
        scores = video_selection(x, h, offsets, mu, sigma)
        torch.autograd.grad(scores.sum() + selection.scores.sum(), leaves)
    assert len(met) > 10
    assert not [name for name in met if "wsgn" in name]


def test_a_second_derivative_is_refused() -> None:
    x, h, offsets, mu, sigma = example()
    scores = video_selection(x.requires_grad_(), h, offsets, mu, sigma)
    # Of the other term there is one, which alone would be a wrong answer.
    loss = scores.sum() + x.pow(3).sum()
    (gradient,) = torch.autograd.grad(loss, x, create_graph=True)
    with pytest.raises(RuntimeError, match="a first derivative only"):
        torch.autograd.grad(gradient.sum(), x)


def test_another_device_type_is_computed_by_what_was_given_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Forward and backward alike; `implement` says so to the custom operators too."""
    asked: list[str] = []

    def forward(*arguments: Any, **options: Any) -> Any:
        asked.append("forward")
        return reference.forward(*arguments, **options)

    def backward(*arguments: Any) -> Any:
        asked.append("backward")
        return reference.backward(*arguments)

    implementation = operator._Implementation(forward=forward, backward=backward)
    monkeypatch.setitem(operator._IMPLEMENTATIONS, "cpu", implementation)
    x, h, offsets, mu, sigma = example()
    video_selection(x.requires_grad_(), h, offsets, mu, sigma).sum().backward()
    assert asked == ["forward", "backward"]


def test_autocast_hands_half_logits_over_as_they_are() -> None:
    _, _, offsets, mu, sigma = example(dtype=torch.float32)
    layer = torch.nn.Linear(4, 6)
    features = torch.randn(NUM_SNIPPETS, 4, generator=torch.Generator().manual_seed(0))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        x, h = layer(features).split(3, dim=1)
        assert x.dtype == torch.bfloat16
        scores = video_selection(x, h, offsets, mu, sigma)
        assert scores.dtype == torch.float32
        expected = video_selection(x.float(), h.float(), offsets, mu, sigma)
    assert torch.equal(scores, expected)
    scores.sum().backward()
    assert layer.weight.grad is not None


@pytest.mark.parametrize("scale", ["per_frame", "average"])
@pytest.mark.parametrize("name", ["frame_selection", "video_selection"])
def test_opcheck(name: str, scale: str) -> None:
    x, h, offsets, mu, sigma = example(width=5)
    leaves = [value.requires_grad_() for value in (x, h, mu, sigma)]
    arguments = (
        *leaves[:2], offsets, *leaves[2:], 3, True, True, True, "max_one", "sigmoid", 1e-6,
        scale, "none", 0.1,
    )  # fmt: skip
    torch.library.opcheck(getattr(torch.ops.wsgn, name).default, arguments)


WRONG: dict[str, tuple[Callable[..., dict[str, object]], str]] = {
    "one dimension": (lambda v: {"x": v["x"][0]}, r"\(3,\)"),
    "integers": (lambda v: {"x": v["x"].long(), "h": v["h"].long()}, "int64"),
    "two types": (lambda v: {"h": v["h"].float()}, "float32"),
    "two shapes": (lambda v: {"h": v["h"][:, :2]}, r"\(71, 2\)"),
    "columns apart": (lambda v: {"h": v["h"].T.contiguous().T}, r"strides \(1, 71\)"),
    "too many classes": (lambda v: {"num_classes": 4}, "W = 3, got 4"),
    "no classes": (lambda v: {"num_classes": 0}, "got 0"),
    "parameters of another size": (lambda v: {"num_classes": 2}, r"\(2,\), got \(3,\)"),
    "integer parameters": (lambda v: {"mu": v["mu"].long()}, "int64"),
    "another device": (lambda v: {"mu": v["mu"].to("meta")}, "mu on meta"),
    "float offsets": (lambda v: {"cu_seqlens": v["cu_seqlens"].float()}, "float32"),
    "offsets of booleans": (lambda v: {"cu_seqlens": v["cu_seqlens"].bool()}, "bool"),
    "a matrix of offsets": (lambda v: {"cu_seqlens": v["cu_seqlens"][None]}, r"\(1, 5\)"),
    "no epsilon": (lambda v: {"epsilon": 0.0}, "got 0.0"),
    "epsilon without a value": (lambda v: {"epsilon": math.nan}, "got nan"),
}


@pytest.mark.parametrize("function", [frame_selection, video_selection])
@pytest.mark.parametrize("what", WRONG)
def test_wrong_inputs_are_named(what: str, function: Callable[..., object]) -> None:
    change, words = WRONG[what]
    x, h, cu_seqlens, mu, sigma = example()
    values: dict[str, object] = {"x": x, "h": h, "cu_seqlens": cu_seqlens, "mu": mu}
    values["sigma"] = sigma
    values |= change(values)
    positional = [values.pop(name) for name in ("x", "h", "cu_seqlens", "mu", "sigma")]
    with pytest.raises(ValueError, match=words):
        function(*positional, **values)
