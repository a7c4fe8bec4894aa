"""Final segments as text: ActivityNet-style JSON, CSV, WebVTT and SRT."""

from __future__ import annotations

import csv
import html
import io
from collections.abc import Iterable
from typing import Any

from wsgn import __version__
from wsgn.localization.segments import Segment
from wsgn.support.terminal import json_text

from .result import SourceResult

_DECIMALS = 6


def render_json(results: Iterable[SourceResult]) -> str:
    """ActivityNet's result format: `{"results": {video: [{label, score, segment}]}}`."""
    return json_text(json_document(results), indent=1) + "\n"


def json_document(results: Iterable[SourceResult]) -> dict[str, Any]:
    """The document that `render_json` writes.

    Its times count from the first frame; `external_data` says where a player shows that.
    """
    results = list(results)
    return {
        "version": f"wsgn {__version__}",
        "results": {
            result.name: [
                {
                    "label": segment.label,
                    "score": round(segment.score, _DECIMALS),
                    "segment": [
                        round(segment.start_seconds, _DECIMALS),
                        round(segment.end_seconds, _DECIMALS),
                    ],
                }
                for segment in result.segments
            ]
            for result in results
        },
        "external_data": {
            "start_offset_seconds": {
                result.name: round(result.start_offset_seconds, _DECIMALS) for result in results
            }
        },
    }


def render_csv(results: Iterable[SourceResult]) -> str:
    """One row per segment under a header."""
    results = list(results)
    text = io.StringIO()
    # Readers take a carriage return alone for the end of a row too, and Python would not quote it.
    names = [name for one in results for name in (one.name, *(s.label for s in one.segments))]
    broken = any("\r" in name for name in names)
    writer = csv.writer(
        text, lineterminator="\n", quoting=csv.QUOTE_ALL if broken else csv.QUOTE_MINIMAL
    )
    writer.writerow(["video", "label", "start_seconds", "end_seconds", "score"])
    for result in results:
        for segment in result.segments:
            numbers = (segment.start_seconds, segment.end_seconds, segment.score)
            writer.writerow(
                [result.name, segment.label, *(f"{number:.{_DECIMALS}f}" for number in numbers)]
            )
    return text.getvalue()


def render_vtt(result: SourceResult) -> str:
    """WebVTT cues in a player's time, `label (score)`; see https://www.w3.org/TR/webvtt1/.

    As in SubRip, those of a label that overlap are one: the one that scores most.
    """
    cues = ["WEBVTT\n"]
    for number, segment in enumerate(result.clearest().segments, start=1):
        times = _cue_times(segment, result.start_offset_seconds, ".")
        label = html.escape(_one_line(segment.label), quote=False)
        cues.append(f"{number}\n{times}\n{label} ({segment.score:.2f})\n")
    return "\n".join(cues)


def render_srt(result: SourceResult) -> str:
    """SubRip subtitles in a player's time, `label (score)`."""
    # SubRip has no escapes, and players take <...> for markup: other brackets look the same.
    brackets = str.maketrans({"<": "\u2039", ">": "\u203a"})
    cues = []
    for number, segment in enumerate(result.clearest().segments, start=1):
        times = _cue_times(segment, result.start_offset_seconds, ",")
        label = _one_line(segment.label).translate(brackets)
        cues.append(f"{number}\n{times}\n{label} ({segment.score:.2f})\n")
    return "\n".join(cues)


def _cue_times(segment: Segment, offset_seconds: float, point: str) -> str:
    """From when to when a player shows the segment: it counts from the file's beginning."""
    times = (segment.start_seconds + offset_seconds, segment.end_seconds + offset_seconds)
    return " --> ".join(_clock(seconds, point) for seconds in times)


def _one_line(label: str) -> str:
    return " ".join(label.split())


def _clock(seconds: float, point: str) -> str:
    """HH:MM:SS.mmm, with more digits for the hours where they need them."""
    milliseconds = round(max(0.0, seconds) * 1000)
    minutes, milliseconds = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{milliseconds // 1000:02d}{point}{milliseconds % 1000:03d}"
