"""What a run of `wsgn-predict` is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from wsgn.errors import UsageError
from wsgn.features.options import DataOptions
from wsgn.support.shards import Shard
from wsgn.workers.options import WorkerOptions

# How segments are found: by the model's own rule, by a threshold in the middle, or by many.
SEGMENT_RULES = ("trained", "middle", "many")
# Overlaps under which papers report their mAP.
USUAL_TIOU = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)


@dataclass(frozen=True, kw_only=True)
class PredictOptions:
    """Which models look at which videos, and what is made of their scores.

    Raises `UsageError` where nothing is asked for, or something without what it needs.
    """

    # JSON, a table or a folder for each class (docs/datasets.md).
    annotations: Path
    # Models of wsgn-train, whose scores are averaged.
    checkpoints: tuple[Path, ...]
    data: DataOptions
    subset: str = "test"
    # One of SEGMENT_RULES.
    segments: str = "trained"
    # Another smoothing, and another way to score frames (of `wsgn.methods.config.SCORINGS`), than
    # the model's own.
    smoothing_seconds: float | None = None
    scoring: str | None = None
    # Where the model is written to with these three in the place of its own, its thresholds set
    # anew on the videos of the subset, which are to be training videos.
    write_model: Path | None = None
    # Where the segments are written to.
    output: Path | None = None
    # One of PROTOCOLS, under which the segments are scored, at these overlaps.
    protocol: str | None = None
    tiou: tuple[float, ...] = USUAL_TIOU
    # Where a page on the segments goes: precision, errors by kind, the worst videos.
    report: Path | None = None
    # Score each output of the model by itself, too (figure 4).
    each_output: bool = False
    # The CSV of Charades whose points are scored, and where the scores at them are written to.
    charades: Path | None = None
    submission: Path | None = None
    # 'cpu', 'cuda' or 'cuda:N'.
    device: str = "cpu"
    # CPU threads of the models, of each worker; None for all, which workers share.
    num_threads: int | None = None
    # None where all is done in this process.
    workers: WorkerOptions | None = None
    # Where parts of shards lie: with a shard its part is written there and nothing else is made,
    # without one all of them are joined.
    parts: Path | None = None
    shard: Shard | None = None
    # Take what earlier runs of the shard have predicted, instead of beginning anew.
    resume: bool = False
    # Show no progress bars.
    quiet: bool = False

    def __post_init__(self) -> None:
        if self.segments not in SEGMENT_RULES:
            raise UsageError(
                f"segments must be one of {', '.join(SEGMENT_RULES)}, got '{self.segments}'."
            )
        if self.each_output and (self.protocol is None or len(self.checkpoints) > 1):
            raise UsageError("--each-output needs --protocol, and one model.")
        if self.report and self.protocol is None:
            raise UsageError("--report needs --protocol, under which the segments are scored.")
        if self.submission and not self.charades:
            raise UsageError("--submission needs --charades, the CSV that gives order and lengths.")
        if self.write_model and (self.subset == "test" or len(self.checkpoints) > 1):
            raise UsageError(
                "--write-model sets thresholds by the labels of training videos: name their subset "
                "(--subset train), and give one model."
            )
        if self.shard is not None and self.parts is None:
            raise UsageError("--shard needs --parts DIR, where all shards leave their parts.")
        if self.resume and self.shard is None:
            raise UsageError(
                "--resume needs --shard and --parts DIR, where a shard keeps what it has "
                "predicted: --shard 1/1 is all videos."
            )
        if self.parts is not None and self.shard is None and self.workers is not None:
            raise UsageError(
                "--parts without --shard joins what shards have predicted: leave --workers and "
                "--ray out, or say which shard this is."
            )
        if self.shard is None and not (self.wants_segments or self.charades or self.write_model):
            raise UsageError(
                "nothing is asked for: give -o, --protocol, --charades or --write-model."
            )

    @property
    def wants_segments(self) -> bool:
        """Whether segments are to be written or scored."""
        return self.output is not None or self.protocol is not None
