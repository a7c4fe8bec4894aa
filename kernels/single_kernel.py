"""The forward of equally long videos in one launch, for hosts that may launch only one kernel.

Grid: a program for each video, which walks over its snippets three times: means and maxima, then
squared distances and sums of exponentials, then scores. The weighted average takes one walk more,
for the sums of its Gaussians, before the last. `launch.py` is the fast form, which spreads a long
video over the whole GPU; here B programs work, and no memory beside inputs and outputs is needed.
The terms are those of tiles.py and forward_kernels.py.
"""

# Triton's language has no types that a checker could follow.
# mypy: ignore-errors

from __future__ import annotations

import triton
import triton.language as tl

from .forward_kernels import new_row_numbers
from .tiles import (
    LANES,
    LOG2_E,
    SQRT_LOG2_E,
    UNALIGNED,
    factor_of_mean,
    gated_weight,
    gaussian,
    inverse_of_sigma,
    load_class_logits,
    load_columns,
    load_tile,
    probabilities,
    rows_of_turn,
    store_columns,
    weight_of_tile,
)


@triton.jit
def _load_turn(
    x_ptr, step, length, tile: tl.constexpr, C: tl.constexpr, HELD: tl.constexpr,
    WARPS: tl.constexpr,
):  # fmt: skip
    """HELD tiles (WARPS, LANES) of x, and whether their rows are of the video."""
    rows, inside = rows_of_turn(step, length, HELD, WARPS)
    x = ()
    for held in tl.static_range(HELD):
        x += (load_tile(x_ptr, rows[held].to(tl.int64), tile, C, C, C, 0.0),)
    return x, inside


@triton.jit
def _mean_and_maximum(
    x_ptr, length, tile: tl.constexpr, C: tl.constexpr, HELD: tl.constexpr, WARPS: tl.constexpr
):
    """(LANES) each, of the classes of a tile."""
    # Sums are taken about the first snippet, so that only distances are added.
    first = load_columns(x_ptr, tile, C)
    linear = tl.zeros([WARPS, LANES], tl.float32)
    maximum = linear + first[None, :]
    for step in range(0, length, HELD * WARPS):
        # Rows behind the last: nothing for the maximum, masked in the sum.
        x, inside = _load_turn(x_ptr, step, length, tile, C, HELD, WARPS)
        for held in tl.static_range(HELD):
            linear += tl.where(inside[held], x[held] - first[None, :], 0.0)
            maximum = tl.maximum(maximum, x[held])
    mean = first + tl.sum(linear, 0) / length.to(tl.float32)
    return mean, tl.max(maximum, 0)


@triton.jit
def _spread_and_total(
    x_ptr, length, mean, maximum,
    tile: tl.constexpr, C: tl.constexpr, HELD: tl.constexpr, WARPS: tl.constexpr,
    LOCAL: tl.constexpr, TOTAL: tl.constexpr,
):  # fmt: skip
    """Sums of squared distances from the mean and of exp(x - maximum), (LANES) each."""
    square = tl.zeros([WARPS, LANES], tl.float32)
    total = tl.zeros([WARPS, LANES], tl.float32)
    for step in range(0, length, HELD * WARPS):
        x, inside = _load_turn(x_ptr, step, length, tile, C, HELD, WARPS)
        for held in tl.static_range(HELD):
            if LOCAL:
                distance = tl.where(inside[held], x[held] - mean[None, :], 0.0)
                square += distance * distance
            if TOTAL:
                height = tl.exp2((x[held] - maximum[None, :]) * LOG2_E)
                total += tl.where(inside[held], height, 0.0)
    return tl.sum(square, 0), tl.sum(total, 0)


@triton.jit
def _factor_of_gaussian(
    x_ptr, length, centre, scale,
    tile: tl.constexpr, C: tl.constexpr, HELD: tl.constexpr, WARPS: tl.constexpr,
):  # fmt: skip
    """1 over the mean of exp(-u^2), (LANES), of the classes of a tile."""
    total = tl.zeros([WARPS, LANES], tl.float32)
    for step in range(0, length, HELD * WARPS):
        x, inside = _load_turn(x_ptr, step, length, tile, C, HELD, WARPS)
        for held in tl.static_range(HELD):
            _, bell = gaussian(x[held], centre, scale)
            total += tl.where(inside[held], bell, 0.0)
    return factor_of_mean(tl.sum(total, 0), length.to(tl.float32))


@triton.jit
def _constants_of_tile(
    x_ptr, length, mu_ptr, sigma_ptr,
    tile: tl.constexpr, C: tl.constexpr, HELD: tl.constexpr, WARPS: tl.constexpr,
    LOCAL: tl.constexpr, GLOBAL: tl.constexpr, SOFTMAX: tl.constexpr, MAX_ONE: tl.constexpr,
    MEAN_ONE: tl.constexpr, AVERAGE: tl.constexpr, EPSILON: tl.constexpr,
):  # fmt: skip
    """As `tiles.load_constants`, but found here."""
    nothing = tl.zeros([LANES], tl.float32)
    mean = nothing
    scale = nothing
    mu = nothing
    global_scale = nothing
    maximum = nothing
    factor = nothing
    local_factor = nothing
    global_factor = nothing
    TOTAL: tl.constexpr = SOFTMAX and not MAX_ONE
    if LOCAL or SOFTMAX:
        mean, maximum = _mean_and_maximum(x_ptr, length, tile, C, HELD, WARPS)
    if LOCAL or TOTAL:
        num_rows = length.to(tl.float32)
        square, total = _spread_and_total(
            x_ptr, length, mean, maximum, tile, C, HELD, WARPS, LOCAL, TOTAL
        )
        scale = SQRT_LOG2_E / tl.sqrt(square / num_rows + EPSILON)
        factor = tl.div_rn(num_rows if MEAN_ONE else num_rows * 0 + 1, total) if TOTAL else nothing
    if GLOBAL:
        mu = load_columns(mu_ptr, tile, C)
        global_scale = inverse_of_sigma(load_columns(sigma_ptr, tile, C))
    if AVERAGE:
        if LOCAL:
            local_factor = _factor_of_gaussian(x_ptr, length, mean, scale, tile, C, HELD, WARPS)
        if GLOBAL:
            global_factor = _factor_of_gaussian(
                x_ptr, length, mu, global_scale, tile, C, HELD, WARPS
            )
    return mean, scale, mu, global_scale, maximum, factor, local_factor, global_factor


@triton.jit(do_not_specialize=("num_snippets",), do_not_specialize_on_alignment=UNALIGNED)
def score_videos(
    x_ptr, h_ptr, mu_ptr, sigma_ptr, num_snippets, scores_ptr, video_scores_ptr,
    C: tl.constexpr, TILES: tl.constexpr, HELD: tl.constexpr, WARPS: tl.constexpr,
    LOCAL: tl.constexpr, GLOBAL: tl.constexpr, SOFTMAX: tl.constexpr, MAX_ONE: tl.constexpr,
    MEAN_ONE: tl.constexpr, AVERAGE: tl.constexpr, ACTIVATION: tl.constexpr, GATE: tl.constexpr,
    GATE_LEVEL: tl.constexpr, EPSILON: tl.constexpr,
):  # fmt: skip
    """Grid (videos): scores (B, T, C) and video scores (B, C) of x and h (B, T, C)."""
    video = tl.program_id(0).to(tl.int64)
    length = num_snippets
    begin = video * length * C
    x_ptr += begin
    h_ptr += begin
    scores_ptr += begin
    constants = ()
    pooled = ()
    zero = tl.zeros([WARPS, LANES], tl.float32)
    for tile in tl.static_range(TILES):
        constants += (
            _constants_of_tile(
                x_ptr, length, mu_ptr, sigma_ptr, tile, C, HELD, WARPS,
                LOCAL, GLOBAL, SOFTMAX, MAX_ONE, MEAN_ONE, AVERAGE, EPSILON,
            ),
        )  # fmt: skip
        pooled += (zero,)
    for step in range(0, length, WARPS):
        # Rows behind the last get p = 0.
        of_turn, inside_of_turn = rows_of_turn(step, length, 1, WARPS)
        rows = of_turn[0].to(tl.int64)
        inside = inside_of_turn[0]
        h = ()
        for tile in tl.static_range(TILES):
            h += (load_class_logits(h_ptr, rows, tile, C, C, C, ACTIVATION),)
        maximum, inverse = new_row_numbers(h, TILES)
        inverse = tl.where(inside, inverse, 0.0)
        more = ()
        for tile in tl.static_range(TILES):
            x = load_tile(x_ptr, rows, tile, C, C, C, 0.0)
            p = probabilities(h[tile], maximum, inverse, inside, ACTIVATION)
            weight = weight_of_tile(x, constants[tile], LOCAL, GLOBAL, SOFTMAX, MAX_ONE, AVERAGE)
            gated = gated_weight(
                x, weight, constants[tile], GATE_LEVEL, LOCAL, GLOBAL, SOFTMAX, GATE
            )
            columns = tile * LANES + tl.arange(0, LANES)[None, :]
            mask = inside & (columns < C)
            tl.store(scores_ptr + (rows * C + columns), p * gated, mask=mask)
            more += (pooled[tile] + p * weight,)
        pooled = more
    for tile in tl.static_range(TILES):
        mean_score = tl.sum(pooled[tile], 0) / length.to(tl.float32)
        store_columns(video_scores_ptr + video * C, mean_score, tile, C)
