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
    rows_of_step,
    slots_of_video,
    weight_of_tile,
)


@triton.jit
def _sum_of_chunks(in_ptr, columns, count, C: tl.constexpr, BLOCK: tl.constexpr):
    """(LANES): the sum over a video's chunks, in an order that never changes."""
    total = tl.zeros([BLOCK, LANES], tl.float32)
    for step in range(0, count, BLOCK):
        chunks = step + tl.arange(0, BLOCK)
        inside = (chunks < count)[:, None] & (columns < C)[None, :]
        total += tl.load(in_ptr + chunks[:, None] * C + columns[None, :], mask=inside, other=0.0)
    return tl.sum(total, 0)


@triton.jit
def _finish_gaussian(
    in_ptr, plane, statistics_ptr, results_ptr, plane_of_videos, columns, count, num_rows,
    WHICH: tl.constexpr, USED: tl.constexpr, C: tl.constexpr, BLOCK: tl.constexpr,
    AVERAGE: tl.constexpr, WEIGHTED: tl.constexpr,
):  # fmt: skip
    """Results of the local (0) or the global Gaussian (1): mean p z u and mean p z u^2.

    Of the weighted average mean (p - a) z u and mean (p - a) z u^2 for a = mean p z, which is
    returned; its factor and its means of z u and z u^2 go to the statistics.
    """
    POWERS: tl.constexpr = AVERAGE and not WEIGHTED
    used = columns < C
    first_ptr = in_ptr + 6 * WHICH * plane
    share = tl.zeros([LANES], tl.float32)
    factor = share
    if USED and POWERS:
        total = _sum_of_chunks(first_ptr, columns, count, C, BLOCK)
        factor = factor_of_mean(total, num_rows)
        # Not by the factor: so it lies between the smallest and the largest p.
        share = _sum_of_chunks(first_ptr + 3 * plane, columns, count, C, BLOCK) / total
        share = tl.where(factor > 0, share, 0.0)
        factor_ptr = statistics_ptr + (FACTORS + WHICH) * plane_of_videos
        tl.store(factor_ptr + columns, factor, mask=used)
    elif USED and AVERAGE:
        share = _sum_of_chunks(in_ptr + (7 + WHICH) * plane, columns, count, C, BLOCK) / num_rows
    for power in tl.static_range(1, 3):
        result = tl.zeros([LANES], tl.float32)
        mean = result
        # The sums were taken with u': one or two factors sqrt(log2 e) too many.
        unit = 1 / num_rows / (SQRT_LOG2_E if power == 1 else LOG2_E)
        mean_ptr = statistics_ptr + (MEANS + 2 * WHICH + power - 1) * plane_of_videos + columns
        if USED and POWERS:
            mean = _sum_of_chunks(first_ptr + power * plane, columns, count, C, BLOCK)
            mean *= factor * unit
            result = _sum_of_chunks(first_ptr + (3 + power) * plane, columns, count, C, BLOCK)
            result *= factor * unit
            tl.store(mean_ptr, mean, mask=used)
        elif USED:
            place_ptr = in_ptr + (2 * WHICH + power) * plane
            result = _sum_of_chunks(place_ptr, columns, count, C, BLOCK) * unit
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
    C: tl.constexpr, BLOCK: tl.constexpr, CHUNK: tl.constexpr,
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
    in_ptr = sums_ptr + slot * C
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
    if not WEIGHTED and not AVERAGE:
        score = _sum_of_chunks(in_ptr, columns, count, C, BLOCK) * (1 / num_rows)
        score *= 1 / COMPONENTS
        tl.store(video_scores_ptr + video * C + columns, score, mask=used)
    local_share = _finish_gaussian(
        in_ptr, plane, statistics_ptr, results_ptr, plane_of_videos, columns, count, num_rows,
        0, LOCAL, C, BLOCK, AVERAGE, WEIGHTED,
    )  # fmt: skip
    global_share = _finish_gaussian(
        in_ptr, plane, statistics_ptr, results_ptr, plane_of_videos, columns, count, num_rows,
        1, GLOBAL, C, BLOCK, AVERAGE, WEIGHTED,
    )  # fmt: skip
    share = factor
    if SOFTMAX:
        SHARE: tl.constexpr = 12 if AVERAGE and not WEIGHTED else 5
        share = _sum_of_chunks(in_ptr + SHARE * plane, columns, count, C, BLOCK)
        if MAX_ONE:
            ties = _sum_of_chunks(in_ptr + 6 * plane, columns, count, C, BLOCK)
            share = share / tl.maximum(ties, 1.0)
        else:
            share *= factor
    tl.store(results_ptr + 4 * plane_of_videos + columns, share, mask=used)
    if AVERAGE and not WEIGHTED:
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
        columns = tile * LANES + tl.arange(0, LANES)
        for step in range(0, size, HELD * WARPS):
            rows = step + rows_of_step(HELD, WARPS)
            inside = rows < size
            rows = tl.minimum(rows, size - 1)
            x = load_tile(x_ptr, rows, tile, C, WIDTH, X_STRIDE, 0.0)
            h = load_class_logits(h_ptr, rows, tile, C, WIDTH, H_STRIDE, ACTIVATION)
            maximum, inverse = load_row_numbers(
                row_numbers_ptr + begin * 2, rows, inside, ACTIVATION
            )
            p = probabilities(h, maximum, inverse, inside, ACTIVATION)
            weight = weight_of_tile(x, constants, LOCAL, GLOBAL, SOFTMAX, MAX_ONE, AVERAGE)
            weight = gated_weight(x, weight, constants, gate_level, LOCAL, GLOBAL, SOFTMAX, GATE)
            pointers = scores_ptr + begin * C + rows[:, :, None] * C + columns[None, None, :]
            mask = inside[:, :, None] & (columns < C)[None, None, :]
            tl.store(pointers, p * weight, mask=mask)
