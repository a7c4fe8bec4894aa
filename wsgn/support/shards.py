"""A part of a list of jobs: the n-th of so many processes that share it without talking."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from wsgn.errors import UsageError

T = TypeVar("T")

# More machines than this share no list.
_MOST = 100_000
# Variables that count from 0; what somebody set on purpose comes first.
_INDICES = ("WSGN_SHARD_INDEX", "JOB_COMPLETION_INDEX")
# Shards that a sentence names.
_MOST_NAMED = 10
_WORDS = re.compile(r"(\d{1,9})/(\d{1,9})", re.ASCII)
_NUMBER = re.compile(r"\d{1,9}", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class Shard:
    """Every `count`-th job, from the `number`-th on."""

    # From 1.
    number: int
    count: int

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.count <= _MOST:
            raise UsageError(
                f"--shard {self.number}/{self.count} is none: shards are counted from 1, and the "
                f"second number, at most {_MOST}, says how many there are."
            )

    def of(self, jobs: Sequence[T]) -> list[T]:
        """Its jobs, in their order: shards of one list differ by one job at most."""
        return list(jobs[self.number - 1 :: self.count])

    def positions(self, num_jobs: int) -> range:
        """Where in the list of all its jobs stand, from 0."""
        return range(self.number - 1, num_jobs, self.count)

    @property
    def name(self) -> str:
        """`2-of-4`, for names of files."""
        return f"{self.number}-of-{self.count}"


def unfinished_shards(numbers: Collection[int], count: int) -> str:
    """Words for which of so many shards are not among the numbers; empty where all are."""
    missing = [number for number in range(1, count + 1) if number not in numbers]
    if not missing:
        return ""
    shown = ", ".join(f"{number}/{count}" for number in missing[:_MOST_NAMED])
    more = ", ..." if len(missing) > _MOST_NAMED else ""
    return f"{len(missing)} of {count} shards have not come to their end: {shown}{more}"


def read_shard(words: str, environment: Mapping[str, str]) -> Shard:
    """The shard that `i/n` names, or `auto` and the variables that clusters set.

    Those are WSGN_SHARD_INDEX, counted from 0, which a pod of a StatefulSet can be given its number
    by, or JOB_COMPLETION_INDEX of a Kubernetes Indexed Job, with WSGN_SHARDS for how many there
    are; or SLURM_ARRAY_TASK_ID, _COUNT, _MIN and _MAX of a Slurm array. Raises `UsageError`.
    """
    if words == "auto":
        return _of_cluster(environment)
    found = _WORDS.fullmatch(words)
    if found is None:
        raise UsageError(f"--shard must be i/n, such as 1/4, or auto, got '{words[:40]}'.")
    return Shard(number=int(found[1]), count=int(found[2]))


def _of_cluster(environment: Mapping[str, str]) -> Shard:
    for name in _INDICES:
        if name in environment:
            number, count = _number(environment, name) + 1, _number(environment, "WSGN_SHARDS")
            return Shard(number=number, count=count)
    if "SLURM_ARRAY_TASK_ID" in environment:
        number, count, least, most = (
            _number(environment, f"SLURM_ARRAY_TASK_{name}")
            for name in ("ID", "COUNT", "MIN", "MAX")
        )
        step, rest = divmod(most - least, count - 1) if count > 1 else (1, 0)
        if rest or step < 1 or (number - least) % step:
            raise UsageError(
                "--shard auto needs a Slurm array of equal steps, such as --array=1-64: some "
                "numbers are missing in this one."
            )
        return Shard(number=(number - least) // step + 1, count=count)
    raise UsageError(
        "--shard auto finds neither WSGN_SHARD_INDEX or JOB_COMPLETION_INDEX (with WSGN_SHARDS) "
        "nor SLURM_ARRAY_TASK_ID in the environment: give --shard i/n."
    )


def _number(environment: Mapping[str, str], name: str) -> int:
    text = environment.get(name)
    if text is None or not _NUMBER.fullmatch(text):
        is_there = "no number" if text else "missing"
        raise UsageError(f"--shard auto: {name} is {is_there} in the environment.")
    return int(text)
