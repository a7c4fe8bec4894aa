"""Which results are meant by files and folders, and the scores that lie beside them."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from wsgn.errors import InputError
from wsgn.support.counts import MOST_SECONDS
from wsgn.support.files import input_errors

from ..results import StoredResult, read_results
from .document import FrameScores, centre_seconds

# What a folder may hold of one video, the one that says most first; and how each begins to be one.
_ENDINGS = {".jsonl": b'"type"', ".json": b'"results"'}
_BEGIN_BYTES = 4096
# Of all videos of a run, or of a shard of it, beside the files of each.
_JOINED = re.compile(r"detections(\.\d+-of-\d+)?")


@dataclass(frozen=True, kw_only=True)
class FoundResult:
    """One video of a result file."""

    file: Path
    stored: StoredResult


def found_results(paths: Sequence[Path]) -> list[FoundResult]:
    """The results in files, and in folders with the folders in them.

    Raises `InputError` for what is missing, for a file that is no result, and where there is none.
    """
    files = [file for path in paths for file in (_files_of(path) if path.is_dir() else (path,))]
    found = [
        FoundResult(file=file, stored=stored)
        for file in dict.fromkeys(files)
        for stored in read_results(file)
    ]
    if not found:
        names = ", ".join(f"'{path}'" for path in paths)
        raise InputError(f"there are no results in {names}: name what wsgn-run -o wrote.")
    return found


def _files_of(folder: Path) -> Iterator[Path]:
    """One file of each video."""
    files: dict[Path, Path] = {}
    for ending in _ENDINGS:
        for path in sorted(folder.rglob(f"*{ending}")):
            hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
            if not hidden and _looks_like_result(path):
                files.setdefault(path.with_suffix(""), path)
    # What a signal cut short counts where nothing whole has taken its place.
    for stem in [stem for stem in files if stem.suffix == ".partial"]:
        if stem.with_suffix("") in files:
            del files[stem]
    for stem, path in sorted(files.items()):
        if not _JOINED.fullmatch(stem.name) or len(files) == 1:
            yield path


def _looks_like_result(path: Path) -> bool:
    """Whether it is none of the other files of these endings that a folder may hold."""
    if not path.is_file():
        return False
    with input_errors(path), path.open("rb") as file:
        return _ENDINGS[path.suffix] in file.read(_BEGIN_BYTES)


def stored_scores(found: FoundResult) -> FrameScores | None:
    """Frame scores that lie beside a result; None where there are none.

    Raises `InputError` where they cannot be read.
    """
    name = Path(found.stored.result.name).name
    for stem in dict.fromkeys((found.file.stem, name)):
        path = found.file.with_name(f"{stem}.scores.npz") if stem else found.file
        if path != found.file and path.is_file():
            return read_scores(path)
    return None


def read_scores(path: Path) -> FrameScores:
    """Frame scores of `--save-scores`. Raises `InputError`."""
    try:
        with input_errors(path), np.load(path, allow_pickle=False) as saved:
            scores = np.asarray(saved["scores"], dtype=np.float64)
            classes = tuple(map(str, saved["classes"].tolist()))
            start = np.asarray(saved["start_seconds"], dtype=np.float64)
            length = float(saved["snippet_seconds"]) if "snippet_seconds" in saved else None
    except (ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"'{path}' holds no frame scores of wsgn-run --save-scores.") from error
    if scores.shape != (len(start), len(classes)) or not (np.abs(start) < MOST_SECONDS).all():
        raise InputError(f"'{path}' holds no frame scores of wsgn-run --save-scores.")
    return FrameScores(classes=classes, scores=scores, centre_seconds=centre_seconds(start, length))
