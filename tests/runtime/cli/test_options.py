"""The command line's words to options."""

from __future__ import annotations

from pathlib import Path

import pytest

from wsgn.errors import UsageError
from wsgn.runtime.cli.options import parse_options, with_labels

BASE = ["v.mp4", "-e", "e.onnx"]


def test_defaults_are_the_engines_own() -> None:
    options = parse_options(BASE)
    assert options.detect.detector.scores == "exact"
    assert options.detect.detector.open_threshold is None
    assert options.output is None
    assert options.progress


def test_every_word_arrives() -> None:
    options = parse_options(
        [
            *BASE, "--scores", "window", "--window", "30", "--labels", "a, b,a", "--labels", "c",
            "--threshold", "0.5",
            "--exit-threshold", "0.25", "--min-score", "0.1", "--min-duration", "2",
            "--merge-gap", "3", "--max-duration", "60",
            "--start", "1:02.5", "--end", "1:00:00", "--stream", "1", "-o", "out", "-f",
            "csv,vtt,csv", "--resume", "--threads", "3", "-q", "--strict", "--fail-fast",
        ]
    )  # fmt: skip
    detector, output = options.detect.detector, options.output
    assert (detector.scores, detector.window_seconds, detector.labels) == ("window", 30, None)
    assert options.labels == ("a, b,a", "c")
    assert (detector.open_threshold, detector.close_threshold) == (0.5, 0.25)
    assert detector.minimum_score == 0.1
    assert detector.minimum_duration_seconds == 2
    assert detector.merge_gap_seconds == 3
    assert detector.maximum_duration_seconds == 60
    assert (options.detect.start_seconds, options.detect.end_seconds) == (62.5, 3600.0)
    assert output is not None
    assert (output.formats, output.resume, output.overwrite) == (("csv", "vtt"), True, False)
    assert (options.num_threads, options.detect.stream) == (3, 1)
    assert not options.progress


def test_thresholds_come_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "thresholds.json"
    path.write_text('{"a": 0.5, "b": 1}')
    options = parse_options([*BASE, "--threshold", str(path)])
    assert options.detect.detector.open_threshold == {"a": 0.5, "b": 1.0}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "SOURCE is missing"),
        (["v.mp4"], "engine is missing"),
        ([*BASE, "--device", "cuda:99999999999999999999999"], "no such number"),
        (["--demo", "v.mp4"], "brings its own"),
        ([*BASE, "--window", "3"], "--window is for"),
        ([*BASE, "--scores", "window"], "needs --window"),
        ([*BASE, "--labels", ","], "names nothing"),
        ([*BASE, "--threshold", "nan"], "finite"),
        ([*BASE, "--threshold", "no/such/file"], "neither a number nor a file"),
        ([*BASE, "--min-duration", "-1"], "must not be negative"),
        ([*BASE, "--max-duration", "nan"], "finite"),
        ([*BASE, "--start", "5", "--end", "4"], "behind"),
        ([*BASE, "--start", "soon"], "must be seconds"),
        ([*BASE, "--stream", "-1"], "counts from 0"),
        ([*BASE, "--threads", "0"], "must be 1 to 1024"),
        ([*BASE, "--threads", "1000000"], "must be 1 to 1024"),
        ([*BASE, "--start", "9" * 23], "must be at most 1000000000 s"),
        ([*BASE, "--end", "99999999999:00:00"], "must be at most"),
        ([*BASE, "--start", "1:" * 2 + "9" * 30], "must be at most"),
        ([*BASE, "--start", "9" * 5000], "must be seconds"),
        ([*BASE, "-f", "csv"], "needs --output"),
        ([*BASE, "--resume"], "needs --output"),
        ([*BASE, "-o", "out", "-f", "xml"], "'xml' is not known"),
        ([*BASE, "-o", "a\0b"], "no name of a file can have"),
        ([*BASE, "-o", "a\ud800b"], "no name of a file can have"),
        ([*BASE, "-o", "out", "--scores", "causal", "--save-scores"], "needs --scores exact"),
    ],
)
def test_what_makes_no_sense_is_a_usage_error(words: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_options(words)


CLASSES = (
    "talk to (e.g., self, a group)",
    "close (e.g., a door, a box)",
    "wave",
    " led by",
    "a,b",
    "a",
)


@pytest.mark.parametrize(
    ("words", "labels"),
    [
        (["wave"], ["wave"]),
        ([" wave , a"], ["wave", "a"]),
        (["talk to (e.g., self, a group)"], ["talk to (e.g., self, a group)"]),
        (["talk to (e.g., self, a group),wave"], ["talk to (e.g., self, a group)", "wave"]),
        (["wave, close (e.g., a door, a box) ,a"], ["wave", "close (e.g., a door, a box)", "a"]),
        (["wave", "talk to (e.g., self, a group)"], ["wave", "talk to (e.g., self, a group)"]),
        ([" led by,wave"], [" led by", "wave"]),
        # A class of that name comes before its parts.
        (["a,b"], ["a,b"]),
        (["a,,b,"], ["a", "b"]),
        (["a,wave,a"], ["a", "wave"]),
        # For the detector to refuse.
        (["wave,mauve, pink"], ["wave", "mauve", "pink"]),
        (["Wave"], ["Wave"]),
    ],
)
def test_labels_are_told_apart_by_the_classes_of_the_engine(
    words: list[str], labels: list[str]
) -> None:
    arguments = [argument for word in words for argument in ("--labels", word)]
    options = with_labels(parse_options([*BASE, *arguments]), CLASSES)
    assert options.detect.detector.labels == tuple(labels)


def test_without_labels_every_class_is_meant() -> None:
    assert with_labels(parse_options(BASE), CLASSES).detect.detector.labels is None


@pytest.mark.parametrize(
    "content",
    [
        "[1]",
        '{"a": "high"}',
        '{"a": true}',
        "{",
        f'{{"a": {10**400}}}',
        '{"a": 1e400}',
        '{"a": NaN}',
    ],
)
def test_a_wrong_threshold_file_is_a_usage_error(tmp_path: Path, content: str) -> None:
    path = tmp_path / "thresholds.json"
    path.write_text(content)
    with pytest.raises(UsageError, match="threshold file"):
        parse_options([*BASE, "--threshold", str(path)])
