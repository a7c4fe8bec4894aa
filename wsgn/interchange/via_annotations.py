"""Annotations in a project of VGG Image Annotator 3: temporal segments with an attribute."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from wsgn.data.annotations import Annotations, VideoAnnotation, checked_annotations
from wsgn.data.table import DEFAULT_SUBSET
from wsgn.errors import InputError
from wsgn.interchange.annotated import DrawnSegment, annotated_video, tell
from wsgn.interchange.exported import media_name
from wsgn.interchange.via import (
    ACTION,
    CHECKBOX,
    LABELS,
    NAME,
    OFFSET,
    SCORE,
    SEGMENT,
    TEXT,
    harmless,
)
from wsgn.support.json_input import as_list, as_number, as_object, as_text, member
from wsgn.support.terminal import printable, quoted
from wsgn.video.files import without_video_suffix

_PARTS = ("project", "attribute", "file", "metadata", "view")


def is_via(document: object) -> bool:
    """Whether it has the parts of a project."""
    return isinstance(document, dict) and set(_PARTS) <= document.keys()


@dataclass(frozen=True, kw_only=True)
class _Attribute:
    """The attribute whose values are the classes."""

    number: str
    name: str
    kind: int
    # Classes by the numbers that stand for them; empty where values are texts.
    options: dict[str, str]


def via_annotations(
    document: dict[str, Any], where: str, *, labels_from_segments: bool = False
) -> Annotations:
    """The temporal segments of all videos; what else was drawn is left out, and told.

    Raises `InputError`.
    """
    parts = {name: as_object(document[name], f"{where}: {name!r}") for name in _PARTS}
    attribute = _class_attribute(parts["attribute"], where)
    drawn: dict[str, list[DrawnSegment]] = {view: [] for view in parts["view"]}
    num_others = 0
    for number, item in parts["metadata"].items():
        place = f"{where}: metadata {number!r}"
        entry = as_object(item, place)
        view = str(member(entry, "vid", place))
        if view not in drawn:
            raise InputError(f"{place} is of the view {view!r}, which the project lacks.")
        times = as_list(member(entry, "z", place), f"{place}: 'z'")
        if len(times) != 2 or as_list(entry.get("xy", []), f"{place}: 'xy'"):
            num_others += 1
            continue
        drawn[view] += _segments(entry, times, attribute, place)
    _tell_typed(where, attribute, {one.label for found in drawn.values() for one in found})
    if num_others:
        tell(where, f"left out regions and marks, which are no stretches of time: {num_others}")
    videos = [
        _video(view, as_object(parts["view"][view], f"{where}: view {view!r}"), found, parts, where)
        for view, found in drawn.items()
    ]
    return checked_annotations(where, (), videos, labels_from_segments=labels_from_segments)


def _class_attribute(attributes: dict[str, Any], where: str) -> _Attribute:
    """The one for stretches of time; of several the one called action, class or label."""
    found = [
        _attribute(number, item, f"{where}: attribute {number!r}")
        for number, item in attributes.items()
        if isinstance(item, dict) and item.get("anchor_id") == SEGMENT
    ]
    named = [one for one in found if one.name.lower() in (ACTION, "class", "label")]
    others = [one for one in found if one.name.lower() != SCORE]
    chosen = named if len(named) == 1 else others
    if len(chosen) != 1:
        names = quoted([one.name for one in found]) or "none"
        raise InputError(
            f"{where} needs one attribute of temporal segments whose values are the classes, and "
            f"has {names}: call one of them '{ACTION}'."
        )
    return chosen[0]


def _attribute(number: str, item: dict[str, Any], where: str) -> _Attribute:
    options = as_object(item.get("options") or {}, f"{where}: 'options'")
    labels = as_object(item.get(LABELS) or {}, f"{where}: {LABELS!r}")
    kind = item.get("type", TEXT)
    return _Attribute(
        number=number,
        name=as_text(item.get("aname"), f"{where}: 'aname'"),
        kind=kind if isinstance(kind, int) else TEXT,
        options={
            key: _option(as_text(name, f"{where}: an option"), labels.get(key))
            for key, name in options.items()
        },
    )


def _option(shown: str, label: object) -> str:
    """The label that an export showed otherwise, unless somebody has changed what is shown."""
    return label if isinstance(label, str) and harmless(label) == shown else shown


def _segments(
    entry: dict[str, Any], times: list[Any], attribute: _Attribute, where: str
) -> Iterator[DrawnSegment]:
    start, end = (as_number(time, f"{where}: a time of 'z'") for time in times)
    values = as_object(entry.get("av") or {}, f"{where}: 'av'")
    value = values.get(attribute.number)
    if not isinstance(value, str) or not value.strip() or value == "_DEFAULT":
        raise InputError(
            f"{where}, from {start:g} s to {end:g} s, has no '{printable(attribute.name)}': give "
            "it one in VIA, or delete it."
        )
    # Several that are ticked stand behind each other.
    chosen = value.split(",") if attribute.kind == CHECKBOX else [value]
    for one in chosen:
        yield DrawnSegment(
            label=_label(one.strip(), attribute, f"{where}, from {start:g} s to {end:g} s,"),
            start_seconds=start,
            end_seconds=end,
        )


def _label(value: str, attribute: _Attribute, where: str) -> str:
    options = attribute.options
    if value in options:
        return options[value]
    # What was typed for a lane is a class; a number stands for an option.
    if options and value.isdigit() and value not in options.values():
        raise InputError(
            f"{where} says '{printable(value)}', which is no '{printable(attribute.name)}' of the "
            f"project ({quoted(list(options.values()))}): choose one of these in VIA."
        )
    return value


def _tell_typed(where: str, attribute: _Attribute, labels: set[str]) -> None:
    typed = sorted(labels - set(attribute.options.values()))
    if attribute.options and typed:
        tell(
            where,
            f"takes {quoted(typed)} for classes, which are not among the options of "
            f"'{printable(attribute.name)}'",
        )


def _video(
    number: str,
    view: dict[str, Any],
    drawn: list[DrawnSegment],
    parts: dict[str, Any],
    where: str,
) -> VideoAnnotation:
    place = f"{where}: view {number!r}"
    files = as_list(member(view, "fid_list", place), f"{place}: 'fid_list'")
    if len(files) != 1:
        raise InputError(f"{place} shows {len(files)} files, where one video is needed.")
    entry = as_object(
        member(parts["file"], str(files[0]), f"{where}: 'file'"), f"{place}: its file"
    )
    name = entry.get(NAME) or entry.get("fname") or media_name(str(entry.get("src", "")))
    return annotated_video(
        place,
        without_video_suffix(media_name(as_text(name, f"{place}: the name of its file")))
        if NAME not in entry
        else as_text(name, f"{place}: {NAME!r}"),
        drawn,
        subset=DEFAULT_SUBSET,
        start_offset_seconds=as_number(entry.get(OFFSET, 0.0), f"{place}: {OFFSET!r}"),
    )
