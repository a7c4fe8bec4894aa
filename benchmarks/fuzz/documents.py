"""Truth, detections and annotations in JSON; annotations and submissions of Charades."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.fuzz.case import Case, Draw, Place, Surface, json_lines, run
from benchmarks.fuzz.damage import damaged_bytes, damaged_document, damaged_text, json_text

_CLASSES = ("wave", "jump", "bow")
_CHARADES_CLASSES, _POINTS = 157, 25


def _truth() -> dict[str, Any]:
    draw = random.Random(0)
    database = {}
    for number in range(6):
        starts = [draw.uniform(0, 30) for _ in range(3)]
        database[f"video_{number}"] = {
            "subset": ("train", "test")[number % 2],
            "duration": 40.0,
            "labels": [_CLASSES[number % 3]],
            "fps": 25.0,
            "annotations": [
                {"label": _CLASSES[number % 3], "segment": [start, start + 5]} for start in starts
            ],
            "ambiguous": [[1.0, 2.0]],
        }
    return {"classes": list(_CLASSES), "database": database}


def _detections() -> dict[str, Any]:
    draw = random.Random(1)
    results = {}
    for number in (1, 3, 5):
        starts = [draw.uniform(0, 30) for _ in range(4)]
        results[f"video_{number}"] = [
            {"label": draw.choice(_CLASSES), "segment": [start, start + 4], "score": draw.random()}
            for start in starts
        ]
    return {"version": "x", "results": results}


def _eval_case(truth: bytes, detections: bytes, change: str, *more: str) -> Case:
    return Case(
        files={"truth.json": truth, "found.json": detections},
        words=("found.json", "--truth", "truth.json", "--subset", "test", *more),
        change=change,
    )


def _whole_eval(bases: Path) -> Case:
    return _eval_case(json_text(_truth()), json_text(_detections()), "", "--json")


def _damaged_eval(draw: Draw, bases: Path) -> Case:
    truth, detections, change = json_text(_truth()), json_text(_detections()), ""
    if draw.random() < 0.5:
        truth, change = damaged_document(draw, _truth())
    else:
        detections, change = damaged_document(draw, _detections())
    if draw.random() < 0.2:
        truth = damaged_bytes(draw, truth)
    more = draw.choice((("--json",), ("--per-class",), ("--protocol", "thumos-2015", "--json")))
    return _eval_case(truth, detections, change, *more)


def _read_eval(place: Place, words: Sequence[str]) -> int:
    code = run("wsgn.metrics.cli", words)
    if "--json" in words:
        json_lines(place.printed())
    return code


def _annotations_case(data: bytes, change: str, *more: str) -> Case:
    words = ("--annotations", "a.json", "--annotations-out", "out.json", *more)
    return Case(files={"a.json": data}, words=words, change=change)


def _whole_annotations(bases: Path) -> Case:
    return _annotations_case(json_text(_truth()), "")


def _damaged_annotations(draw: Draw, bases: Path) -> Case:
    data, change = damaged_document(draw, _truth())
    more = ("--labels-from-segments",) if draw.random() < 0.3 else ()
    return _annotations_case(data, change, *more)


def read_annotations(place: Place, words: Sequence[str]) -> int:
    code = run("wsgn.features.cli", words)
    out = Path("out.json")
    if code == 0:
        # Without its lines, which are for people.
        json_lines(json.dumps(json.loads(out.read_text(encoding="utf-8"))))
    return code


def _charades_csv() -> str:
    rows = [
        f"VID{number:02d},A person stands.,c092 11.90 21.20;c{number:03d} 0.00 12.60,32.20"
        for number in range(5)
    ]
    return "\n".join(["id,script,actions,length", *rows, ""])


def _submission() -> str:
    draw = random.Random(2)
    lines = [
        f"VID{video:02d} {point} "
        + " ".join(f"{draw.random():.4f}" for _ in range(_CHARADES_CLASSES))
        for video in range(5)
        for point in range(1, _POINTS + 1, 8)
    ]
    return "\n".join([*lines, ""])


def _charades_case(truth: bytes, found: bytes, change: str) -> Case:
    words = ("found.txt", "--truth", "truth.csv", "--protocol", "charades", "--json")
    return Case(files={"truth.csv": truth, "found.txt": found}, words=words, change=change)


def _whole_charades(bases: Path) -> Case:
    return _charades_case(_charades_csv().encode(), _submission().encode(), "")


def _damaged_charades(draw: Draw, bases: Path) -> Case:
    if draw.random() < 0.4:
        text = damaged_text(draw, _submission())
        return _charades_case(_charades_csv().encode(), text, "submission")
    text = damaged_text(draw, _charades_csv())
    if draw.random() < 0.5:
        return _charades_case(text, _submission().encode(), "CSV")
    words = ("--annotations", "test=a.csv", "--annotations-out", "out.json")
    return Case(files={"a.csv": text}, words=words, change="CSV as annotations")


def _read_charades(place: Place, words: Sequence[str]) -> int:
    return (read_annotations if words[0] == "--annotations" else _read_eval)(place, words)


SURFACES = (
    Surface(
        name="truth and detections", share=40, whole=_whole_eval, damaged=_damaged_eval,
        read=_read_eval,
    ),
    Surface(
        name="annotations", share=30, whole=_whole_annotations, damaged=_damaged_annotations,
        read=read_annotations,
    ),
    Surface(
        name="Charades", share=30, whole=_whole_charades, damaged=_damaged_charades,
        read=_read_charades,
    ),
)  # fmt: skip
