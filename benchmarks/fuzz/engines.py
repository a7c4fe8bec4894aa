"""Engine files: bytes of the packaged one, and fields of its manifest."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import onnx

from benchmarks.fuzz.case import (
    BASES,
    Case,
    Draw,
    Place,
    SilentlyWrongError,
    Surface,
    json_lines,
    run,
)
from benchmarks.fuzz.damage import damaged_bytes, damaged_document
from benchmarks.fuzz.videos import DEMO, read_events
from wsgn.manifest import METADATA_KEY

ENGINE = "engine.onnx"
# In which the packaged engine finds segments.
_SECONDS = 4
_SCORES = ("exact", "causal")
# Behind the graph lies the manifest.
_TAIL_BYTES = 6000


def demo_words(scores: str = "exact") -> tuple[str, ...]:
    """Words of wsgn-run for the case's engine and the packaged sample."""
    # Without -q, which would leave out what is told of a changed manifest.
    words = ("--engine", ENGINE, "--threads", "1", "--no-progress", "--scores", scores)
    return (f"{BASES}/demo.mp4", *words, "--end", str(_SECONDS))


def whole_engine(bases: Path) -> Case:
    """The packaged engine."""
    return Case(files={ENGINE: (DEMO / "demo.onnx").read_bytes()}, words=demo_words())


@cache
def demo_model() -> Any:
    """The packaged engine as the onnx package has it; not to be changed."""
    return onnx.load(DEMO / "demo.onnx")


def demo_manifest() -> dict[str, Any]:
    """Its manifest, a new one each time."""
    (text,) = (entry.value for entry in demo_model().metadata_props if entry.key == METADATA_KEY)
    document: dict[str, Any] = json.loads(text)
    return document


def averaging_manifest() -> dict[str, Any]:
    """Its manifest with every field that came later: averages, a gate, many thresholds."""
    document = demo_manifest()
    zeros = [0.0] * len(document["classes"])
    document["selection"] |= {
        "weight_scale": "average",
        "gate": "soft",
        "gate_level": 0.1,
        "video_score": {
            "pooling": "top",
            "of": "logits",
            "activation": "sigmoid",
            "snippets_per_pick": 8,
            "bias": zeros,
        },
    }
    document["prior"] |= {"mean_local": [0.5 for _ in zeros], "mean_global": [0.4 for _ in zeros]}
    document["proposals"] = {
        "thresholds": [0.2, 0.5, 0.8],
        "outer_share": 0.25,
        "suppression_tiou": 0.5,
        "soft_sigma": 0.0,
        "minimum_duration_seconds": 0.0,
        "video_score_gate": 0.1,
        "video_score_weight": 0.2,
        "smoothing_snippets": 5,
    }
    return document


def with_manifest(model: Any, text: str | bytes) -> bytes:
    """The file of a model with this manifest; bytes that are no text are written too."""
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    del changed.metadata_props[:]
    # The package refuses what is no UTF-8, so another text of that length goes in first.
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    mark = ("~" * len(data)).encode()
    changed.metadata_props.add(key=METADATA_KEY, value=mark.decode())
    file: bytes = changed.SerializeToString()
    return file.replace(mark, data) if mark else file


def _prepare_references(bases: Path) -> None:
    for scores in _SCORES:
        folder = bases / f"segments-{scores}"
        words = [word.replace(BASES, str(bases)) for word in demo_words(scores)]
        words[words.index(ENGINE)] = str(DEMO / "demo.onnx")
        if run("wsgn.runtime.cli.main", [*words, "-o", str(folder), "-f", "jsonl"]) != 0:
            raise RuntimeError("the packaged engine does not run")
        if not _segments((folder / "demo.jsonl").read_text()):
            raise RuntimeError("the packaged engine finds nothing, so nothing could be compared")


def _segments(text: str) -> list[Any]:
    names = ("label", "start_seconds", "end_seconds", "score")
    return [
        [event[name] for name in names]
        for event in json_lines(text)
        if event["type"] == "segment" and event["final"]
    ]


def _damaged_bytes(draw: Draw, bases: Path) -> Case:
    data = (DEMO / "demo.onnx").read_bytes()
    kind = draw.random()
    if kind < 0.4:
        # Somewhere in the weights, mostly, where nothing but the checksum tells.
        place = draw.randrange(len(data))
        data = data[:place] + bytes([data[place] ^ 1 << draw.randrange(8)]) + data[place + 1 :]
    elif kind < 0.7:
        cut = len(data) - _TAIL_BYTES
        data = data[:cut] + damaged_bytes(draw, data[cut:])
    else:
        data = damaged_bytes(draw, data)
    return Case(files={ENGINE: data}, words=demo_words(draw.choice(_SCORES)), change="bytes")


def _read_damaged(place: Place, words: Sequence[str]) -> int:
    code = read_events(place, words)
    scores = words[words.index("--scores") + 1]
    wanted = (place.bases / f"segments-{scores}" / "demo.jsonl").read_text()
    # One with another manifest, which somebody may have wanted, runs and is told.
    is_told = "is not the one that was exported" in place.said()
    if code == 0 and not is_told and _segments(place.printed()) != _segments(wanted):
        raise SilentlyWrongError("the segments are not those of the undamaged engine")
    return code


def _damaged_manifest(draw: Draw, bases: Path) -> Case:
    base = draw.choice((demo_manifest, averaging_manifest))()
    text, change = damaged_document(draw, base)
    words = ("manifest", ENGINE) if draw.random() < 0.2 else demo_words(draw.choice(_SCORES))
    return Case(files={ENGINE: with_manifest(demo_model(), text)}, words=words, change=change)


def _read_manifest(place: Place, words: Sequence[str]) -> int:
    if words[0] != "manifest":
        code = read_events(place, words)
    else:
        code = run("wsgn.runtime.cli.main", words)
    if code == 0 and not _is_finite(_manifest_of(Path(ENGINE))):
        raise SilentlyWrongError("a manifest with numbers that are not finite is taken")
    return code


def _manifest_of(path: Path) -> Any:
    (text,) = (e.value for e in onnx.load(path).metadata_props if e.key == METADATA_KEY)
    return json.loads(text)


def _is_finite(value: Any) -> bool:
    if isinstance(value, dict):
        return all(map(_is_finite, value.values()))
    if isinstance(value, list):
        return all(map(_is_finite, value))
    return not isinstance(value, float) or math.isfinite(value)


SURFACES = (
    Surface(
        name="ONNX bytes", share=70, whole=whole_engine, damaged=_damaged_bytes,
        read=_read_damaged, prepare=_prepare_references,
    ),
    Surface(
        name="ONNX manifest", share=100, whole=whole_engine, damaged=_damaged_manifest,
        read=_read_manifest,
    ),
)  # fmt: skip
