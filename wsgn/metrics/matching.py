"""Which detections are true positives: one matching algorithm for all protocols.

Every protocol is a serial dictatorship: choosers (detections, or ground truths), in a fixed order,
each take the first free entry of their own list of preferences. Done one chooser after the other
that is a plain loop; here all choosers bid at once and whoever comes earlier in the order keeps a
thing that two want. Those who lost bid for their next entry, until nobody has to. That is deferred
acceptance (Gale and Shapley, 1962), whose stable outcome is unique here because everything wanted
ranks the choosers alike, and the serial outcome is stable.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from wsgn.metrics.overlap import OverlapPairs
from wsgn.metrics.protocol import Matching
from wsgn.support.arrays import IntArray

_NOBODY = np.iinfo(np.int64).max


@dataclass(frozen=True, kw_only=True, eq=False)
class Wishes:
    """P wishes, chooser by chooser in their order, each chooser's by falling preference."""

    # (P,) numbers of the choosers, rising.
    chooser: IntArray
    # (P,) numbers of what they want.
    wanted: IntArray


def matched_truths(
    pairs: OverlapPairs,
    *,
    num_detections: int,
    num_truths: int,
    tiou: Sequence[float],
    matching: Matching,
    strict_overlap: bool,
) -> IntArray:
    """The ground truth that each detection found at each threshold, (N, thresholds), or -1.

    The rows of `pairs` are detections numbered by falling score, the columns ground truths numbered
    in file order; pairs under the lowest threshold may be absent.
    """
    truth_chooses = matching == "truth_takes_best"
    order = _preference_order(pairs, matching)
    row, column, overlap = pairs.row[order], pairs.column[order], pairs.overlap[order]
    result = np.full((num_detections, len(tiou)), -1)
    for index, threshold in enumerate(tiou):
        enough = overlap > threshold if strict_overlap else overlap >= threshold
        if truth_chooses:
            wishes = Wishes(chooser=column[enough], wanted=row[enough])
            result[:, index] = serial_dictatorship(wishes, num_detections)
        else:
            wishes = Wishes(chooser=row[enough], wanted=column[enough])
            holder = serial_dictatorship(wishes, num_truths)
            found = np.flatnonzero(holder >= 0)
            result[holder[found], index] = found
    return result


def serial_dictatorship(wishes: Wishes, num_wanted: int) -> IntArray:
    """The chooser that gets each wanted thing, (num_wanted,), -1 where nobody does."""
    holder = np.full(num_wanted, _NOBODY)
    # From here a chooser is the index of its list among all lists, which keeps the order.
    cursor = np.flatnonzero(np.diff(wishes.chooser, prepend=-1))
    last = np.append(cursor[1:], len(wishes.chooser)) - 1
    names = wishes.chooser[cursor]
    bidders = np.arange(len(cursor))
    while len(bidders):
        bid = wishes.wanted[cursor[bidders]]
        before = holder[bid]
        np.minimum.at(holder, bid, bidders)
        after = holder[bid]
        refused = bidders[after != bidders]
        displaced = np.unique(before[(before != after) & (before != _NOBODY)])
        bidders = np.concatenate((refused, displaced))
        bidders = bidders[cursor[bidders] < last[bidders]]
        cursor[bidders] += 1
    taken = holder != _NOBODY
    holder[taken] = names[holder[taken]]
    holder[~taken] = -1
    return holder


def _preference_order(pairs: OverlapPairs, matching: Matching) -> IntArray:
    if matching == "detection_takes_best":
        return np.arange(len(pairs.row))
    if matching == "detection_takes_first":
        return np.lexsort((pairs.column, pairs.row))
    # On equal overlap a ground truth takes the most confident detection.
    return np.lexsort((pairs.row, -pairs.overlap, pairs.column))
