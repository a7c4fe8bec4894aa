"""What `wsgn-predict` reports, for people and for programs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from wsgn.metrics.charades import CharadesResult
from wsgn.metrics.detection import DetectionResult
from wsgn.metrics.video_level import NOT_LOCALISED, VideoLevelResult
from wsgn.prediction.absent import Absent
from wsgn.support.shards import Shard
from wsgn.support.tables import columns


@dataclass(frozen=True, kw_only=True, eq=False)
class DetectionReport:
    """How well segments and video scores fit the annotations."""

    result: DetectionResult
    # Of the video scores of so many videos: those that were there.
    classification_map_percent: float
    num_classified: int
    # Of each output of the model by itself, by its name; empty where that was not asked for.
    outputs: Mapping[str, DetectionResult]
    # Videos of the truth that were not there.
    absent: Absent = field(default_factory=Absent)


@dataclass(frozen=True, kw_only=True, eq=False)
class SegmentReport:
    """The segments that were found."""

    num_segments: int
    # None where they were not written.
    written: Path | None
    # None where they were not scored.
    scores: DetectionReport | None
    # What labels alone say of the video scores, where they are all that is known.
    video_level: VideoLevelResult | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class PredictionReport:
    """What came out; None for what was not asked for."""

    segments: SegmentReport | None
    charades: CharadesResult | None
    # Where a model with another rule was written.
    model: Path | None = None
    num_predicted: int = 0
    # (video, sentence): without these nothing was scored.
    failed: tuple[tuple[str, str], ...] = ()

    def as_json(self) -> str:
        """One object in one line; percentages are not rounded."""
        document: dict[str, object] = {}
        if self.model is not None:
            document["model"] = str(self.model)
        if self.segments is not None:
            document |= _segments_object(self.segments)
        if self.charades is not None:
            document["charades"] = {
                "videos": self.charades.num_videos,
                "points": self.charades.num_points,
                "unscored_videos": self.charades.num_unscored,
                "mAP": self.charades.map_percent,
                "weighted_AP": self.charades.weighted_ap_percent,
            }
        if self.failed:
            document["failed"] = [name for name, _ in self.failed]
        return json.dumps(document)

    def as_text(self) -> str:
        """The report for people who read."""
        lines = []
        if self.model is not None:
            lines.append(f"model written to {self.model}")
        if self.segments is not None:
            lines += _segments_lines(self.segments)
        if self.charades is not None:
            lines.append(
                f"Charades localization on {self.charades.counted}: "
                f"mAP {self.charades.map_percent:.2f} %, "
                f"weighted AP {self.charades.weighted_ap_percent:.2f} %"
            )
        return "\n".join(lines)


@dataclass(frozen=True, kw_only=True)
class PartReport:
    """What a shard has left."""

    shard: Shard
    path: Path
    num_predicted: int
    # Of these, by earlier runs.
    num_kept: int
    # (video, sentence)
    failed: tuple[tuple[str, str], ...]

    def as_json(self) -> str:
        """One object in one line."""
        document: dict[str, object] = {"part": str(self.path), "videos": self.num_predicted}
        if self.num_kept:
            document["kept"] = self.num_kept
        if self.failed:
            document["failed"] = [name for name, _ in self.failed]
        return json.dumps(document)

    def as_text(self) -> str:
        """The report for people who read."""
        kept = f" ({self.num_kept} of them before)" if self.num_kept else ""
        return (
            f"shard {self.shard.number} of {self.shard.count}: {self.num_predicted} videos "
            f"predicted{kept}, written to {self.path}"
        )


def _segments_object(report: SegmentReport) -> dict[str, object]:
    document: dict[str, object] = {"segments": report.num_segments}
    if report.written is not None:
        document["written"] = str(report.written)
    if report.video_level is not None:
        document |= {"localised": False, "video_level": report.video_level.as_object()}
    if report.scores is not None:
        result = report.scores.result
        document |= {
            "protocol": result.protocol,
            "videos": result.num_videos,
            "instances": result.num_instances,
            **report.scores.absent.as_object(),
            "tiou": list(result.tiou),
            "mAP": result.map_percent.tolist(),
            "classification_mAP": report.scores.classification_map_percent,
            "classification_videos": report.scores.num_classified,
        }
        if report.scores.outputs:
            document["outputs"] = {
                name: alone.map_percent.tolist() for name, alone in report.scores.outputs.items()
            }
    return document


def _segments_lines(report: SegmentReport) -> list[str]:
    where = "" if report.written is None else f", written to {report.written}"
    lines = [f"{report.num_segments} segments{where}"]
    if report.video_level is not None:
        lines += [NOT_LOCALISED, report.video_level.as_text()]
    if report.scores is not None:
        result = report.scores.result
        lines.append(
            f"detection mAP (%), protocol {result.protocol}, {report.scores.absent.counted(result)}"
        )
        rows = {"tIoU": list(result.tiou), "mAP": result.map_percent.tolist()}
        for name, alone in report.scores.outputs.items():
            rows[name] = alone.map_percent.tolist()
        cells = [[name, *(f"{value:.1f}" for value in values)] for name, values in rows.items()]
        lines += columns(cells, gap=" ", least_first=19, least=6).splitlines()
        lines.append(
            f"video classification mAP {report.scores.classification_map_percent:.1f} % of "
            f"{report.scores.num_classified} videos"
        )
    return lines
