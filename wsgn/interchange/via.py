"""VGG Image Annotator 3: one project of all videos; times are seconds with three decimals.

https://gitlab.com/vgg/via, via-3.x.y/CodeDoc.md
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from wsgn.interchange.exported import ExportedVideo, labels_of, media_name
from wsgn.support.terminal import json_text

PROJECT = "via_project.json"
FORMAT_VERSION = "3.1.1"
# What an attribute describes: a stretch of time.
SEGMENT = "FILE1_Z2_XY0"
# Types of attributes.
TEXT, CHECKBOX, RADIO, SELECT = 1, 2, 3, 4
ACTION, SCORE = "action", "score"
# In the entry of a file, which VIA keeps: what the video is called, and from the file's beginning
# to its first frame.
NAME, OFFSET = "wsgn_name", "wsgn_start_offset_seconds"
# In the entry of the attribute, which VIA keeps too: labels by the numbers of their options, of
# those that are shown otherwise.
LABELS = "wsgn_labels"
_VIDEO = 4
# Files that the user chooses again, addresses, and files that are found by their path.
_CHOSEN, _ADDRESS, _PATH = 1, 2, 3
_DECIMALS = 3


def via_files(videos: Sequence[ExportedVideo]) -> dict[str, str]:
    """The project."""
    options = {label: str(number) for number, label in enumerate(labels_of(videos), start=1)}
    numbered = {str(number): video for number, video in enumerate(videos, start=1)}
    document = {
        "project": {
            # These three say that it lies on no server.
            "pid": "__VIA_PROJECT_ID__",
            "rev": "__VIA_PROJECT_REV_ID__",
            "rev_timestamp": "__VIA_PROJECT_REV_TIMESTAMP__",
            "pname": "wsgn",
            "data_format_version": FORMAT_VERSION,
            "creator": "wsgn",
            "created": 0,
            "vid_list": list(numbered),
        },
        "config": {
            "file": {"loc_prefix": {"1": "", "2": "", "3": "", "4": ""}},
            "ui": {
                "file_content_align": "center",
                "file_metadata_editor_visible": True,
                "spatial_metadata_editor_visible": True,
                "spatial_region_label_attribute_id": "",
                "gtimeline_visible_row_count": "4",
            },
        },
        "attribute": {
            "1": _attribute(ACTION, SELECT, {number: label for label, number in options.items()}),
            "2": _attribute(SCORE, TEXT, {}),
        },
        "file": {number: _file(number, video) for number, video in numbered.items()},
        "metadata": {
            f"{view}_{number:08d}": segment
            for view, video in numbered.items()
            for number, segment in enumerate(_segments(view, video, options), start=1)
        },
        "view": {number: {"fid_list": [number]} for number in numbered},
    }
    return {PROJECT: json_text(document, indent=1) + "\n"}


def harmless(words: str) -> str:
    """As VIA may show it, which takes names and options for HTML: other brackets look the same."""
    return words.replace("<", "\u2039")


def _attribute(name: str, kind: int, options: dict[str, str]) -> dict[str, Any]:
    changed = {number: label for number, label in options.items() if harmless(label) != label}
    return {
        "aname": name,
        "anchor_id": SEGMENT,
        "type": kind,
        "desc": "",
        "options": {number: harmless(label) for number, label in options.items()},
        "default_option_id": "",
        **({LABELS: changed} if changed else {}),
    }


def _file(number: str, video: ExportedVideo) -> dict[str, Any]:
    media = video.address or video.media or video.name
    if "://" in media:
        place, address = _ADDRESS, media
    elif video.is_on_disk:
        place, address = _PATH, Path(media).as_uri()
    else:
        place, address = (_PATH, media) if video.address else (_CHOSEN, "")
    return {
        "fid": number,
        "fname": harmless(media_name(media)),
        "type": _VIDEO,
        "loc": place,
        "src": address,
        NAME: video.name,
        OFFSET: round(video.start_offset_seconds, 6),
    }


def _segments(view: str, video: ExportedVideo, options: dict[str, str]) -> list[dict[str, Any]]:
    least = 10**-_DECIMALS
    found = []
    for one in video.played():
        start = round(one.start_seconds, _DECIMALS)
        end = max(round(start + least, _DECIMALS), round(one.end_seconds, _DECIMALS))
        values = {"1": options[one.label], "2": f"{one.score:.3f}"}
        found.append({"vid": view, "flg": 0, "z": [start, end], "xy": [], "av": values})
    return found
