"""The first half of the forward, which reads x alone: chunks are described, then videos."""

# Triton's language has no types that a checker could follow.
# mypy: ignore-errors

from __future__ import annotations

import triton
import triton.language as tl

from .tiles import (
    INVERSE_SD,
    LANES,
    LOG2_E,
    MAXIMUM,
    MEAN,
    SIZES,
    SOFTMAX_FACTOR,
    UNALIGNED,
    chunk_of_slot,
    rows_of_step,
    slots_of_video,
)

# Numbers of x that a chunk hands on, (slots, C) each.
NUM_CHUNK_MOMENTS = 4


@triton.jit
def _describe_step(
    x, inside, first, moments,
    MASKED: tl.constexpr, LOCAL: tl.constexpr, SOFTMAX: tl.constexpr, MAX_ONE: tl.constexpr,
):  # fmt: skip
    """Sums of distances and of their squares, maximum, sum exp(x - maximum); (WARPS, LANES)."""
    linear, square, maximum, total = moments
    if LOCAL:
        distance = x - first[None, None, :]
        if MASKED:
            distance = tl.where(inside, distance, 0.0)
        linear += tl.sum(distance, 0)
        square += tl.sum(distance * distance, 0)
    if SOFTMAX:
        if MASKED:
            x = tl.where(inside, x, float("-inf"))
        largest = tl.maximum(maximum, tl.max(x, 0))
        if not MAX_ONE:
            total *= tl.exp2((maximum - largest) * LOG2_E)
            total += tl.sum(tl.exp2((x - largest[None, :, :]) * LOG2_E), 0)
        maximum = largest
    return linear, square, maximum, total


@triton.jit(do_not_specialize=SIZES, do_not_specialize_on_alignment=UNALIGNED)
def describe_chunks(
    x_ptr, offsets_ptr, moments_ptr,
    num_snippets, num_videos, num_slots,
    C: tl.constexpr, X_STRIDE: tl.constexpr, HELD: tl.constexpr, WARPS: tl.constexpr,
    CHUNK: tl.constexpr,
    LOCAL: tl.constexpr, SOFTMAX: tl.constexpr, MAX_ONE: tl.constexpr,
):  # fmt: skip
    """Grid (slots, tiles): mean, squared distances from it, maximum, sum exp(x - maximum)."""
    slot = tl.program_id(0).to(tl.int64)
    _, _, begin, stop = chunk_of_slot(slot, offsets_ptr, num_videos, num_snippets, CHUNK)
    if begin >= stop:
        return
    columns = tl.program_id(1) * LANES + tl.arange(0, LANES)
    used = columns < C
    in_ptr = x_ptr + begin * X_STRIDE
    # Sums are taken about the chunk's first snippet, so that only distances are squared.
    first = tl.load(in_ptr + columns, mask=used, other=0.0).to(tl.float32)
    zero = tl.zeros([WARPS, LANES], tl.float32)
    moments = (zero, zero, zero + first[None, :], zero)
    size = (stop - begin).to(tl.int32)
    ROWS: tl.constexpr = HELD * WARPS
    rows = rows_of_step(HELD, WARPS)
    pointers = in_ptr + rows[:, :, None] * X_STRIDE + columns[None, None, :]
    whole = size // ROWS * ROWS
    for step in range(0, whole, ROWS):
        x = tl.load(pointers + step * X_STRIDE, mask=used[None, None, :], other=0.0)
        moments = _describe_step(
            x.to(tl.float32), used, first, moments, False, LOCAL, SOFTMAX, MAX_ONE
        )
    if whole < size:
        inside = (rows < size - whole)[:, :, None] & used[None, None, :]
        x = tl.load(pointers + whole * X_STRIDE, mask=inside, other=0.0)
        moments = _describe_step(
            x.to(tl.float32), inside, first, moments, True, LOCAL, SOFTMAX, MAX_ONE
        )
    linear, square, maximum, total = moments
    out_ptr = moments_ptr + slot * C + columns
    plane = num_slots.to(tl.int64) * C
    if LOCAL:
        count = size.to(tl.float32)
        offset = tl.sum(linear, 0) / count
        squares = tl.sum(square, 0) - offset * offset * count
        tl.store(out_ptr, first + offset, mask=used)
        tl.store(out_ptr + plane, tl.maximum(squares, 0.0), mask=used)
    if SOFTMAX:
        largest = tl.max(maximum, 0)
        tl.store(out_ptr + 2 * plane, largest, mask=used)
        if not MAX_ONE:
            total *= tl.exp2((maximum - largest[None, :]) * LOG2_E)
            tl.store(out_ptr + 3 * plane, tl.sum(total, 0), mask=used)


@triton.jit(do_not_specialize=SIZES)
def describe_videos(
    offsets_ptr, moments_ptr, statistics_ptr,
    num_snippets, num_videos, num_slots, epsilon,
    C: tl.constexpr, BLOCK: tl.constexpr, CHUNK: tl.constexpr,
    LOCAL: tl.constexpr, SOFTMAX: tl.constexpr, MAX_ONE: tl.constexpr, MEAN_ONE: tl.constexpr,
):  # fmt: skip
    """Grid (videos, tiles): the moments of BLOCK chunks at a time become a video's statistics."""
    video = tl.program_id(0).to(tl.int64)
    length, slot, count = slots_of_video(video, offsets_ptr, num_snippets, num_slots, CHUNK)
    columns = tl.program_id(1) * LANES + tl.arange(0, LANES)
    used = columns < C
    plane = num_slots.to(tl.int64) * C
    in_ptr = moments_ptr + slot * C + columns
    # Means are averaged about the first chunk's.
    origin = tl.load(in_ptr, mask=columns < tl.where(count > 0, C, 0), other=0.0)
    linear = tl.zeros([BLOCK, LANES], tl.float32)
    maximum = tl.full([BLOCK, LANES], float("-inf"), tl.float32)
    for step in range(0, count, BLOCK):
        chunks = step + tl.arange(0, BLOCK)
        inside = (chunks < count)[:, None] & used[None, :]
        pointers = in_ptr[None, :] + chunks[:, None] * C
        if LOCAL:
            sizes = tl.minimum(length - chunks * CHUNK, CHUNK).to(tl.float32)
            part = tl.load(pointers, mask=inside, other=0.0) - origin[None, :]
            linear += tl.where(inside, part * sizes[:, None], 0.0)
        if SOFTMAX:
            part = tl.load(pointers + 2 * plane, mask=inside, other=float("-inf"))
            maximum = tl.maximum(maximum, part)
    num_rows = tl.maximum(length, 1).to(tl.float32)
    mean = origin + tl.sum(linear, 0) / num_rows
    largest = tl.max(maximum, 0)
    square = tl.zeros([BLOCK, LANES], tl.float32)
    total = tl.zeros([BLOCK, LANES], tl.float32)
    for step in range(0, count, BLOCK):
        chunks = step + tl.arange(0, BLOCK)
        inside = (chunks < count)[:, None] & used[None, :]
        pointers = in_ptr[None, :] + chunks[:, None] * C
        if LOCAL:
            sizes = tl.minimum(length - chunks * CHUNK, CHUNK).to(tl.float32)
            distance = tl.load(pointers, mask=inside, other=0.0) - mean[None, :]
            part = tl.load(pointers + plane, mask=inside, other=0.0)
            square += tl.where(inside, part + distance * distance * sizes[:, None], 0.0)
        if SOFTMAX and not MAX_ONE:
            height = tl.load(pointers + 2 * plane, mask=inside, other=0.0) - largest[None, :]
            part = tl.load(pointers + 3 * plane, mask=inside, other=0.0)
            total += tl.where(inside, part * tl.exp2(height * LOG2_E), 0.0)
    out_ptr = statistics_ptr + video * C + columns
    plane = num_videos.to(tl.int64) * C
    if LOCAL:
        variance = tl.sum(square, 0) / num_rows
        tl.store(out_ptr + MEAN * plane, mean, mask=used)
        tl.store(out_ptr + INVERSE_SD * plane, 1 / tl.sqrt(variance + epsilon), mask=used)
    if SOFTMAX:
        tl.store(out_ptr + MAXIMUM * plane, largest, mask=used)
        if not MAX_ONE:
            factor = tl.sum(total, 0)
            factor = tl.div_rn(num_rows if MEAN_ONE else num_rows * 0 + 1, factor)
            tl.store(out_ptr + SOFTMAX_FACTOR * plane, factor, mask=used)
