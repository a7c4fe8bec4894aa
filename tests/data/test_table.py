"""Annotations in tables, as spreadsheets and people write them."""

from __future__ import annotations

from pathlib import Path

import pytest

from wsgn.data.layouts import read_annotations
from wsgn.errors import InputError
from wsgn.metrics.annotations import read_truth


def _table(folder: Path, text: str, name: str = "labels.csv", encoding: str = "utf-8") -> Path:
    path = folder / name
    path.write_bytes(text.encode(encoding))
    return path


def test_labels_only(tmp_path: Path) -> None:
    found = read_annotations(
        _table(tmp_path, "video,label\na,walk\nb,jump\nb,walk\nc,background\nd,\n")
    )
    assert found.classes == ("jump", "walk")
    assert {video.name: video.labels for video in found.videos} == {
        "a": ("walk",), "b": ("jump", "walk"), "c": (), "d": (),
    }  # fmt: skip
    assert {video.subset for video in found.videos} == {"train"}
    assert found.dataset == "labels"


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("video;label;start;end\na;walk;1,5;62,25\n", "utf-8"),
        ("File Name\tClass\tBegin\tEnd\na\twalk\t1.5\t1:02.25\n", "utf-8-sig"),
        ("VIDEO,ACTION,START_TIME,END_TIME,note\r\na,walk,0:00:01.5,0:01:02.25,hm\r\n", "utf-8"),
        ("path,category,from,to\n\n a , walk ,1.5,62.25\n,,,\n", "utf-8"),
    ],
)
def test_what_spreadsheets_write(tmp_path: Path, text: str, encoding: str) -> None:
    (video,) = read_annotations(_table(tmp_path, text, encoding=encoding)).videos
    assert (video.name, video.segments) == ("a", (("walk", 1.5, 62.25),))


def test_subsets_groups_and_truth(tmp_path: Path) -> None:
    path = _table(
        tmp_path,
        "video,label,start,end,subset,group,duration\n"
        'a,"walk, slowly|jump",1,2,train,anna,9\n'
        "b,jump,0,3,test,ben,9\n"
        "b,jump,4,5,test,ben,9\n"
        "c,nothing,,,test,ben,9\n",
    )
    found = read_annotations(path)
    assert found.classes == ("jump", "walk, slowly")
    assert [(v.subset, v.group, v.duration_seconds) for v in found.videos] == [
        ("train", "anna", 9), ("test", "ben", 9), ("test", "ben", 9),
    ]  # fmt: skip
    truth = read_truth(path, "test")
    assert truth.videos == ("b", "c")
    assert truth.instance_start_seconds.tolist() == [0, 4]
    assert truth.other_videos == {"a"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "must name the columns"),
        ("a,walk\n", "must name the columns"),
        ("video,label\n", "names no videos"),
        ("video,label\na,background\n", "at least one class"),
        ("video,label\n,walk\n", "line 2 names no video"),
        ("video,label,file\na,walk,b\n", "two columns for the video"),
        ("video,label,start\na,walk,1\n", "only one of the columns"),
        ("video,label,start,end\na,walk,1,\n", "only one of start and end"),
        ("video,label,start,end\na,walk,one,2\n", "'one' where seconds"),
        ("video,label,start,end\na,walk,5,2\n", "ends at 2"),
        ("video,label,start,end\na,walk,1,2\na,jump,,\n", "none for 'jump'"),
        ("video,label,subset\na,walk,train\na,walk,test\n", "was 'train' in an earlier row"),
        ("video,label\na,walk,1\n", "3 cells for 2 columns"),
        ('video,label\n"a,walk\n', "not a table"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        read_annotations(_table(tmp_path, text))


def test_no_text(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not a table of text"):
        read_annotations(_table(tmp_path, "vidéo,label\n", encoding="latin-1"))


def test_labels_are_no_truth(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="'a' has labels only"):
        read_truth(_table(tmp_path, "video,label,subset\na,walk,test\n"), "test")
