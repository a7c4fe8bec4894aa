"""The state of a stream that a streaming graph takes and gives, as statistics of its logits.

A state is (R, C) float32, one row for each of `state_rows`: 5, or 7 of a rule that averages; all
zeros is a stream that has not begun. It holds the stream's own snippets only: the manifest's prior
is merged while scoring.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from wsgn.errors import UsageError
from wsgn.localization.scoring import snippet_scores
from wsgn.localization.statistics import SelectionStatistics, prior_means
from wsgn.manifest import AVERAGE, Prior, SelectionRule
from wsgn.support.arrays import Float32Array, FloatArray, FloatingArray

# Number of snippets (the same in every column), mean of the selection logits, sum of squared
# deviations from it, largest logit, sum of exp(logit - largest).
STATE_ROWS = ("count", "mean", "squared_deviations", "maximum", "sum_exponential")
# Behind those under AVERAGE: sums of the local and of the global Gaussian of the snippets, each as
# it was when its snippet came, the prior included in its statistics; 0 where they are not in use.
SUM_ROWS = ("sum_local", "sum_global")
# float32 counts one by one up to here; a stream's statistics stand still from then on.
MOST_SNIPPETS = 1 << 24
# The row behind a prior's STATE_ROWS: the largest logit of a typical video.
PRIOR_ROWS = (*STATE_ROWS, "typical_maximum")


def state_rows(rule: SelectionRule) -> tuple[str, ...]:
    """What the rows of a state are under a rule."""
    return (*STATE_ROWS, *SUM_ROWS) if rule.weight_scale == AVERAGE else STATE_ROWS


def statistics_of_state(state: FloatingArray) -> SelectionStatistics:
    """The statistics in one stream's state (R, C), for `selection_weights`."""
    rows = np.asarray(state, dtype=np.float64)
    sizes = (len(STATE_ROWS), len(STATE_ROWS) + len(SUM_ROWS))
    if rows.ndim != 2 or len(rows) not in sizes or rows.shape[1] == 0:
        raise UsageError(
            f"the state of one stream has shape ({sizes[0]}, C), or ({sizes[1]}, C) under the "
            f"weight_scale {AVERAGE}, got {rows.shape}: of a batch of streams give one, state[b]."
        )
    counts, mean, squared_deviations, maximum, total = rows[: sizes[0]]  # (C,) each
    sum_local, sum_global = rows[sizes[0] :] if len(rows) == sizes[1] else np.zeros_like(rows[:2])
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
        sum_local=sum_local,
        sum_global=sum_global,
    )


def whole_video_scores(
    selection_logits: FloatingArray,
    class_probabilities: FloatingArray,
    state: FloatingArray,
    rule: SelectionRule,
) -> FloatArray:
    """Exact scores (T, C) of an ended stream, from what the graph gave of it and its last state."""
    logits = np.asarray(selection_logits, dtype=np.float64)
    zeros = np.zeros(logits.shape[1])
    # Its sums are of what snippets weighed when they came: those of the whole stream are others.
    bare = replace(statistics_of_state(state), sum_local=zeros, sum_global=zeros)
    return snippet_scores(logits, class_probabilities, bare.counting(logits, rule), rule)  # (T, C)


def prior_rows(prior: Prior, rule: SelectionRule) -> Float32Array:
    """The prior's pseudo-observations as a graph's constant (6, C), rows as in PRIOR_ROWS.

    Under AVERAGE (8, C): SUM_ROWS come behind them. Row 3 is what the exponentials of row 4 are
    relative to, and not the largest logit: a prior has that on its own, and it may lie anywhere. A
    prior of no observations is lower than every logit.
    """
    rows = _moment_rows(prior)
    if rule.weight_scale != AVERAGE:
        return rows
    sums = [prior.count * prior_means(prior, name) for name in ("mean_local", "mean_global")]
    return np.concatenate([rows, np.stack(sums).astype(np.float32)])


def _moment_rows(prior: Prior) -> Float32Array:
    """(6, C)."""
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
