"""How large a batch may be, and what was measured, with clocks that are given."""

from __future__ import annotations

import math

import pytest

from wsgn.runtime.live.pace import Pace


def test_a_batch_takes_as_long_as_others_may_wait() -> None:
    pace = Pace(16)
    assert pace.batch_size == 16
    # The first call loads a library, and says nothing of the next.
    pace.landed([0.0], submitted=0.0, now=5.0)
    assert pace.batch_size == 1
    pace.landed([5.0], submitted=5.0, now=5.05)
    assert pace.batch_size == 4
    pace.landed([6.0] * 4, submitted=6.0, now=6.05)
    assert pace.batch_size == 16


def test_a_batch_begins_where_the_one_before_it_ended() -> None:
    """As on a GPU, which has the next one already."""
    pace = Pace(16)
    assert math.isnan(pace.statistics().wait_median_seconds)
    pace.landed([0.0, 0.0], submitted=1.0, now=2.0)
    pace.landed([0.5, 1.5], submitted=1.1, now=3.0)
    statistics = pace.statistics()
    assert (statistics.num_batches, statistics.num_snippets) == (2, 4)
    assert statistics.busy_seconds == pytest.approx(2.0)
    assert statistics.seconds_per_snippet == pytest.approx(0.5)
    assert statistics.wait_median_seconds == pytest.approx(2.0)
