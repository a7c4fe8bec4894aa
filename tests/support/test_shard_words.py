"""Shards: every job in exactly one of them, and their numbers as clusters say them."""

from __future__ import annotations

import pytest

from wsgn.errors import UsageError
from wsgn.support.shards import Shard, read_shard


@pytest.mark.parametrize(("num_jobs", "count"), [(0, 3), (1, 3), (24, 8), (25, 8), (5000, 64)])
def test_every_job_is_in_one_shard_and_shards_are_alike(num_jobs: int, count: int) -> None:
    jobs = list(range(num_jobs))
    shards = [Shard(number=number, count=count) for number in range(1, count + 1)]
    parts = [shard.of(jobs) for shard in shards]
    assert sorted(job for part in parts for job in part) == jobs
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
    assert [list(shard.positions(num_jobs)) for shard in shards] == parts


def _slurm(number: int, count: int, least: int, most: int) -> dict[str, str]:
    values = {"ID": number, "COUNT": count, "MIN": least, "MAX": most}
    return {f"SLURM_ARRAY_TASK_{name}": str(value) for name, value in values.items()}


@pytest.mark.parametrize(
    ("words", "environment", "name"),
    [
        ("2/4", {}, "2-of-4"),
        ("auto", {"JOB_COMPLETION_INDEX": "0", "WSGN_SHARDS": "64"}, "1-of-64"),
        ("auto", {"JOB_COMPLETION_INDEX": "63", "WSGN_SHARDS": "64"}, "64-of-64"),
        ("auto", {"WSGN_SHARD_INDEX": "1", "WSGN_SHARDS": "3"}, "2-of-3"),
        # sbatch --array=0-3, 1-4, 10-16:2 and a single one
        ("auto", _slurm(3, 4, 0, 3), "4-of-4"),
        ("auto", _slurm(1, 4, 1, 4), "1-of-4"),
        ("auto", _slurm(14, 4, 10, 16), "3-of-4"),
        ("auto", _slurm(7, 1, 7, 7), "1-of-1"),
    ],
)
def test_which_shard_words_mean(words: str, environment: dict[str, str], name: str) -> None:
    assert read_shard(words, environment).name == name


@pytest.mark.parametrize(
    ("words", "environment", "sentence"),
    [
        ("0/4", {}, "counted from 1"),
        ("5/4", {}, "counted from 1"),
        ("1/0", {}, "counted from 1"),
        ("1", {}, "must be i/n"),
        ("1/4/2", {}, "must be i/n"),
        ("-1/4", {}, "must be i/n"),
        ("auto", {}, "finds neither"),
        ("auto", {"JOB_COMPLETION_INDEX": "3"}, "WSGN_SHARDS is missing"),
        ("auto", {"WSGN_SHARD_INDEX": "", "WSGN_SHARDS": "3"}, "WSGN_SHARD_INDEX is missing"),
        ("auto", {"JOB_COMPLETION_INDEX": "x", "WSGN_SHARDS": "4"}, "is no number"),
        ("auto", {"JOB_COMPLETION_INDEX": "4", "WSGN_SHARDS": "4"}, "counted from 1"),
        # sbatch --array=1,3,4
        ("auto", _slurm(4, 3, 1, 4), "equal steps"),
    ],
)
def test_words_that_name_no_shard(words: str, environment: dict[str, str], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        read_shard(words, environment)
