"""Features that were extracted before are kept while the videos are the same."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from wsgn.errors import InputError
from wsgn.features.file import SUFFIX
from wsgn.features.folders import files_in_tree
from wsgn.features.reader import stored_names
from wsgn.support.files import write_whole_file
from wsgn.support.json_input import read_object


def forget_changed(record: Path, features: Path, digests: Mapping[str, str]) -> None:
    """Take away the features of videos whose content is not what it was, and note how it is now.

    Args:
        record: a file of an earlier call; where there is none the features are trusted.
        features: the folder of features.
        digests: of the videos of now, by name.
    """
    known = _known(record)
    if known is not None and features.is_dir():
        paths = {
            path.relative_to(features).as_posix().removesuffix(SUFFIX): path
            for path in files_in_tree(features, SUFFIX)
        }
        for name, stored in stored_names([*digests], [*paths]).items():
            if known.get(name) != digests[name]:
                paths[stored].unlink(missing_ok=True)
    noted = {**(known or {}), **digests}
    write_whole_file(record, json.dumps(noted, indent=1).encode(), what="the list of videos")


def _known(record: Path) -> Mapping[str, object] | None:
    try:
        return read_object(record) if record.is_file() else None
    # A damaged list says nothing, so that all is extracted again.
    except InputError:
        return {}
