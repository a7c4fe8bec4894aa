"""Alarm thresholds, counted again by the detector that will open at them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from manifests import METHOD_RULES, small_manifest

from wsgn.localization.online.alarms import (
    WINDOW_SECONDS,
    ClassAlarms,
    VideoOutputs,
    alarm_rule,
    class_alarms,
)
from wsgn.localization.timing import snippet_times
from wsgn.manifest import Manifest
from wsgn.runtime import Detector, DetectorOptions, SnippetLogits
from wsgn.runtime.events import SegmentEvent, StartEvent

STRIDE = 0.4


def random_videos(manifest: Manifest, seed: int, count: int = 24) -> list[VideoOutputs]:
    """Slowly varying outputs, with a gap in some; each class in a third of them."""
    random = np.random.default_rng(seed)
    videos = []
    for index in range(count):
        length = int(random.integers(1, 60))
        x, h = np.cumsum(random.normal(size=(2, length, 3)), axis=1) * 0.6
        epoch = (np.arange(length) >= random.integers(1, 120)).astype(np.int64)
        videos.append(
            VideoOutputs(
                times=snippet_times(
                    STRIDE * np.arange(length) + 3.0 * epoch, epoch, manifest.sampling
                ),
                selection_logits=x.astype(np.float32),
                class_probabilities=(1 / (1 + np.exp(-h))).astype(np.float32),
                shows=np.arange(3) == index % 3,
            )
        )
    return videos


def counted_live(
    manifest: Manifest, videos: list[VideoOutputs], column: int, mode: str, threshold: float
) -> int:
    """Segments of one class that a detector finds in the videos without it, one after the other."""
    quiet = [video for video in videos if not video.shows[column]]
    starts, epochs = [], []
    for video in quiet:
        starts += [STRIDE * (len(starts) + t) for t in range(len(video.times.epoch))]
        epochs += ((epochs[-1] + 1 if epochs else 0) + video.times.epoch).tolist()
    options = DetectorOptions(
        scores=mode,
        window_seconds=WINDOW_SECONDS,
        labels=(manifest.classes[column],),
        open_threshold={manifest.classes[column]: threshold},
        close_threshold=manifest.detection.close_thresholds[column],
    )
    detector = Detector(manifest, options)
    events = detector.push(
        SnippetLogits(
            start_seconds=np.array(starts),
            epoch=np.array(epochs),
            selection_logits=np.concatenate([v.selection_logits for v in quiet]),
            class_probabilities=np.concatenate([v.class_probabilities for v in quiet]),
        )
    )
    events += detector.flush()
    found = sum(isinstance(event, SegmentEvent) for event in events)
    assert found == sum(isinstance(event, StartEvent) for event in events)
    return found


def worst(manifest: Manifest, videos: list[VideoOutputs], column: int, threshold: float) -> int:
    return max(
        counted_live(manifest, videos, column, mode, threshold) for mode in ("causal", "window")
    )


@pytest.mark.parametrize(
    ("rule", "smoothing"), [("wsgn, per frame", 1), ("wsgn, average, soft", 5), ("wsgn, top", 5)]
)
def test_the_detector_counts_as_many_and_the_budget_is_used_up(rule: str, smoothing: int) -> None:
    manifest = small_manifest(
        selection=METHOD_RULES[rule], smoothing_snippets=smoothing, merge_gap_seconds=0.5
    )
    videos = random_videos(manifest, 3)
    hours = sum(video.hours for video in videos if not video.shows[0])
    # Two, and a little, of each class.
    rate = 3 * 2.5 / hours
    for column, one in enumerate(class_alarms([(manifest, videos)], rate)):
        assert worst(manifest, videos, column, one.own_threshold) == one.own_false_alarms
        assert worst(manifest, videos, column, one.threshold) == one.false_alarms
        allowed = int(rate / 3 * one.hours)
        assert one.own_false_alarms > allowed >= one.false_alarms
        assert worst(manifest, videos, column, one.threshold * (1 - 1e-4)) > allowed


def test_a_rate_that_is_kept_anyway_leaves_the_thresholds_alone() -> None:
    manifest = small_manifest(threshold=0.3)
    for one in class_alarms([(manifest, random_videos(manifest, 1))], 1e6):
        assert one.threshold == one.own_threshold == 0.3
        assert one.false_alarms == one.own_false_alarms
        assert one.found == one.own_found


def test_what_is_found_in_the_videos_of_a_class_falls_with_the_rate() -> None:
    manifest = small_manifest(selection=METHOD_RULES["wsgn, top"])
    parts = [(manifest, random_videos(manifest, 5, count=45))]
    found = [[one.found for one in class_alarms(parts, rate)] for rate in (1.0, 300.0, 1e6)]
    assert found == sorted(found)
    assert found[0] < found[2]
    assert all(one.videos == 15 for one in class_alarms(parts, 1.0))


def test_what_has_to_be_found_is_found_whatever_it_costs() -> None:
    manifest = small_manifest(selection=METHOD_RULES["wsgn, top"])
    parts = [(manifest, random_videos(manifest, 5, count=45))]
    strict, kept, all_kept = (class_alarms(parts, 1.0, share) for share in (0.0, 0.5, 1.0))
    assert any(one.found < one.own_found / 2 for one in strict)
    for one, some, every in zip(strict, kept, all_kept, strict=True):
        assert some.found >= one.own_found / 2
        # No more than has to be.
        assert some.threshold == one.threshold or some.found == -(-one.own_found // 2)
        assert every.found == one.own_found
        assert one.false_alarms <= some.false_alarms <= every.false_alarms


def test_a_class_that_every_video_shows_is_not_measured() -> None:
    manifest = small_manifest()
    videos = [
        replace(video, shows=np.array([True, False, False])) for video in random_videos(manifest, 2)
    ]
    first, *others = class_alarms([(manifest, videos)], 1.0)
    assert first == ClassAlarms(
        label=manifest.classes[0], own_threshold=0.25, threshold=0.25, hours=0, own_false_alarms=0,
        false_alarms=0, videos=len(videos), own_found=first.found, found=first.found,
    )  # fmt: skip
    assert all(one.threshold > 0.25 for one in others)


def test_parts_are_scored_by_their_own_statistics_and_counted_together() -> None:
    manifest = small_manifest()
    other = replace(manifest, prior=replace(manifest.prior, mean=(2.0, 2.0, 2.0), count=20.0))
    parts = [(manifest, random_videos(manifest, 7)), (other, random_videos(manifest, 8))]
    together = class_alarms(parts, 1e6)
    alone = [class_alarms([part], 1e6) for part in parts]
    for both, one, two in zip(together, *alone, strict=True):
        assert both.own_false_alarms == one.own_false_alarms + two.own_false_alarms
        assert both.hours == pytest.approx(one.hours + two.hours)
        assert both.videos == one.videos + two.videos
    assert class_alarms([(manifest, parts[1][1])], 1e6) != alone[1]
    assert alarm_rule(together, 1e6).hours == tuple(one.hours for one in together)
