"""Backward kernel: one elementwise walk for dx and dh, and sums over videos for mu and sigma."""

# Triton's language has no types that a checker could follow.
# mypy: ignore-errors

from __future__ import annotations

import triton
import triton.language as tl

from .tiles import (
    IDENTITY,
    LANES,
    SIGMOID,
    SIZES,
    SQRT_LOG2_E,
    UNALIGNED,
    averaged_gaussian,
    chunk_of_slot,
    clear_outside,
    inverse_of_sigma,
    load_class_logits,
    load_columns,
    load_constants,
    load_row_numbers,
    load_tile,
    probabilities,
    rows_of_turn,
    store_columns,
    temporal_softmax,
    video_bounds,
)

# Before u' and v' in dx: -2 for the derivative of exp(-u^2), over log2 e for two factors
# sqrt(log2 e) too many.
_GAUSSIAN_FACTOR = tl.constexpr(-1.3862943611198906)


@triton.jit
def _parameter_gradients(
    tile, offsets_ptr, sigma_ptr, grad_video_ptr, sums_ptr, d_mu_ptr, d_sigma_ptr,
    num_snippets, num_videos,
    C: tl.constexpr, BLOCK: tl.constexpr, WARPS: tl.constexpr, COMPONENTS: tl.constexpr,
    GLOBAL: tl.constexpr, WEIGHTED: tl.constexpr,
):  # fmt: skip
    """d_mu and d_sigma of a tile: 2 / sigma times the sum over videos of sum g p l v (and v^2)."""
    columns = tile * LANES + tl.arange(0, LANES)[None, :]
    plane = num_videos.to(tl.int64) * C
    slope = tl.zeros([WARPS, LANES], tl.float32)
    curve = tl.zeros([WARPS, LANES], tl.float32)
    if GLOBAL:
        for step in range(0, num_videos, BLOCK):
            for first in tl.static_range(0, BLOCK, WARPS):
                videos = step + first + tl.arange(0, WARPS)[:, None]
                inside = (videos < num_videos) & (columns < C)
                place = videos.to(tl.int64) * C + columns
                if WEIGHTED:
                    known = tl.minimum(videos, num_videos - 1)
                    start, end = video_bounds(known, offsets_ptr, num_snippets)
                    g = (end - start).to(tl.float32)
                else:
                    # The means' 1 / T and the score's cancel.
                    g = tl.load(grad_video_ptr + place, mask=inside, other=0.0)
                    g *= 1 / COMPONENTS
                slope += g * tl.load(sums_ptr + 2 * plane + place, mask=inside, other=0.0)
                curve += g * tl.load(sums_ptr + 3 * plane + place, mask=inside, other=0.0)
    factor = inverse_of_sigma(load_columns(sigma_ptr, tile, C)) * (2 / SQRT_LOG2_E)
    store_columns(d_mu_ptr, tl.sum(slope, 0) * factor, tile, C)
    store_columns(d_sigma_ptr, tl.sum(curve, 0) * factor, tile, C)


@triton.jit
def _load_sums(
    sums_ptr, plane, g, tile, C: tl.constexpr,
    LOCAL: tl.constexpr, GLOBAL: tl.constexpr, SOFTMAX: tl.constexpr, AVERAGE: tl.constexpr,
    WEIGHTED: tl.constexpr,
):  # fmt: skip
    """sqrt(log2 e) mean g p z u, mean g p z u^2, the softmax's sum, mean g p z and mean g p l.

    (LANES) each; of the weighted average those that terms.py describes.
    """
    slope = tl.zeros([LANES], tl.float32)
    curve = slope
    share = slope
    local_share = slope
    global_share = slope
    if LOCAL:
        slope = load_columns(sums_ptr, tile, C) * SQRT_LOG2_E
        curve = load_columns(sums_ptr + plane, tile, C)
    if SOFTMAX:
        share = load_columns(sums_ptr + 4 * plane, tile, C)
    if AVERAGE and LOCAL:
        local_share = load_columns(sums_ptr + 5 * plane, tile, C)
    if AVERAGE and GLOBAL:
        global_share = load_columns(sums_ptr + 6 * plane, tile, C)
    if not WEIGHTED:
        slope *= g
        curve *= g
        share *= g
        local_share *= g
        global_share *= g
    return slope, curve, share, local_share, global_share


@triton.jit
def _tile_gradients(
    x, pg, constants, sums,
    LOCAL: tl.constexpr, GLOBAL: tl.constexpr, SOFTMAX: tl.constexpr, MAX_ONE: tl.constexpr,
    AVERAGE: tl.constexpr,
):  # fmt: skip
    """dx and z + l + q of a tile, (WARPS, LANES) each, from p g."""
    mean, scale, mu, global_scale, maximum, factor, local_factor, global_factor = constants
    slope, curve, share, local_share, global_share = sums
    weight = tl.zeros_like(x)
    dx = tl.zeros_like(x)
    if LOCAL:
        u, z = averaged_gaussian(x, mean, scale, local_factor, AVERAGE)
        weight = z
        dw = pg
        if AVERAGE:
            dw = pg - local_share[None, :]
        dx = (dw * z - curve[None, :]) * u - slope[None, :]
        dx *= scale[None, :]
    if GLOBAL:
        v, bell = averaged_gaussian(x, mu, global_scale, global_factor, AVERAGE)
        weight = weight + bell if LOCAL else bell
        dw = pg
        if AVERAGE:
            dw = pg - global_share[None, :]
        dx += dw * bell * v * global_scale[None, :]
    dx *= _GAUSSIAN_FACTOR
    if SOFTMAX:
        _, q = temporal_softmax(x, maximum, factor, MAX_ONE)
        weight = weight + q if LOCAL or GLOBAL else q
        if MAX_ONE:
            # The maximum's own gradient is shared by the snippets that attain it.
            at_maximum = tl.where(x == maximum[None, :], share[None, :], 0.0)
            dx += q * pg - at_maximum
        else:
            dx += q * (pg - share[None, :])
    return dx, weight


@triton.jit(do_not_specialize=SIZES, do_not_specialize_on_alignment=UNALIGNED)
def gradients(
    x_ptr, h_ptr, offsets_ptr, mu_ptr, sigma_ptr, statistics_ptr,
    row_numbers_ptr, grad_scores_ptr, grad_video_ptr, sums_ptr,
    dx_ptr, dh_ptr, d_mu_ptr, d_sigma_ptr,
    num_snippets, num_videos, num_slots,
    C: tl.constexpr, WIDTH: tl.constexpr, X_STRIDE: tl.constexpr, H_STRIDE: tl.constexpr,
    TILES: tl.constexpr, HELD: tl.constexpr, WARPS: tl.constexpr, CHUNK: tl.constexpr,
    BLOCK: tl.constexpr,
    LOCAL: tl.constexpr, GLOBAL: tl.constexpr, SOFTMAX: tl.constexpr, MAX_ONE: tl.constexpr,
    AVERAGE: tl.constexpr, ACTIVATION: tl.constexpr, WEIGHTED: tl.constexpr,
):  # fmt: skip
    """Grid (TILES + slots): dx and dh of a chunk; mu and sigma, which take longest, are first.

    Columns from C to WIDTH get zeros. The sums (5 or 7, B, C) hold g where WEIGHTED, else they are
    the forward's and g is one number for a video and class.
    """
    program = tl.program_id(0)
    COMPONENTS: tl.constexpr = LOCAL + GLOBAL + SOFTMAX
    if program < TILES:
        clear_outside(dx_ptr, offsets_ptr, num_videos, num_snippets, program, WIDTH, BLOCK)
        clear_outside(dh_ptr, offsets_ptr, num_videos, num_snippets, program, WIDTH, BLOCK)
        _parameter_gradients(
            program, offsets_ptr, sigma_ptr, grad_video_ptr, sums_ptr, d_mu_ptr, d_sigma_ptr,
            num_snippets, num_videos, C, BLOCK, WARPS, COMPONENTS, GLOBAL, WEIGHTED,
        )  # fmt: skip
        return
    video, length, begin, stop = chunk_of_slot(
        (program - TILES).to(tl.int64), offsets_ptr, num_videos, num_snippets, CHUNK
    )
    if begin >= stop:
        return
    plane = num_videos.to(tl.int64) * C
    constants = ()
    sums = ()
    grad_video = ()
    for tile in tl.static_range(TILES):
        per_row = 1 / (COMPONENTS * length.to(tl.float32))
        of_video = load_columns(grad_video_ptr + video * C, tile, C) * per_row
        grad_video += (of_video,)
        constants += (
            load_constants(
                statistics_ptr + video * C, plane, mu_ptr, sigma_ptr, tile, C,
                LOCAL, GLOBAL, SOFTMAX, MAX_ONE, AVERAGE,
            ),
        )  # fmt: skip
        sums += (
            _load_sums(
                sums_ptr + video * C, plane, of_video, tile, C,
                LOCAL, GLOBAL, SOFTMAX, AVERAGE, WEIGHTED,
            ),
        )  # fmt: skip
    size = (stop - begin).to(tl.int32)
    x_ptr += begin * X_STRIDE
    h_ptr += begin * H_STRIDE
    dx_ptr += begin * WIDTH
    dh_ptr += begin * WIDTH
    for step in range(0, size, HELD * WARPS):
        # Rows beyond the chunk are not written.
        rows, inside = rows_of_turn(step, size, HELD, WARPS)
        found = ()
        for held in tl.static_range(HELD):
            maximum, inverse = load_row_numbers(
                row_numbers_ptr + begin * 2, rows[held], inside[held], ACTIVATION
            )
            p = ()
            dx = ()
            dp = ()
            through_p = tl.zeros([WARPS, LANES], tl.float32)
            for tile in tl.static_range(TILES):
                x = load_tile(x_ptr, rows[held], tile, C, WIDTH, X_STRIDE, 0.0)
                h = load_class_logits(h_ptr, rows[held], tile, C, WIDTH, H_STRIDE, ACTIVATION)
                p_tile = probabilities(h, maximum, inverse, inside[held], ACTIVATION)
                g = grad_video[tile][None, :]
                if WEIGHTED:
                    of_frame = load_tile(
                        grad_scores_ptr + begin * C, rows[held], tile, C, C, C, 0.0
                    )
                    g = g + of_frame * (1 / COMPONENTS)
                dx_tile, weight = _tile_gradients(
                    x, p_tile * g, constants[tile], sums[tile], LOCAL, GLOBAL, SOFTMAX, MAX_ONE,
                    AVERAGE,
                )  # fmt: skip
                weight *= g
                through_p += p_tile * weight
                p += (p_tile,)
                dx += (dx_tile,)
                dp += (weight,)
            found += ((p, dx, dp, tl.sum(through_p, 1, keep_dims=True)),)
        # Not before everything is loaded: no load passes a store.
        for held in tl.static_range(HELD):
            p, dx, dp, balance = found[held]
            for tile in tl.static_range(TILES):
                lane = tl.arange(0, LANES)[None, :]
                mask = inside[held]
                if (tile + 1) * LANES > WIDTH:
                    mask = mask & (tile * LANES + lane < WIDTH)
                if ACTIVATION == IDENTITY:
                    dh = dp[tile]
                elif ACTIVATION == SIGMOID:
                    dh = p[tile] * (1 - p[tile]) * dp[tile]
                else:
                    # A saturated softmax has p = 1 and a balance of just dp: the difference is 0.
                    dh = p[tile] * (dp[tile] - balance)
                place = rows[held] * WIDTH + lane
                dx_out = dx[tile].to(dx_ptr.dtype.element_ty)
                tl.store(dx_ptr + place + tile * LANES, dx_out, mask=mask)
                dh_out = dh.to(dh_ptr.dtype.element_ty)
                tl.store(dh_ptr + place + tile * LANES, dh_out, mask=mask)
