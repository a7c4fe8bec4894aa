"""`wsgn-run --demo`: the packaged engine on the packaged sample, beside the truth."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from wsgn.engines.engine import open_engine
from wsgn.errors import InputError
from wsgn.localization.segments import Segment

from ...events import ProgressEvent
from ...pipeline import Detection
from ...writers import ResultCollector
from ..console import Console, print_result
from ..options import RunOptions
from ..signals import stop_on_signals
from .comparison import comparison_table

_FOLDER = Path(__file__).parent


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


def run_demo(options: RunOptions) -> int:
    """Run the demo and print what was found and what is true; the exit code."""
    assets = load_demo()
    console = Console(quiet=options.quiet, verbose=options.verbose, progress=options.progress)
    with (
        open_engine(
            assets.engine, device=options.device, num_threads=options.num_threads
        ) as engine,
        stop_on_signals() as stop,
    ):
        detection = Detection(assets.video, engine, options.detect, stop=stop)
        collector = ResultCollector(assets.video.name)
        console.start_progress(assets.video.name)
        for event in detection.events():
            collector.push(event)
            if isinstance(event, ProgressEvent):
                console.progress(event.at_seconds, event.duration_seconds)
        console.end_progress()
        if stop.signal_number is not None:
            return 128 + stop.signal_number
    result = collector.result()
    console.say(f"ran {assets.engine} on {assets.video}")
    print_result(comparison_table(result.segments, assets.truth))
    return 0


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
