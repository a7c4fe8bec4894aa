"""Do features last as long as their video? A wrong time base shows there, and only there."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from wsgn.errors import InputError
from wsgn.features.file import FeatureInfo
from wsgn.features.reader import LOGGER

# The part of its video by which features may be longer or shorter, besides whole snippets. The
# nearest rates that are confused are 24 and 25 frames per second, 4 % apart; 23.976 and 24, which
# nobody tells apart and which do no harm, are 0.1 % apart.
_TOLERATED_PART = 0.02
# Snippets (their length and their stride) that extractors leave out or fill up, at either end.
_TOLERATED_SNIPPETS = 2


@dataclass(frozen=True, kw_only=True)
class TimedVideo:
    """A video whose features and duration are known."""

    name: str
    info: FeatureInfo
    duration_seconds: float

    @property
    def covered_seconds(self) -> float:
        """From the start of the first snippet to the end of the last."""
        sampling = self.info.sampling
        frames = (self.info.num_snippets - 1) * sampling.snippet_stride + sampling.snippet_length
        return frames / sampling.frame_rate

    @property
    def is_contradicted(self) -> bool:
        """Whether the features last longer or shorter than the video by more than is tolerated."""
        sampling = self.info.sampling
        snippets = _TOLERATED_SNIPPETS * (sampling.snippet_length + sampling.snippet_stride)
        tolerance = snippets / sampling.frame_rate + _TOLERATED_PART * self.duration_seconds
        return not abs(self.covered_seconds - self.duration_seconds) <= tolerance


def check_time_base(videos: Sequence[TimedVideo]) -> None:
    """Refuse a time base that more than half of the videos contradict; log fewer as a notice.

    A wrong time base is wrong for nearly every video, whereas single videos with broken ends,
    or a wrong duration in the annotations, are usual in real datasets.
    """
    wrong = [video for video in videos if video.is_contradicted]
    if not wrong:
        return
    worst = max(wrong, key=lambda v: abs(math.log(v.covered_seconds / v.duration_seconds)))
    sampling = worst.info.sampling
    words = (
        f"{len(wrong)} of {len(videos)} videos last longer or shorter than their features say: "
        f"'{worst.name}' is annotated with {worst.duration_seconds:.6g} s, its "
        f"{worst.info.num_snippets} snippets (frame rate {sampling.frame_rate:g}, length "
        f"{sampling.snippet_length}, stride {sampling.snippet_stride}) cover "
        f"{worst.covered_seconds:.6g} s"
    )
    if 2 * len(wrong) > len(videos):
        raise InputError(
            f"the time base contradicts the durations; {words}: give the frame rate and stride "
            "that the features were made with."
        )
    LOGGER.warning("%s.", words)
