"""The manifest: exact round trips, and a sentence for every wrong document."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from manifests import small_manifest

from wsgn.errors import UsageError
from wsgn.manifest import AlarmRule, Manifest, MultiThresholdRule, VideoScore

# Of three classes that open at 0.25.
ALARMS: dict[str, Any] = {
    "open_thresholds": [0.25, 0.5, 0.75],
    "false_alarms_per_hour": 1.0,
    "hours": [2.0, 0.0, 0.5],
    "false_alarms": [3, 0, 1],
}


def alarms() -> AlarmRule:
    return AlarmRule(**{k: tuple(v) if isinstance(v, list) else v for k, v in ALARMS.items()})


def document() -> dict[str, Any]:
    return dict(json.loads(small_manifest().to_json()))


def test_it_comes_back_exactly() -> None:
    manifest = small_manifest()
    assert Manifest.from_json(manifest.to_json()) == manifest


def test_equal_manifests_give_equal_bytes() -> None:
    shuffled = json.dumps(dict(reversed(document().items())))
    assert Manifest.from_json(shuffled).to_json() == small_manifest().to_json()


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (("format_version",), 2, "version 2"),
        (("surprise",), 1, "surprise"),
        (("classes",), [], "at least one class"),
        (("classes",), ["a", "a", "b"], "each once"),
        (("classes",), ["a", "b"], "values for 2 classes"),
        (("frames",), None, "either frames or features"),
        (("frames", "resize"), "shrink", "shrink"),
        (("sampling", "frame_rate"), 0.0, "frame_rate"),
        (("sampling", "frame_rate"), "ten", "frame_rate"),
        (("sampling", "snippet_length"), 0, "snippet_length"),
        (("selection", "components"), ["local"], "local"),
        (("selection", "softmax_scale"), "two", "two"),
        (("selection", "global_std"), [1.0, 0.0, 1.0], "global_std"),
        (("prior", "count"), -1.0, "count"),
        (("prior", "mean"), [0.0], "prior.mean"),
        (("detection", "open_thresholds"), [0.5], "open_thresholds"),
        (("detection", "smoothing_snippets"), 2, "odd"),
        (("detection", "open_thresholds"), [0.1, float("nan"), 0.1], "finite"),
        (("detection", "close_thresholds"), [0.1, 0.9, 0.1], "above"),
        (("detection", "minimum_duration_seconds"), -1.0, "negative"),
        (("selection", "components"), ["attention", "local_gaussian"], "alone"),
        (("selection", "weight_scale"), "mean", "average, per_frame"),
        (("selection", "weight_scale"), "average", "prior.mean_local has 0 values"),
        (("selection", "gate"), "open", "open"),
        (("selection", "gate"), "product", "average only"),
        (("selection", "gate_level"), -0.1, "gate_level"),
        (("selection", "class_activation"), "tanh", "identity"),
        (("selection", "video_score"), {"pooling": "median"}, "pooling"),
        (("selection", "video_score"), {"of": "logits"}, "nothing else"),
        (("selection", "video_score"), {"snippets_per_pick": 0}, "snippets_per_pick"),
        (("selection", "video_score"), {"pooling": "top", "bias": [0.0] * 3}, "no bounds"),
        (
            ("selection", "video_score"),
            {"pooling": "top", "activation": "sigmoid", "bias": [0.0]},
            "video_score.bias has 1",
        ),
        (("prior", "mean_local"), [0.5, 0.5, 1.5], "mean_local"),
        (("prior", "mean_global"), [0.5], "prior.mean_global"),
        (("proposals",), {"thresholds": [1.0]}, "shares"),
        (("proposals",), {"thresholds": [0.5] * 1001}, "at most 1000"),
        (("proposals",), {"smoothing_snippets": 20_001}, "at most 10001"),
        (("proposals",), {"outer_share": 1e10}, "outer_share"),
        (("detection", "alarms"), {"open_thresholds": [0.5] * 3}, "false_alarms"),
        (("detection", "alarms"), ALARMS | {"open_thresholds": [0.5, 0.5, 0.1]}, "under that"),
        (("detection", "alarms"), ALARMS | {"hours": [0.5]}, "alarms.hours has 1"),
        (("detection", "alarms"), ALARMS | {"false_alarms": [1, 2, -1]}, "negative"),
        (("detection", "alarms"), ALARMS | {"false_alarms": [1, 2, 0.5]}, "whole"),
    ],
)
def test_wrong_documents_are_refused(path: tuple[str, ...], value: object, words: str) -> None:
    changed = document()
    place = changed
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    with pytest.raises(UsageError, match=words):
        Manifest.from_json(json.dumps(changed))


def test_what_came_later_is_written_only_where_it_says_something() -> None:
    before = document()
    assert "proposals" not in before
    assert "alarms" not in before["detection"]
    assert not before["selection"].keys() & {"weight_scale", "gate", "gate_level", "video_score"}
    assert not before["prior"].keys() & {"mean_local", "mean_global"}
    manifest = small_manifest()
    later = replace(
        manifest,
        selection=replace(
            manifest.selection,
            weight_scale="average",
            gate="cut",
            gate_level=0.2,
            video_score=VideoScore(
                pooling="top", of="logits", activation="sigmoid", bias=(0.1, 0.0, -0.1)
            ),
        ),
        prior=replace(manifest.prior, mean_local=(0.5,) * 3, mean_global=(0.2, 0.3, 0.4)),
        detection=replace(manifest.detection, alarms=alarms()),
        proposals=MultiThresholdRule(smoothing_snippets=5),
    )
    assert Manifest.from_json(later.to_json()) == later


def test_the_rate_of_all_classes_leaves_out_those_that_were_not_measured() -> None:
    assert alarms().measured_per_hour == 3 / 2 + 1 / 0.5


@pytest.mark.parametrize("text", ["", "[]", "{", "null"])
def test_what_is_no_object_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="manifest"):
        Manifest.from_json(text)
