"""Label Studio: a task per video with segments as predictions, and the labels' configuration.

Times are numbers of frames, from 1: frame n is shown from (n - 1) / rate to n / rate, and both ends
of a range belong to it. https://labelstud.io/tags/timelinelabels
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any
from xml.sax.saxutils import quoteattr

from wsgn.interchange.exported import ExportedVideo, PlayedSegment, labels_of, media_name
from wsgn.interchange.rates import require_rate
from wsgn.support.terminal import json_text, printable

TASKS, CONFIGURATION = "label_studio_tasks.json", "label_studio_config.xml"
CONTROL, OBJECT, KIND = "actions", "video", "timelinelabels"
# In the data of a task: what the video is called, its rate, and from the file's beginning to its
# first frame. Label Studio gives them back.
NAME, RATE, OFFSET = "wsgn_name", "fps", "wsgn_start_offset_seconds"
# Where Label Studio shows files of its own machine.
_LOCAL_FILES = "/data/local-files/?d="


def label_studio_files(videos: Sequence[ExportedVideo]) -> dict[str, str]:
    """The tasks of all videos, and the configuration of their project. Raises `UsageError`."""
    tasks = [_task(video) for video in videos]
    return {
        TASKS: json_text(tasks, indent=1) + "\n",
        CONFIGURATION: _configuration(labels_of(videos)),
    }


def _task(video: ExportedVideo) -> dict[str, Any]:
    rate = require_rate(video, "Label Studio counts frames")
    segments = video.played()
    result = [_region(number, one, rate) for number, one in enumerate(segments, start=1)]
    return {
        "data": {
            OBJECT: _address(video),
            NAME: video.name,
            RATE: rate,
            OFFSET: round(video.start_offset_seconds, 6),
        },
        "predictions": [{"model_version": "wsgn", "result": result}],
    }


def _address(video: ExportedVideo) -> str:
    media = video.media or video.name
    return video.address or (media if "://" in media else _LOCAL_FILES + media_name(media))


def _region(number: int, segment: PlayedSegment, rate: float) -> dict[str, Any]:
    first = math.floor(segment.start_seconds * rate + 0.5) + 1
    last = max(first, math.floor(segment.end_seconds * rate + 0.5))
    return {
        "id": f"segment{number}",
        "from_name": CONTROL,
        "to_name": OBJECT,
        "type": KIND,
        "value": {"ranges": [{"start": first, "end": last}], KIND: [segment.label]},
        "score": round(segment.score, 6),
    }


def _configuration(labels: Sequence[str]) -> str:
    lines = [f"    <Label value={quoteattr(printable(label))}/>" for label in labels]
    return "\n".join(
        [
            "<View>",
            f'  <Video name="{OBJECT}" value="${OBJECT}" frameRate="${RATE}"/>',
            f'  <TimelineLabels name="{CONTROL}" toName="{OBJECT}">',
            *lines,
            "  </TimelineLabels>",
            "</View>\n",
        ]
    )
