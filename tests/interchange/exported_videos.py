"""Two videos with segments, and the readers of the tools that their exports are read with."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from wsgn.interchange.exported import ExportedVideo
from wsgn.interchange.formats import EXPORTS
from wsgn.localization.segments import Segment

# What XML, JSON and edit lists have to escape.
ODD = 'Über <b>&"quotes"'
OFFSET = 0.48
# A row is (label, start, end) in a player's time.
Row = tuple[str, float, float]


def video(name: str, *rows: tuple[str, float, float, float], **facts: Any) -> ExportedVideo:
    segments = tuple(
        Segment(label=label, start_seconds=start, end_seconds=end, score=score)
        for label, start, end, score in rows
    )
    given = {"media": f"{name}.mp4", "frame_rate": 25.0, "duration_seconds": 20.0}
    return ExportedVideo(name=name, segments=segments, **(given | facts))


# The last segment lasts less than any tool can show, and is to be seen all the same.
VIDEOS = (
    video(
        "a",
        ("wave", 1.0004, 2.5, 0.75),
        (ODD, 2.0, 4.2512, 0.5),
        ("wave", 2.5, 3.0, 0.25),
        start_offset_seconds=OFFSET,
    ),
    video("sport/b", (ODD, 0.0, 0.0002, 0.125), media="/clips/日本 語.mp4"),
)
PLAYED: dict[str, list[Row]] = {
    "a": [
        ("wave", 1.0004 + OFFSET, 2.5 + OFFSET),
        (ODD, 2.0 + OFFSET, 4.2512 + OFFSET),
        ("wave", 2.5 + OFFSET, 3.0 + OFFSET),
    ],
    "sport/b": [(ODD, 0.0, 0.0002)],
}


def write(kind: str, folder: Path, videos: Sequence[ExportedVideo] = VIDEOS) -> dict[str, Path]:
    """The files of an export, by their names in it."""
    if kind == "eaf":
        pytest.importorskip("pympi", reason="the extra interchange is not installed")
    if kind in ("otio", "edl"):
        pytest.importorskip("opentimelineio", reason="the extra interchange is not installed")
    paths = {}
    for name, text in EXPORTS[kind](videos).items():
        paths[name] = folder / name
        paths[name].parent.mkdir(parents=True, exist_ok=True)
        paths[name].write_text(text, encoding="utf-8")
    return paths


def submitted(tasks: Path, into: Path) -> list[dict[str, Any]]:
    """Tasks as Label Studio exports them once somebody has submitted the predictions."""
    found = json.loads(tasks.read_text(encoding="utf-8"))
    for number, task in enumerate(found, start=1):
        result = task["predictions"][0]["result"]
        done = {"id": number, "result": result, "was_cancelled": False, "ground_truth": False}
        task |= {"id": number, "annotations": [done]}
    into.write_text(json.dumps(found), encoding="utf-8")
    return found
