"""What results are exported to, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from wsgn.interchange.edl import edl_files
from wsgn.interchange.elan import elan_files
from wsgn.interchange.exported import ExportedVideo
from wsgn.interchange.label_studio import label_studio_files
from wsgn.interchange.otio import otio_files
from wsgn.interchange.via import via_files

# Each gives texts by relative file names. Raises `UsageError` and `MissingExtraError`.
EXPORTS: Mapping[str, Callable[[Sequence[ExportedVideo]], dict[str, str]]] = {
    "eaf": elan_files,
    "labelstudio": label_studio_files,
    "otio": otio_files,
    "edl": edl_files,
    "via": via_files,
}
# Those that count frames, and are told their rate.
NEED_RATE = ("labelstudio", "otio", "edl")
