"""The second half of the forward: chunks are pooled, then videos finished.

They are also the first half of the general backward, with p g in the
place of p.
"""

# Triton's language has no types that a checker could follow.
# mypy: ignore-errors

from __future__ import annotations

import triton
import triton.language as tl

from .tiles import (
    LANES,
    LOG2_E,
    SIZES,
    SOFTMAX_FACTOR,
    SQRT_LOG2_E,
    UNALIGNED,
    chunk_of_slot,
    clear_outside,
    gaussian,
    load_columns,
    load_constants,
    load_row_numbers,
    load_tile,
    probabilities,
    rows_of_step,
    slots_of_video,
    store_columns,
    temporal_softmax,
)

# Numbers of x and h that a chunk hands on, (slots, C) each.
NUM_CHUNK_SUMS = 7


@triton.jit
def new_row_numbers(h, TILES: tl.constexpr):
    """Maximum over classes and 1 / sum exp(h - maximum) of the rows of a tuple of tiles."""
    top = h[0]
    for tile in tl.static_range(1, TILES):
        top = tl.maximum(top, h[tile])
    maximum = tl.max(top, 2)
    total = tl.exp2((h[0] - maximum[:, :, None]) * LOG2_E)
    for tile in tl.static_range(1, TILES):
        total += tl.exp2((h[tile] - maximum[:, :, None]) * LOG2_E)
    return maximum, 1 / tl.sum(total, 2)


@triton.jit
def add_tile(
    sums, x, p, inside, constants,
    LOCAL: tl.constexpr, GLOBAL: tl.constexpr, SOFTMAX: tl.constexpr, MAX_ONE: tl.constexpr,
):  # fmt: skip
    """The seven sums (WARPS, LANES) of a tile with more snippets, and their p (z + l + q)."""
    pooled, local_slope, local_curve, global_slope, global_curve, share, ties = sums
    mean, scale, mu, global_scale, maximum, factor = constants
    weight = tl.zeros_like(x)
    if LOCAL:
        u, z = gaussian(x, mean, scale)
        weight = z
        slope = p * z * u
        local_slope += tl.sum(slope, 0)
        local_curve += tl.sum(slope * u, 0)
    if GLOBAL:
        v, bell = gaussian(x, mu, global_scale)
        weight = weight + bell if LOCAL else bell
        slope = p * bell * v
        global_slope += tl.sum(slope, 0)
        global_curve += tl.sum(slope * v, 0)
    if SOFTMAX:
        from_maximum, q = temporal_softmax(x, maximum, factor, MAX_ONE)
        weight = weight + q if LOCAL or GLOBAL else q
        # Without the factor, so that a saturated softmax gives back p itself.
        share += tl.sum(p * from_maximum, 0)
        if MAX_ONE:
            attains = (x == maximum[None, None, :]) & inside[:, :, None]
            ties += tl.sum(attains.to(tl.float32), 0)
    score = p * weight
    pooled += tl.sum(score, 0)
    return (pooled, local_slope, local_curve, global_slope, global_curve, share, ties), score


@triton.jit(do_not_specialize=SIZES, do_not_specialize_on_alignment=UNALIGNED)
def pool_chunks(
    x_ptr, h_ptr, offsets_ptr, mu_ptr, sigma_ptr, statistics_ptr,
    row_numbers_ptr, scores_ptr, grad_scores_ptr, grad_video_ptr, sums_ptr,
    num_snippets, num_videos, num_slots,
    C: tl.constexpr, WIDTH: tl.constexpr, X_STRIDE: tl.constexpr, H_STRIDE: tl.constexpr,
    TILES: tl.constexpr, HELD: tl.constexpr, WARPS: tl.constexpr, CHUNK: tl.constexpr,
    LOCAL: tl.constexpr, GLOBAL: tl.constexpr, SOFTMAX: tl.constexpr, MAX_ONE: tl.constexpr,
    SIGMOID: tl.constexpr, SCORES: tl.constexpr, WEIGHTED: tl.constexpr,
):  # fmt: skip
    """Grid (slots): sums over a chunk of p (z + l + q) and of what the backward needs.

    The forward finds the row numbers, and writes frame scores with SCORES. WEIGHTED is the first
    half of the general backward: p g takes the place of p.
    """
    slot = tl.program_id(0).to(tl.int64)
    video, length, begin, stop = chunk_of_slot(slot, offsets_ptr, num_videos, num_snippets, CHUNK)
    if begin >= stop:
        return
    COMPONENTS: tl.constexpr = LOCAL + GLOBAL + SOFTMAX
    mine_ptr = statistics_ptr + video * C
    plane = num_videos.to(tl.int64) * C
    constants = ()
    sums = ()
    grad_video = ()
    for tile in tl.static_range(TILES):
        constants += (
            load_constants(
                mine_ptr, plane, mu_ptr, sigma_ptr, tile, C, LOCAL, GLOBAL, SOFTMAX, MAX_ONE
            ),
        )
        zero = tl.zeros([WARPS, LANES], tl.float32)
        sums += ((zero, zero, zero, zero, zero, zero, zero),)
        if WEIGHTED:
            per_row = 1 / (COMPONENTS * length.to(tl.float32))
            grad_video += (load_columns(grad_video_ptr + video * C, tile, C) * per_row,)
    size = (stop - begin).to(tl.int32)
    x_ptr += begin * X_STRIDE
    h_ptr += begin * H_STRIDE
    numbers_ptr = row_numbers_ptr + begin * 2
    for step in range(0, size, HELD * WARPS):
        rows = step + rows_of_step(HELD, WARPS)
        inside = rows < size
        # Rows beyond the chunk read its last one and get p = 0: no element needs a mask.
        rows = tl.minimum(rows, size - 1)
        x = ()
        h = ()
        for tile in tl.static_range(TILES):
            x += (load_tile(x_ptr, rows, tile, C, WIDTH, X_STRIDE, 0.0),)
            h += (load_tile(h_ptr, rows, tile, C, WIDTH, H_STRIDE, float("-inf")),)
        if WEIGHTED or SIGMOID:
            maximum, inverse = load_row_numbers(numbers_ptr, rows, inside, SIGMOID)
        else:
            maximum, inverse = new_row_numbers(h, TILES)
            # Two lanes write: as (HELD, WARPS) they would go through shared memory first.
            lane = tl.arange(0, LANES)[None, None, :]
            both = tl.where(lane == 0, maximum[:, :, None], inverse[:, :, None])
            tl.store(
                numbers_ptr + rows[:, :, None] * 2 + lane,
                both,
                mask=inside[:, :, None] & (lane < 2),
            )
            inverse = tl.where(inside, inverse, 0.0)
        more = ()
        for tile in tl.static_range(TILES):
            p = probabilities(h[tile], maximum, inverse, inside, SIGMOID)
            if WEIGHTED:
                g = load_tile(grad_scores_ptr + begin * C, rows, tile, C, C, C, 0.0)
                p *= g * (1 / COMPONENTS) + grad_video[tile][None, None, :]
            new, score = add_tile(
                sums[tile], x[tile], p, inside, constants[tile], LOCAL, GLOBAL, SOFTMAX, MAX_ONE
            )
            more += (new,)
            if SCORES:
                columns = tile * LANES + tl.arange(0, LANES)
                pointers = scores_ptr + begin * C + rows[:, :, None] * C + columns[None, None, :]
                mask = inside[:, :, None] & (columns < C)[None, None, :]
                tl.store(pointers, score * (1 / COMPONENTS), mask=mask)
        sums = more
    plane = num_slots.to(tl.int64) * C
    out_ptr = sums_ptr + slot * C
    for tile in tl.static_range(TILES):
        pooled, local_slope, local_curve, global_slope, global_curve, share, ties = sums[tile]
        if not WEIGHTED:
            store_columns(out_ptr, tl.sum(pooled, 0), tile, C)
        if LOCAL:
            store_columns(out_ptr + plane, tl.sum(local_slope, 0), tile, C)
            store_columns(out_ptr + 2 * plane, tl.sum(local_curve, 0), tile, C)
        if GLOBAL:
            store_columns(out_ptr + 3 * plane, tl.sum(global_slope, 0), tile, C)
            store_columns(out_ptr + 4 * plane, tl.sum(global_curve, 0), tile, C)
        if SOFTMAX:
            store_columns(out_ptr + 5 * plane, tl.sum(share, 0), tile, C)
            if MAX_ONE:
                store_columns(out_ptr + 6 * plane, tl.sum(ties, 0), tile, C)


@triton.jit
def _sum_of_chunks(in_ptr, columns, count, C: tl.constexpr, BLOCK: tl.constexpr):
    """(LANES): the sum over a video's chunks, in an order that never changes."""
    total = tl.zeros([BLOCK, LANES], tl.float32)
    for step in range(0, count, BLOCK):
        chunks = step + tl.arange(0, BLOCK)
        inside = (chunks < count)[:, None] & (columns < C)[None, :]
        total += tl.load(in_ptr + chunks[:, None] * C + columns[None, :], mask=inside, other=0.0)
    return tl.sum(total, 0)


@triton.jit(do_not_specialize=SIZES, do_not_specialize_on_alignment=UNALIGNED)
def finish_videos(
    offsets_ptr, sums_ptr, statistics_ptr, scores_ptr, video_scores_ptr, results_ptr,
    num_snippets, num_videos, num_slots,
    C: tl.constexpr, BLOCK: tl.constexpr, CHUNK: tl.constexpr,
    LOCAL: tl.constexpr, GLOBAL: tl.constexpr, SOFTMAX: tl.constexpr, MAX_ONE: tl.constexpr,
    MEAN_ONE: tl.constexpr, SCORES: tl.constexpr, WEIGHTED: tl.constexpr,
):  # fmt: skip
    """Grid (videos, tiles): video scores, and the five sums (B, C) that the backward needs."""
    video = tl.program_id(0).to(tl.int64)
    # Not one condition: the first is decided when compiling.
    if SCORES:  # noqa: SIM102
        if video == 0:
            clear_outside(
                scores_ptr, offsets_ptr, num_videos, num_snippets, tl.program_id(1), C, BLOCK
            )
    length, slot, count = slots_of_video(video, offsets_ptr, num_snippets, num_slots, CHUNK)
    columns = tl.program_id(1) * LANES + tl.arange(0, LANES)
    used = columns < C
    plane = num_slots.to(tl.int64) * C
    in_ptr = sums_ptr + slot * C
    num_rows = tl.maximum(length, 1).to(tl.float32)
    per_row = 1 / num_rows
    zero = tl.zeros([LANES], tl.float32)
    local_slope = zero
    local_curve = zero
    global_slope = zero
    global_curve = zero
    share = zero
    if not WEIGHTED:
        score = _sum_of_chunks(in_ptr, columns, count, C, BLOCK) * per_row
        score *= 1 / (LOCAL + GLOBAL + SOFTMAX)
        tl.store(video_scores_ptr + video * C + columns, score, mask=used)
    if LOCAL:
        local_slope = _sum_of_chunks(in_ptr + plane, columns, count, C, BLOCK)
        local_curve = _sum_of_chunks(in_ptr + 2 * plane, columns, count, C, BLOCK)
    if GLOBAL:
        global_slope = _sum_of_chunks(in_ptr + 3 * plane, columns, count, C, BLOCK)
        global_curve = _sum_of_chunks(in_ptr + 4 * plane, columns, count, C, BLOCK)
    if SOFTMAX:
        share = _sum_of_chunks(in_ptr + 5 * plane, columns, count, C, BLOCK)
        if MAX_ONE:
            ties = _sum_of_chunks(in_ptr + 6 * plane, columns, count, C, BLOCK)
            share = share / tl.maximum(ties, 1.0)
        else:
            factor_ptr = statistics_ptr + SOFTMAX_FACTOR * num_videos.to(tl.int64) * C + video * C
            factor = tl.load(factor_ptr + columns, mask=used, other=0.0)
            if MEAN_ONE:
                # Rounded correctly: 1 where the softmax is saturated.
                factor = tl.div_rn(factor, num_rows)
            share *= factor
    out_ptr = results_ptr + video * C + columns
    plane = num_videos.to(tl.int64) * C
    # The sums were taken with u' and v': one or two factors sqrt(log2 e) too many.
    tl.store(out_ptr, local_slope * (per_row / SQRT_LOG2_E), mask=used)
    tl.store(out_ptr + plane, local_curve * (per_row / LOG2_E), mask=used)
    tl.store(out_ptr + 2 * plane, global_slope * (per_row / SQRT_LOG2_E), mask=used)
    tl.store(out_ptr + 3 * plane, global_curve * (per_row / LOG2_E), mask=used)
    tl.store(out_ptr + 4 * plane, share, mask=used)
