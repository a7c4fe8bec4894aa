"""Annotations in ELAN's files: a file for each video, alone or in a folder."""

from __future__ import annotations

import json
import xml.parsers.expat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wsgn.data.annotations import Annotations, VideoAnnotation, checked_annotations
from wsgn.data.names import subset_of_folder
from wsgn.data.table import DEFAULT_SUBSET
from wsgn.errors import InputError
from wsgn.interchange.annotated import DrawnSegment, annotated_video, tell
from wsgn.interchange.elan import CLASSES, OFFSET, SUFFIX, VIDEO, load_pympi
from wsgn.interchange.exported import media_name
from wsgn.support.files import input_errors, require_file
from wsgn.support.terminal import printable, quoted
from wsgn.video.files import without_video_suffix

# A hundred thousand annotations are a fifth of it.
_MOST_BYTES = 1 << 27
_DEEPEST = 20
_UNIT = "milliseconds"
# 31 years.
_MOST_MS = 10**12


def is_elan(path: Path) -> bool:
    """Whether it is an .eaf file, or a folder with some in it or in the folders in it."""
    if path.is_dir():
        return next(_files(path), None) is not None
    return path.suffix.lower() == SUFFIX


def read_elan(path: Path, *, labels_from_segments: bool = False) -> Annotations:
    """Read a file, or all files of a folder; `train`, `val` and `test` in it name subsets.

    A tier is a class where its annotations have no text but the tier's name; the texts of a single
    other tier are classes. Raises `InputError` and `MissingExtraError`.
    """
    files = sorted(_files(path)) if path.is_dir() else [path]
    videos = [_video(file, _subset(file, path)) for file in files]
    return checked_annotations(str(path), (), videos, labels_from_segments=labels_from_segments)


def _files(folder: Path) -> Iterator[Path]:
    with input_errors(str(folder)):
        for file in folder.rglob("*"):
            if file.suffix.lower() == SUFFIX and not file.name.startswith("."):
                yield file


def _subset(file: Path, path: Path) -> str:
    parents = file.relative_to(path).parts[:-1] if path.is_dir() else ()
    return (subset_of_folder(parents[0]) if parents else None) or DEFAULT_SUBSET


def _video(path: Path, subset: str) -> VideoAnnotation:
    where = f"'{printable(str(path))}'"
    file = _parsed(path, where)
    properties = {name: text for name, text in file.properties if isinstance(text, str)}
    media = [one for one in file.media_descriptors if isinstance(one.get("MEDIA_URL"), str)]
    named = media_name(media[0]["MEDIA_URL"]) if media else path.name.removesuffix(path.suffix)
    origin = _whole(media[0].get("TIME_ORIGIN", 0), f"{where}: TIME_ORIGIN") if media else 0
    return annotated_video(
        where,
        properties.get(VIDEO) or without_video_suffix(named),
        _drawn(where, _tiers(where, file, origin), _classes(where, properties)),
        subset=subset,
        start_offset_seconds=_offset(where, properties),
    )


def _parsed(path: Path, where: str) -> Any:
    """The file as pympi reads it, after it was found to be what pympi takes for granted."""
    elan = load_pympi()
    with input_errors(where):
        require_file(path, where)
        with path.open("rb") as opened:
            data = opened.read(_MOST_BYTES + 1)
    if len(data) > _MOST_BYTES:
        raise InputError(f"{where} is larger than {_MOST_BYTES >> 20} MiB, and no file of ELAN.")
    _Check(where).parse(data)
    try:
        return elan.Eaf(str(path), suppress_version_warning=True)
    # Attributes that it needs and that are not there end in errors of many kinds.
    except Exception as error:
        raise InputError(
            f"{where} is no whole file of ELAN ({type(error).__name__}: {error}): open it in ELAN, "
            "and save it again."
        ) from error


class _Check:
    """One pass over the XML, which nothing is expanded or fetched in.

    Entities can make gigabytes of a few bytes, and pympi takes the last of two of one name.
    """

    def __init__(self, where: str) -> None:
        self._where = where
        self._depth = 0
        self._seen: set[tuple[str, str]] = set()

    def parse(self, data: bytes) -> None:
        """Raise `InputError` where it is no XML, or more than ELAN writes."""
        parser = xml.parsers.expat.ParserCreate()
        parser.StartDoctypeDeclHandler = self._doctype
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        try:
            parser.Parse(data, True)
        except (xml.parsers.expat.ExpatError, ValueError, LookupError) as error:
            raise InputError(f"{self._where} is not XML: {error}.") from error

    def _doctype(self, *_: object) -> None:
        raise InputError(
            f"{self._where} has a document type, which ELAN does not write: remove it."
        )

    def _start(self, name: str, attributes: Mapping[str, str]) -> None:
        if self._depth == 0 and name != "ANNOTATION_DOCUMENT":
            raise InputError(
                f"{self._where} begins with <{printable(name)}> where <ANNOTATION_DOCUMENT> is "
                "needed: it is no file of ELAN."
            )
        self._depth += 1
        if self._depth > _DEEPEST:
            raise InputError(f"{self._where} is nested too deeply: it is no file of ELAN.")
        if name == "HEADER" and attributes.get("TIME_UNITS", _UNIT) != _UNIT:
            raise InputError(
                f"{self._where} counts {attributes['TIME_UNITS']}: {_UNIT} are read alone."
            )
        for key in ("TIER_ID", "ANNOTATION_ID", "TIME_SLOT_ID"):
            if key in attributes:
                pair = (key, attributes[key])
                if pair in self._seen:
                    raise InputError(
                        f"{self._where} has the {key} '{printable(pair[1])}' twice: open it in "
                        "ELAN, and name one otherwise."
                    )
                self._seen.add(pair)

    def _end(self, _: str) -> None:
        self._depth -= 1


@dataclass(kw_only=True)
class _Tier:
    """What stands on a tier that is on no other: texts and seconds."""

    name: str
    drawn: list[DrawnSegment] = field(default_factory=list)

    def has_texts(self) -> bool:
        """Whether an annotation says something else than the tier's name."""
        return any(one.label not in ("", self.name) for one in self.drawn)


def _tiers(where: str, file: Any, origin_ms: int) -> list[_Tier]:
    """Those with annotations; tiers that hang on others are told and left out."""
    found, left_out = [], []
    for name, (aligned, referring, attributes, _) in file.tiers.items():
        if attributes.get("PARENT_REF") or referring:
            left_out += [name] if aligned or referring else []
            continue
        tier = _Tier(name=name.strip())
        for start, end, text, _ in aligned.values():
            times = [_seconds(where, file, slot, origin_ms, name) for slot in (start, end)]
            tier.drawn.append(
                DrawnSegment(label=text.strip(), start_seconds=times[0], end_seconds=times[1])
            )
        found += [tier] if tier.drawn else []
    if left_out:
        tell(where, f"left out the tiers {quoted(left_out)}, which describe others")
    return found


def _seconds(where: str, file: Any, slot: str, origin_ms: int, tier: str) -> float:
    time = file.timeslots.get(slot)
    if time is None:
        raise InputError(
            f"{where}: an annotation on the tier '{printable(tier)}' has no time: align it in ELAN."
        )
    if not 0 <= time + origin_ms <= _MOST_MS:
        raise InputError(
            f"{where}: an annotation on the tier '{printable(tier)}' lies outside of any video: "
            "mend or delete it."
        )
    seconds: float = (time + origin_ms) / 1000
    return seconds


def _drawn(
    where: str, tiers: list[_Tier], classes: tuple[str, ...] | None
) -> Iterator[DrawnSegment]:
    texts = [tier for tier in tiers if tier.has_texts()]
    if classes is None and texts:
        if len(tiers) > 1:
            raise InputError(
                f"{where} has texts on the tier '{printable(texts[0].name)}', and other tiers: "
                "leave one tier whose texts are the classes, or a tier for each class without "
                "texts."
            )
        yield from _with_texts(where, texts[0])
        return
    for tier in tiers:
        if classes is not None and tier.name not in classes:
            if tier in texts:
                tell(where, f"left out the tier '{printable(tier.name)}', which is no class")
                continue
            tell(where, f"takes the new tier '{printable(tier.name)}' for a class")
        elif classes is not None and tier in texts:
            _refuse_texts(where, tier, classes)
        for one in tier.drawn:
            yield DrawnSegment(
                label=tier.name, start_seconds=one.start_seconds, end_seconds=one.end_seconds
            )


def _with_texts(where: str, tier: _Tier) -> list[DrawnSegment]:
    for one in tier.drawn:
        if not one.label:
            raise InputError(
                f"{where}: the annotation at {one.start_seconds:g} s on the tier "
                f"'{printable(tier.name)}' has no text: write its class into it, or delete it."
            )
    return tier.drawn


def _refuse_texts(where: str, tier: _Tier, classes: tuple[str, ...]) -> None:
    wrong = next(one for one in tier.drawn if one.label not in ("", tier.name))
    remedy = "move it to that tier" if wrong.label in classes else "empty its text, or delete it"
    raise InputError(
        f"{where}: the annotation at {wrong.start_seconds:g} s on the tier "
        f"'{printable(tier.name)}' says '{printable(wrong.label)}': {remedy}."
    )


def _classes(where: str, properties: Mapping[str, str]) -> tuple[str, ...] | None:
    """The classes of an export; None in files that were begun in ELAN."""
    if CLASSES not in properties:
        return None
    try:
        found = json.loads(properties[CLASSES])
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: the property '{CLASSES}' is not JSON: {error}.") from error
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        raise InputError(f"{where}: the property '{CLASSES}' is no list of names.")
    return tuple(one.strip() for one in found)


def _offset(where: str, properties: Mapping[str, str]) -> float:
    try:
        return float(properties.get(OFFSET, "0"))
    except ValueError as error:
        raise InputError(
            f"{where}: the property '{OFFSET}' is no number: write 0, or remove it."
        ) from error


def _whole(value: object, where: str) -> int:
    try:
        return int(str(value))
    except ValueError as error:
        raise InputError(f"{where} is no whole number of milliseconds.") from error
