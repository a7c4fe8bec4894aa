"""Temporal overlap between spans of the same group, without a loop over groups."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from wsgn.metrics.spans import Spans
from wsgn.support.arrays import BoolArray, FloatArray, IntArray

# Overlaps held at once: 2**20 float64 are 8 MiB, and larger blocks were not faster.
_BLOCK_ELEMENTS = 2**20


@dataclass(frozen=True, kw_only=True, eq=False)
class OverlapPairs:
    """P pairs of a row span and a column span that overlap enough."""

    # (P,) positions in the rows, rising.
    row: IntArray
    # (P,) positions in the columns; for each row by falling overlap.
    column: IntArray
    # (P,) intersection over union (or over hull).
    overlap: FloatArray


def overlap_pairs(
    rows: Spans, columns: Spans, *, minimum: float, of_hull: bool = False
) -> OverlapPairs:
    """All pairs of the same group with overlap >= minimum > 0.

    Equal overlaps of a row stand in the order that NumPy's default sort, reversed, leaves them in.
    That order is arbitrary, but it is the published ActivityNet evaluator's, and where two ground
    truths of one length lie within a detection it decides which one is taken: the published
    figures of THUMOS14 need it. `of_hull` divides by the hull of both spans.
    """
    found: list[tuple[IntArray, IntArray, FloatArray]] = []
    for row, block in _blocks(rows.group, columns.group):
        overlap = _overlap(rows, row[:, None], columns, block, of_hull=of_hull)  # (R, G)
        falling = overlap.argsort(axis=1)[:, ::-1]
        overlap = np.take_along_axis(overlap, falling, axis=1)
        at_row, at_place = np.nonzero(overlap >= minimum)
        column = block[at_row, falling[at_row, at_place]]
        found.append((row[at_row], column, overlap[at_row, at_place]))
    row = np.concatenate([np.zeros(0, np.int64), *(pairs[0] for pairs in found)])
    order = np.argsort(row, kind="stable")
    column = np.concatenate([np.zeros(0, np.int64), *(pairs[1] for pairs in found)])
    overlap = np.concatenate([np.zeros(0), *(pairs[2] for pairs in found)])
    return OverlapPairs(row=row[order], column=column[order], overlap=overlap[order])


def touches_any(rows: Spans, columns: Spans) -> BoolArray:
    """For each row (N,): whether it shares more than a single point with a column of its group."""
    touched = np.zeros(len(rows), dtype=np.bool_)
    for row, block in _blocks(rows.group, columns.group):
        touched[row] = (_intersection(rows, row[:, None], columns, block) > 0).any(axis=1)
    return touched


def _blocks(row_groups: IntArray, column_groups: IntArray) -> Iterator[tuple[IntArray, IntArray]]:
    """Rows (R,) with the columns (R, G) of their group, rows of equally large groups together."""
    if len(column_groups) == 0:
        return
    column_order = np.argsort(column_groups, kind="stable")
    groups, first, sizes = np.unique(
        column_groups[column_order], return_index=True, return_counts=True
    )
    position = np.minimum(np.searchsorted(groups, row_groups), len(groups) - 1)
    rows = np.flatnonzero(groups[position] == row_groups)
    rows = rows[np.argsort(sizes[position[rows]], kind="stable")]
    row_sizes = sizes[position[rows]]
    for size in np.unique(row_sizes):
        begin, end = np.searchsorted(row_sizes, [size, size + 1])
        step = max(1, _BLOCK_ELEMENTS // int(size))
        for chunk in range(begin, end, step):
            row = rows[chunk : min(chunk + step, end)]
            yield row, column_order[first[position[row]][:, None] + np.arange(size)]


def _intersection(rows: Spans, row: IntArray, columns: Spans, column: IntArray) -> FloatArray:
    shared_end = np.minimum(rows.end[row], columns.end[column])
    shared_start = np.maximum(rows.start[row], columns.start[column])
    return np.asarray(np.maximum(shared_end - shared_start, 0.0), dtype=np.float64)


def _overlap(
    rows: Spans, row: IntArray, columns: Spans, column: IntArray, *, of_hull: bool
) -> FloatArray:
    intersection = _intersection(rows, row, columns, column)
    row_start, row_end = rows.start[row], rows.end[row]
    column_start, column_end = columns.start[column], columns.end[column]
    if of_hull:
        whole = np.maximum(row_end, column_end) - np.minimum(row_start, column_start)
    else:
        # The sum in the published evaluator's order, so that the last bit agrees.
        whole = (column_end - column_start) + (row_end - row_start) - intersection
    # Two empty spans at one place have no union; they do not overlap.
    overlap = np.zeros_like(intersection)
    np.divide(intersection, whole, out=overlap, where=whole > 0)
    return overlap
