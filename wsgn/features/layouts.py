"""Which layout a folder of features has, and the reader for it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from wsgn.data.annotations import VideoAnnotation
from wsgn.errors import InputError, UsageError
from wsgn.features.file import SUFFIX
from wsgn.features.folders import (
    ArrayFolder,
    FeatureFiles,
    FolderFiles,
    PlainFeatures,
    files_in_tree,
)
from wsgn.features.npy_file import read_npy_header
from wsgn.features.packed.files import PackedFiles, holds_packs
from wsgn.features.packed.index import INDEX_NAME
from wsgn.features.reader import MOTION, FeatureReader, TimeBase, checked_streams
from wsgn.features.remote_files import open_remote_files
from wsgn.features.streams import (
    CropStream,
    NpyStream,
    StreamFolder,
    bas_net_files,
    bas_net_folders,
    cmcs_files,
)
from wsgn.features.wtalc import WtalcBundle
from wsgn.manifest import Sampling
from wsgn.remote.addresses import is_address
from wsgn.support.files import input_errors

AUTO = "auto"
LAYOUTS = ("safetensors", "tar", "npy", "opentad", "charades", "basnet", "cmcs", "wtalc")

# Those that hold their time base.
OWN_LAYOUTS = LAYOUTS[:2]

# What the layouts' publishers say, for the error that asks for a time base.
_USUAL = {
    "wtalc": "the published I3D features: 25, 16, 16; UntrimmedNet: 10, 4, 4",
    "basnet": "the published I3D features: 25, 16, 16",
    "cmcs": "the published I3D features: 25, 16, 16",
    "opentad": "the videos' own frame rates, 16, 4",
    "charades": "the published I3D features: about 24, 8, 8",
    "npy": "I3D features are often 25, 16, 16; if these are OpenTAD's, add --layout opentad, with "
    "the videos' own frame rates, 16, 4",
}


def open_features(
    path: str | os.PathLike[str],
    *,
    layout: str = AUTO,
    sampling: TimeBase | None = None,
    streams: tuple[str, ...] = (),
) -> FeatureReader:
    """Open the features of many videos without reading them.

    Args:
        path: a folder, the index of packed features, or the .npy of a W-TALC bundle
            (docs/datasets.md); an address such as s3://bucket/features of a folder of feature files
            or packs (docs/scale.md).
        layout: one of `LAYOUTS`, or 'auto' to go by what lies on disk; the reader's `layout` says
            which it is.
        sampling: the time base, one for all videos or one for each (see `native_sampling`). The
            layouts 'safetensors' and 'tar' hold it themselves, and it then must be the same.
        streams: chooses and orders 'rgb', 'flow' and 'motion'; by default all there are, RGB first.

    Returns:
        A reader: `names`, `info(name)` from the header, and `read(name)`, (T, D) float32.

    Raises:
        InputError: there are no features, or of several layouts.
        UsageError: the layout or a stream is unknown, or a time base is needed.
    """
    checked_streams(streams)
    _require_known(layout)
    if isinstance(path, str) and is_address(path):
        files = open_remote_files(path, None if layout == AUTO else layout)
        return PlainFeatures(files, sampling, streams=streams)
    path = Path(path)
    if not path.exists():
        raise InputError(f"the features {path} do not exist.")
    if layout == AUTO:
        layout = detect_layout(path)
    if layout in OWN_LAYOUTS:
        return PlainFeatures(_own_files(path, layout), sampling, streams=streams)
    if sampling is None:
        raise UsageError(
            f"the layout '{layout}' of {path} holds no time base: give the frame rate, the snippet "
            f"length and the snippet stride ({_USUAL[layout]})."
        )
    if MOTION in streams:
        raise UsageError(
            f"features in the layout '{layout}' have no stream '{MOTION}': only wsgn-features "
            "makes it."
        )
    return _reader(path, layout, sampling, streams)


def open_feature_file(
    path: Path,
    *,
    layout: str = AUTO,
    sampling: Sampling,
    own_sampling: bool = True,
    streams: tuple[str, ...] = (),
) -> FeatureReader:
    """Open one file: of one video, or a W-TALC bundle.

    `sampling` is the time base of files that hold none; without `own_sampling` those that hold one
    must have it too. Raises what `open_features` raises.
    """
    checked_streams(streams)
    _require_known(layout)
    if path.name.endswith(SUFFIX):
        time_base = None if own_sampling else sampling
        return PlainFeatures(FolderFiles(path.parent, only=path), time_base, streams=streams)
    if layout == AUTO:
        layout = _array_layout([path])
    if layout == "wtalc":
        return WtalcBundle(path, sampling, streams)
    return ArrayFolder(path.parent, sampling, layout=layout, streams=streams, only=path)


def detect_layout(path: Path) -> str:
    """The layout of what lies at a path; `InputError` where that is none, or not clear.

    A folder of plain .npy files is 'npy', also where OpenTAD made it.
    """
    if path.is_file():
        if path.name.endswith(".tar"):
            raise InputError(f"{path} is one tar file of several: give the folder of {INDEX_NAME}.")
        return "tar" if path.name == INDEX_NAME else "wtalc"
    names = _file_names(path)
    arrays = sorted(name for name in names if name.endswith(".npy"))
    found = [
        layout
        for layout, is_there in (
            ("safetensors", _has_safetensors(path, names)),
            ("tar", holds_packs(path)),
            ("cmcs", any(name.endswith(("-rgb.npz", "-flow.npz")) for name in names)),
            ("basnet", bool(bas_net_folders(path))),
            (_array_layout([path / name for name in arrays]), bool(arrays)),
        )
        if is_there
    ]
    if len(found) == 1:
        return found[0]
    if not found:
        raise InputError(
            f"{path} holds no features of a known layout ({', '.join(LAYOUTS)}); give the folder "
            "that holds them."
        )
    raise InputError(
        f"{path} may be of the layouts {' and '.join(found)}: say which with the layout."
    )


def native_sampling(
    videos: Sequence[VideoAnnotation], *, snippet_length: int = 16, snippet_stride: int = 4
) -> dict[str, Sampling]:
    """The time base of features made at the videos' own frame rates, as for OpenTAD.

    Videos whose frame rate is not annotated are left out.
    """
    return {
        video.name: Sampling(
            frame_rate=video.frame_rate,
            snippet_length=snippet_length,
            snippet_stride=snippet_stride,
        )
        for video in videos
        if video.frame_rate is not None
    }


def _require_known(layout: str) -> None:
    if layout not in (AUTO, *LAYOUTS):
        raise UsageError(f"the layout '{layout}' is unknown; choose from {', '.join(LAYOUTS)}.")


def _own_files(path: Path, layout: str) -> FeatureFiles:
    if layout == "safetensors":
        return FolderFiles(path)
    return PackedFiles(path.parent if path.name == INDEX_NAME else path)


def _reader(path: Path, layout: str, sampling: TimeBase, streams: tuple[str, ...]) -> FeatureReader:
    if layout == "wtalc":
        return WtalcBundle(path, sampling, streams)
    if not path.is_dir():
        raise InputError(f"{path} is a file; the layout '{layout}' is a folder.")
    if layout == "basnet":
        files = bas_net_files(path, streams)
        return StreamFolder(path, files, NpyStream(), sampling, layout=layout)
    if layout == "cmcs":
        return StreamFolder(path, cmcs_files(path, streams), CropStream(), sampling, layout=layout)
    return ArrayFolder(path, sampling, layout=layout, streams=streams)


def _file_names(path: Path) -> list[str]:
    with input_errors(f"the folder {path}"):
        return [entry.name for entry in path.iterdir() if entry.is_file()]


def _has_safetensors(path: Path, names: Sequence[str]) -> bool:
    """Whether there are some in the folder, or in folders of videos named alike."""
    if any(name.endswith(SUFFIX) for name in names):
        return True
    with input_errors(f"the folder {path}"):
        return any(True for _ in files_in_tree(path, SUFFIX))


def _array_layout(paths: Sequence[Path]) -> str:
    """That of the first file whose header can be read: a damaged one says nothing of the others."""
    for path in paths:
        try:
            header = read_npy_header(path)
        except InputError:
            continue
        if header.dtype.hasobject:
            return "wtalc"
        return "charades" if len(header.shape) == 4 else "npy"
    return "npy"
