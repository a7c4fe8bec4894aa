"""The command line's words to checked options."""

from __future__ import annotations

import math
import os
import re
import sys
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from wsgn.errors import UsageError
from wsgn.localization.online.alarms import WINDOW_SECONDS
from wsgn.support.counts import MOST_SECONDS, checked_count
from wsgn.support.json_input import read_object
from wsgn.support.mirrors import mirror_of
from wsgn.support.shards import Shard, read_shard
from wsgn.video.grid import MAXIMUM_FRAME_RATE, MINIMUM_FRAME_RATE
from wsgn.workers.options import WorkerOptions, worker_options

from ..demo import engine_path
from ..notify.options import NotifyOptions
from ..pipeline import DetectOptions
from ..report.names import PAGE_FORMAT
from ..streaming.rules import DetectorOptions
from ..writers import FORMATS
from .live_options import LiveRunOptions, given_live_words, live_run_options
from .notify_options import notify_options
from .parser import build_parser

_LONGEST_CLOCK = 60
_CLOCK = re.compile(r"(?:(?:(\d+):)?(\d+):)?(\d+(?:\.\d*)?|\.\d+)")
# Of so few digits that no number takes long to read.
_RATE = re.compile(r"\d{1,9}(\.\d{1,9})?|\d{1,9}/\d{1,9}", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class OutputOptions:
    """Which files a run writes."""

    directory: Path
    # Out of FORMATS and PAGE_FORMAT, each once.
    formats: tuple[str, ...]
    save_scores: bool
    overwrite: bool
    resume: bool


@dataclass(frozen=True, kw_only=True)
class FeatureWords:
    """What a command line says of features."""

    # One of their layouts, or "auto" to go by what lies on disk.
    layout: str = "auto"
    # Which streams, in their order; empty means all.
    streams: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """What a command line asks for."""

    sources: tuple[str, ...]
    # None only with `demo`.
    engine: Path | None
    # None leaves it to the engine.
    device: str | None
    num_threads: int | None
    # The folder of compiled kernels that score whole sources; None: NumPy does.
    kernels: Path | None
    # None where nothing was said of features.
    features: FeatureWords | None
    # Without the labels, which only the engine's classes can tell apart: see `with_labels`.
    detect: DetectOptions
    # As they were written: each names a class, or several with commas between them.
    labels: tuple[str, ...] | None
    # None where nothing is written but stdout.
    output: OutputOptions | None
    # None where all sources are files.
    live: LiveRunOptions | None
    # None where nobody is notified.
    notify: NotifyOptions | None
    # None where the run is in one process.
    workers: WorkerOptions | None
    # Which part of the sources; None for all.
    shard: Shard | None
    demo: bool
    strict: bool
    fail_fast: bool
    dry_run: bool
    quiet: bool
    verbose: bool
    progress: bool


def parse_options(arguments: Sequence[str]) -> RunOptions:
    """Options of a command line. Raises `UsageError`, and SystemExit where argparse speaks."""
    words = build_parser().parse_args(arguments)
    if words.demo:
        _refuse_with_demo(words)
    if not words.demo and not words.sources:
        raise UsageError(
            "a SOURCE is missing: wsgn-run video.mp4 --engine wsgn.onnx looks for actions in a "
            "video, wsgn-run --demo in the packaged sample; see wsgn-run --help."
        )
    if not words.demo and not words.engine:
        raise UsageError(
            "the engine is missing: give --engine FILE, or --engine demo for the packaged one, "
            "which knows drawn figures only."
        )
    if words.threads is not None:
        checked_count("--threads", words.threads)
    shard = None if words.shard is None else read_shard(words.shard, os.environ)
    live = None if words.demo else _live_options(words, shard)
    detect = _detect_options(words, live=live is not None)
    output = _output_options(words)
    if live is not None and output is not None and mirror_of(output.directory) is not None:
        raise UsageError(
            "files of live sources grow while they play, and those of a store cannot: give "
            "--output a folder of this disk."
        )
    return RunOptions(
        sources=tuple(words.sources),
        engine=None if words.engine is None else engine_path(words.engine),
        device=_device(words.device),
        num_threads=words.threads,
        kernels=_kernels(words),
        features=_feature_words(words),
        detect=detect,
        labels=_labels(words.labels),
        output=output,
        live=live,
        notify=notify_options(words, scores=detect.detector.scores, live=live is not None),
        shard=shard,
        workers=worker_options(words.workers, words.stall_limit, words.ray),
        demo=words.demo,
        strict=words.strict,
        fail_fast=words.fail_fast,
        dry_run=words.dry_run,
        quiet=words.quiet,
        verbose=words.verbose,
        progress=not (words.no_progress or words.quiet),
    )


def _refuse_with_demo(words: Namespace) -> None:
    if words.sources or words.engine:
        raise UsageError("--demo brings its own engine and sample: leave out SOURCE and --engine.")
    if (
        given_live_words(words)
        or any((words.format, words.save_scores, words.overwrite, words.resume, words.notify))
        or any((words.kernels, words.layout, words.streams))
        or any((words.strict, words.dry_run, words.fail_fast, words.shard))
        or any((words.workers, words.stall_limit, words.ray is not None))
    ):
        raise UsageError(
            "--demo prints a table, and with --output DIR writes a page: leave out the other "
            "options of outputs, notifications and runs."
        )


def with_labels(options: RunOptions, classes: Sequence[str]) -> RunOptions:
    """The options with the labels that the command line chose out of an engine's classes.

    What is no class stays as it is, for the detector to refuse.
    """
    if options.labels is None:
        return options
    names = [name for words in options.labels for name in split_labels(words, classes)]
    detector = replace(options.detect.detector, labels=tuple(dict.fromkeys(names)))
    return replace(options, detect=replace(options.detect, detector=detector))


def split_labels(words: str, classes: Sequence[str]) -> list[str]:
    """The names between the commas; names with commas of their own are classes first of all."""
    parts = words.split(",")
    names = []
    begin = 0
    while begin < len(parts):
        # The longest class that begins here, the whole of the words before anything else.
        for end in range(len(parts), begin, -1):
            text = ",".join(parts[begin:end])
            name = text if text in classes else text.strip()
            if name in classes or end == begin + 1:
                names += [name] if name else []
                begin = end
                break
    return names


def _device(word: str | None) -> str | None:
    """Refuse what no driver could count to; `open_engine` reads the rest."""
    if word is not None and re.fullmatch(r"cuda:\d{5,}", word, re.ASCII):
        raise UsageError(
            f"there is no such number as in --device {word}: GPUs are counted from 0, as "
            "'wsgn-run doctor' lists them."
        )
    return word


def _kernels(words: Namespace) -> Path | None:
    if words.kernels is None:
        return None
    _require_name("--kernels", words.kernels)
    if words.scores not in (None, "exact"):
        raise UsageError(
            "--kernels scores whole sources, as --scores exact does: leave one of the two out."
        )
    return Path(words.kernels)


def _feature_words(words: Namespace) -> FeatureWords | None:
    if words.layout is None and words.streams is None:
        return None
    return FeatureWords(
        layout=words.layout or "auto", streams=_listed("--streams", words.streams) or ()
    )


def _live_options(words: Namespace, shard: Shard | None) -> LiveRunOptions | None:
    if words.state is not None:
        _require_name("--state", words.state)
    return live_run_options(
        words,
        end_seconds=_seconds("--end", words.end),
        input_rate=_rate("--input-rate", words.input_rate),
        shard=shard,
    )


def _detect_options(words: Namespace, *, live: bool) -> DetectOptions:
    start, end = _seconds("--start", words.start), _seconds("--end", words.end)
    if end is not None and end <= (start or 0.0):
        raise UsageError(f"--end must lie behind --start, got {words.end}.")
    if words.stream is not None and words.stream < 0:
        raise UsageError(f"--stream counts from 0, got {words.stream}.")
    return DetectOptions(
        detector=_detector_options(words, live=live),
        start_seconds=start,
        end_seconds=end,
        stream=words.stream,
        input_rate=_rate("--input-rate", words.input_rate),
    )


def _detector_options(words: Namespace, *, live: bool) -> DetectorOptions:
    scores = words.scores or ("window" if live else "exact")
    if scores == "window" and words.window is None and not live:
        raise UsageError("--scores window needs --window S, the seconds it looks back.")
    if scores != "window" and words.window is not None:
        raise UsageError(f"--window is for --scores window, not for --scores {scores}.")
    numbers = ("exit_threshold", "window", "min_score", "min_duration", "merge_gap", "max_duration")
    for name in numbers:
        value = getattr(words, name)
        if value is not None and not math.isfinite(value):
            raise UsageError(f"--{name.replace('_', '-')} must be a finite number, got {value}.")
    window = words.window
    if window is None and scores == "window":
        window = WINDOW_SECONDS
    return DetectorOptions(
        scores=scores,
        open_threshold=_threshold(words.threshold),
        close_threshold=words.exit_threshold,
        minimum_score=words.min_score,
        own_thresholds=words.own_thresholds,
        minimum_duration_seconds=words.min_duration,
        merge_gap_seconds=words.merge_gap,
        maximum_duration_seconds=words.max_duration,
        **({} if window is None else {"window_seconds": window}),
    )


def _output_options(words: Namespace) -> OutputOptions | None:
    if words.output is None:
        for name in ("format", "save_scores", "overwrite", "resume"):
            if getattr(words, name):
                raise UsageError(f"--{name.replace('_', '-')} needs --output DIR.")
        return None
    _require_name("--output", str(words.output))
    formats = _listed("--format", words.format) or ("jsonl",)
    known = (*FORMATS, PAGE_FORMAT)
    unknown = [name for name in formats if name not in known]
    if unknown:
        raise UsageError(f"the format '{unknown[0]}' is not known: choose from {', '.join(known)}.")
    if words.save_scores and words.scores not in (None, "exact"):
        raise UsageError("--save-scores needs --scores exact: other scores keep no history.")
    return OutputOptions(
        directory=words.output,
        formats=formats,
        save_scores=words.save_scores,
        overwrite=words.overwrite,
        resume=words.resume,
    )


def _require_name(option: str, text: str) -> None:
    """Raise a `UsageError` for what only a program can ask for: no file can be called so."""
    try:
        os.fsencode(text)
        is_name = "\0" not in text
    except UnicodeEncodeError:
        is_name = False
    if not is_name:
        raise UsageError(f"{option} holds a character that no name of a file can have.")


def _labels(words: Sequence[str] | None) -> tuple[str, ...] | None:
    if words is None:
        return None
    if not any(word.strip(" ,") for word in words):
        raise UsageError("--labels names nothing: give names, with commas between them.")
    return tuple(words)


def _listed(option: str, text: str | None) -> tuple[str, ...] | None:
    if text is None:
        return None
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    if not names:
        raise UsageError(f"{option} names nothing: give names with commas between them.")
    return names


def _seconds(option: str, text: str | None) -> float | None:
    if text is None:
        return None
    # Before Python is asked for the value of thousands of digits.
    match = _CLOCK.fullmatch(text.strip()) if len(text) <= _LONGEST_CLOCK else None
    if match is None:
        raise UsageError(f"{option} must be seconds or [HH:]MM:SS, got '{text[:_LONGEST_CLOCK]}'.")
    hours, minutes, seconds = match.groups()
    value = float(hours or 0) * 3600 + float(minutes or 0) * 60 + float(seconds)
    if value > MOST_SECONDS:
        raise UsageError(f"{option} must be at most {MOST_SECONDS} s, got '{text}'.")
    return value


def _rate(option: str, text: str | None) -> float | None:
    if text is None:
        return None
    try:
        rate = float(Fraction(text)) if _RATE.fullmatch(text) else math.nan
    except ZeroDivisionError:
        rate = math.nan
    if not MINIMUM_FRAME_RATE <= rate <= MAXIMUM_FRAME_RATE:
        raise UsageError(
            f"{option} must be frames per second, such as 25 or 30000/1001, got '{text[:40]}'."
        )
    return rate


def _threshold(text: str | None) -> float | dict[str, float] | None:
    if text is None:
        return None
    try:
        value = float(text)
    except ValueError:
        return _threshold_file(Path(text))
    if not math.isfinite(value):
        raise UsageError(f"--threshold must be a finite number, got {text}.")
    return value


def _threshold_file(path: Path) -> dict[str, float]:
    try:
        document = read_object(path, what=f"the threshold file '{path}'", error=UsageError)
    except UsageError as error:
        if not isinstance(error.__cause__, OSError):
            raise
        raise UsageError(
            f"--threshold '{path}' is neither a number nor a file that can be read "
            f"({error.__cause__.strerror})."
        ) from error
    if not all(map(_is_number, document.values())):
        raise UsageError(f"the threshold file '{path}' must be a JSON object {{label: number}}.")
    return {label: float(value) for label, value in document.items()}


def _is_number(value: object) -> bool:
    """Finite, also as a float, which holds no whole number of 400 digits."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) <= sys.float_info.max
