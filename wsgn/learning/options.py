"""What `wsgn-learn` is told."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from wsgn.errors import UsageError
from wsgn.extraction.recommended import BACKBONE, FRAME_RATE, SNIPPET_LENGTH, SNIPPET_STRIDE

# Of the videos that are kept apart to try the engine on.
TEST_SHARE = 0.25
# On streams, of all classes together: what somebody who watches a camera bears.
FALSE_ALARMS_PER_HOUR = 1.0


@dataclass(frozen=True, kw_only=True)
class LearnOptions:
    """Everything about one way from clips to an engine; the defaults are those of the command."""

    # A folder for each class, or a table or JSON with `videos`.
    clips: Path
    # The engine, ONNX.
    output: Path
    # Where the files of a table or JSON lie; None: in its own folder.
    videos: Path | None = None
    # Annotations, features, training and report; None: beside the engine.
    work: Path | None = None
    # Share that is kept apart to try the engine on, where the annotations name no subset `test`.
    test_share: float = TEST_SHARE
    # Videos in whose names this finds the same stay on one side.
    group_pattern: str | None = None
    backbone: str = BACKBONE
    # Of --backbone, as wsgn-features takes them.
    weights: tuple[Path, ...] = ()
    frame_rate: float = FRAME_RATE
    snippet_length: int = SNIPPET_LENGTH
    snippet_stride: int = SNIPPET_STRIDE
    # Updates of the training; None: as wsgn-train's preset has it.
    num_steps: int | None = None
    seed: int = 0
    # Allowed on streams, of all classes together; 0 leaves out the trainings that count them.
    false_alarms_per_hour: float = FALSE_ALARMS_PER_HOUR
    # Of the CPU; None: all.
    num_threads: int | None = None
    # Replace the engine if it is there.
    overwrite: bool = False
    quiet: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.test_share < 1:
            raise UsageError(f"--test-share must lie between 0 and 1, got {self.test_share}.")
        rate = self.false_alarms_per_hour
        if not (math.isfinite(rate) and rate >= 0):
            raise UsageError(f"--false-alarms-per-hour must be 0 or more, got {rate}.")
        if self.output.suffix.lower() != ".onnx":
            raise UsageError(f"the engine is an ONNX file: name it {self.output.stem}.onnx.")

    @property
    def snippet_seconds(self) -> float:
        """Of one snippet; a shorter clip holds none."""
        return self.snippet_length / self.frame_rate

    @property
    def run_words(self) -> tuple[str, ...]:
        """What steps that take long are told of the machine."""
        threads = () if self.num_threads is None else ("--threads", str(self.num_threads))
        return (*threads, *(("--quiet",) if self.quiet else ()))

    @property
    def folder(self) -> Path:
        """Where everything but the engine goes."""
        return self.work or self.output.with_suffix(".learned")

    @property
    def videos_folder(self) -> Path:
        """Where the files of the videos lie."""
        if self.videos is not None:
            return self.videos
        return self.clips if self.clips.is_dir() else self.clips.parent
