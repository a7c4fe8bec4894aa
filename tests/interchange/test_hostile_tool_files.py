"""Files of tools that are damaged, or made to do harm: a sentence each, and quickly."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from test_corrected_files import region, task, via_project

from wsgn.data.layouts import read_annotations
from wsgn.errors import InputError

HEAD = '<ANNOTATION_DOCUMENT DATE="" FORMAT="3.0" VERSION="3.0" '
HEAD += 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
HEAD += 'xsi:noNamespaceSchemaLocation="x">'
LAUGHS = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10))
EXPORTED = '<HEADER><PROPERTY NAME="wsgn-classes">["wave", "jump"]</PROPERTY>{}</HEADER>'


def eaf(body: str = "", *, start: str = "1000", end: str = "2000", text: str = "") -> str:
    value = f"<ANNOTATION_VALUE>{text}</ANNOTATION_VALUE>"
    drawn = '<ALIGNABLE_ANNOTATION ANNOTATION_ID="a1" TIME_SLOT_REF1="ts1" TIME_SLOT_REF2="ts2">'
    drawn += value
    return (
        f'{HEAD}{body}<TIME_ORDER><TIME_SLOT TIME_SLOT_ID="ts1" TIME_VALUE="{start}"/>'
        f'<TIME_SLOT TIME_SLOT_ID="ts2" TIME_VALUE="{end}"/></TIME_ORDER>'
        f'<TIER TIER_ID="wave"><ANNOTATION>{drawn}</ALIGNABLE_ANNOTATION></ANNOTATION></TIER>'
        "</ANNOTATION_DOCUMENT>"
    )


ELAN = {
    "bomb": (f'<!DOCTYPE x [<!ENTITY a0 "lol">{LAUGHS}]>{eaf(text="&a9;")}', "has a document type"),
    "fetch": (f'<!DOCTYPE x SYSTEM "file:///etc/passwd">{eaf()}', "has a document type"),
    "empty": ("", "is not XML: no element found"),
    "cut": (eaf()[:300], "is not XML"),
    "html": ("<html/>", "begins with <html>"),
    "deep": (HEAD + "<a>" * 50, "is nested too deeply"),
    "no attributes": ("<ANNOTATION_DOCUMENT/>", "is no whole file of ELAN (KeyError"),
    "no value": (eaf().replace("<ANNOTATION_VALUE></ANNOTATION_VALUE>", ""), "no whole file"),
    "no slot": (eaf().replace('TIME_SLOT_ID="ts2"', 'TIME_SLOT_ID="ts3"'), "has no time: align it"),
    "unaligned": (eaf().replace(' TIME_VALUE="1000"', ""), "has no time: align it"),
    "text for a time": (eaf(start="soon"), "is no whole file of ELAN (ValueError"),
    "huge": (eaf(end="9" * 400), "lies outside of any video"),
    "longer than Python reads": (eaf(end="9" * 5000), "is no whole file of ELAN (ValueError"),
    "negative": (eaf(start="-5"), "lies outside of any video"),
    "no time at all": (eaf(end="1000"), "'wave' from 1 s to 1 s lasts no time: draw it longer"),
    "backwards": (eaf(end="500"), "ends before it starts: mend or delete it"),
    "twice": (eaf('<TIER TIER_ID="wave"/>'), "has the TIER_ID 'wave' twice"),
    "frames": (eaf('<HEADER TIME_UNITS="PAL-frames"/>'), "counts PAL-frames"),
    "nothing drawn": (f"{HEAD}</ANNOTATION_DOCUMENT>", "must name at least one class"),
    "no class": (eaf(EXPORTED.format(""), text="unsure"), "says 'unsure': empty its text"),
    "another class": (eaf(EXPORTED.format(""), text="jump"), "says 'jump': move it to that tier"),
    "classes": (eaf('<HEADER><PROPERTY NAME="wsgn-classes">{</PROPERTY></HEADER>'), "is not JSON"),
    "class": (eaf('<HEADER><PROPERTY NAME="wsgn-classes">[1]</PROPERTY></HEADER>'), "no list of n"),
    "offset": (
        eaf('<HEADER><PROPERTY NAME="wsgn-start-offset-seconds">x</PROPERTY></HEADER>'),
        "is no number",
    ),
    "offset of the end": (
        eaf('<HEADER><PROPERTY NAME="wsgn-start-offset-seconds">nan</PROPERTY></HEADER>'),
        "the first frame is said to lie at nan s",
    ),
    "before the film": (
        eaf('<HEADER><PROPERTY NAME="wsgn-start-offset-seconds">3</PROPERTY></HEADER>'),
        "ends at 2 s, before the first frame of the video at 3 s",
    ),
    "two tiers": (
        eaf('<TIER TIER_ID="x"><ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a2" '
            'TIME_SLOT_REF1="ts1" TIME_SLOT_REF2="ts2"><ANNOTATION_VALUE/></ALIGNABLE_ANNOTATION>'
            "</ANNOTATION></TIER>", text="hello"),
        "has texts on the tier 'wave', and other tiers",
    ),
}  # fmt: skip


def refusal(path: Path) -> str:
    with pytest.raises(InputError) as found:
        read_annotations(path)
    said = str(found.value)
    assert path.name in said or path.parent.name in said
    assert "\n" not in said
    return said


@pytest.mark.parametrize("name", ELAN)
def test_damaged_files_of_elan(tmp_path: Path, name: str) -> None:
    pytest.importorskip("pympi", reason="the extra interchange is not installed")
    text, said = ELAN[name]
    path = tmp_path / "a.eaf"
    path.write_text(text, encoding="utf-8")
    assert said in refusal(path)


def test_the_whole_file_would_have_been_read(tmp_path: Path) -> None:
    """Of which the damaged ones above are made."""
    pytest.importorskip("pympi", reason="the extra interchange is not installed")
    (tmp_path / "a.eaf").write_text(eaf())
    (one,) = read_annotations(tmp_path / "a.eaf").videos
    assert one.segments == (("wave", 1.0, 2.0),)


DATA = {"video": "a.mp4", "fps": 25}


def project(change: str, value: Any) -> dict[str, Any]:
    """One of VIA's with another value at `a.b.c`; without it where the value is `...`."""
    document = via_project(4, {"0": "wave"}, "0")
    *parents, last = change.split(".")
    place: Any = document
    for name in parents:
        place = place[name]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return document


JSON: dict[str, tuple[object, str]] = {
    "a list of others": ([1, 2], "must be a JSON object: a list stands where an object is needed"),
    "no object": ([task(1, DATA), 3], "task 2 is a number where an object"),
    "only predictions": ([{"data": DATA, "predictions": []}], "1 tasks and no annotation: submit"),
    "two annotations": ([task(1, DATA, {"result": []}, {"result": []})], "has 2 annotations"),
    "no result": ([task(1, DATA, {})], "has no 'result'"),
    "no rate": ([task(1, {"video": "a.mp4"}, {"result": []})], "how many are a second: add"),
    "rate": ([task(1, DATA | {"fps": "fast"}, {"result": []})], "'fps' is text where a number"),
    "rate of text": ([task(1, DATA | {"fps": "nan"}, {"result": []})], "'fps' is nan where over 0"),
    "no rate at all": ([task(1, DATA | {"fps": 0}, {"result": []})], "'fps' is 0 where over 0"),
    "no name": ([task(1, {"fps": 25}, {"result": []})], "names no file of a video"),
    "address": ([task(1, DATA | {"video": "http://["}, {"result": []})], "names no file"),
    "no label": ([task(1, DATA, {"result": [region(1, 2)]})], "region without a label"),
    "half a frame": ([task(1, DATA, {"result": [region(1.5, 2, "x")]})], "from frame 1.5 to 2"),
    "backwards": ([task(1, DATA, {"result": [region(9, 2, "x")]})], "from frame 9 to 2"),
    "huge": ([task(1, DATA, {"result": [region(1, 1e300, "x")]})], "lies outside of any video"),
    "longer than JSON": ([task(1, DATA, {"result": [region(1, 10**400, "x")]})], "is inf where"),
    "ranges": (
        [task(1, DATA, {"result": [region(1, 2, "x") | {"value": {"timelinelabels": ["x"]}}]})],
        "has no 'ranges'",
    ),
    "label": ([task(1, DATA, {"result": [region(1, 2, "a\0b")]})], "holds a control character"),
    "same video": ([task(1, DATA, {"result": [region(1, 2, "x")]})] * 2, "names a video twice"),
    "view": (project("metadata.m.vid", "w"), "is of the view 'w', which the project lacks"),
    "no attribute": (project("attribute.7.anchor_id", "FILE1_Z0_XY0"), "and has none: call one"),
    "two attributes": (
        project("attribute.8", {"aname": "Place", "anchor_id": "FILE1_Z2_XY0", "options": {}}),
        "and has 'Activity', 'Place': call one of them 'action'",
    ),
    "no value": (project("metadata.m.av", {}), "from 1 s to 2 s, has no 'Activity': give it one"),
    "option": (project("metadata.m.av.7", "5"), "says '5', which is no 'Activity'"),
    "instant": (project("metadata.m.z", [3, 3]), "'wave' from 3 s to 3 s lasts no time"),
    "time": (project("metadata.m.z", [3, "x"]), "a time of 'z' is text where a number"),
    "times": (project("metadata.m.z", "1,2"), "'z' is text where a list is needed"),
    "file": (project("view.v.fid_list", [4]), "has no '4'"),
    "files": (project("view.v.fid_list", [1, 2]), "shows 2 files, where one video is needed"),
    "file's name": (project("file.1", {}), "the name of its file is empty"),
    "part": (project("file", []), "'file' is a list where an object is needed"),
    "other JSON": (project("view", ...), "has no 'database'"),
    "offset": (project("file.1.wsgn_start_offset_seconds", -3), "is said to lie at -3 s"),
}  # fmt: skip


@pytest.mark.parametrize("name", JSON)
def test_damaged_files_of_label_studio_and_via(tmp_path: Path, name: str) -> None:
    document, said = JSON[name]
    path = tmp_path / "a.json"
    path.write_text(json.dumps(document))
    assert said in refusal(path)
