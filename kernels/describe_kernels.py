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
    slots_of_video,
)

# Numbers of x that a chunk hands on, (slots, C) each.
NUM_CHUNK_MOMENTS = 4


@triton.jit
def _describe_turn(
    in_ptr, rows, size, used, first, moments,
    HELD: tl.constexpr, WARPS: tl.constexpr, STRIDE: tl.constexpr, MASKED: tl.constexpr,
    LOCAL: tl.constexpr, SOFTMAX: tl.constexpr, MAX_ONE: tl.constexpr,
):  # fmt: skip
    """Sums of distances and of their squares, maximum, sum exp(x - maximum); (WARPS, LANES)."""
    linear, square, maximum, total = moments
    x = ()
    inside = ()
    for held in tl.static_range(HELD):
        inside += (used & (rows + held * WARPS < size) if MASKED else used,)
        values = tl.load(in_ptr + held * WARPS * STRIDE, mask=inside[held], other=0.0)
        x += (values.to(tl.float32),)
    if LOCAL:
        for held in tl.static_range(HELD):
            distance = x[held] - first[None, :]
            if MASKED:
                distance = tl.where(inside[held], distance, 0.0)
            linear += distance
            square += distance * distance
    if SOFTMAX:
        largest = maximum
        for held in tl.static_range(HELD):
            if MASKED:
                largest = tl.maximum(largest, tl.where(inside[held], x[held], float("-inf")))
            else:
                largest = tl.maximum(largest, x[held])
        if not MAX_ONE:
            total *= tl.exp2((maximum - largest) * LOG2_E)
            for held in tl.static_range(HELD):
                height = tl.exp2((x[held] - largest) * LOG2_E)
                if MASKED:
                    height = tl.where(inside[held], height, 0.0)
                total += height
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
    rows = tl.arange(0, WARPS)[:, None]
    in_ptr = in_ptr + (rows * X_STRIDE + columns[None, :])
    whole = size // ROWS * ROWS
    for _ in range(0, whole, ROWS):
        moments = _describe_turn(
            in_ptr, rows, size, used[None, :], first, moments,
            HELD, WARPS, X_STRIDE, False, LOCAL, SOFTMAX, MAX_ONE,
        )  # fmt: skip
        in_ptr += ROWS * X_STRIDE
    if whole < size:
        moments = _describe_turn(
            in_ptr, rows, size - whole, used[None, :], first, moments,
            HELD, WARPS, X_STRIDE, True, LOCAL, SOFTMAX, MAX_ONE,
        )  # fmt: skip
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
    C: tl.constexpr, BLOCK: tl.constexpr, WARPS: tl.constexpr, CHUNK: tl.constexpr,
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
    linear = tl.zeros([WARPS, LANES], tl.float32)
    maximum = tl.full([WARPS, LANES], float("-inf"), tl.float32)
    warp = tl.arange(0, WARPS)[:, None]
    pointers = in_ptr[None, :] + warp * C
    for step in range(0, count.to(tl.int32), BLOCK):
        for first in tl.static_range(0, BLOCK, WARPS):
            chunks = step + first + warp
            inside = (chunks < count) & used[None, :]
            if LOCAL:
                sizes = tl.minimum(length - chunks * CHUNK, CHUNK).to(tl.float32)
                part = tl.load(pointers + first * C, mask=inside, other=0.0) - origin[None, :]
                linear += tl.where(inside, part * sizes, 0.0)
            if SOFTMAX:
                heights_ptr = pointers + 2 * plane + first * C
                part = tl.load(heights_ptr, mask=inside, other=float("-inf"))
                maximum = tl.maximum(maximum, part)
        pointers += BLOCK * C
    num_rows = tl.maximum(length, 1).to(tl.float32)
    mean = origin + tl.sum(linear, 0) / num_rows
    largest = tl.max(maximum, 0)
    square = tl.zeros([WARPS, LANES], tl.float32)
    total = tl.zeros([WARPS, LANES], tl.float32)
    pointers = in_ptr[None, :] + warp * C
    for step in range(0, count.to(tl.int32), BLOCK):
        for first in tl.static_range(0, BLOCK, WARPS):
            chunks = step + first + warp
            inside = (chunks < count) & used[None, :]
            chunk_ptr = pointers + first * C
            if LOCAL:
                sizes = tl.minimum(length - chunks * CHUNK, CHUNK).to(tl.float32)
                distance = tl.load(chunk_ptr, mask=inside, other=0.0) - mean[None, :]
                part = tl.load(chunk_ptr + plane, mask=inside, other=0.0)
                square += tl.where(inside, part + distance * distance * sizes, 0.0)
            if SOFTMAX and not MAX_ONE:
                height = tl.load(chunk_ptr + 2 * plane, mask=inside, other=0.0) - largest[None, :]
                part = tl.load(chunk_ptr + 3 * plane, mask=inside, other=0.0)
                total += tl.where(inside, part * tl.exp2(height * LOG2_E), 0.0)
        pointers += BLOCK * C
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
