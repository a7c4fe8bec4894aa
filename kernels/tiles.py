"""What the frame-selection kernels share: where a chunk lies, its tiles, and the terms of a tile.

Grid. Time is cut into chunks of CHUNK snippets, so that a few long videos fill the machine and many
short ones balance. Chunk j of video b has the slot offsets[b] // CHUNK + b + j: no two chunks share
one, and there are at most N // CHUNK + B of them, a number that needs no look at the offsets.

Tiles. A program of WARPS warps takes HELD * WARPS snippets in a turn, their classes in TILES tiles
(WARPS, LANES): a row for each warp, a column for each lane, HELD of them as a tuple. A sum over
classes stays inside a warp, a sum over time inside a lane until the chunk ends; so the main loops
have neither barriers nor shared memory. No axis is left over whose place Triton would choose, and
not every version as another: one element for each thread has one layout. What belongs to rows is
held in every lane too, (WARPS, LANES), for the same reason. Pointers are not specialised on
alignment: wider loads would give a lane several columns, and it would keep the constants and sums
of each.

Numbers. float32 for every input type, 64-bit row addresses. Everything is subtracted before it is
scaled, because (x - m) * s keeps digits that x * s - m * s has lost. Gaussians are powers of two:
u' = u sqrt(log2 e), so that exp(-u^2) = 2^(-u'^2).

Offsets that are wrong (nobody reads their values on a GPU) are clamped: results are then
meaningless, but no address leaves its tensor. Rows before the first video and behind the last get
zeros.
"""

# Triton's language has no types that a checker could follow.
# mypy: ignore-errors

from __future__ import annotations

import triton
import triton.language as tl

# One column for each lane of a warp.
LANES = tl.constexpr(32)
LOG2_E = tl.constexpr(1.4426950408889634)
SQRT_LOG2_E = tl.constexpr(1.2011224087864498)
# 1 / sigma is kept below this, so that (x - mu) / sigma stays finite for |x| below 1e8.
_LARGEST_INVERSE = tl.constexpr(1e30)
# The first rows of the statistics (wsgn.selection.terms says what they mean).
MEAN = tl.constexpr(0)
INVERSE_SD = tl.constexpr(1)
MAXIMUM = tl.constexpr(2)
SOFTMAX_FACTOR = tl.constexpr(3)
# And those of the weighted average: two factors and four means, the local Gaussian's first.
FACTORS = tl.constexpr(11)
MEANS = tl.constexpr(13)
# A Gaussian with a smaller mean selects nothing (wsgn.selection.terms).
SMALLEST_MEAN = tl.constexpr(1.1754943508222875e-38)
# What class logits become; 0 is the softmax over classes.
SIGMOID = tl.constexpr(1)
IDENTITY = tl.constexpr(2)
# What a weight goes through before it meets p; 0 is nothing, and launch.py counts as here.
CUT = tl.constexpr(1)
SOFT = tl.constexpr(2)
HARD = tl.constexpr(3)
PRODUCT = tl.constexpr(4)

# Their values change with every batch and must not compile a kernel again.
SIZES = ("num_snippets", "num_videos", "num_slots")
# One layout for every alignment, as said above.
UNALIGNED = (
    "x_ptr",
    "h_ptr",
    "row_numbers_ptr",
    "scores_ptr",
    "grad_scores_ptr",
    "dx_ptr",
    "dh_ptr",
)


@triton.jit
def video_bounds(video, offsets_ptr, num_snippets):
    """First and last row (exclusive) of a video, inside the batch whatever the offsets say."""
    limit = num_snippets.to(tl.int64)
    start = tl.load(offsets_ptr + video).to(tl.int64)
    end = tl.load(offsets_ptr + video + 1).to(tl.int64)
    start = tl.minimum(tl.maximum(start, 0), limit)
    return start, tl.minimum(tl.maximum(end, start), limit)


@triton.jit
def chunk_of_slot(slot, offsets_ptr, num_videos, num_snippets, CHUNK: tl.constexpr):
    """Video, its number of rows, and the chunk's rows [begin, stop): none in an unused slot."""
    low = num_videos * 0
    high = num_videos
    while high - low > 1:
        middle = (low + high) // 2
        start, _ = video_bounds(middle, offsets_ptr, num_snippets)
        later = start // CHUNK + middle > slot
        high = tl.where(later, middle, high)
        low = tl.where(later, low, middle)
    start, end = video_bounds(low, offsets_ptr, num_snippets)
    begin = start + tl.maximum(slot - start // CHUNK - low, 0) * CHUNK
    return low.to(tl.int64), end - start, begin, tl.minimum(begin + CHUNK, end)


@triton.jit
def slots_of_video(video, offsets_ptr, num_snippets, num_slots, CHUNK: tl.constexpr):
    """Number of rows, first slot and number of slots of a video."""
    start, end = video_bounds(video, offsets_ptr, num_snippets)
    slot = start // CHUNK + video
    count = (end - start + CHUNK - 1) // CHUNK
    return end - start, slot, tl.minimum(count, num_slots.to(tl.int64) - slot)


@triton.jit
def rows_of_turn(step, size, HELD: tl.constexpr, WARPS: tl.constexpr):
    """HELD columns (WARPS, 1) of row numbers from `step` on, and whether they are below `size`.

    Rows beyond the last read it again, so that no element needs a mask.
    """
    rows = ()
    inside = ()
    for held in tl.static_range(HELD):
        row = step + held * WARPS + tl.arange(0, WARPS)[:, None]
        inside += (row < size,)
        rows += (tl.minimum(row, size - 1),)
    return rows, inside


@triton.jit
def load_tile(
    pointer, rows, tile: tl.constexpr, C: tl.constexpr, WIDTH: tl.constexpr,
    STRIDE: tl.constexpr, OTHER: tl.constexpr,
):  # fmt: skip
    """(WARPS, LANES) of rows of WIDTH columns in float32, OTHER beyond the last class."""
    lane = tl.arange(0, LANES)[None, :]
    columns = tile * LANES + lane
    # The tile comes last: a constant that the load itself adds.
    pointers = pointer + (rows * STRIDE + lane) + tile * LANES
    # A mask stands only where the tile passes the end of a row, that is in no padded one.
    if (tile + 1) * LANES <= WIDTH:
        values = tl.load(pointers)
    else:
        values = tl.load(pointers, mask=columns < C, other=OTHER)
    values = values.to(tl.float32)
    if (tile + 1) * LANES > C:
        values = tl.where(columns < C, values, OTHER)
    return values


@triton.jit
def load_class_logits(
    pointer, rows, tile: tl.constexpr, C: tl.constexpr, WIDTH: tl.constexpr,
    STRIDE: tl.constexpr, ACTIVATION: tl.constexpr,
):  # fmt: skip
    """A tile of h whose columns beyond the last class have p = 0."""
    if ACTIVATION == IDENTITY:
        return load_tile(pointer, rows, tile, C, WIDTH, STRIDE, 0.0)
    return load_tile(pointer, rows, tile, C, WIDTH, STRIDE, float("-inf"))


@triton.jit
def load_columns(pointer, tile, C: tl.constexpr):
    """(LANES) in float32, zero beyond the last class."""
    columns = tile * LANES + tl.arange(0, LANES)
    return tl.load(pointer + columns, mask=columns < C, other=0.0).to(tl.float32)


@triton.jit
def store_columns(pointer, values, tile, C: tl.constexpr):
    """(LANES) in the pointer's type."""
    columns = tile * LANES + tl.arange(0, LANES)
    tl.store(pointer + columns, values.to(pointer.dtype.element_ty), mask=columns < C)


@triton.jit
def inverse_of_sigma(sigma):
    """sqrt(log2 e) / sigma, finite."""
    inverse = SQRT_LOG2_E / sigma
    return tl.minimum(tl.maximum(inverse, -_LARGEST_INVERSE), _LARGEST_INVERSE)


@triton.jit
def load_constants(
    statistics_ptr, plane, mu_ptr, sigma_ptr, tile, C: tl.constexpr,
    LOCAL: tl.constexpr, GLOBAL: tl.constexpr, SOFTMAX: tl.constexpr, MAX_ONE: tl.constexpr,
    AVERAGE: tl.constexpr,
):  # fmt: skip
    """What the terms of a tile need of its video and classes, (LANES) each.

    AVERAGE says that the factors of the Gaussians are known and wanted.
    """
    nothing = tl.zeros([LANES], tl.float32)
    mean = nothing
    scale = nothing
    mu = nothing
    global_scale = nothing
    maximum = nothing
    factor = nothing
    local_factor = nothing
    global_factor = nothing
    if LOCAL:
        mean = load_columns(statistics_ptr + MEAN * plane, tile, C)
        scale = load_columns(statistics_ptr + INVERSE_SD * plane, tile, C) * SQRT_LOG2_E
    if GLOBAL:
        mu = load_columns(mu_ptr, tile, C)
        global_scale = inverse_of_sigma(load_columns(sigma_ptr, tile, C))
    if SOFTMAX:
        maximum = load_columns(statistics_ptr + MAXIMUM * plane, tile, C)
        if not MAX_ONE:
            factor = load_columns(statistics_ptr + SOFTMAX_FACTOR * plane, tile, C)
    if AVERAGE:
        if LOCAL:
            local_factor = load_columns(statistics_ptr + FACTORS * plane, tile, C)
        if GLOBAL:
            global_factor = load_columns(statistics_ptr + (FACTORS + 1) * plane, tile, C)
    return mean, scale, mu, global_scale, maximum, factor, local_factor, global_factor


@triton.jit
def gaussian(x, centre, scale):
    """u' = u sqrt(log2 e) and exp(-u^2), (WARPS, LANES)."""
    u = (x - centre[None, :]) * scale[None, :]
    return u, tl.exp2(-(u * u))


@triton.jit
def averaged_gaussian(x, centre, scale, factor, AVERAGE: tl.constexpr):
    """u', and exp(-u^2) with AVERAGE over its mean, (WARPS, LANES)."""
    u, bell = gaussian(x, centre, scale)
    if AVERAGE:
        bell *= factor[None, :]
    return u, bell


@triton.jit
def factor_of_mean(total, num_rows):
    """1 over the mean of what has this total, 0 for a Gaussian that selects nothing."""
    mean = total / num_rows
    return tl.where(mean >= SMALLEST_MEAN, 1 / mean, 0.0)


@triton.jit
def temporal_softmax(x, maximum, factor, MAX_ONE: tl.constexpr):
    """exp(x - maximum) and q, (WARPS, LANES) each."""
    from_maximum = tl.exp2((x - maximum[None, :]) * LOG2_E)
    if MAX_ONE:
        return from_maximum, from_maximum
    return from_maximum, from_maximum * factor[None, :]


@triton.jit
def weight_of_tile(
    x, constants,
    LOCAL: tl.constexpr, GLOBAL: tl.constexpr, SOFTMAX: tl.constexpr, MAX_ONE: tl.constexpr,
    AVERAGE: tl.constexpr,
):  # fmt: skip
    """w (WARPS, LANES): the mean of the components in use."""
    mean, scale, mu, global_scale, maximum, factor, local_factor, global_factor = constants
    weight = tl.zeros_like(x)
    if LOCAL:
        _, z = averaged_gaussian(x, mean, scale, local_factor, AVERAGE)
        weight = z
    if GLOBAL:
        _, bell = averaged_gaussian(x, mu, global_scale, global_factor, AVERAGE)
        weight = weight + bell if LOCAL else bell
    if SOFTMAX:
        _, q = temporal_softmax(x, maximum, factor, MAX_ONE)
        weight = weight + q if LOCAL or GLOBAL else q
    return weight * (1 / (LOCAL + GLOBAL + SOFTMAX))


@triton.jit
def gated_weight(
    x, weight, constants, level,
    LOCAL: tl.constexpr, GLOBAL: tl.constexpr, SOFTMAX: tl.constexpr, GATE: tl.constexpr,
):  # fmt: skip
    """What p is multiplied by in the frame scores, (WARPS, LANES)."""
    if GATE == CUT:
        return tl.minimum(weight, 1.0)
    if GATE == SOFT:
        return weight / (weight + level)
    if GATE == HARD:
        return tl.where(weight >= level, 1.0, 0.0)
    if GATE == PRODUCT:
        return weight_of_tile(x, constants, LOCAL, GLOBAL, SOFTMAX, True, False)
    return weight


@triton.jit
def probabilities(h, maximum, inverse, inside, ACTIVATION: tl.constexpr):
    """p (WARPS, LANES), zero in rows that are not inside (the softmax by its inverse)."""
    if ACTIVATION == SIGMOID:
        return tl.where(inside, 1 / (1 + tl.exp2(-h * LOG2_E)), 0.0)
    if ACTIVATION == IDENTITY:
        return tl.where(inside, h, 0.0)
    return tl.exp2((h - maximum) * LOG2_E) * inverse


@triton.jit
def load_row_numbers(pointer, rows, inside, ACTIVATION: tl.constexpr):
    """Maximum of h over classes and 1 / sum exp(h - maximum), (WARPS, 1) each."""
    maximum = tl.zeros_like(rows).to(tl.float32)
    inverse = maximum
    if ACTIVATION == 0:
        maximum = tl.load(pointer + rows * 2)
        inverse = tl.where(inside, tl.load(pointer + rows * 2 + 1), 0.0)
    return maximum, inverse


@triton.jit
def clear_outside(
    pointer, offsets_ptr, num_videos, num_snippets, tile, WIDTH: tl.constexpr, ROWS: tl.constexpr
):
    """Zeros, in the columns of a tile, for rows before the first video and behind the last."""
    columns = tile * LANES + tl.arange(0, LANES)
    first, _ = video_bounds(0, offsets_ptr, num_snippets)
    _, last = video_bounds(num_videos - 1, offsets_ptr, num_snippets)
    zeros = tl.zeros([ROWS, LANES], pointer.dtype.element_ty)
    for step in range(0, first, ROWS):
        rows = step + tl.arange(0, ROWS)
        mask = (rows < first)[:, None] & (columns < WIDTH)[None, :]
        tl.store(pointer + rows[:, None] * WIDTH + columns[None, :], zeros, mask=mask)
    for step in range(last, num_snippets.to(tl.int64), ROWS):
        rows = step + tl.arange(0, ROWS)
        mask = (rows < num_snippets)[:, None] & (columns < WIDTH)[None, :]
        tl.store(pointer + rows[:, None] * WIDTH + columns[None, :], zeros, mask=mask)
