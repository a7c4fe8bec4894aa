"""Charades' CSV files as a dataset; small ones of our own, the real ones may not be passed on."""

from __future__ import annotations

from pathlib import Path

import pytest

from wsgn.data.charades import CLASSES, charades_rows, read_charades_annotations
from wsgn.errors import InputError

HEAD = "id,subject,scene,quality,relevance,verified,script,objects,descriptions,actions,length\n"
# A quoted field with commas and a doubled quote, and one without actions.
FULL = (
    'A1,S,Kitchen,6,7,Yes,"He says ""hi"", and sits.",bag,,c092 11.90 21.20;c147 0.00 12.60,24.83\n'
)
EMPTY = "B2,S,Home,5,7,No,One,,,,30.00\n"
SHORT = "id,actions,length\n"


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_rows_with_commas_and_without_actions_are_read(tmp_path: Path) -> None:
    full, empty = charades_rows(written(tmp_path / "a.csv", HEAD + FULL + EMPTY))
    assert (full.video, full.length_seconds) == ("A1", 24.83)
    assert full.actions == (("c092", 11.9, 21.2), ("c147", 0.0, 12.6))
    assert (empty.video, empty.actions) == ("B2", ())


def test_both_files_make_one_dataset_of_157_classes(tmp_path: Path) -> None:
    paths = {
        "train": written(tmp_path / "train.csv", HEAD + FULL),
        "test": written(tmp_path / "test.csv", HEAD + EMPTY),
    }
    annotations = read_charades_annotations(paths)
    assert annotations.classes == CLASSES
    assert (len(CLASSES), CLASSES[0], CLASSES[-1]) == (157, "c000", "c156")
    (train,), (test,) = annotations.subset("train"), annotations.subset("test")
    assert (train.name, train.labels, train.duration_seconds) == ("A1", ("c092", "c147"), 24.83)
    assert (test.labels, test.segments) == ((), ())


def test_an_action_that_runs_backwards_is_a_label_only(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", SHORT + "A,c001 5 4;c002 1 1,9\n")
    (video,) = read_charades_annotations({"train": path}).videos
    assert video.labels == ("c001", "c002")
    assert video.segments == (("c002", 1.0, 1.0),)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("id,length\nA,3\n", "no column actions"),
        (SHORT + "A,c157 0 1,3\n", "c157"),
        (SHORT + "A,c1 0 1,3\n", "line 2: 'c1 0 1' is not an action"),
        (SHORT + "A,c001 0 x,3\n", "'x' is not a number"),
        ("id,actions,length,id\nA,,3,B\n", "column id twice"),
        (SHORT + "A,,nan\n", "not a number"),
        (SHORT + ",,3\n", "no video id"),
        (SHORT + "A,,3\nA,,4\n", "a video twice"),
        (SHORT, "no videos"),
    ],
)
def test_wrong_files_are_refused(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        read_charades_annotations({"train": written(tmp_path / "a.csv", text)})


@pytest.mark.parametrize("length", ["0", "-3.5"])
def test_one_video_without_a_length_does_not_stop_the_others(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, length: str
) -> None:
    text = SHORT + f"A,c001 0 1,{length}\nB,,4\n"
    found = read_charades_annotations({"train": written(tmp_path / "a.csv", text)})
    assert [video.duration_seconds for video in found.videos] == [None, 4.0]
    assert f"video 'A' has the duration {length}, which counts as unknown" in caplog.text


def test_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        list(charades_rows(tmp_path / "none.csv"))
    (tmp_path / "a.csv").write_bytes(b"id,actions,length\n\xff,,3\n")
    with pytest.raises(InputError, match="not a CSV"):
        list(charades_rows(tmp_path / "a.csv"))
