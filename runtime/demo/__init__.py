"""The packaged engine, sample video and truth of `wsgn-run --demo`."""

from __future__ import annotations

import filecmp
import json
import os
from dataclasses import dataclass
from pathlib import Path

from wsgn.errors import InputError
from wsgn.localization.segments import Segment
from wsgn.remote.addresses import is_address
from wsgn.remote.cache import engine_copy

_FOLDER = Path(__file__).parent


# What stands for the packaged engine where a path is asked for.
DEMO = "demo"


@dataclass(frozen=True, kw_only=True)
class DemoAssets:
    """What travels in the package."""

    engine: Path
    video: Path
    truth: tuple[Segment, ...]


def load_demo(folder: Path = _FOLDER) -> DemoAssets:
    """The packaged engine, sample and truth. Raises `InputError` when they are not there."""
    paths = {suffix: folder / f"demo.{suffix}" for suffix in ("onnx", "mp4", "json")}
    missing = [path.name for path in paths.values() if not path.is_file()]
    if missing:
        raise InputError(
            f"the demo's {', '.join(missing)} are missing in '{folder}': "
            "install wsgn again, or make them in a checkout with tools/make_demo.sh."
        )
    return DemoAssets(engine=paths["onnx"], video=paths["mp4"], truth=_read_truth(paths["json"]))


def is_sample(source: object) -> bool:
    """Whether a source is the packaged sample video, or a copy of it."""
    if not isinstance(source, str | os.PathLike):
        return False
    try:
        return Path(source).is_file() and filecmp.cmp(_FOLDER / "demo.mp4", source, shallow=False)
    except (OSError, ValueError):
        return False


def engine_path(word: str) -> Path:
    """The path of an engine; of the packaged one for `demo`, while a file of that name is ./demo.

    Of an engine at an address it is that of a copy. Raises `InputError` where there is none.
    """
    if word == DEMO:
        return load_demo().engine
    return engine_copy(word) if is_address(word) else Path(word)


def _read_truth(path: Path) -> tuple[Segment, ...]:
    """Annotations as in ActivityNet: `{"annotations": [{label, segment: [start, end]}]}`."""
    try:
        records = json.loads(path.read_text("utf-8"))["annotations"]
        return tuple(
            Segment(
                label=record["label"],
                start_seconds=float(record["segment"][0]),
                end_seconds=float(record["segment"][1]),
                score=1.0,
            )
            for record in records
        )
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise InputError(
            f"the demo's truth '{path}' cannot be read: install wsgn again."
        ) from error
