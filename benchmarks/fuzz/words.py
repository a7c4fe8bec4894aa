"""What stands on a command line: list files, files of thresholds, and options."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

from benchmarks.fuzz.case import BASES, Case, Draw, Place, Surface, json_lines, run
from benchmarks.fuzz.damage import SPECIAL, damaged_document, damaged_text
from benchmarks.fuzz.engines import demo_manifest
from benchmarks.fuzz.videos import read_events, run_words

_ENGINE, _VIDEO = f"{BASES}/demo.onnx", f"{BASES}/demo.mp4"
_SHORT = ("--end", "1.5")
# Those that would wait for somebody, or ask the network, are left out.
_ENTRIES = (
    "demo.mp4", "./demo.mp4", "demo.mp4", "none.mp4", "x" * 300, "x" * 5000, "a\0b.mp4", "\ud800",
    "\udc80.mp4", "*.mp4", "[", "[a", "**", ".", "", "#x", "  ", "@list.txt", "list.txt",
    "file:///none.mp4", "file://x", "rtsp://x/y", "~", "$HOME", "%00", "a\x1b[31m", "\u202e",
    "a\rb", "/dev/null", "/etc/passwd", "é中.mp4", "x/../demo.mp4", "demo.mp4/", "fifo.mp4",
)  # fmt: skip


def _list_case(text: bytes, change: str) -> Case:
    words = (*run_words(_ENGINE, "list.txt"), *_SHORT, "-o", "out", "-f", "json,csv", "--resume")
    return Case(
        files={"list.txt": text}, links={"demo.mp4": "demo.mp4"}, words=words, change=change
    )


def _whole_list(bases: Path) -> Case:
    return _list_case(b"# a comment\ndemo.mp4\n", "nothing")


def _damaged_list(draw: Draw, bases: Path) -> Case:
    lines = [draw.choice(_ENTRIES) for _ in range(draw.randint(1, 5))]
    text = "\n".join(lines)
    data = text.encode("utf-8", "surrogatepass")
    if draw.random() < 0.5:
        data = damaged_text(draw, text)
    return _list_case(data, repr(text[:80]))


def _read_list(place: Place, words: Sequence[str]) -> int:
    code = run("wsgn.runtime.cli.main", words)
    json_lines(place.printed())
    for path in Path("out").rglob("*.json"):
        json.loads(path.read_text(encoding="utf-8"))
    return code


def _threshold_case(data: bytes, change: str) -> Case:
    words = (*run_words(_ENGINE, _VIDEO), *_SHORT, "--threshold", "thresholds.json")
    return Case(files={"thresholds.json": data}, words=words, change=change)


def _thresholds() -> dict[str, float]:
    return dict.fromkeys(demo_manifest()["classes"], 0.4)


def _whole_thresholds(bases: Path) -> Case:
    return _threshold_case(json.dumps(_thresholds()).encode(), "nothing")


def _damaged_thresholds(draw: Draw, bases: Path) -> Case:
    return _threshold_case(*damaged_document(draw, _thresholds()))


_NUMBERS = (
    "0", "-1", "1", "nan", "inf", "-inf", "1e400", "9" * 23, "9" * 400, "1" + "0" * 5000, "0x10",
    "1_0", "", " ", "1:2:3", "00:00:01", "99:99:99", "1:2:3:4", "\u0661", "½", "1/0", "30000/1001",
    "0.5", "1e-400", "-0", "+1", "\ud800", "x",
)  # fmt: skip
_OPTIONS = (
    "--start", "--end", "--threads", "--window", "--threshold", "--exit-threshold",
    "--min-duration", "--merge-gap", "--max-duration", "--stream", "--input-rate",
)  # fmt: skip
_TEXT_OPTIONS = {
    "--labels": ("wave", "wave,jump", ",", "", "x", "\ud800", "wave" * 5000, "wave,wave", "\0"),
    "--scores": ("exact", "causal", "window", "x", ""),
    "--device": ("cpu", "cuda", "cuda:" + "9" * 30, "CPU", "", "cuda:-1", "x"),
    "-f": ("json", "json,json", "x", "", ",", "jsonl,json,csv,srt,vtt"),
    "-o": ("out", "", "x" * 300, "a\0b", "/dev/null", "list.txt", "out/../out", "\ud800"),
}


def _whole_options(bases: Path) -> Case:
    return Case(words=(*run_words(_ENGINE, _VIDEO), *_SHORT))


def _damaged_options(draw: Draw, bases: Path) -> Case:
    words = [*run_words(_ENGINE, _VIDEO), *_SHORT]
    chosen: list[str] = []
    for _ in range(draw.randint(1, 3)):
        if draw.random() < 0.7:
            chosen += [draw.choice(_OPTIONS), draw.choice(_NUMBERS)]
        else:
            name = draw.choice(tuple(_TEXT_OPTIONS))
            chosen += [name, draw.choice(_TEXT_OPTIONS[name])]
    if draw.random() < 0.1:
        chosen.append(
            draw.choice(("--save-scores", "--resume", "--overwrite", "--demo", "--", "-q"))
        )
    if draw.random() < 0.05:
        special = draw.choice(SPECIAL)
        chosen.append(str(special)[:5000] if isinstance(special, str) else repr(special)[:100])
    return Case(words=(*words, *chosen), change=" ".join(chosen)[:100])


def _read_options(place: Place, words: Sequence[str]) -> int:
    # No process can be started with these words, but a program can call.
    if any("\0" in word for word in words):
        return run("wsgn.runtime.cli.main", words)
    os.environ["COLUMNS"] = "80"
    code = run("wsgn.runtime.cli.main", words)
    if "--demo" not in words:
        json_lines(place.printed())
    return code


SURFACES = (
    Surface(
        name="list files", share=40, whole=_whole_list, damaged=_damaged_list, read=_read_list
    ),
    Surface(
        name="thresholds", share=25, whole=_whole_thresholds, damaged=_damaged_thresholds,
        read=read_events,
    ),
    Surface(
        name="options", share=40, whole=_whole_options, damaged=_damaged_options,
        read=_read_options,
    ),
)  # fmt: skip
