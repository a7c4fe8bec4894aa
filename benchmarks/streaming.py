"""Exact, causal and window scores on labelled videos: mAP, delay, and the prior's calibration.

    python -m benchmarks.streaming synthetic --checkpoint runs/demo/run/model.safetensors \
        --engine runtime/demo/demo.onnx

The engine reads the video files as `wsgn-run` does. Exact mode is held against the model in torch:
frame scores and segments. The prior is calibrated on the training videos and used on the others.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from wsgn.checkpoint import load_checkpoint
from wsgn.data.annotations import Annotations, read_annotations
from wsgn.data.frames import FrameDataset
from wsgn.localization.segments import Segment
from wsgn.manifest import Manifest
from wsgn.prediction.evaluate import TIOU, score_segments, truth_of
from wsgn.prediction.predict import VideoPrediction, predict_videos, predicted_segments
from wsgn.runtime import Detector, DetectorOptions, SnippetLogits, open_engine
from wsgn.runtime.events import Event, SegmentEvent
from wsgn.runtime.pipeline import Detection, DetectOptions

PRIOR_COUNTS = (0.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)
MODES = ("exact", "causal", "window")


@dataclass(frozen=True, kw_only=True)
class ModeResult:
    """One score mode over all test videos."""

    mode: str
    map_percent: list[float]
    # Seconds of media between the end of a segment and its event: median and 95 % point.
    delay_seconds: list[float]


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print Markdown, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("dataset", type=Path, help="output folder of wsgn-synthesize videos")
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--engine", type=Path, required=True)
    parser.add_argument("--window", type=float, default=20.0, help="seconds")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args(argv)
    checkpoint = load_checkpoint(arguments.checkpoint)
    annotations = read_annotations(arguments.dataset / "annotations.json")
    frames = checkpoint.model.frames
    assert frames is not None
    assert checkpoint.calibration is not None
    sources = {
        subset: FrameDataset(
            arguments.dataset / "videos", annotations.subset(subset), annotations.classes,
            checkpoint.model.sampling, frames,
        )
        for subset in ("train", "test")
    }  # fmt: skip
    model = checkpoint.build()
    predictions = {subset: list(predict_videos(model, sources[subset])) for subset in sources}
    with open_engine(arguments.engine) as engine:
        manifest = engine.manifest
        sweep = {
            subset: prior_sweep(predictions[subset], sources[subset], manifest, arguments.window)
            for subset in sources
        }
        runs = {
            mode: [
                run_video(path, engine, mode, arguments.window)
                for path in video_paths(arguments.dataset, annotations)
            ]
            for mode in MODES
        }
    names = [video.name for video in sources["test"].videos]
    results = [mode_result(mode, runs[mode], names, sources["test"]) for mode in MODES]
    rule = checkpoint.calibration.detection
    document: dict[str, object] = {
        "exact_against_torch": parity(runs["exact"], predictions["test"], annotations, rule),
        "modes": [vars(result) for result in results],
        "prior_sweep_map_at_0.5": sweep,
    }
    print(json.dumps(document, indent=1) if arguments.json else as_markdown(document))
    return 0


def video_paths(dataset: Path, annotations: Annotations) -> list[Path]:
    """The files of the test videos."""
    return [dataset / "videos" / f"{video.name}.mp4" for video in annotations.subset("test")]


@dataclass(frozen=True, kw_only=True)
class VideoRun:
    """The events of one video, and in exact mode its frame scores (T, C)."""

    events: list[Event]
    frame_scores: np.ndarray | None


def run_video(path: Path, engine: object, mode: str, window_seconds: float) -> VideoRun:
    """One video file through the engine."""
    options = DetectOptions(detector=DetectorOptions(scores=mode, window_seconds=window_seconds))
    detection = Detection(path, engine, options)  # type: ignore[arg-type]
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
    rule: object,
) -> dict[str, float]:
    """Largest differences between the engine's exact mode and the model in torch."""
    score_difference = time_difference = 0.0
    num_segments = num_different = 0
    for run, prediction in zip(runs, predictions, strict=True):
        assert run.frame_scores is not None
        difference = np.abs(run.frame_scores - prediction.scores).max()
        score_difference = max(score_difference, float(difference))
        expected = predicted_segments(prediction, annotations.classes, rule)  # type: ignore[arg-type]
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
    return {
        "videos": len(predictions),
        "segments": num_segments,
        "videos_with_other_segments": num_different,
        "largest_frame_score_difference": score_difference,
        "largest_boundary_difference_seconds": time_difference,
    }


def prior_sweep(
    predictions: Sequence[VideoPrediction],
    source: FrameDataset,
    manifest: Manifest,
    window_seconds: float,
) -> dict[str, dict[str, float]]:
    """mAP at tIoU 0.5 of the modes that use a prior, for several weights of it."""
    table: dict[str, dict[str, float]] = {}
    for mode in ("causal", "window"):
        options = DetectorOptions(scores=mode, window_seconds=window_seconds)
        table[mode] = {}
        for count in PRIOR_COUNTS:
            changed = replace(manifest, prior=replace(manifest.prior, count=count))
            segments = {p.name: streamed(p, changed, options) for p in predictions}
            result = score_segments(segments, truth_of(source.videos, source.classes), tiou=(0.5,))
            table[mode][f"{count:g}"] = float(result.map_percent[0])
    return table


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


def as_markdown(document: dict[str, object]) -> str:
    """Tables for people."""
    lines = ["exact mode against torch:"]
    exact = document["exact_against_torch"]
    assert isinstance(exact, dict)
    lines += [f"  {name.replace('_', ' ')}: {value:.3g}" for name, value in exact.items()]
    head = " | ".join(f"mAP@{tiou}" for tiou in TIOU)
    lines += ["", f"| scores | {head} | delay median | delay 95 % |", "|---" * 7 + "|"]
    modes = document["modes"]
    assert isinstance(modes, list)
    for mode in modes:
        values = " | ".join(f"{value:.1f}" for value in mode["map_percent"])
        delays = " | ".join(f"{value:.1f} s" for value in mode["delay_seconds"]) or "- | -"
        lines.append(f"| {mode['mode']} | {values} | {delays} |")
    sweep = document["prior_sweep_map_at_0.5"]
    assert isinstance(sweep, dict)
    lines += ["", "mAP@0.5 by the prior's count of pseudo-observations:"]
    for subset, table in sweep.items():
        for mode, row in table.items():
            cells = ", ".join(f"{count}: {value:.1f}" for count, value in row.items())
            lines.append(f"  {subset} {mode}: {cells}")
    return "\n".join(lines)


if __name__ == "__main__":
    raise SystemExit(main())
