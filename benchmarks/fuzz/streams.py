"""States of a detector, and the outputs of engines that are pushed into it."""

from __future__ import annotations

import dataclasses
import io
import json
import math
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.fuzz.case import Case, Draw, Place, SilentlyWrongError, Surface, require_finite
from benchmarks.fuzz.engines import averaging_manifest
from benchmarks.fuzz.videos import DEMO
from wsgn.engines.open import read_manifest
from wsgn.errors import WsgnError
from wsgn.localization.online.state import sealed
from wsgn.manifest import Manifest
from wsgn.runtime.streaming.detector import Detector, SnippetLogits
from wsgn.runtime.streaming.rules import DetectorOptions

_OPTIONS = {
    "exact": DetectorOptions(),
    "causal": DetectorOptions(scores="causal"),
    "window": DetectorOptions(scores="window", window_seconds=8.0),
}
# Of the packaged engine, and of one that averages and cuts at many thresholds.
_MODES = tuple(f"{scores}{kind}" for scores in _OPTIONS for kind in ("", " of averages"))
_NUM_BEFORE, _NUM_AFTER = 30, 40
_STATE, _SNIPPETS = "state.npz", "snippets.npz"

Arrays = dict[str, Any]


@cache
def _manifest(mode: str = "exact") -> Manifest:
    if mode.endswith("averages"):
        return Manifest.from_json(json.dumps(averaging_manifest()))
    return read_manifest(DEMO / "demo.onnx")


def _detector(mode: str) -> Detector:
    return Detector(_manifest(mode), _OPTIONS[mode.split()[0]])


def _snippets(first: int, count: int) -> Arrays:
    random = np.random.default_rng(first)
    num_classes = len(_manifest().classes)
    values = random.normal(size=(2, count, num_classes)).astype(np.float32)
    probabilities = np.exp(values[1]) / np.exp(values[1]).sum(axis=1, keepdims=True)
    return {
        "start_seconds": 0.4 * np.arange(first, first + count),
        "epoch": np.full(count, 0 if first == 0 else 1),
        "selection_logits": values[0],
        "class_probabilities": probabilities,
    }


def _state(mode: str) -> Arrays:
    detector = _detector(mode)
    detector.push(SnippetLogits(**_snippets(0, _NUM_BEFORE)))
    return dict(detector.state_dict())


def _file(arrays: Mapping[str, Any]) -> bytes:
    holder = io.BytesIO()
    np.savez(holder, **arrays)
    return holder.getvalue()


def _arrays(name: str) -> Arrays:
    with np.load(name) as archive:
        return {key: archive[key] for key in archive.files}


def _case(mode: str, state: Arrays, snippets: Arrays, change: str) -> Case:
    files = {_STATE: _file(state), _SNIPPETS: _file(snippets)}
    return Case(files=files, words=(mode,), change=change)


def _whole(bases: Path) -> Case:
    return _case("exact", _state("exact"), _snippets(_NUM_BEFORE, _NUM_AFTER), "nothing")


def _damaged(draw: Draw, bases: Path) -> Case:
    mode = draw.choice(_MODES)
    state, snippets = _state(mode), _snippets(_NUM_BEFORE, _NUM_AFTER)
    arrays = state if draw.random() < 0.75 else snippets
    changes = [_change(draw, arrays) for _ in range(draw.randint(1, 2))]
    if arrays is state and draw.random() < 0.5:
        # Behind the checksum is looked at everything once more.
        state.pop("checksum", None)
        state = dict(sealed(state))
    return _case(mode, state, snippets, f"{mode}: {'; '.join(changes)}")


def _change(draw: Draw, arrays: Arrays) -> str:
    # What says for whom a state was made is looked at before all else.
    names = [name for name in arrays if name not in ("version", "made_for", "checksum")]
    name = draw.choice(names if draw.random() < 0.95 else [*arrays])
    value = arrays[name]
    kind = draw.randrange(9)
    if kind == 0 and "start_seconds" not in arrays:
        del arrays[name]
        return f"{name} is left out"
    if kind == 1 and "start_seconds" not in arrays:
        arrays[draw.choice(("x", f"{name}x", "scorer.", "history.x"))] = value
        return f"{name} twice"
    if kind == 2:
        shape = draw.choice(((), (1,), (0,), (3,), (7, 7), (1, *value.shape), (*value.shape, 2)))
        arrays[name] = np.resize(value, shape)
        return f"{name} of the shape {shape}"
    if kind == 3:
        types = ("<f4", "<i8", "<i1", "<c16", "<U9", "|b1", "|S3", "<u8", "<f2")
        arrays[name] = value.astype(draw.choice(types))
        return f"{name} of the type {arrays[name].dtype}"
    if value.size == 0:
        return "nothing"
    number = draw.choice((math.nan, math.inf, -math.inf, 1e300, -1e300, 2.0**62, -1.0, 0.0, 1e9))
    wanted = value.copy() if kind != 4 else value.astype(np.float64)
    flat = wanted.reshape(-1)
    with np.errstate(all="ignore"):
        limits = np.iinfo(wanted.dtype) if wanted.dtype.kind in "iu" else None
        if limits is not None:
            whole = 0 if math.isnan(number) else int(max(min(number, 1e18), -1e18))
            number = min(max(whole, int(limits.min)), int(limits.max))
        place = draw.randrange(flat.size)
        flat[place] = number
        if kind == 8:
            flat[:] = number
    arrays[name] = wanted
    return f"{name}[{place}] becomes {number}"


def _read(place: Place, words: Sequence[str]) -> int:
    detector = _detector(words[0])
    before = _file(detector.state_dict())
    try:
        detector.restore(_arrays(_STATE))
    except WsgnError:
        if _file(detector.state_dict()) != before:
            raise SilentlyWrongError("a refused state has changed the detector") from None
        raise
    held = _file(detector.state_dict())
    try:
        events = detector.push(SnippetLogits(**_arrays(_SNIPPETS)))
    except (WsgnError, ValueError) as error:
        if _file(detector.state_dict()) != held:
            raise SilentlyWrongError("refused snippets have changed the detector") from error
        print(error)
        return 2
    for event in [*events, *detector.flush()]:
        values = dataclasses.asdict(event).values()
        numbers = (value for value in values if isinstance(value, float))
        require_finite(numbers, type(event).__name__)
    return 0


SURFACES = (Surface(name="Detector state", share=60, whole=_whole, damaged=_damaged, read=_read),)
