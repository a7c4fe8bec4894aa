"""The end of the forward: videos are finished, then frames scored.

The first is also the second step of the general backward. Frame scores are written where chunks are
pooled, but for the weighted average, which is known only here, and for those that pass a gate.
"""

# Triton's language has no types that a checker could follow.
# mypy: ignore-errors

from __future__ import annotations

import triton
import triton.language as tl

from .tiles import (
    FACTORS,
    LANES,
    LOG2_E,
    MEANS,
    SIZES,
    SOFTMAX_FACTOR,
    SQRT_LOG2_E,
    UNALIGNED,
    chunk_of_slot,
    clear_outside,
    factor_of_mean,
    gated_weight,
    load_class_logits,
    load_constants,
    load_row_numbers,
    load_tile,
    probabilities,
    rows_of_turn,
    slots_of_video,
    weight_of_tile,
)


@triton.jit
def _sums_of_chunks(
    in_ptr, plane, columns, count, NUMBERS: tl.constexpr, USED: tl.constexpr,
    C: tl.constexpr, BLOCK: tl.constexpr, WARPS: tl.constexpr,
):  # fmt: skip
    """(LANES) for each number of a chunk: its sum over a video's, in an order that never changes.

    One walk for all, so that their loads wait together. USED has the bits of those that are read.
    """
    sums = ()
    for _ in tl.static_range(NUMBERS):
        sums += (tl.zeros([WARPS, LANES], tl.float32),)
    chunks = tl.arange(0, WARPS)[:, None]
    in_ptr = in_ptr + (chunks * C + columns[None, :])
    for step in range(0, count.to(tl.int32), BLOCK):
        more = ()
        for number in tl.static_range(NUMBERS):
            total = sums[number]
            if (USED >> number) & 1:
                for first in tl.static_range(0, BLOCK, WARPS):
                    inside = (chunks + (step + first) < count) & (columns < C)[None, :]
                    pointers = in_ptr + number * plane + first * C
                    total += tl.load(pointers, mask=inside, other=0.0)
            more += (total,)
        sums = more
        in_ptr += BLOCK * C
    totals = ()
    for number in tl.static_range(NUMBERS):
        totals += (tl.sum(sums[number], 0),)
    return totals


@triton.jit
def _finish_gaussian(
    sums, statistics_ptr, results_ptr, plane_of_videos, columns, num_rows,
    WHICH: tl.constexpr, USED: tl.constexpr, C: tl.constexpr,
    AVERAGE: tl.constexpr, WEIGHTED: tl.constexpr,
):  # fmt: skip
    """Results of the local (0) or the global Gaussian (1): mean p z u and mean p z u^2.

    Of the weighted average mean (p - a) z u and mean (p - a) z u^2 for a = mean p z, which is
    returned; its factor and its means of z u and z u^2 go to the statistics.
    """
    POWERS: tl.constexpr = AVERAGE and not WEIGHTED
    used = columns < C
    share = tl.zeros([LANES], tl.float32)
    factor = share
    if USED and POWERS:
        total = sums[6 * WHICH]
        factor = factor_of_mean(total, num_rows)
        # Not by the factor: so it lies between the smallest and the largest p.
        share = sums[6 * WHICH + 3] / total
        share = tl.where(factor > 0, share, 0.0)
        factor_ptr = statistics_ptr + (FACTORS + WHICH) * plane_of_videos
        tl.store(factor_ptr + columns, factor, mask=used)
    elif USED and AVERAGE:
        share = sums[7 + WHICH] / num_rows
    for power in tl.static_range(1, 3):
        result = tl.zeros([LANES], tl.float32)
        mean = result
        # The sums were taken with u': one or two factors sqrt(log2 e) too many.
        unit = 1 / num_rows / (SQRT_LOG2_E if power == 1 else LOG2_E)
        mean_ptr = statistics_ptr + (MEANS + 2 * WHICH + power - 1) * plane_of_videos + columns
        if USED and POWERS:
            mean = sums[6 * WHICH + power] * (factor * unit)
            result = sums[6 * WHICH + 3 + power] * (factor * unit)
            tl.store(mean_ptr, mean, mask=used)
        elif USED:
            result = sums[2 * WHICH + power] * unit
            if AVERAGE:
                mean = tl.load(mean_ptr, mask=used, other=0.0)
        if AVERAGE:
            result -= share * mean
        result_ptr = results_ptr + (2 * WHICH + power - 1) * plane_of_videos
        tl.store(result_ptr + columns, result, mask=used)
    if AVERAGE:
        tl.store(results_ptr + (5 + WHICH) * plane_of_videos + columns, share, mask=used)
    return share


@triton.jit(do_not_specialize=SIZES, do_not_specialize_on_alignment=UNALIGNED)
def finish_videos(
    offsets_ptr, sums_ptr, statistics_ptr, scores_ptr, video_scores_ptr, results_ptr,
    num_snippets, num_videos, num_slots,
    C: tl.constexpr, BLOCK: tl.constexpr, WARPS: tl.constexpr, CHUNK: tl.constexpr,
    LOCAL: tl.constexpr, GLOBAL: tl.constexpr, SOFTMAX: tl.constexpr, MAX_ONE: tl.constexpr,
    MEAN_ONE: tl.constexpr, AVERAGE: tl.constexpr, SCORES: tl.constexpr, WEIGHTED: tl.constexpr,
):  # fmt: skip
    """Grid (videos, tiles): video scores, and the sums (B, C) that the backward needs.

    They are five, of the weighted average seven, and then its factors and means.
    """
    COMPONENTS: tl.constexpr = LOCAL + GLOBAL + SOFTMAX
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
    plane_of_videos = num_videos.to(tl.int64) * C
    statistics_ptr += video * C
    results_ptr += video * C
    num_rows = tl.maximum(length, 1).to(tl.float32)
    factor = tl.zeros([LANES], tl.float32)
    if SOFTMAX and not MAX_ONE:
        factor_ptr = statistics_ptr + SOFTMAX_FACTOR * plane_of_videos
        factor = tl.load(factor_ptr + columns, mask=used, other=0.0)
        if MEAN_ONE:
            # Rounded correctly: 1 where the softmax is saturated.
            factor = tl.div_rn(factor, num_rows)
    # As pool_chunks counts them: the weighted average's thirteen, or up to nine.
    POWERS: tl.constexpr = AVERAGE and not WEIGHTED
    NUMBERS: tl.constexpr = 13 if POWERS else 9
    if POWERS:
        USED: tl.constexpr = LOCAL * 63 + GLOBAL * (63 << 6) + SOFTMAX * (1 << 12)
    else:
        USED: tl.constexpr = (
            (not WEIGHTED) + LOCAL * (3 << 1) + GLOBAL * (3 << 3) + SOFTMAX * (1 << 5)
            + SOFTMAX * MAX_ONE * (1 << 6) + AVERAGE * (LOCAL * (1 << 7) + GLOBAL * (1 << 8))
        )  # fmt: skip
    sums = _sums_of_chunks(
        sums_ptr + slot * C, plane, columns, count, NUMBERS, USED, C, BLOCK, WARPS
    )
    if not WEIGHTED and not AVERAGE:
        score = sums[0] * (1 / num_rows)
        score *= 1 / COMPONENTS
        tl.store(video_scores_ptr + video * C + columns, score, mask=used)
    local_share = _finish_gaussian(
        sums, statistics_ptr, results_ptr, plane_of_videos, columns, num_rows,
        0, LOCAL, C, AVERAGE, WEIGHTED,
    )  # fmt: skip
    global_share = _finish_gaussian(
        sums, statistics_ptr, results_ptr, plane_of_videos, columns, num_rows,
        1, GLOBAL, C, AVERAGE, WEIGHTED,
    )  # fmt: skip
    share = factor
    if SOFTMAX:
        share = sums[12 if POWERS else 5]
        if MAX_ONE:
            share = share / tl.maximum(sums[6], 1.0)
        else:
            share *= factor
    tl.store(results_ptr + 4 * plane_of_videos + columns, share, mask=used)
    if POWERS:
        score = (local_share + global_share + share) * (1 / COMPONENTS)
        tl.store(video_scores_ptr + video * C + columns, score, mask=used)


@triton.jit(do_not_specialize=SIZES, do_not_specialize_on_alignment=UNALIGNED)
def score_chunks(
    x_ptr, h_ptr, offsets_ptr, mu_ptr, sigma_ptr, statistics_ptr, row_numbers_ptr, scores_ptr,
    num_snippets, num_videos, num_slots, gate_level,
    C: tl.constexpr, WIDTH: tl.constexpr, X_STRIDE: tl.constexpr, H_STRIDE: tl.constexpr,
    TILES: tl.constexpr, HELD: tl.constexpr, WARPS: tl.constexpr, CHUNK: tl.constexpr,
    LOCAL: tl.constexpr, GLOBAL: tl.constexpr, SOFTMAX: tl.constexpr, MAX_ONE: tl.constexpr,
    AVERAGE: tl.constexpr, ACTIVATION: tl.constexpr, GATE: tl.constexpr,
):  # fmt: skip
    """Grid (slots): frame scores of a chunk, whose video is finished."""
    slot = tl.program_id(0).to(tl.int64)
    video, _, begin, stop = chunk_of_slot(slot, offsets_ptr, num_videos, num_snippets, CHUNK)
    if begin >= stop:
        return
    plane = num_videos.to(tl.int64) * C
    size = (stop - begin).to(tl.int32)
    x_ptr += begin * X_STRIDE
    h_ptr += begin * H_STRIDE
    for tile in tl.static_range(TILES):
        constants = load_constants(
            statistics_ptr + video * C, plane, mu_ptr, sigma_ptr, tile, C,
            LOCAL, GLOBAL, SOFTMAX, MAX_ONE, AVERAGE,
        )  # fmt: skip
        columns = tile * LANES + tl.arange(0, LANES)[None, :]
        for step in range(0, size, HELD * WARPS):
            rows, inside = rows_of_turn(step, size, HELD, WARPS)
            found = ()
            for held in tl.static_range(HELD):
                x = load_tile(x_ptr, rows[held], tile, C, WIDTH, X_STRIDE, 0.0)
                h = load_class_logits(h_ptr, rows[held], tile, C, WIDTH, H_STRIDE, ACTIVATION)
                maximum, inverse = load_row_numbers(
                    row_numbers_ptr + begin * 2, rows[held], inside[held], ACTIVATION
                )
                p = probabilities(h, maximum, inverse, inside[held], ACTIVATION)
                weight = weight_of_tile(x, constants, LOCAL, GLOBAL, SOFTMAX, MAX_ONE, AVERAGE)
                weight = gated_weight(
                    x, weight, constants, gate_level, LOCAL, GLOBAL, SOFTMAX, GATE
                )
                found += (p * weight,)
            # Not before everything is loaded: no load passes a store.
            for held in tl.static_range(HELD):
                pointers = scores_ptr + begin * C + (rows[held] * C + columns)
                tl.store(pointers, found[held], mask=inside[held] & (columns < C))
