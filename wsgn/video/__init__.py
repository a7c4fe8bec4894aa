"""Decoding on a time grid: the very same pixels at the same times, in training and everywhere."""

from wsgn.video.errors import VideoError
from wsgn.video.grid import FrameGrid, Gap, Notice, ReadSummary, SampledFrame
from wsgn.video.info import VideoInfo
from wsgn.video.reader import VideoReader, probe

__all__ = [
    "FrameGrid",
    "Gap",
    "Notice",
    "ReadSummary",
    "SampledFrame",
    "VideoError",
    "VideoInfo",
    "VideoReader",
    "probe",
]
