"""A trained model as an ONNX file, which appears only when it equals the model."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from wsgn.errors import MissingExtraError, OutputError, UsageError
from wsgn.manifest import GRAPHS, Manifest
from wsgn.support.files import check_folder, put_in_place, unfinished_folder
from wsgn.support.mirrors import is_there
from wsgn.support.signals import hold_signals

if TYPE_CHECKING:
    from wsgn.backbones.onnx_network import OnnxOptions
    from wsgn.checkpoint import Checkpoint
    from wsgn.export.graphs.document import Exportable
    from wsgn.export.graphs.parity import ParityRow
    from wsgn.prediction.alarm_options import AlarmOptions
    from wsgn.prediction.alarms import AlarmReport
    from wsgn.prediction.int8_options import Int8Options, Int8Report

# Of the streaming graph; see `wsgn.export.graphs.streaming_selection`.
CALLS = ("any", "few", "one")
# By which hosts know the file.
SUFFIX = ".onnx"


@dataclass(frozen=True, kw_only=True)
class OnnxExport:
    """A file that was written, and how it was held against the model in PyTorch."""

    path: Path
    # Names of the classes, in the order of the output columns.
    classes: tuple[str, ...]
    # (videos, snippets of each) of the random inputs; one video for the snippet graph.
    sizes: tuple[tuple[int, int], ...]
    # Largest difference that is allowed, of the largest value where that is over 1.
    tolerance: float
    # One for each output that was compared.
    parity: tuple[ParityRow, ...]
    # What alarm thresholds cost, where they were asked for.
    alarms: AlarmReport | None = None
    # What INT8 costs, where it was asked for.
    int8: Int8Report | None = None
    # Of the file before it was put in its place, where it may be no file of this disk.
    num_bytes: int = 0


def export_onnx(
    checkpoint: Checkpoint | str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    graph: str = "snippet",
    backbone: str | os.PathLike[str] | Sequence[str] | None = None,
    short_side: int | None = None,
    crop_size: int | None = None,
    resize: str | None = None,
    image_frames: int | None = None,
    flow: str | None = None,
    onnx: OnnxOptions | None = None,
    half: bool = False,
    calls: str = "any",
    int8: Int8Options | None = None,
    alarms: AlarmOptions | None = None,
    overwrite: bool = False,
) -> OnnxExport:
    """Export a trained model to one ONNX file with the manifest inside (docs/graphs.md).

    The file is run by ONNX Runtime and compared with PyTorch on random inputs before it gets its
    name. The same checkpoint gives the same bytes.

    Args:
        checkpoint: a finished training's model, or the path of its `model.safetensors`.
        output: the file to write; its name ends in .onnx.
        graph: one of `wsgn.manifest.GRAPHS`: logits of snippets for `wsgn-run`, or scores of whole
            videos or of streams for a host of your own.
        backbone: what made the features that the model was trained on, put before it for an engine
            that takes frames: weights of `wsgn-weights convert`, `efficientnet-lite0`, `motion` or
            `onnx:FILE`, or a list of them in the order of the features; by default those by which
            a training saw its videos.
        short_side, crop_size, resize, image_frames, flow: of the frames before it, as in
            `wsgn-features`; by default as they were for the features, or 256, 224, `centre_crop`,
            all (0) and `tvl1`.
        onnx: output and pixels of an ONNX network, as in `wsgn-features`.
        half: convolutions, and a backbone's layers, in float16.
        calls: snippets of a stream in one call of the graph of streams: `any` number, by a Loop;
            `few`, without one, in memory by their square; always `one`.
        int8: videos that set the ranges of INT8, and others that judge it (docs/engines.md).
        alarms: videos that say from which scores on streams raise alarms (docs/streaming.md).
        overwrite: replace a file of that name.

    Raises:
        UsageError: the name or the graph is none, the training has not ended, or the method has no
            graph.
        InputError: the checkpoint or the weights cannot be read.
        EngineError: the exported graph is off.
        OutputError: the file exists, or cannot be written.
        MissingExtraError: the extra `export` is not installed.
    """
    output = Path(output)
    _check_wanted(output, graph, overwrite=overwrite, half=half, int8=int8)
    try:
        # An interruption in here would look like a missing package.
        with hold_signals():
            import onnxscript  # noqa: F401 (torch needs it, and finds out late)

            from wsgn.checkpoint import Checkpoint, load_checkpoint
            from wsgn.export.graphs.document import export_graph, save_graph, with_alarms
            from wsgn.prediction.alarms import calibrate_alarms
    except ImportError as error:
        raise MissingExtraError(f"Exporting ({error.name})", "export") from error
    frames = {
        "short_side": short_side, "crop_size": crop_size, "resize": resize,
        "image_frames": image_frames, "flow": flow,
    }  # fmt: skip
    if not isinstance(checkpoint, Checkpoint):
        checkpoint = load_checkpoint(Path(checkpoint))
    subject = _subject(checkpoint, backbone, frames, onnx)
    _require_graph(subject.manifest, graph, calls)
    check_folder(output)
    found = None if alarms is None else calibrate_alarms(checkpoint, subject.manifest, alarms)
    if found is not None:
        subject = with_alarms(subject, found.alarms)
    document = export_graph(subject, graph, half=half, calls=calls)
    with unfinished_folder(output) as folder:
        unchecked = folder / output.name
        save_graph(document, unchecked, wanted=output)
        report = _parity(subject, graph, unchecked, output, half=half, calls=calls)
        worth, num_bytes = _quantised(unchecked, int8), unchecked.stat().st_size
        put_in_place(unchecked, output)
    return replace(report, alarms=found, int8=worth, num_bytes=num_bytes)


def _quantised(path: Path, options: Int8Options | None) -> Int8Report | None:
    """Put the file in INT8 where that was asked for."""
    if options is None:
        return None
    from wsgn.export.graphs.int8 import quantise

    return quantise(path, options)


def _check_wanted(
    output: Path, graph: str, *, overwrite: bool, half: bool, int8: Int8Options | None
) -> None:
    """Raise before the work what would otherwise be raised behind it."""
    if int8 is not None and half:
        raise UsageError("--int8 and --half are two ways to the same: leave one of them out.")
    if graph not in GRAPHS:
        raise UsageError(f"there is no graph '{graph}'; choose from {', '.join(GRAPHS)}.")
    if output.suffix.lower() != SUFFIX:
        raise UsageError(
            f"the file's name must end in {SUFFIX}, by which hosts know it, got '{output}'."
        )
    if output.is_dir():
        raise OutputError(f"{output} is a directory; choose another name.")
    if is_there(output) and not overwrite:
        raise OutputError(f"{output} exists; choose another name or add --overwrite.")


def _require_graph(manifest: Manifest, graph: str, calls: str) -> None:
    if calls not in CALLS:
        raise UsageError(f"the calls must be of {', '.join(CALLS)}, got '{calls}'.")
    if calls != CALLS[0] and graph != "streaming":
        raise UsageError("--calls is of the streaming graph: add --graph streaming.")
    if manifest.flow is not None and graph != "snippet":
        raise UsageError(
            f"the {graph} graph takes no optical flow: leave --graph out, or join motion in place "
            "of flow."
        )


def _subject(
    checkpoint: Checkpoint,
    backbone: str | os.PathLike[str] | Sequence[str] | None,
    given: dict[str, int | str | None],
    onnx: OnnxOptions | None,
) -> Exportable:
    """The trained model, with the backbones that are to stand before it."""
    from wsgn.export.graphs.document import exportable
    from wsgn.extraction.choose import networks_before, split_names
    from wsgn.extraction.config import network_names

    trained_on = checkpoint.trained_on
    if backbone is None and trained_on is not None and trained_on.from_videos:
        backbone = network_names(trained_on.features)
    if backbone is None:
        return exportable(checkpoint)
    from wsgn.export.graphs.joined import frame_options, join

    frames = frame_options(checkpoint, **given)
    names = (
        (os.fspath(backbone),) if isinstance(backbone, str | os.PathLike) else split_names(backbone)
    )
    return join(checkpoint, networks_before(names, onnx=onnx, side=frames.crop_size), frames)


def _parity(
    subject: Exportable, graph: str, path: Path, wanted: Path, *, half: bool, calls: str
) -> OnnxExport:
    """How far the file is from torch; an `EngineError` where that is too far."""
    from wsgn.export.graphs.parity import HALF_TOLERANCE, TOLERANCE, check_parity, parity_sizes
    from wsgn.export.graphs.score_parity import check_score_parity, score_parity_sizes

    tolerance = HALF_TOLERANCE if half else TOLERANCE
    if graph == "snippet":
        lengths = parity_sizes(subject.manifest)
        sizes = tuple((1, length) for length in lengths)
        rows = check_parity(subject, path, lengths, tolerance)
    else:
        sizes = score_parity_sizes(subject.manifest)
        rows = check_score_parity(subject, graph, path, sizes, tolerance, calls=calls)
    return OnnxExport(
        path=wanted,
        classes=subject.manifest.classes,
        sizes=sizes,
        tolerance=tolerance,
        parity=rows,
    )
