"""From clips to an engine: check, split, features, training, export, and what came of it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from wsgn.data.annotations import Annotations, write_annotations
from wsgn.data.layouts import read_annotations
from wsgn.data.split import SplitOptions, split_annotations
from wsgn.errors import InputError, OutputError
from wsgn.learning.advice import advice
from wsgn.learning.check import check_clips
from wsgn.learning.options import LearnOptions
from wsgn.learning.report import Report, write_report
from wsgn.learning.steps import Step, run_step
from wsgn.support.progress import progress_bar
from wsgn.support.terminal import say_above_bars

_TRAIN, _TEST = "train", "test"


def learn(options: LearnOptions) -> Report:
    """Make an engine of clips; every step is an ordinary command that is printed as it goes.

    Raises:
        UsageError: options that contradict each other.
        InputError: clips that cannot be learned from; it says why, before anything is trained.
        OutputError: the engine is there already, or a file cannot be written.
        StepError: a step failed, and has said why.
    """
    if options.output.exists() and not options.overwrite:
        raise OutputError(f"{options.output} is there already: add --overwrite, or name another.")
    annotations, notices = _annotations(options)
    folder = options.folder
    labels, features, run = folder / "annotations.json", folder / "features", folder / "training"
    write_annotations(labels, annotations)
    _say_annotated(options, annotations, labels)
    for step in _steps(options, annotations, labels, features, run):
        run_step(step, quiet=options.quiet)
    found = run_step(_predicting(labels, features, run, folder), quiet=True, captures=True)
    scores = json.loads(found)
    report = Report(
        annotations=annotations,
        engine=options.output,
        notices=tuple(notices),
        scores=scores,
        advice=tuple(advice(annotations, scores)),
        found=_segments(folder / "found.json"),
    )
    write_report(folder / "report.md", report)
    return report


def _annotations(options: LearnOptions) -> tuple[Annotations, list[str]]:
    """Checked annotations with a subset to try on, and what the user should know of them."""
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
    return _with_test(checked.annotations, options), checked.notices


def _with_test(annotations: Annotations, options: LearnOptions) -> Annotations:
    """With subsets `train` and `test`: its own, or drawn."""
    subsets = {video.subset for video in annotations.videos}
    if _TEST in subsets:
        if _TRAIN not in subsets:
            raise InputError("no clip is left for the subset 'train'.")
        return annotations
    split = SplitOptions(
        shares={_TEST: options.test_share},
        group_pattern=options.group_pattern,
        seed=options.seed,
    )
    drawn = split_annotations(annotations, split)
    return replace(drawn, dataset=annotations.dataset)


def _say_annotated(options: LearnOptions, annotations: Annotations, path: Path) -> None:
    if options.quiet:
        return
    counts = Counter(video.subset for video in annotations.videos)
    words = ", ".join(f"{count} {subset}" for subset, count in sorted(counts.items()))
    say_above_bars(
        f"annotations: {len(annotations.videos)} videos ({words}), {len(annotations.classes)} "
        f"classes -> {path}"
    )


def _steps(
    options: LearnOptions, annotations: Annotations, labels: Path, features: Path, run: Path
) -> Sequence[Step]:
    """Features, training, export."""
    threads = () if options.num_threads is None else ("--threads", str(options.num_threads))
    quiet = ("--quiet",) if options.quiet else ()
    weights = tuple(word for path in options.weights for word in ("--weights", str(path)))
    return (
        Step(
            name="wsgn-features",
            words=(
                str(options.videos_folder), "-o", str(features),
                "--backbone", options.backbone, *weights,
                "--frame-rate", f"{options.frame_rate:g}",
                "--snippet-length", str(options.snippet_length),
                "--snippet-stride", str(options.snippet_stride),
                "--image-frames", "1", "--resize", "stretch", *threads, *quiet,
            ),
        ),
        Step(
            name="wsgn-train",
            words=(
                str(labels), "--features", str(features), "-o", str(run), "--test", _TEST,
                "--seed", str(options.seed), "--overwrite", *threads, *quiet,
            ),
        ),
        Step(
            name="to_onnx",
            words=(
                str(run / "model.safetensors"), "-o", str(options.output),
                "--backbone", options.backbone, "--overwrite",
            ),
        ),
    )  # fmt: skip


def _predicting(labels: Path, features: Path, run: Path, folder: Path) -> Step:
    return Step(
        name="wsgn-predict",
        words=(
            str(labels), str(run / "model.safetensors"), "--features", str(features),
            "--subset", _TEST, "--protocol", "activitynet", "--json", "--quiet",
            "-o", str(folder / "found.json"),
        ),
    )  # fmt: skip


def _segments(path: Path) -> dict[str, list[dict[str, object]]]:
    results: dict[str, list[dict[str, object]]] = json.loads(path.read_text())["results"]
    return results
