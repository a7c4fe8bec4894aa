"""`wsgn-learn`: from a folder of clips to an engine for `wsgn-run`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from wsgn.extraction.arguments import backbone_names
from wsgn.extraction.recommended import BACKBONE, FRAME_RATE, SNIPPET_LENGTH, SNIPPET_STRIDE
from wsgn.learning.learn import learn
from wsgn.learning.options import FALSE_ALARMS_PER_HOUR, TEST_SHARE, LearnOptions
from wsgn.remote.arguments import input_path, local_path
from wsgn.support.command import run_command
from wsgn.support.parser import CommandParser
from wsgn.support.terminal import print_lines

_NAME = "wsgn-learn"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; 0 done, else the exit code of the step that failed."""
    return run_command(
        _NAME,
        lambda: _run(_options(_parser().parse_args(argv))),
        interrupted=lambda: "interrupted; run it again to go on: finished features are kept.",
    )


def _parser() -> argparse.ArgumentParser:
    parser = CommandParser(
        prog=_NAME,
        description="Make an engine of clips: check them, keep some apart, extract features, "
        "train, export, and say how it does. Each step is an ordinary command, printed as it goes.",
    )
    add = parser.add_argument
    add(
        "clips",
        type=local_path,
        help="folder with a folder for each class (and one called background), or a table (CSV) "
        "or JSON of annotations",
    )
    add("-o", "--output", type=local_path, required=True, metavar="FILE.onnx", help="the engine")
    add(
        "--videos",
        type=local_path,
        metavar="DIR",
        help="files of a table or JSON (default: beside it)",
    )
    add(
        "--work",
        type=local_path,
        metavar="DIR",
        help="annotations, features, training, report (default: FILE.learned)",
    )
    add(
        "--test-share",
        type=float,
        default=TEST_SHARE,
        help="of the clips that are kept apart to try the engine on, where none is of the subset "
        "'test' (default: %(default)s)",
    )
    add(
        "--group-by",
        metavar="PATTERN",
        help="clips in whose names this regular expression finds the same, such as a person or a "
        "recording, stay on one side",
    )
    _add_training(parser)
    add("--threads", type=int, help="CPU threads (default: all)")
    add("--overwrite", action="store_true", help="replace FILE.onnx")
    add("-q", "--quiet", action="store_true", help="only what came of it")
    return parser


def _add_training(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "--backbone",
        type=backbone_names,
        default=BACKBONE,
        help="as in wsgn-features (default: %(default)s)",
    )
    add("--weights", type=input_path, action="append", default=[], help="of --backbone, likewise")
    add("--frame-rate", type=float, default=FRAME_RATE, help="frames per second (default: 10)")
    add("--snippet-length", type=int, default=SNIPPET_LENGTH, help="frames (default: 3)")
    add("--snippet-stride", type=int, default=SNIPPET_STRIDE, help="frames (default: 2)")
    add("--steps", type=int, help="updates of the training (default: as in wsgn-train)")
    add("--seed", type=int, default=0, help="of everything random (default: 0)")
    add(
        "--false-alarms-per-hour",
        type=float,
        default=FALSE_ALARMS_PER_HOUR,
        metavar="R",
        help="on cameras, allowed of all classes together (default: %(default)g); three more "
        "trainings say which scores keep to it, and 0 leaves them out",
    )


def _options(arguments: argparse.Namespace) -> LearnOptions:
    return LearnOptions(
        clips=arguments.clips,
        output=arguments.output,
        videos=arguments.videos,
        work=arguments.work,
        test_share=arguments.test_share,
        group_pattern=arguments.group_by,
        backbone=arguments.backbone,
        weights=tuple(arguments.weights),
        frame_rate=arguments.frame_rate,
        snippet_length=arguments.snippet_length,
        snippet_stride=arguments.snippet_stride,
        num_steps=arguments.steps,
        seed=arguments.seed,
        false_alarms_per_hour=arguments.false_alarms_per_hour,
        num_threads=arguments.threads,
        overwrite=arguments.overwrite,
        quiet=arguments.quiet,
    )


def _run(options: LearnOptions) -> int:
    report = learn(options)
    print_lines(
        f"{options.output}: {report.summary()}; {options.folder / 'report.md'}",
        *(f"- {sentence}" for sentence in report.advice),
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
