"""The state of a stream that a streaming graph takes and gives, as statistics of its logits.

A state is (5, C) float32, one row for each of `STATE_ROWS`; all zeros is a stream that has not
begun. It holds the stream's own snippets only: the manifest's prior is merged while scoring.
"""

from __future__ import annotations

import numpy as np

from wsgn.errors import UsageError
from wsgn.localization.statistics import SelectionStatistics, selection_weights
from wsgn.manifest import Prior, SelectionRule
from wsgn.support.arrays import Float32Array, FloatArray, FloatingArray

# Number of snippets (the same in every column), mean of the selection logits, sum of squared
# deviations from it, largest logit, sum of exp(logit - largest).
STATE_ROWS = ("count", "mean", "squared_deviations", "maximum", "sum_exponential")
# float32 counts one by one up to here; a stream's statistics stand still from then on.
MOST_SNIPPETS = 1 << 24
# The row behind a prior's STATE_ROWS: the largest logit of a typical video.
PRIOR_ROWS = (*STATE_ROWS, "typical_maximum")


def statistics_of_state(state: FloatingArray) -> SelectionStatistics:
    """The statistics in one stream's state (5, C), for `selection_weights`."""
    rows = np.asarray(state, dtype=np.float64)
    if rows.ndim != 2 or len(rows) != len(STATE_ROWS) or rows.shape[1] == 0:
        raise UsageError(
            f"the state of one stream has shape ({len(STATE_ROWS)}, C), got {rows.shape}: of a "
            "batch of streams give one, state[b]."
        )
    counts, mean, squared_deviations, maximum, total = rows  # (C,) each
    count = float(counts[0])
    if not (count >= 0 and (counts == count).all()):
        raise UsageError(
            f"the first row of a state is one count of snippets, got {counts.min()} to "
            f"{counts.max()}: give a state as a streaming graph returned it."
        )
    if count >= MOST_SNIPPETS:
        raise UsageError(
            f"the state has counted {MOST_SNIPPETS} snippets, more than float32 holds: begin a new "
            "stream before that."
        )
    if count == 0:
        return SelectionStatistics.empty(rows.shape[1])
    return SelectionStatistics(
        count=count,
        mean=mean,
        squared_deviations=squared_deviations,
        log_sum_exponential=maximum + np.log(total),
        maximum=maximum,
    )


def whole_video_scores(
    selection_logits: FloatingArray,
    class_probabilities: FloatingArray,
    state: FloatingArray,
    rule: SelectionRule,
) -> FloatArray:
    """Exact scores (T, C) of an ended stream, from what the graph gave of it and its last state."""
    logits = np.asarray(selection_logits, dtype=np.float64)
    weights = selection_weights(logits, statistics_of_state(state), rule)
    return weights * np.asarray(class_probabilities, dtype=np.float64)  # (T, C)


def prior_rows(prior: Prior) -> Float32Array:
    """The prior's pseudo-observations as a graph's constant (6, C), rows as in PRIOR_ROWS.

    Row 3 is what the exponentials of row 4 are relative to, and not the largest logit: a prior has
    that on its own, and it may lie anywhere. A prior of no observations is lower than every logit.
    """
    shape = (len(PRIOR_ROWS), len(prior.mean))
    if prior.count == 0:
        rows = np.zeros(shape, dtype=np.float32)
        rows[[3, 5]] = np.finfo(np.float32).min
        return rows
    log_sum = np.asarray(prior.log_mean_exponential) + np.log(prior.count)  # (C,)
    reference = log_sum.astype(np.float32)
    return np.stack(
        [
            np.full(shape[1], prior.count),
            np.asarray(prior.mean),
            prior.count * np.asarray(prior.variance),
            reference,
            np.exp(log_sum - reference),
            np.asarray(prior.maximum),
        ]
    ).astype(np.float32)
