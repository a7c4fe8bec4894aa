"""ELAN's annotation files (.eaf): a tier for each class; times are whole milliseconds.

https://www.mpi.nl/tools/elan/EAF_Annotation_Format_3.0_and_ELAN.pdf
"""

from __future__ import annotations

import json
import mimetypes
import re
from collections.abc import Sequence
from typing import Any

from wsgn.errors import MissingExtraError
from wsgn.interchange.exported import ExportedVideo, file_names, labels_of, media_name
from wsgn.support.terminal import printable

SUFFIX = ".eaf"
# Properties of the file: what the video is called, its classes, and from the file's beginning to
# its first frame. Where they are lost, tiers without other texts and the linked file still say the
# first two.
VIDEO, CLASSES, OFFSET = "wsgn-video", "wsgn-classes", "wsgn-start-offset-seconds"
# Two characters that Unicode has and XML has not.
_NOT_IN_XML = re.compile("[\ufffe\uffff]")


def elan_files(videos: Sequence[ExportedVideo]) -> dict[str, str]:
    """A file per video, by its name. Raises `MissingExtraError`."""
    names = file_names(videos, SUFFIX)
    labels = labels_of(videos)
    return {name: _document(video, labels) for name, video in zip(names, videos, strict=True)}


def load_pympi() -> Any:
    """The module that reads and writes ELAN's files. Raises `MissingExtraError`."""
    try:
        from pympi import Elan
    except ImportError as error:
        raise MissingExtraError("reading or writing ELAN's files", "interchange") from error
    return Elan


def _document(video: ExportedVideo, labels: Sequence[str]) -> str:
    elan = load_pympi()
    file = elan.Eaf(author="wsgn")
    file.remove_tier("default")
    _link(file, video)
    file.add_property(VIDEO, _text(video.name))
    file.add_property(CLASSES, json.dumps([_text(label) for label in labels]))
    file.add_property(OFFSET, repr(round(video.start_offset_seconds, 6)))
    for label in labels:
        file.add_tier(_text(label))
    for segment in video.played():
        start = round(1000 * segment.start_seconds)
        # ELAN knows none that lasts no time.
        end = max(start + 1, round(1000 * segment.end_seconds))
        file.add_annotation(_text(segment.label), start, end, _text(segment.label))
    text: str = elan.to_string(file)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}'


def _link(file: Any, video: ExportedVideo) -> None:
    media = _text(video.address or video.media)
    if not media:
        return
    name = media_name(media)
    kind = mimetypes.guess_type(name)[0] or "unknown"
    # As ELAN writes it, with spaces and all.
    address = f"file://{media}" if video.is_on_disk else media
    # Where the file has moved, ELAN looks beside its own.
    file.add_linked_file(address, relpath=f"./{name}", mimetype=kind)


def _text(text: str) -> str:
    return _NOT_IN_XML.sub("\ufffd", printable(text))
