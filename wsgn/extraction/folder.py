"""The folder of features: what an earlier run left there, and whether it may be joined."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

from wsgn.errors import InputError, OutputError, UsageError
from wsgn.extraction.config import ExtractionConfig
from wsgn.features.file import SUFFIX, FeatureInfo, read_feature_info
from wsgn.features.folders import files_in_tree
from wsgn.support.files import remove_leftovers
from wsgn.support.mirrors import at_hand, file_names, mirror_of


def prepare_folder(
    folder: Path, names: Collection[str], config: ExtractionConfig, *, overwrite: bool
) -> set[str]:
    """Make the folder where needed, and return the videos whose features are there already.

    Raises `UsageError` where the folder holds features of another configuration, which a
    training would mix up with the new ones. With `overwrite` the named videos are extracted again
    whatever is there. Files that are damaged are extracted again, too. Of other videos one file is
    looked at: a folder may hold those of many thousand, and be shared by many shards. In a store,
    where files are whole, one is looked at in all.
    """
    if mirror_of(folder) is not None:
        return _prepare_stored(folder, names, config, overwrite=overwrite)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        remove_leftovers(folder)
        own = {folder / f"{name}{SUFFIX}": name for name in names}
        others = (path for path in files_in_tree(folder, SUFFIX) if path not in own)
        next((path for path in others if _is_of(path, config)), None)
    except OSError as error:
        raise OutputError(f"the folder {folder} cannot be used: {error.strerror}.") from error
    if overwrite:
        return set()
    return {name for path, name in own.items() if _is_of(path, config)}


def _prepare_stored(
    folder: Path, names: Collection[str], config: ExtractionConfig, *, overwrite: bool
) -> set[str]:
    """The same by a listing and the header of one file."""
    there = {name.removesuffix(SUFFIX) for name in file_names(folder) if name.endswith(SUFFIX)}
    done = there & set(names)
    looked_at = sorted(there - done) if overwrite else sorted(there)
    if looked_at:
        path = folder / f"{looked_at[0]}{SUFFIX}"
        with at_hand(path) as file:
            _is_of(file, config, shown=path)
    return set() if overwrite else done


def _is_of(path: Path, config: ExtractionConfig, *, shown: Path | None = None) -> bool:
    """Whether a file holds features of the configuration; False where it cannot be read.

    Raises `UsageError` where they are of another one.
    """
    try:
        info = read_feature_info(path)
    # A name too long for a file is an OSError; the video's turn will tell.
    except (InputError, OSError):
        return False
    for difference in _differences(info, config):
        raise UsageError(
            f"{shown or path} holds other features ({difference}): choose another folder, or add "
            "--overwrite to replace those of the videos named."
        )
    return True


def _differences(info: FeatureInfo, config: ExtractionConfig) -> Iterator[str]:
    """What is not as the configuration says, most telling first."""
    sampling = config.sampling(info.sampling.frame_rate)
    pairs = (
        ("frame rate", info.sampling.frame_rate, sampling.frame_rate),
        ("snippet length", info.sampling.snippet_length, sampling.snippet_length),
        ("snippet stride", info.sampling.snippet_stride, sampling.snippet_stride),
        ("source", info.source or "unknown", config.source),
        ("values", info.dtype, config.dtype),
    )
    for what, have, want in pairs:
        if have != want:
            yield f"{what} {have}, not {want}"
