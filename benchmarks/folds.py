"""Training videos in parts that share nothing: to train on some and to score the others."""

from __future__ import annotations

import re
from collections.abc import Iterable

import numpy as np

from wsgn.errors import UsageError
from wsgn.features.dataset import FeatureDataset


def groups_of(source: FeatureDataset, pattern: str = "") -> list[list[str]]:
    """Names of videos that belong together, by the order of their first.

    They do where the pattern matches the same in their names (a person's number, say), and where
    they share a snippet inside an action to the last bit, being cut out of one recording.
    """
    group = {video.name: number for number, video in enumerate(source.videos)}
    owners: dict[object, str] = {}
    for index, video in enumerate(source.videos):
        found = re.search(pattern, video.name) if pattern else None
        keys: list[object] = [] if found is None else [found.group()]
        for key in [*keys, *_snippets(source, index)]:
            owner = owners.setdefault(key, video.name)
            if group[owner] != group[video.name]:
                joined = {group[owner], group[video.name]}
                group = {name: min(joined) if one in joined else one for name, one in group.items()}
    members: dict[int, list[str]] = {}
    for name, number in group.items():
        members.setdefault(number, []).append(name)
    return list(members.values())


def _snippets(source: FeatureDataset, index: int) -> Iterable[bytes]:
    """The features of every snippet whose centre lies in an action, as bytes."""
    sample = source.load(index)
    centres = sample.times.centre_seconds
    inside = np.zeros(len(centres), dtype=np.bool_)
    for _, start, end in source.videos[index].segments:
        inside |= (start <= centres) & (centres < end)
    return (row.tobytes() for row in sample.inputs.numpy()[inside])


def folds_of(groups: list[list[str]], count: int) -> tuple[tuple[str, ...], ...]:
    """Groups of names in so many parts of about the same size. Raises `UsageError`."""
    if len(groups) < count:
        raise UsageError(
            f"the training videos form {len(groups)} groups, the search needs {count}: choose "
            "another --group."
        )
    folds: list[list[str]] = [[] for _ in range(count)]
    order = np.random.default_rng(0).permutation(len(groups))
    # The largest first, each into the part that is smallest so far.
    for members in sorted((groups[index] for index in order), key=len, reverse=True):
        min(folds, key=len).extend(members)
    return tuple(tuple(fold) for fold in folds)
