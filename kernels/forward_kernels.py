"""The walk over x and h: chunks are pooled.

It is also the first walk of the general backward, with p g in the place of p. The weighted average
is known only when a video is finished (finish_kernels.py): here the sums of z and of p z are taken,
and its frame scores wait.
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
    UNALIGNED,
    averaged_gaussian,
    chunk_of_slot,
    gaussian,
    load_class_logits,
    load_columns,
    load_constants,
    load_row_numbers,
    load_tile,
    probabilities,
    rows_of_turn,
    store_columns,
    temporal_softmax,
)

# Numbers of x and h that a chunk hands on, (slots, C) each, and those of the weighted average.
NUM_CHUNK_SUMS = 7
NUM_CHUNK_SUMS_OF_AVERAGE = 13
# The latter are z, z u', z u'^2, those times p, the same six of l, and p exp(x - maximum).


@triton.jit
def new_row_numbers(h, TILES: tl.constexpr):
    """Maximum over classes and 1 / sum exp(h - maximum) of the rows of a tuple of tiles."""
    top = h[0]
    for tile in tl.static_range(1, TILES):
        top = tl.maximum(top, h[tile])
    maximum = tl.max(top, 1, keep_dims=True)
    total = tl.exp2((h[0] - maximum) * LOG2_E)
    for tile in tl.static_range(1, TILES):
        total += tl.exp2((h[tile] - maximum) * LOG2_E)
    return maximum, 1 / tl.sum(total, 1, keep_dims=True)


@triton.jit
def add_tile(
    sums, x, p, inside, constants,
    LOCAL: tl.constexpr, GLOBAL: tl.constexpr, SOFTMAX: tl.constexpr, MAX_ONE: tl.constexpr,
    AVERAGE: tl.constexpr,
):  # fmt: skip
    """The nine sums (WARPS, LANES) of a tile with more snippets, and their p (z + l + q)."""
    (
        pooled, local_slope, local_curve, global_slope, global_curve, share, ties, local_share,
        global_share,
    ) = sums  # fmt: skip
    mean, scale, mu, global_scale, maximum, factor, local_factor, global_factor = constants
    weight = tl.zeros_like(x)
    if LOCAL:
        u, z = averaged_gaussian(x, mean, scale, local_factor, AVERAGE)
        weight = z
        product = p * z
        if AVERAGE:
            local_share += product
        slope = product * u
        local_slope += slope
        local_curve += slope * u
    if GLOBAL:
        v, bell = averaged_gaussian(x, mu, global_scale, global_factor, AVERAGE)
        weight = weight + bell if LOCAL else bell
        product = p * bell
        if AVERAGE:
            global_share += product
        slope = product * v
        global_slope += slope
        global_curve += slope * v
    if SOFTMAX:
        from_maximum, q = temporal_softmax(x, maximum, factor, MAX_ONE)
        weight = weight + q if LOCAL or GLOBAL else q
        # Without the factor, so that a saturated softmax gives back p itself.
        share += p * from_maximum
        if MAX_ONE:
            attains = (x == maximum[None, :]) & inside
            ties += attains.to(tl.float32)
    score = p * weight
    pooled += score
    more = (
        pooled, local_slope, local_curve, global_slope, global_curve, share, ties, local_share,
        global_share,
    )  # fmt: skip
    return more, score


@triton.jit
def _add_powers(sums, x, p, inside, centre, scale):
    """Sums (WARPS, LANES) of z, z u', z u'^2 and of p times each, with more snippets."""
    plain, plain_u, plain_u2, weighted, weighted_u, weighted_u2 = sums
    u, bell = gaussian(x, centre, scale)
    # p is 0 in rows that are not inside.
    bell = tl.where(inside, bell, 0.0)
    plain += bell
    weighted += bell * p
    bell *= u
    plain_u += bell
    weighted_u += bell * p
    bell *= u
    plain_u2 += bell
    weighted_u2 += bell * p
    return plain, plain_u, plain_u2, weighted, weighted_u, weighted_u2


@triton.jit
def _add_averaged_tile(
    sums, x, p, inside, constants,
    LOCAL: tl.constexpr, GLOBAL: tl.constexpr, SOFTMAX: tl.constexpr,
):  # fmt: skip
    """The thirteen sums (WARPS, LANES) of the weighted average, with more snippets."""
    of_local, of_global, share = sums
    mean, scale, mu, global_scale, maximum, factor, _, _ = constants
    if LOCAL:
        of_local = _add_powers(of_local, x, p, inside, mean, scale)
    if GLOBAL:
        of_global = _add_powers(of_global, x, p, inside, mu, global_scale)
    if SOFTMAX:
        from_maximum, _ = temporal_softmax(x, maximum, factor, True)
        share += p * from_maximum
    return of_local, of_global, share


@triton.jit
def _store_sums(out_ptr, plane, sums, tile, first: tl.constexpr, C: tl.constexpr):
    """Sums (WARPS, LANES) of a tile, from this number of a chunk on."""
    for place in tl.static_range(len(sums)):
        store_columns(out_ptr + (first + place) * plane, tl.sum(sums[place], 0), tile, C)


@triton.jit(do_not_specialize=SIZES, do_not_specialize_on_alignment=UNALIGNED)
def pool_chunks(
    x_ptr, h_ptr, offsets_ptr, mu_ptr, sigma_ptr, statistics_ptr,
    row_numbers_ptr, scores_ptr, grad_scores_ptr, grad_video_ptr, sums_ptr,
    num_snippets, num_videos, num_slots,
    C: tl.constexpr, WIDTH: tl.constexpr, X_STRIDE: tl.constexpr, H_STRIDE: tl.constexpr,
    TILES: tl.constexpr, HELD: tl.constexpr, WARPS: tl.constexpr, CHUNK: tl.constexpr,
    LOCAL: tl.constexpr, GLOBAL: tl.constexpr, SOFTMAX: tl.constexpr, MAX_ONE: tl.constexpr,
    AVERAGE: tl.constexpr, ACTIVATION: tl.constexpr, SCORES: tl.constexpr, WEIGHTED: tl.constexpr,
):  # fmt: skip
    """Grid (slots): sums over a chunk of p (z + l + q) and of what the backward needs.

    The forward finds the row numbers, and writes frame scores with SCORES. WEIGHTED is the first
    half of the general backward: p g takes the place of p.
    """
    # The forward of the weighted average does not know its factors yet.
    POWERS: tl.constexpr = AVERAGE and not WEIGHTED
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
                mine_ptr, plane, mu_ptr, sigma_ptr, tile, C, LOCAL, GLOBAL, SOFTMAX,
                MAX_ONE or POWERS, AVERAGE and WEIGHTED,
            ),
        )  # fmt: skip
        zero = tl.zeros([WARPS, LANES], tl.float32)
        if POWERS:
            six = (zero, zero, zero, zero, zero, zero)
            sums += ((six, six, zero),)
        else:
            sums += ((zero, zero, zero, zero, zero, zero, zero, zero, zero),)
        if WEIGHTED:
            per_row = 1 / (COMPONENTS * length.to(tl.float32))
            grad_video += (load_columns(grad_video_ptr + video * C, tile, C) * per_row,)
    size = (stop - begin).to(tl.int32)
    x_ptr += begin * X_STRIDE
    h_ptr += begin * H_STRIDE
    numbers_ptr = row_numbers_ptr + begin * 2
    for step in range(0, size, HELD * WARPS):
        # Rows beyond the chunk get p = 0.
        rows, inside = rows_of_turn(step, size, HELD, WARPS)
        x = ()
        h = ()
        for held in tl.static_range(HELD):
            x_row = ()
            h_row = ()
            for tile in tl.static_range(TILES):
                x_row += (load_tile(x_ptr, rows[held], tile, C, WIDTH, X_STRIDE, 0.0),)
                h_row += (
                    load_class_logits(h_ptr, rows[held], tile, C, WIDTH, H_STRIDE, ACTIVATION),
                )
            x += (x_row,)
            h += (h_row,)
        numbers = ()
        for held in tl.static_range(HELD):
            if WEIGHTED or ACTIVATION != 0:
                numbers += (load_row_numbers(numbers_ptr, rows[held], inside[held], ACTIVATION),)
            else:
                maximum, inverse = new_row_numbers(h[held], TILES)
                # Two lanes write what every lane knows.
                lane = tl.arange(0, LANES)[None, :]
                both = tl.where(lane == 0, maximum, inverse)
                mask = inside[held] & (lane < 2)
                tl.store(numbers_ptr + (rows[held] * 2 + lane), both, mask=mask)
                numbers += ((maximum, tl.where(inside[held], inverse, 0.0)),)
        more = ()
        for tile in tl.static_range(TILES):
            new = sums[tile]
            for held in tl.static_range(HELD):
                maximum, inverse = numbers[held]
                p = probabilities(h[held][tile], maximum, inverse, inside[held], ACTIVATION)
                if WEIGHTED:
                    g = load_tile(grad_scores_ptr + begin * C, rows[held], tile, C, C, C, 0.0)
                    p *= g * (1 / COMPONENTS) + grad_video[tile][None, :]
                if POWERS:
                    new = _add_averaged_tile(
                        new, x[held][tile], p, inside[held], constants[tile],
                        LOCAL, GLOBAL, SOFTMAX,
                    )  # fmt: skip
                else:
                    new, score = add_tile(
                        new, x[held][tile], p, inside[held], constants[tile],
                        LOCAL, GLOBAL, SOFTMAX, MAX_ONE, AVERAGE,
                    )  # fmt: skip
                if SCORES:
                    columns = tile * LANES + tl.arange(0, LANES)[None, :]
                    pointers = scores_ptr + begin * C + (rows[held] * C + columns)
                    mask = inside[held] & (columns < C)
                    tl.store(pointers, score * (1 / COMPONENTS), mask=mask)
            more += (new,)
        sums = more
    plane = num_slots.to(tl.int64) * C
    out_ptr = sums_ptr + slot * C
    for tile in tl.static_range(TILES):
        if POWERS:
            of_local, of_global, share = sums[tile]
            if LOCAL:
                _store_sums(out_ptr, plane, of_local, tile, 0, C)
            if GLOBAL:
                _store_sums(out_ptr, plane, of_global, tile, 6, C)
            if SOFTMAX:
                _store_sums(out_ptr, plane, (share,), tile, 12, C)
        else:
            (
                pooled, local_slope, local_curve, global_slope, global_curve, share, ties,
                local_share, global_share,
            ) = sums[tile]  # fmt: skip
            if not WEIGHTED:
                store_columns(out_ptr, tl.sum(pooled, 0), tile, C)
            if LOCAL:
                _store_sums(out_ptr, plane, (local_slope, local_curve), tile, 1, C)
            if GLOBAL:
                _store_sums(out_ptr, plane, (global_slope, global_curve), tile, 3, C)
            if SOFTMAX:
                store_columns(out_ptr + 5 * plane, tl.sum(share, 0), tile, C)
                if MAX_ONE:
                    store_columns(out_ptr + 6 * plane, tl.sum(ties, 0), tile, C)
            if AVERAGE:
                _store_sums(out_ptr, plane, (local_share, global_share), tile, 7, C)
