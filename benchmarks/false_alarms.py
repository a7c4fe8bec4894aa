"""False alarms an hour and actions found on streams, at an engine's own thresholds and at alarms'.

    python -m benchmarks.false_alarms wsgn.onnx --test synthetic/annotations.json \
        synthetic/videos test --quiet films/ --rates 1 30

Videos are played one after the other as one stream, scored as live sources are. An action is found
where a segment of its class overlaps it with a tIoU of 0.1 or more; a segment that so overlaps no
action of its class is a false alarm. Of videos in --quiet every segment is one. Alarm thresholds
are those in the engines' manifests, and of --calibrate for each of --rates. Engines on features
play no films (exit code 5).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.results import add_output, describe_machine, publish
from benchmarks.tables import NOTHING, table
from wsgn.data.annotations import VideoAnnotation
from wsgn.data.layouts import read_annotations
from wsgn.data.video_folder import VideoFolder
from wsgn.engines.engine import Engine
from wsgn.engines.open import read_manifest
from wsgn.errors import InputError, UsageError
from wsgn.localization.online.alarms import (
    WINDOW_SECONDS,
    VideoOutputs,
    alarm_rule,
    class_alarms,
)
from wsgn.localization.timing import snippet_times
from wsgn.manifest import AlarmRule, Manifest
from wsgn.runtime import Detector, DetectorOptions, SnippetLogits, open_engine
from wsgn.runtime.events import SegmentEvent
from wsgn.runtime.pipeline import frame_grid
from wsgn.runtime.streaming.snippets import Snippet, Snippeter, engine_inputs
from wsgn.support.command import run_command
from wsgn.support.terminal import say_above_bars
from wsgn.video import SampledFrame, VideoReader

TIOU = 0.1
_BATCH = 16
# The engine's own thresholds, in tables.
OWN = "own"

# Label, start and end in seconds.
Span = tuple[str, float, float]


@dataclass(frozen=True, kw_only=True)
class Played:
    """Videos of one kind with what the engine put out for them."""

    name: str
    outputs: list[VideoOutputs]
    # Actions of each video, in its own time.
    actions: list[tuple[Span, ...]]


@dataclass(frozen=True, kw_only=True)
class Row:
    """One kind of videos at some thresholds."""

    videos: str
    thresholds: str
    hours: float
    false_alarms: int
    # Of those, that overlap an action of another class.
    confusions: int
    found: int
    actions: int


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print the table, and write it where asked for."""
    return run_command("benchmarks.false_alarms", lambda: _run(_parser().parse_args(argv)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.false_alarms", description=(__doc__ or "").splitlines()[0]
    )
    add = parser.add_argument
    add(
        "engines",
        type=Path,
        nargs="+",
        metavar="ENGINE",
        help="the first is run; others of the same graph lend their alarm thresholds",
    )
    words = ("ANNOTATIONS", "VIDEOS", "SUBSET")
    add("--test", nargs=3, metavar=words, help="videos with actions")
    add("--quiet", type=Path, action="append", default=[], metavar="DIR", help="without any")
    add("--calibrate", nargs=3, metavar=words, help="videos to set alarm thresholds on")
    add("--rates", type=float, nargs="+", default=[1.0], help="an hour, for --calibrate")
    add_output(parser)
    return parser


def _run(arguments: argparse.Namespace) -> int:
    machine = describe_machine()
    with open_engine(arguments.engines[0]) as engine:
        manifest = engine.manifest
        rules = _rules(arguments.engines, manifest)
        if arguments.calibrate:
            calibration = _annotated("calibration", engine, *arguments.calibrate)
            for rate in arguments.rates:
                classes = class_alarms([(manifest, calibration.outputs)], rate)
                rules[f"alarms, {rate:g} an hour, set here"] = alarm_rule(classes, rate)
        played = [_quiet(folder, engine) for folder in arguments.quiet]
        if arguments.test:
            played.insert(0, _annotated("test", engine, *arguments.test))
    if not played:
        raise UsageError("name videos with --test or --quiet.")
    rows = [measured(some, manifest, name, rule) for some in played for name, rule in rules.items()]
    document = {
        "rules": {name: rule and asdict(rule) for name, rule in rules.items()},
        "rows": [asdict(row) for row in rows],
    }
    publish(arguments.output, document, as_table(rows), machine)
    return 0


def _rules(engines: Sequence[Path], manifest: Manifest) -> dict[str, AlarmRule | None]:
    rules: dict[str, AlarmRule | None] = {OWN: None}
    for path in engines:
        other = read_manifest(path)
        if not (other.checksum and manifest.checksum) or (
            other.checksum.graph != manifest.checksum.graph
        ):
            raise UsageError(f"{path} is of another graph than {engines[0]}.")
        alarms = other.detection.alarms
        if alarms is not None:
            rules[f"alarms, {alarms.false_alarms_per_hour:g} an hour"] = alarms
    return rules


def _annotated(name: str, engine: Engine, path: str, folder: str, subset: str) -> Played:
    videos = read_annotations(Path(path)).subset(subset)
    files = VideoFolder(Path(folder))
    pairs = [(video, files.find(video.name)) for video in videos]
    return Played(
        name=name,
        outputs=[_outputs(path, engine, video) for video, path in pairs],
        actions=[video.segments for video, _ in pairs],
    )


def _quiet(folder: Path, engine: Engine) -> Played:
    outputs = []
    for path in sorted(one for one in folder.iterdir() if one.is_file()):
        try:
            outputs.append(_outputs(path, engine))
        except InputError as error:
            say_above_bars(f"left out: {error}")
    return Played(name=folder.name, outputs=outputs, actions=[()] * len(outputs))


def _outputs(path: Path, engine: Engine, video: VideoAnnotation | None = None) -> VideoOutputs:
    """What the engine says of a file that is read as `wsgn-run` reads it."""
    manifest = engine.manifest
    snippets = list(_snippets(path, engine))
    if not snippets:
        raise InputError(f"'{path}' holds no snippet.")
    batches = [snippets[first : first + _BATCH] for first in range(0, len(snippets), _BATCH)]
    found = [engine.infer(engine_inputs(batch)) for batch in batches]
    labels = () if video is None else video.labels
    return VideoOutputs(
        times=snippet_times(
            np.array([one.start_seconds for one in snippets]),
            np.array([one.epoch for one in snippets]),
            manifest.sampling,
        ),
        selection_logits=np.concatenate([one.selection_logits for one in found]),
        class_probabilities=np.concatenate([one.class_probabilities for one in found]),
        shows=np.array([label in labels for label in manifest.classes]),
    )


def _snippets(path: Path, engine: Engine) -> Iterator[Snippet]:
    manifest = engine.manifest
    snippeter = Snippeter(manifest.sampling, manifest.flow)
    with VideoReader(path, frame_grid(manifest, engine.name)) as reader:
        for item in reader:
            if isinstance(item, SampledFrame):
                yield from snippeter.push([item])
    yield from snippeter.flush()


def measured(played: Played, manifest: Manifest, name: str, alarms: AlarmRule | None) -> Row:
    """One kind of videos as one stream."""
    changed = replace(manifest, detection=replace(manifest.detection, alarms=alarms))
    options = DetectorOptions(scores="window", window_seconds=WINDOW_SECONDS)
    detector = Detector(changed, options)
    segments: list[Span] = []
    actions: list[Span] = []
    offset, epoch = 0.0, 0
    for video, own in zip(played.outputs, played.actions, strict=True):
        starts = video.times.start_seconds + offset
        events = detector.push(
            SnippetLogits(
                start_seconds=starts,
                epoch=video.times.epoch + epoch,
                selection_logits=video.selection_logits,
                class_probabilities=video.class_probabilities,
            )
        )
        segments += _spans(events)
        actions += [(label, start + offset, end + offset) for label, start, end in own]
        offset += float(video.times.end_seconds[-1])
        epoch += int(video.times.epoch[-1]) + 1
    segments += _spans(detector.flush())
    wrong = [one for one in segments if not any(_overlap(one, action) for action in actions)]
    return Row(
        videos=played.name,
        thresholds=name,
        hours=sum(video.hours for video in played.outputs),
        false_alarms=len(wrong),
        confusions=sum(
            any(_overlap((label, start, end), (label, *action[1:])) for action in actions)
            for label, start, end in wrong
        ),
        found=sum(any(_overlap(one, action) for one in segments) for action in actions),
        actions=len(actions),
    )


def _spans(events: Sequence[object]) -> list[Span]:
    return [
        (event.label, event.start_seconds, event.end_seconds)
        for event in events
        if isinstance(event, SegmentEvent) and event.final
    ]


def _overlap(one: Span, other: Span) -> bool:
    """Whether they are of one class and overlap enough."""
    shared = min(one[2], other[2]) - max(one[1], other[1])
    hull = max(one[2], other[2]) - min(one[1], other[1])
    return one[0] == other[0] and shared > 0 and shared >= TIOU * hull


def as_table(rows: Sequence[Row]) -> str:
    """For people."""
    heading = [
        "videos", "hours", "thresholds", "false alarms an hour", "of them during another action",
        f"actions found (tIoU {TIOU})",
    ]  # fmt: skip
    cells = [
        [
            row.videos,
            f"{row.hours:.2f}",
            row.thresholds,
            f"{row.false_alarms / row.hours:.1f}",
            f"{row.confusions / row.hours:.1f}" if row.actions else NOTHING,
            f"{row.found} of {row.actions}" if row.actions else NOTHING,
        ]
        for row in rows
    ]
    return table(heading, cells)


if __name__ == "__main__":
    sys.exit(main())
