"""Numbers of threads."""

from __future__ import annotations

import pytest

from wsgn.errors import UsageError
from wsgn.support.counts import MOST_THREADS, checked_count


@pytest.mark.parametrize("value", [0, -1, MOST_THREADS + 1, 10**6, 2**63, 10**400])
def test_what_no_machine_has_is_a_usage_error(value: int) -> None:
    with pytest.raises(UsageError, match="--threads must be 1 to 1024, got "):
        checked_count("--threads", value)


@pytest.mark.parametrize("value", [1, MOST_THREADS])
def test_the_ends_are_numbers_of_threads(value: int) -> None:
    assert checked_count("--threads", value) == value
