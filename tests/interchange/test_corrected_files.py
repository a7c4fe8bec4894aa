"""What people correct in ELAN, Label Studio and VIA becomes annotations, with the right times."""

from __future__ import annotations

import importlib
import json
import logging
import re
from pathlib import Path
from typing import Any

import pytest
from exported_videos import ODD, OFFSET, VIDEOS, submitted, video, write

from wsgn.data.annotations import VideoAnnotation
from wsgn.data.layouts import read_annotations
from wsgn.errors import MissingExtraError
from wsgn.features.annotation_layouts import read_any_annotations
from wsgn.metrics.annotations import read_truth

Notices = pytest.LogCaptureFixture
# Half of what the tool counts in, and of the shortest that it can show.
RESOLUTION = {"eaf": 0.0005, "labelstudio": 0.02, "via": 0.0005}


def back(kind: str, folder: Path) -> Path:
    """What a user names after an export to the tool, and nothing but saving it there."""
    paths = write(kind, folder / kind)
    if kind == "labelstudio":
        submitted(next(iter(paths.values())), folder / "export.json")
        return folder / "export.json"
    return folder / kind if kind == "eaf" else next(iter(paths.values()))


@pytest.mark.parametrize("kind", RESOLUTION)
def test_results_come_back_as_they_were(tmp_path: Path, kind: str) -> None:
    found = read_annotations(back(kind, tmp_path))
    assert found.classes == tuple(sorted({"wave", ODD}))
    assert [one.name for one in found.videos] == ["a", "sport/b"]
    for annotated, exported in zip(found.videos, VIDEOS, strict=True):
        assert annotated.subset == "train"
        assert set(annotated.labels) == {one.label for one in exported.segments}
        least = 2 * RESOLUTION[kind]
        for (label, *times), one in zip(annotated.segments, exported.segments, strict=True):
            assert label == one.label
            # In seconds from the first frame again.
            true = [one.start_seconds, max(one.end_seconds, one.start_seconds + least)]
            assert times == pytest.approx(true, abs=least / 2 + 1e-9)


@pytest.mark.parametrize("kind", RESOLUTION)
def test_evaluation_and_conversion_take_them_too(tmp_path: Path, kind: str) -> None:
    path = back(kind, tmp_path)
    truth = read_truth(path)
    assert (truth.videos, truth.classes) == (("a", "sport/b"), tuple(sorted({"wave", ODD})))
    assert truth.instance_start_seconds[0] == pytest.approx(1.0004, abs=RESOLUTION[kind])
    assert read_any_annotations([str(path)]) == read_annotations(path)


def elan_file(folder: Path, *tiers: tuple[str, list[tuple[int, int, str]]], **words: str) -> Path:
    """A file that was begun in ELAN; texts and milliseconds by tier."""
    elan = pytest.importorskip("pympi", reason="the extra interchange is not installed").Elan
    file = elan.Eaf()
    for name, drawn in tiers:
        file.add_tier(name)
        for start, end, text in drawn:
            file.add_annotation(name, start, end, text)
    for media, origin in words.items():
        file.add_linked_file(f"file:///videos/{media}.mp4", time_origin=origin)
    path = folder / "session.eaf"
    file.to_file(str(path))
    return path


def only_video(path: Path) -> VideoAnnotation:
    (one,) = read_annotations(path).videos
    return one


def test_what_is_changed_in_elan_arrives(tmp_path: Path, caplog: Notices) -> None:
    write("eaf", tmp_path)
    path = tmp_path / "a.eaf"
    elan = importlib.import_module("pympi").Elan
    file = elan.Eaf(str(path))
    file.remove_annotation("wave", 2000)
    file.add_annotation("wave", 6000, 7000, "")
    file.add_tier("kick")
    file.add_annotation("kick", 8000, 9000, "kick")
    file.add_tier("remarks")
    file.add_annotation("remarks", 1, 2, "unsure")
    file.add_tier("hands", parent="wave")
    file.add_ref_annotation("hands", "wave", 6500, "left")
    file.to_file(str(path))
    # What ELAN keeps of earlier ones, and what lies beside.
    (tmp_path / "a.eaf.001").write_text("nothing")
    (tmp_path / "a.mp4").write_bytes(b"")
    with caplog.at_level(logging.WARNING):
        found = {one.name: one for one in read_annotations(tmp_path).videos}
    assert [row for row in found["a"].segments if row[0] != ODD] == [
        ("wave", pytest.approx(2.5, abs=1e-3), pytest.approx(3.0, abs=1e-3)),
        ("wave", 6.0 - OFFSET, 7.0 - OFFSET),
        ("kick", 8.0 - OFFSET, 9.0 - OFFSET),
    ]
    said = caplog.text
    assert "takes the new tier 'kick' for a class" in said
    assert "left out the tier 'remarks', which is no class" in said
    assert "left out the tiers 'hands', which describe others" in said


def test_an_export_without_its_properties_keeps_its_classes(tmp_path: Path) -> None:
    write("eaf", tmp_path)
    text = (tmp_path / "a.eaf").read_text(encoding="utf-8")
    (tmp_path / "a.eaf").write_text(re.sub("<PROPERTY.*", "", text), encoding="utf-8")
    found = only_video(tmp_path / "a.eaf")
    assert (found.name, found.labels) == ("a", tuple(sorted({"wave", ODD})))
    assert found.segments[0][1] == pytest.approx(1.0004 + OFFSET, abs=1e-3)


def test_files_that_were_begun_in_elan(tmp_path: Path) -> None:
    texts = [(3000, 4000, "jump"), (1000, 2000, "wave")]
    path = elan_file(tmp_path, ("actions", texts), ("empty", []), film="250")
    found = only_video(path)
    assert (found.name, found.labels) == ("film", ("jump", "wave"))
    # The media's origin lies 0.25 s behind the beginning of its file.
    assert found.segments == (("wave", 1.25, 2.25), ("jump", 3.25, 4.25))
    tiers = elan_file(tmp_path, ("wave", [(0, 500, "")]), ("jump", [(0, 900, "jump")]))
    assert only_video(tiers).segments == (("wave", 0.0, 0.5), ("jump", 0.0, 0.9))
    assert only_video(tiers).name == "session"


def test_folders_of_elan_name_subsets(tmp_path: Path) -> None:
    for name in ("train/x", "test/y"):
        folder = tmp_path / name
        folder.mkdir(parents=True)
        elan_file(folder, ("wave", [(0, 500, "")]), **{folder.name: "0"})
    videos = read_annotations(tmp_path).videos
    assert [(one.name, one.subset) for one in videos] == [("y", "test"), ("x", "train")]


def task(number: int, data: dict[str, Any], *annotations: dict[str, Any]) -> dict[str, Any]:
    return {"id": number, "data": data, "annotations": list(annotations), "predictions": []}


def region(start: float, end: float, *labels: str) -> dict[str, Any]:
    value = {"ranges": [{"start": start, "end": end}], "timelinelabels": list(labels)}
    return {"type": "timelinelabels", "from_name": "l", "to_name": "v", "value": value}


def stored(folder: Path, document: object) -> Path:
    path = folder / "export.json"
    path.write_text(json.dumps(document))
    return path


def test_projects_that_were_begun_in_label_studio(tmp_path: Path, caplog: Notices) -> None:
    done = {"result": [region(26, 50, "wave", "jump"), {"type": "choices", "value": {}}]}
    skipped = {"result": [region(1, 2, "wave")], "was_cancelled": True}
    other = {"result": [region(1, 25, "other")]}
    chosen = {"result": [], "ground_truth": True}
    path = stored(
        tmp_path,
        [
            task(1, {"video": "/data/upload/3/0123abcd-film.mp4", "fps": "50"}, done, skipped),
            task(2, {"video": "/data/local-files/?d=clips%2Fbare.mp4", "fps": 25}, other, chosen),
            task(3, {"clip": "https://host/x/far%20away.mp4?sig=1", "subset": "test"}, other),
            task(4, {"video": "open.mp4", "fps": 25}, skipped),
            task(5, {"video": "open2.mp4", "fps": 25}),
        ],
    )
    with caplog.at_level(logging.WARNING):
        film, bare, far = read_annotations(path, frame_rate=12.5).videos
    assert film.segments == (("jump", 0.5, 1.0), ("wave", 0.5, 1.0))
    assert (film.name, film.frame_rate, bare.name, bare.labels) == ("film", 50.0, "bare", ())
    assert (far.name, far.subset, far.segments) == ("far away", "test", (("other", 0.0, 2.0),))
    assert "left out regions of 'choices': 1" in caplog.text
    assert "left out 2 of 5 tasks, which have no annotation" in caplog.text


def test_json_min_of_label_studio(tmp_path: Path) -> None:
    tasks = submitted(
        write("labelstudio", tmp_path)["label_studio_tasks.json"], tmp_path / "x.json"
    )
    # As its converter makes it: data and labels beside each other.
    small = [
        one["data"]
        | {"id": one["id"], "annotator": 1, "annotation_id": one["id"], "lead_time": 1.5}
        | {"actions": [item["value"] for item in one["annotations"][0]["result"]]}
        for one in tasks
    ]
    whole = read_annotations(stored(tmp_path, tasks))
    assert read_annotations(stored(tmp_path, small)) == whole


def test_what_is_changed_in_via_arrives(tmp_path: Path, caplog: Notices) -> None:
    (path,) = write("via", tmp_path).values()
    project = json.loads(path.read_text())
    first, *_ = project["metadata"]
    del project["metadata"][first]
    added = {"vid": "2", "flg": 0, "z": [5, 6.25], "xy": [], "av": {"1": "kick"}}
    box = {"vid": "2", "flg": 0, "z": [5], "xy": [2, 1, 1, 9, 9], "av": {"1": "wave"}}
    mark = {"vid": "2", "flg": 0, "z": [7], "xy": [], "av": {"1": "1"}}
    frame = {"vid": "2", "flg": 0, "z": [7, 8], "xy": [2, 1, 1, 9, 9], "av": {"1": "1"}}
    drawn = {"2_abcdef": added, "2_ghijkl": box, "2_mnopqr": mark, "2_stuvwx": frame}
    project["metadata"] |= drawn
    path.write_text(json.dumps(project))
    with caplog.at_level(logging.WARNING):
        a, b = read_annotations(path).videos
    assert len(a.segments) == 2
    assert b.segments[1:] == (("kick", 5.0, 6.25),)
    assert "takes 'kick' for classes" in caplog.text
    assert "which are no stretches of time: 3" in caplog.text


def via_project(kind: int, options: dict[str, str], value: str, **file: Any) -> dict[str, Any]:
    attribute = {"aname": "Activity", "anchor_id": "FILE1_Z2_XY0", "type": kind, "options": options}
    entry = {"vid": "v", "z": [1, 2], "xy": [], "av": {"7": value}}
    return {
        "project": {}, "config": {}, "attribute": {"7": attribute},
        "file": {"1": {"fid": "1", "fname": "/x/film.mp4", "src": "", **file}},
        "view": {"v": {"fid_list": [1]}}, "metadata": {"m": entry},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "options", "value", "labels"),
    [
        (1, {}, "wave", ("wave",)),
        (4, {"0": "wave", "1": "jump"}, "1", ("jump",)),
        (2, {"0": "wave", "1": "jump"}, "0,1", ("jump", "wave")),
        (4, {"0": "nothing"}, "0", ()),
    ],
)
def test_projects_that_were_begun_in_via(
    tmp_path: Path, kind: int, options: dict[str, str], value: str, labels: tuple[str, ...]
) -> None:
    project = via_project(kind, options, value)
    project["view"]["w"] = {"fid_list": ["2"]}
    project["file"]["2"] = {"fname": "other.mp4"}
    project["metadata"]["n"] = {"vid": "w", "z": [0, 1], "xy": [], "av": {"7": "dance"}}
    found = {one.name: one.labels for one in read_annotations(stored(tmp_path, project)).videos}
    assert found == {"film": labels, "other": ("dance",)}


def test_overlaps_of_a_class_are_told_and_kept(tmp_path: Path, caplog: Notices) -> None:
    twice = video("a", ("wave", 1.0, 3.0, 0.5), ("wave", 2.0, 4.0, 0.5), ("jump", 2.0, 4.0, 0.5))
    (path,) = write("via", tmp_path, [twice]).values()
    with caplog.at_level(logging.WARNING):
        assert len(only_video(path).segments) == 3
    assert "'wave' overlaps another one of its class once; both are kept" in caplog.text
    assert "jump" not in caplog.text


def test_a_missing_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pympi", None)
    (tmp_path / "a.eaf").write_text("<ANNOTATION_DOCUMENT/>")
    with pytest.raises(MissingExtraError, match=r"wsgn\[interchange\]"):
        read_annotations(tmp_path)
