"""Training videos are held out together with all that was cut out of the same recording."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.folds import folds_of, groups_of
from wsgn.data.annotations import VideoAnnotation
from wsgn.errors import UsageError
from wsgn.features.dataset import FeatureDataset
from wsgn.features.file import write_feature_file
from wsgn.manifest import Sampling

SAMPLING = Sampling(frame_rate=10.0, snippet_length=10, snippet_stride=10)


def dataset(folder: Path, features: dict[str, list[float]]) -> FeatureDataset:
    """Videos of snippets of a second with one channel; the action is from 1 to 3 s."""
    for name, values in features.items():
        array = np.array(values, dtype=np.float32)[:, None]
        write_feature_file(folder / f"{name}.safetensors", array, SAMPLING)
    videos = [
        VideoAnnotation(
            name=name,
            subset="train",
            duration_seconds=float(len(values)),
            labels=("wave",),
            segments=(("wave", 1.0, 3.0),),
        )
        for name, values in features.items()
    ]
    return FeatureDataset(folder, videos, ("wave",))


def test_videos_that_share_a_snippet_of_an_action_belong_together(tmp_path: Path) -> None:
    source = dataset(
        tmp_path,
        {
            "a": [0, 1, 2, 0],
            "b": [0, 3, 4, 0],
            # With d, and by it with a.
            "c": [9, 5, 6, 9],
            # The background is everybody's, the snippet behind the action as well.
            "d": [0, 1, 5, 3],
        },
    )
    assert groups_of(source) == [["a", "c", "d"], ["b"]]


def test_a_pattern_joins_videos_by_their_names(tmp_path: Path) -> None:
    source = dataset(tmp_path, {f"s{n % 2}_{n}": [0, 2 * n, 2 * n + 1] for n in range(4)})
    assert groups_of(source, r"s\d") == [["s0_0", "s0_2"], ["s1_1", "s1_3"]]
    assert len(groups_of(source, "nothing")) == 4


def test_parts_are_of_whole_groups_and_about_the_same_size() -> None:
    groups = [["a", "b", "c"], ["d"], ["e"], ["f"], ["g", "h"]]
    folds = folds_of(groups, 3)
    assert sorted(name for fold in folds for name in fold) == list("abcdefgh")
    assert sorted(map(len, folds)) == [2, 3, 3]
    assert all({"a", "b", "c"} <= set(fold) or "a" not in fold for fold in folds)
    with pytest.raises(UsageError, match="form 5 groups, the search needs 6"):
        folds_of(groups, 6)
