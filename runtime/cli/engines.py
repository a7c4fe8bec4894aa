"""The engine that a run is given, held against what the run asks of it."""

from __future__ import annotations

from wsgn.engines.engine import EngineDescription, require_snippets
from wsgn.engines.open import describe_engine
from wsgn.errors import UsageError
from wsgn.video.flow import require_opencv

from ..pipeline import frame_grid
from ..streaming.rules import alarm_words, check_options
from .console import Console
from .options import RunOptions, with_labels


def checked_engine(options: RunOptions, console: Console) -> tuple[EngineDescription, RunOptions]:
    """The engine and the options with its labels, told what is to be known of it.

    Live sources must find an engine on frames; labels and thresholds must be its own. No driver
    mends that.
    """
    assert options.engine is not None
    description = describe_engine(options.engine)
    require_snippets(description)
    if options.live is not None:
        frame_grid(description.manifest, description.path.name)
    if options.features is not None and description.manifest.features is None:
        raise UsageError(
            f"--layout and --streams are of features, and the engine '{description.path.name}' "
            "takes the frames of videos: leave them out."
        )
    require_opencv(description.manifest.flow)
    options = with_labels(options, description.manifest.classes)
    check_options(description.manifest, options.detect.detector)
    for notice in description.notices:
        console.warn(notice)
    if words := alarm_words(description.manifest, options.detect.detector):
        console.detail(words)
    return description, options
