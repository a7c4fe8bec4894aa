"""The published annotation bundle of W-TALC says what thumos14.json says."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from places import SHARED

from wsgn.data.annotations import Annotations
from wsgn.errors import InputError
from wsgn.features.annotation_layouts import read_any_annotations
from wsgn.features.wtalc import read_wtalc_annotations

THUMOS = SHARED / "data" / "thumos14"
BUNDLE = THUMOS / "wtalc_npy"
pytestmark = pytest.mark.skipif(not BUNDLE.is_dir(), reason=f"needs the shared data in {THUMOS}")


@pytest.fixture(scope="module")
def bundle() -> Annotations:
    return read_wtalc_annotations(BUNDLE)


def test_it_equals_the_json(bundle: Annotations) -> None:
    document = json.loads((THUMOS / "thumos14.json").read_text())
    assert list(bundle.classes) == document["classes"]
    assert {video.name for video in bundle.videos} == set(document["database"])
    for video in bundle.videos:
        entry = document["database"][video.name]
        duration = video.duration_seconds
        assert video.subset == entry["subset"]
        # The JSON rounds durations to the microsecond.
        assert (duration if duration is None else round(duration, 6)) == entry["duration"]
        assert video.frame_rate == entry["fps"]
        assert list(video.labels) == entry["labels"]
        spans = [(item["label"], *item["segment"]) for item in entry["annotations"]]
        assert list(video.segments) == spans
        # Those of the validation videos are not in the bundle; nothing depends on their order.
        if video.subset == "test":
            assert sorted(video.ambiguous) == sorted(map(tuple, entry["ambiguous"]))


def test_its_counts_are_those_of_the_challenge(bundle: Annotations) -> None:
    test = bundle.subset("test")
    assert (len(bundle.subset("validation")), len(test)) == (200, 213)
    assert sum(len(video.segments) for video in test) == 3358


@pytest.mark.parametrize("name", ["wtalc_npy", "thumos14.json"])
def test_labels_of_the_segments_differ_in_28_videos(name: str) -> None:
    weak = read_any_annotations([str(THUMOS / name)])
    derived = read_any_annotations([str(THUMOS / name)], labels_from_segments=True)
    by_name = {video.name: set(video.labels) for video in derived.videos}
    differing = [v.subset for v in weak.videos if set(v.labels) != by_name[v.name]]
    assert (len(differing), differing.count("validation")) == (28, 8)


def test_columns_of_another_bundle_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "bundle"
    shutil.copytree(BUNDLE, folder)
    np.save(folder / "subset.npy", np.array([b"test"]))
    with pytest.raises(InputError, match="1 entries for 412 videos"):
        read_wtalc_annotations(folder)
    (folder / "subset.npy").unlink()
    with pytest.raises(InputError, match=r"subset\.npy cannot be read"):
        read_wtalc_annotations(folder)
