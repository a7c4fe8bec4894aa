"""Subsets drawn by share: stratified, seeded, and never through a group."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from wsgn.data.annotations import Annotations, VideoAnnotation
from wsgn.data.split import SplitOptions, split_annotations
from wsgn.errors import InputError, UsageError


def _annotations(*videos: tuple[str, tuple[str, ...], str]) -> Annotations:
    made = [
        VideoAnnotation(
            name=name, subset="", duration_seconds=None, labels=labels, segments=(), group=group
        )
        for name, labels, group in videos
    ]
    classes = tuple(sorted({label for _, labels, _ in videos for label in labels}))
    return Annotations(classes=classes, videos=tuple(made))


def _many(seed: int, *, num_groups: int = 0) -> Annotations:
    """200 videos of four classes, 100, 50, 30 and 20 of each and at times two of them."""
    generator = np.random.default_rng(seed)
    names = ["a"] * 90 + ["b"] * 45 + ["c"] * 25 + ["d"] * 15 + [""] * 25
    rows = []
    for index, name in enumerate(names):
        labels = {name} if name else set()
        if name and generator.random() < 0.2:
            labels.add("abcd"[generator.integers(4)])
        group = f"g{generator.integers(num_groups)}" if num_groups else ""
        rows.append((f"v{index}", tuple(sorted(labels)), group))
    return _annotations(*rows)


@pytest.mark.parametrize("seed", range(5))
def test_every_class_gets_its_share(seed: int) -> None:
    options = SplitOptions(shares={"test": 0.2, "validation": 0.1}, seed=seed)
    found = split_annotations(_many(seed), options)
    counts = Counter(video.subset for video in found.videos)
    assert counts.total() == 200
    assert abs(counts["test"] - 40) <= 3
    assert abs(counts["validation"] - 20) <= 3
    for label in found.classes:
        subsets = Counter(v.subset for v in found.videos if label in v.labels)
        total = subsets.total()
        assert abs(subsets["test"] - 0.2 * total) <= 2
        assert abs(subsets["validation"] - 0.1 * total) <= 2


@pytest.mark.parametrize("seed", range(5))
def test_groups_stay_together(seed: int) -> None:
    found = split_annotations(
        _many(seed, num_groups=20), SplitOptions(shares={"test": 0.25}, seed=seed)
    )
    subsets: dict[str, set[str]] = {}
    for video in found.videos:
        subsets.setdefault(video.group, set()).add(video.subset)
    assert all(len(names) == 1 for names in subsets.values())
    assert 0.15 < sum(v.subset == "test" for v in found.videos) / 200 < 0.35


def test_groups_by_names() -> None:
    videos = [(f"walk/p{index % 4}_{index}", ("walk",), "") for index in range(16)]
    options = SplitOptions(shares={"test": 0.25}, group_pattern=r"/(p\d)_")
    found = split_annotations(_annotations(*videos), options)
    people = {video.name[5:7] for video in found.videos if video.subset == "test"}
    assert len(people) == 1
    assert sum(video.subset == "test" for video in found.videos) == 4


def test_the_seed_decides() -> None:
    def drawn(seed: int) -> list[str]:
        options = SplitOptions(shares={"test": 0.2}, seed=seed)
        return [video.subset for video in split_annotations(_many(0), options).videos]

    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)


def test_what_cannot_be_is_said() -> None:
    with pytest.raises(UsageError, match="between 0 and 1, got 1"):
        SplitOptions(shares={"test": 1.0})
    with pytest.raises(UsageError, match="something for 'train'"):
        SplitOptions(shares={"test": 0.5, "validation": 0.5})
    with pytest.raises(UsageError, match="no regular expression"):
        SplitOptions(shares={"test": 0.5}, group_pattern="(")
    with pytest.raises(InputError, match="does not occur in the name of video 'v0'"):
        split_annotations(_many(0), SplitOptions(shares={"test": 0.2}, group_pattern="person"))
    one_group = _annotations(("a", ("x",), "g"), ("b", ("x",), "g"))
    with pytest.raises(InputError, match="too few"):
        split_annotations(one_group, SplitOptions(shares={"test": 0.5}))
