"""What is exported is read back by the tools' own readers, to the resolution that a tool has."""

from __future__ import annotations

import importlib
import json
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from exported_videos import ODD, PLAYED, VIDEOS, Row, video, write

from wsgn.errors import MissingExtraError, UsageError
from wsgn.interchange.formats import EXPORTS

FRAME = 1 / 25
CLIP_ADDRESS = "file:///clips/%E6%97%A5%E6%9C%AC%20%E8%AA%9E.mp4"


def assert_near(found: Sequence[Row], wanted: Sequence[Row], tolerance_seconds: float) -> None:
    assert [row[0] for row in found] == [row[0] for row in wanted]
    for (_, *times), (_, *true) in zip(found, wanted, strict=True):
        assert times[0] < times[1]
        assert times == pytest.approx(true, abs=tolerance_seconds)


def test_elan_is_read_by_pympi(tmp_path: Path) -> None:
    paths = write("eaf", tmp_path)
    assert list(paths) == ["a.eaf", "sport/b.eaf"]
    elan = importlib.import_module("pympi").Elan
    for path, (name, rows) in zip(paths.values(), PLAYED.items(), strict=True):
        file = elan.Eaf(str(path))
        assert set(file.get_tier_names()) == {"wave", ODD}
        found = sorted(
            (start / 1000, end / 1000, tier, text)
            for tier in file.get_tier_names()
            for start, end, text in file.get_annotation_data_for_tier(tier)
        )
        assert [text for _, _, _, text in found] == [tier for _, _, tier, _ in found]
        assert_near([(tier, a, b) for a, b, tier, _ in found], rows, 1e-3 if "/" in name else 5e-4)
    (linked,) = file.get_linked_files()
    assert linked["MEDIA_URL"] == "file:///clips/日本 語.mp4"
    assert (linked["RELATIVE_MEDIA_URL"], linked["MIME_TYPE"]) == ("./日本 語.mp4", "video/mp4")


def test_label_studio_gets_what_its_documentation_asks_for(tmp_path: Path) -> None:
    paths = write("labelstudio", tmp_path)
    tasks, configuration = (path.read_text(encoding="utf-8") for path in paths.values())
    view = ET.fromstring(configuration)
    player, labels = view.find("Video"), view.find("TimelineLabels")
    assert player is not None
    assert labels is not None
    offered = [one.get("value") for one in labels]
    assert offered == sorted({"wave", ODD})
    for task, (name, rows) in zip(json.loads(tasks), PLAYED.items(), strict=True):
        data = task["data"]
        assert (data["wsgn_name"], data["fps"]) == (name, 25.0)
        # What the configuration takes from the data of a task.
        assert (
            {player.get("value"), player.get("frameRate")}
            == {"$video", "$fps"}
            <= {f"${key}" for key in data}
        )
        (prediction,) = task["predictions"]
        assert len({one["id"] for one in prediction["result"]}) == len(prediction["result"])
        found = []
        for one in prediction["result"]:
            assert one["from_name"] == labels.get("name")
            assert one["to_name"] == labels.get("toName") == player.get("name")
            assert one["type"] == "timelinelabels"
            (frames,), (label,) = one["value"]["ranges"], one["value"]["timelinelabels"]
            assert label in offered
            assert (type(frames["start"]), type(frames["end"])) == (int, int)
            assert 1 <= frames["start"] <= frames["end"]
            # Frame n is shown from (n - 1) / 25 s to n / 25 s.
            found.append((label, (frames["start"] - 1) * FRAME, frames["end"] * FRAME))
        assert_near(found, rows, FRAME if "/" in name else FRAME / 2 + 1e-9)


def test_label_studio_s_own_checks_find_nothing(tmp_path: Path) -> None:
    sdk = pytest.importorskip(
        "label_studio_sdk.label_interface", reason="label-studio-sdk (half a gigabyte) is missing"
    )
    paths = write("labelstudio", tmp_path)
    tasks, configuration = (path.read_text(encoding="utf-8") for path in paths.values())
    interface = sdk.LabelInterface(configuration)
    interface.validate()
    for task in json.loads(tasks):
        assert interface.validate_task({"data": task["data"]})
        assert interface.validate_prediction(task["predictions"][0], return_errors=True) == []


def test_opentimelineio_reads_its_timelines(tmp_path: Path) -> None:
    paths = write("otio", tmp_path)
    otio = importlib.import_module("opentimelineio")
    for path, (name, rows) in zip(paths.values(), PLAYED.items(), strict=True):
        timeline = otio.adapters.read_from_file(str(path))
        assert timeline.name == name
        (clip,) = timeline.find_clips()
        found = [
            (
                marker.name,
                marker.marked_range.start_time.to_seconds(),
                marker.marked_range.end_time_exclusive().to_seconds(),
            )
            for marker in clip.markers
        ]
        assert_near(found, rows, FRAME if "/" in name else FRAME / 2 + 1e-9)
        colours = {(marker.name, marker.color) for marker in clip.markers}
        # One colour for a class, in all videos.
        assert colours == {(label, {"wave": "GREEN", ODD: "BLUE"}[label]) for label, *_ in rows}
        assert clip.markers[0].metadata["wsgn"]["score"] == VIDEOS[name != "a"].segments[0].score
        whole = clip.source_range.duration.to_seconds()
        assert whole == pytest.approx(20 + VIDEOS[name != "a"].start_offset_seconds, abs=FRAME)
    assert clip.media_reference.target_url == CLIP_ADDRESS


@pytest.mark.parametrize("rate", [25.0, 30000 / 1001])
def test_edit_lists_are_read_by_the_adapter(tmp_path: Path, rate: float) -> None:
    videos = [replace(one, frame_rate=rate) for one in VIDEOS]
    paths = write("edl", tmp_path, videos)
    otio = importlib.import_module("opentimelineio")
    for path, (name, rows) in zip(paths.values(), PLAYED.items(), strict=True):
        timeline = otio.adapters.read_from_file(str(path), rate=rate)
        found, end = [], 0.0
        for clip in timeline.find_clips():
            assert clip.name == {"a": "a.mp4", "sport/b": "日本 語.mp4"}[name]
            action, score = clip.metadata["cmx_3600"]["comments"][-2:]
            source, place = clip.source_range, clip.range_in_parent()
            times = (source.start_time, source.end_time_exclusive())
            found.append((action.removeprefix("ACTION: "), *(time.to_seconds() for time in times)))
            assert place.start_time.to_seconds() == pytest.approx(end, abs=1e-6)
            end = place.end_time_exclusive().to_seconds()
            assert score.startswith("SCORE: 0.")
        assert_near(found, rows, 1 / rate if "/" in name else 0.5 / rate + 1e-3)


def as_via_exports(project: dict[str, Any]) -> list[tuple[str, str, list[float]]]:
    """File, value and times of all temporal segments, as VIA's scripts/io/export_via_annotations.py
    finds them."""
    rows = []
    for entry in project["metadata"].values():
        file = project["file"][project["view"][entry["vid"]]["fid_list"][0]]
        for number, attribute in project["attribute"].items():
            if number in entry["av"] and attribute["anchor_id"] == "FILE1_Z2_XY0":
                value = entry["av"][number]
                rows.append((file["fname"], attribute["options"].get(value, value), entry["z"]))
    return rows


def test_via_finds_segments_and_scores(tmp_path: Path) -> None:
    (path,) = write("via", tmp_path).values()
    project = json.loads(path.read_text(encoding="utf-8"))
    assert project["project"]["vid_list"] == list(project["view"]) == ["1", "2"]
    rows = as_via_exports(project)
    actions, scores = rows[::2], rows[1::2]
    assert [name for name, _, _ in actions] == ["a.mp4"] * 3 + ["日本 語.mp4"]
    assert [float(score) for _, score, _ in scores] == [0.75, 0.5, 0.25, 0.125]
    wanted = [row for name in PLAYED for row in PLAYED[name]]
    # VIA puts options and names of files into its page as HTML (`oi.innerHTML`).
    wanted = [(label.replace("<", "\u2039"), *times) for label, *times in wanted]
    assert_near([(label, *times) for _, label, times in actions], wanted, 1e-3)
    # The second one is found by its path, and the first one chosen by the user.
    assert [(file["loc"], file["src"]) for file in project["file"].values()] == [
        (1, ""),
        (3, CLIP_ADDRESS),
    ]


@pytest.mark.parametrize(
    ("kind", "facts", "said"),
    [
        ("labelstudio", {"frame_rate": None}, "nothing says the rate of 'a': give --videos"),
        ("otio", {"frame_rate": 1e-9}, "is said to have 1e-09 frames per second"),
        ("edl", {"frame_rate": 15.0}, "15 frames per second, which timecodes do not know"),
        ("edl", {"start_offset_seconds": 86_400.0}, "counts to 24 hours"),
    ],
)
def test_what_a_tool_cannot_say_is_a_sentence(
    tmp_path: Path, kind: str, facts: dict[str, Any], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        write(kind, tmp_path, [video("a", ("wave", 1.0, 2.0, 0.5), **facts)])


@pytest.mark.parametrize(("kind", "module"), [("eaf", "pympi"), ("otio", "opentimelineio")])
def test_a_missing_extra_is_named(kind: str, module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, module, None)
    with pytest.raises(MissingExtraError, match=r"wsgn\[interchange\]"):
        EXPORTS[kind](VIDEOS)


def test_no_name_leads_out_of_the_folder_and_none_is_taken_twice(tmp_path: Path) -> None:
    names = ["../../x", "/x", "x", "X", "C:\\x", "..", "a/" + "long" * 99, "a\0b\n"]
    paths = write("eaf", tmp_path / "in", [video(name) for name in names])
    assert len({name.casefold() for name in paths}) == len(names)
    assert all(path.resolve().is_relative_to(tmp_path / "in") for path in paths.values())
    assert all(path.is_file() for path in paths.values())
