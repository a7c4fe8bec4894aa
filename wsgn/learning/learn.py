"""From clips to an engine: check, split, features, training, export, and what came of it."""

from __future__ import annotations

import importlib.util
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from wsgn.data.annotations import Annotations, write_annotations
from wsgn.data.layouts import read_annotations
from wsgn.data.split import SplitOptions, split_annotations
from wsgn.engines.open import read_manifest
from wsgn.errors import InputError, MissingExtraError, OutputError
from wsgn.extraction.cache import forget_changed
from wsgn.extraction.recommended import IMAGE_FRAMES, RESIZE
from wsgn.learning.advice import advice
from wsgn.learning.check import CheckedClips, check_clips
from wsgn.learning.options import LearnOptions
from wsgn.learning.parts import write_parts
from wsgn.learning.report import Report, write_report
from wsgn.learning.steps import Step, run_step
from wsgn.support.progress import progress_bar
from wsgn.support.terminal import quoted, say_above_bars

_TRAIN, _TEST = "train", "test"
# Few clips may hold one false alarm that is surer than all that is right.
_KEPT = 0.5


def learn(options: LearnOptions) -> Report:
    """Make an engine of clips; every step is an ordinary command that is printed as it goes.

    Raises:
        UsageError: options that contradict each other.
        MissingExtraError: what a later step needs is not installed.
        InputError: clips that cannot be learned from; it says why, before anything is trained.
        OutputError: the engine is there already, or a file cannot be written.
        StepError: a step failed, and has said why.
    """
    backbones = _require_all(options)
    checked = _checked(options)
    annotations = _with_test(checked.annotations, options)
    folder = options.folder
    labels, features, run = folder / "annotations.json", folder / "features", folder / "training"
    folder.mkdir(parents=True, exist_ok=True)
    write_annotations(labels, annotations)
    _say_annotated(options, annotations, labels)
    forget_changed(folder / "clips.json", features, checked.digests)
    run_step(_extraction(options, features), quiet=options.quiet)
    run_step(_training(options, labels, features, run), quiet=options.quiet)
    alarms = _alarm_words(options, annotations, features, checked)
    run_step(_export(options, backbones, run, alarms), quiet=options.quiet)
    found = run_step(_prediction(labels, features, run, folder), quiet=options.quiet, captures=True)
    scores = json.loads(found)
    segments = _segments(folder / "found.json")
    report = Report(
        annotations=annotations,
        engine=options.output,
        notices=tuple(checked.notices),
        scores=scores,
        advice=tuple(advice(annotations, scores, segments)),
        found=segments,
        alarms=read_manifest(options.output).detection.alarms,
    )
    write_report(folder / "report.md", report)
    return report


def _require_all(options: LearnOptions) -> tuple[str, ...]:
    """Refuse what would fail after the training; the backbones as `to_onnx` is told of them."""
    if options.output.exists() and not options.overwrite:
        raise OutputError(f"{options.output} is there already: add --overwrite, or name another.")
    if options.output.is_dir() or not options.output.absolute().parent.is_dir():
        raise OutputError(f"{options.output} cannot be written: name a file in a folder.")
    try:
        from wsgn.extraction.choose import choose_networks, split_names
        from wsgn.extraction.config import ONNX_PREFIX

        names = split_names([options.backbone])
        chosen = choose_networks(names, options.weights)
    except MissingExtraError:
        raise
    except ImportError as error:
        raise MissingExtraError(f"Learning from clips ({error.name})", "train") from error
    for package in ("onnx", "onnxscript"):
        if importlib.util.find_spec(package) is None:
            raise MissingExtraError(f"The export of the engine ({package})", "export")
    given = set(options.weights)
    return tuple(
        str(one.weights) if one.weights in given and not name.startswith(ONNX_PREFIX) else name
        for name, one in zip(names, chosen, strict=True)
    )


def _checked(options: LearnOptions) -> CheckedClips:
    """Annotations of the clips that can be used, and what the user should know of the rest."""
    annotations = read_annotations(options.clips)
    bar = progress_bar(
        wanted=not options.quiet, total=len(annotations.videos), desc="checking", unit="clip"
    )
    with bar:
        checked = check_clips(
            annotations,
            options.videos_folder,
            least_seconds=options.snippet_seconds,
            on_clip=bar.update,
        )
    for notice in checked.notices:
        say_above_bars(notice)
    return checked


def _with_test(annotations: Annotations, options: LearnOptions) -> Annotations:
    """With subsets `train` and `test`: its own, or drawn."""
    subsets = {video.subset for video in annotations.videos}
    if _TEST not in subsets:
        split = SplitOptions(
            shares={_TEST: options.test_share},
            group_pattern=options.group_pattern,
            seed=options.seed,
        )
        drawn = split_annotations(annotations, split)
        annotations = replace(drawn, dataset=annotations.dataset)
    elif _TRAIN not in subsets:
        # THUMOS14 and others train on what they call validation.
        videos = tuple(
            video if video.subset == _TEST else replace(video, subset=_TRAIN)
            for video in annotations.videos
        )
        annotations = replace(annotations, videos=videos)
    trained = {v for video in annotations.videos if video.subset == _TRAIN for v in video.labels}
    if lacking := [label for label in annotations.classes if label not in trained]:
        raise InputError(
            f"no clip of {quoted(lacking)} is left to train on: all that can be used are of the "
            "subset 'test'."
        )
    if not any(video.labels for video in annotations.subset(_TEST)):
        raise InputError(
            "the clips kept apart are all of background: keep clips of the classes apart too, or "
            "choose a larger --test-share."
        )
    return annotations


def _say_annotated(options: LearnOptions, annotations: Annotations, path: Path) -> None:
    if options.quiet:
        return
    counts = Counter(video.subset for video in annotations.videos)
    words = ", ".join(f"{count} {subset}" for subset, count in sorted(counts.items()))
    say_above_bars(
        f"annotations: {len(annotations.videos)} videos ({words}), {len(annotations.classes)} "
        f"classes -> {path}"
    )


def _extraction(options: LearnOptions, features: Path) -> Step:
    """What was left out before fails here again, and is left out of the training."""
    weights = tuple(word for path in options.weights for word in ("--weights", str(path)))
    return Step(
        name="wsgn-features",
        words=(
            str(options.videos_folder), "-o", str(features),
            "--backbone", options.backbone, *weights,
            "--frame-rate", f"{options.frame_rate:g}",
            "--snippet-length", str(options.snippet_length),
            "--snippet-stride", str(options.snippet_stride),
            "--image-frames", str(IMAGE_FRAMES), "--resize", RESIZE, *options.run_words,
        ),
        may_fail_partly=True,
    )  # fmt: skip


def _training(
    options: LearnOptions, labels: Path, features: Path, run: Path, *, test: bool = True
) -> Step:
    steps = () if options.num_steps is None else ("--steps", str(options.num_steps))
    return Step(
        name="wsgn-train",
        words=(
            str(labels), "--features", str(features), "--skip-missing", "-o", str(run),
            *(("--test", _TEST) if test else ()), *steps, "--seed", str(options.seed),
            "--overwrite", *options.run_words,
        ),
    )  # fmt: skip


def _alarm_words(
    options: LearnOptions, annotations: Annotations, features: Path, checked: CheckedClips
) -> tuple[str, ...]:
    """Train models without a part of the clips each; what `to_onnx` is told of them."""
    if options.false_alarms_per_hour == 0:
        return ()
    folder = options.folder / "alarms"
    parts = write_parts(
        folder, annotations, _TRAIN, group_pattern=options.group_pattern, seed=options.seed
    )
    if parts is None:
        notice = (
            "too few clips to count false alarms in clips that were not trained on: on cameras the "
            "engine will raise many."
        )
        checked.notices.append(notice)
        say_above_bars(notice)
        return ()
    words: list[str] = []
    for name, labels in parts.others.items():
        run = folder / name
        run_step(_training(options, labels, features, run, test=False), quiet=options.quiet)
        words += ["--held-out", f"{run / 'model.safetensors'}={name}"]
    return (
        "--false-alarms-per-hour", f"{options.false_alarms_per_hour:g}",
        "--keep-found", f"{_KEPT:g}",
        "--annotations", str(parts.all), "--features", str(features), "--skip-missing", *words,
    )  # fmt: skip


def _export(
    options: LearnOptions, backbones: Sequence[str], run: Path, alarms: Sequence[str]
) -> Step:
    return Step(
        name="to_onnx",
        words=(
            str(run / "model.safetensors"), "-o", str(options.output),
            "--backbone", ",".join(backbones), "--overwrite", *alarms,
        ),
    )  # fmt: skip


def _prediction(labels: Path, features: Path, run: Path, folder: Path) -> Step:
    return Step(
        name="wsgn-predict",
        words=(
            str(labels), str(run / "model.safetensors"), "--features", str(features),
            "--only-present", "--subset", _TEST, "--protocol", "activitynet", "--json", "--quiet",
            "-o", str(folder / "found.json"),
        ),
    )  # fmt: skip


def _segments(path: Path) -> dict[str, list[dict[str, object]]]:
    results: dict[str, list[dict[str, object]]] = json.loads(path.read_text())["results"]
    return results
