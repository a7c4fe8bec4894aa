"""Exact, causal and window scores on labelled videos: mAP, delay, and the prior's calibration.

    python -m benchmarks.streaming synthetic --checkpoint runs/demo/run/model.safetensors \
        --engine runtime/demo/demo.onnx

The engine reads the video files as `wsgn-run` does. Exact mode is held against the model in torch:
frame scores and segments. The prior is calibrated on the training videos and used on the others.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.results import add_output, describe_machine, publish
from benchmarks.tables import NOTHING, table
from wsgn.checkpoint import load_checkpoint
from wsgn.data.annotations import Annotations
from wsgn.data.frames import FrameDataset
from wsgn.data.layouts import read_annotations
from wsgn.engines.engine import Engine
from wsgn.errors import UsageError
from wsgn.localization.segments import Segment
from wsgn.manifest import DetectionRule, Manifest
from wsgn.metrics.annotations import truth_of
from wsgn.prediction.evaluate import FEW_TIOU, score_segments
from wsgn.prediction.predict import VideoPrediction, predict_videos, predicted_segments
from wsgn.runtime import Detector, DetectorOptions, SnippetLogits, open_engine
from wsgn.runtime.events import Event, SegmentEvent
from wsgn.runtime.pipeline import Detection, DetectOptions
from wsgn.support.command import run_command

PRIOR_COUNTS = (0.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)
MODES = ("exact", "causal", "window")


@dataclass(frozen=True, kw_only=True)
class ModeResult:
    """One score mode over all test videos."""

    mode: str
    map_percent: list[float]
    # Seconds of media between the end of a segment and its event: median and 95 % point.
    delay_seconds: list[float]


@dataclass(frozen=True, kw_only=True)
class Parity:
    """Largest differences between the engine's exact mode and the model in torch."""

    videos: int
    segments: int
    videos_with_other_segments: int
    largest_frame_score_difference: float
    largest_boundary_difference_seconds: float


# mAP at tIoU 0.5 by subset, mode and count of the prior.
Sweep = dict[str, dict[str, dict[str, float]]]


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print the tables, and write them where asked for."""
    return run_command("benchmarks.streaming", lambda: _run(_parser().parse_args(argv)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.streaming", description=(__doc__ or "").splitlines()[0]
    )
    add = parser.add_argument
    add("dataset", type=Path, help="output folder of wsgn-synthesize videos")
    add("--checkpoint", type=Path, required=True, metavar="MODEL", help="trained on its videos")
    add("--engine", type=Path, required=True, metavar="ONNX", help="exported from the checkpoint")
    add("--window", type=float, default=20.0, metavar="SECONDS", help="(default: %(default)s)")
    add_output(parser)
    return parser


def _run(arguments: argparse.Namespace) -> int:
    machine = describe_machine()
    checkpoint = load_checkpoint(arguments.checkpoint)
    annotations = read_annotations(arguments.dataset / "annotations.json")
    if checkpoint.model.frames is None or checkpoint.calibration is None:
        raise UsageError(f"{arguments.checkpoint} is not of a finished training on videos.")
    sources = {
        subset: FrameDataset(
            arguments.dataset / "videos", annotations.subset(subset), annotations.classes,
            checkpoint.model.sampling, checkpoint.model.frames,
        )
        for subset in ("train", "test")
    }  # fmt: skip
    model = checkpoint.build()
    predictions = {subset: list(predict_videos(model, sources[subset])) for subset in sources}
    with open_engine(arguments.engine) as engine:
        manifest = engine.manifest
        paths = video_paths(arguments.dataset, annotations)
        runs = {
            mode: [run_video(path, engine, mode, arguments.window) for path in paths]
            for mode in MODES
        }
    sweep = {
        subset: prior_sweep(predictions[subset], sources[subset], manifest, arguments.window)
        for subset in sources
    }
    names = [video.name for video in sources["test"].videos]
    modes = [mode_result(mode, runs[mode], names, sources["test"]) for mode in MODES]
    rule = checkpoint.calibration.detection
    exact = parity(runs["exact"], predictions["test"], annotations, rule)
    document = {
        "exact_against_torch": asdict(exact),
        "modes": [asdict(mode) for mode in modes],
        "prior_sweep_map_at_0.5": sweep,
    }
    publish(arguments.output, document, as_markdown(exact, modes, sweep), machine)
    return 0


def video_paths(dataset: Path, annotations: Annotations) -> list[Path]:
    """The files of the test videos."""
    return [dataset / "videos" / f"{video.name}.mp4" for video in annotations.subset("test")]


@dataclass(frozen=True, kw_only=True)
class VideoRun:
    """The events of one video, and in exact mode its frame scores (T, C)."""

    events: list[Event]
    frame_scores: np.ndarray | None


def run_video(path: Path, engine: Engine, mode: str, window_seconds: float) -> VideoRun:
    """One video file through the engine."""
    options = DetectOptions(detector=DetectorOptions(scores=mode, window_seconds=window_seconds))
    detection = Detection(path, engine, options)
    events = list(detection.events())
    return VideoRun(events=events, frame_scores=detection.frame_scores())


def final_segments(events: Sequence[Event]) -> list[Segment]:
    """What is left when the video has ended."""
    return [
        Segment(
            label=event.label,
            start_seconds=event.start_seconds,
            end_seconds=event.end_seconds,
            score=event.score,
        )
        for event in events
        if isinstance(event, SegmentEvent) and event.final
    ]


def mode_result(
    mode: str, runs: Sequence[VideoRun], names: Sequence[str], source: FrameDataset
) -> ModeResult:
    """mAP of the final segments, and how late the events came."""
    segments = {n: final_segments(run.events) for n, run in zip(names, runs, strict=True)}
    delays = [
        event.at_seconds - event.end_seconds
        for run in runs
        for event in run.events
        if isinstance(event, SegmentEvent) and event.rev == 0 and event.reason == "threshold"
    ]
    return ModeResult(
        mode=mode,
        map_percent=[
            float(v)
            for v in score_segments(segments, truth_of(source.videos, source.classes)).map_percent
        ],
        delay_seconds=[float(v) for v in np.percentile(delays, [50, 95])] if delays else [],
    )


def parity(
    runs: Sequence[VideoRun],
    predictions: Sequence[VideoPrediction],
    annotations: Annotations,
    rule: DetectionRule,
) -> Parity:
    """Videos in turn; segments are compared where their labels are the same."""
    score_difference = time_difference = 0.0
    num_segments = num_different = 0
    for run, prediction in zip(runs, predictions, strict=True):
        assert run.frame_scores is not None
        difference = np.abs(run.frame_scores - prediction.scores).max()
        score_difference = max(score_difference, float(difference))
        expected = predicted_segments(prediction, annotations.classes, rule)
        found = final_segments(run.events)
        num_segments += len(expected)
        if [s.label for s in found] != [s.label for s in expected]:
            num_different += 1
            continue
        for ours, theirs in zip(found, expected, strict=True):
            time_difference = max(
                time_difference,
                abs(ours.start_seconds - theirs.start_seconds),
                abs(ours.end_seconds - theirs.end_seconds),
            )
    return Parity(
        videos=len(predictions),
        segments=num_segments,
        videos_with_other_segments=num_different,
        largest_frame_score_difference=score_difference,
        largest_boundary_difference_seconds=time_difference,
    )


def prior_sweep(
    predictions: Sequence[VideoPrediction],
    source: FrameDataset,
    manifest: Manifest,
    window_seconds: float,
) -> dict[str, dict[str, float]]:
    """mAP at tIoU 0.5 of the modes that use a prior, for several weights of it."""
    found: dict[str, dict[str, float]] = {}
    for mode in ("causal", "window"):
        options = DetectorOptions(scores=mode, window_seconds=window_seconds)
        found[mode] = {}
        for count in PRIOR_COUNTS:
            changed = replace(manifest, prior=replace(manifest.prior, count=count))
            segments = {p.name: streamed(p, changed, options) for p in predictions}
            result = score_segments(segments, truth_of(source.videos, source.classes), tiou=(0.5,))
            found[mode][f"{count:g}"] = float(result.map_percent[0])
    return found


def streamed(
    prediction: VideoPrediction, manifest: Manifest, options: DetectorOptions
) -> list[Segment]:
    """Segments of one video whose logits are known, through the streaming detector."""
    detector = Detector(manifest, options)
    events = detector.push(
        SnippetLogits(
            start_seconds=prediction.times.start_seconds,
            epoch=prediction.times.epoch,
            selection_logits=prediction.selection_logits.astype(np.float32),
            class_probabilities=prediction.class_probabilities.astype(np.float32),
        )
    )
    return final_segments(events + detector.flush())


def as_markdown(exact: Parity, modes: Sequence[ModeResult], sweep: Sweep) -> str:
    """Tables for people."""
    differences = [[name.replace("_", " "), f"{value:.3g}"] for name, value in vars(exact).items()]
    rows = []
    for mode in modes:
        delays = [f"{value:.1f} s" for value in mode.delay_seconds] or [NOTHING, NOTHING]
        rows.append([mode.mode, *(f"{value:.1f}" for value in mode.map_percent), *delays])
    heading = ["scores", *(f"mAP@{tiou}" for tiou in FEW_TIOU), "delay median", "delay 95 %"]
    counts = [
        [f"{subset} videos, {mode}", *(f"{value:.1f}" for value in row.values())]
        for subset, by_mode in sweep.items()
        for mode, row in by_mode.items()
    ]
    parts = [
        table(["exact mode against torch", ""], differences),
        table(heading, rows),
        "mAP@0.5 by the prior's count of pseudo-observations:",
        table(["", *(f"{count:g}" for count in PRIOR_COUNTS)], counts),
    ]
    return "\n\n".join(parts)


if __name__ == "__main__":
    sys.exit(main())
