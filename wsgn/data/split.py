"""Subsets of annotated videos, drawn by share: stratified by class, and never through a group."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from wsgn.data.annotations import Annotations, VideoAnnotation
from wsgn.data.table import DEFAULT_SUBSET
from wsgn.errors import InputError, UsageError
from wsgn.support.arrays import FloatArray, IntArray


@dataclass(frozen=True, kw_only=True)
class SplitOptions:
    """How subsets are drawn."""

    # Of the videos, by the name of the subset, such as {"test": 0.2}.
    shares: Mapping[str, float]
    # The subset of all others.
    rest: str = DEFAULT_SUBSET
    # A regular expression whose first group (or whole match) in a video's name says which
    # recording, person or camera it is of; None takes the annotations' `group`. All videos of a
    # group get the same subset.
    group_pattern: str | None = None
    # The same gives the same subsets.
    seed: int = 0

    def __post_init__(self) -> None:
        for subset, share in self.shares.items():
            if not 0 < share < 1:
                raise UsageError(f"the share of '{subset}' must lie between 0 and 1, got {share}.")
        total = sum(self.shares.values())
        if not self.shares or total >= 1 or self.rest in self.shares:
            raise UsageError(f"the shares must leave something for '{self.rest}', got {total:g}.")
        try:
            re.compile(self.group_pattern or "")
        except re.error as error:
            raise UsageError(
                f"'{self.group_pattern}' is no regular expression: {error}."
            ) from error


def split_annotations(annotations: Annotations, options: SplitOptions) -> Annotations:
    """The annotations with subsets drawn anew; those that they had are forgotten.

    Raises:
        InputError: a name in which the pattern does not occur, or too few videos or groups.
    """
    groups = _groups(annotations.videos, options.group_pattern)
    labels = _label_counts(annotations, groups)  # (G, C + 2)
    order = np.random.default_rng(options.seed).permutation(len(groups))
    wanted = {**options.shares, options.rest: 1 - sum(options.shares.values())}
    subset_of = _drawn(labels, order, wanted)
    chosen = {
        video: subset_of[index] for index, names in enumerate(groups.values()) for video in names
    }
    videos = tuple(replace(video, subset=chosen[video.name]) for video in annotations.videos)
    for subset in wanted:
        if not any(video.subset == subset for video in videos):
            raise InputError(
                f"{len(videos)} videos in {len(groups)} groups are too few for a share of "
                f"{wanted[subset]:g} in '{subset}': add some, or choose a larger share."
            )
    return replace(annotations, videos=videos)


def _groups(videos: Sequence[VideoAnnotation], pattern: str | None) -> dict[str, list[str]]:
    """Names of videos by their groups; one that is of none is a group of its own."""
    expression = None if pattern is None else re.compile(pattern)
    found: dict[str, list[str]] = defaultdict(list)
    for video in videos:
        if expression is None:
            key = f"group {video.group}" if video.group else f"video {video.name}"
        else:
            match = expression.search(video.name)
            if match is None:
                raise InputError(
                    f"'{pattern}' does not occur in the name of video '{video.name}', so that "
                    "nobody knows its group."
                )
            key = (match.groups() or (match[0],))[0] or ""
        found[key].append(video.name)
    return dict(found)


def _label_counts(annotations: Annotations, groups: Mapping[str, Sequence[str]]) -> FloatArray:
    """(G, C + 2): videos of each group that have a class, have none, and all of them."""
    videos = {video.name: video for video in annotations.videos}
    columns = {label: index for index, label in enumerate(annotations.classes)}
    counts = np.zeros((len(groups), len(columns) + 2))
    for row, names in enumerate(groups.values()):
        for name in names:
            labels = videos[name].labels
            for label in labels:
                counts[row, columns[label]] += 1
            counts[row, -2] += not labels
            counts[row, -1] += 1
    return counts


def _drawn(labels: FloatArray, order: IntArray, shares: Mapping[str, float]) -> dict[int, str]:
    """The subset of each group: rarest classes first, each group where its labels lack most.

    After Sechidis, Tsoumakas and Vlahavas, On the stratification of multi-label data, 2011.
    """
    names = list(shares)
    missing = np.array([shares[name] for name in names])[:, None] * labels.sum(axis=0)  # (S, C + 2)
    left = [int(index) for index in order]
    found: dict[int, str] = {}
    while left:
        remaining = labels[left].sum(axis=0)
        column = int(np.argmin(np.where(remaining > 0, remaining, np.inf)))
        # The largest groups are placed while there is room for them.
        here = sorted(
            (index for index in left if labels[index, column] > 0),
            key=lambda index: -labels[index, -1],
        )
        for index in here:
            place = int(np.lexsort((-missing[:, -1], -missing[:, column]))[0])
            missing[place] -= labels[index]
            found[index] = names[place]
        left = [index for index in left if index not in found]
    return found
