"""The engine that a run is given, held against what the run asks of it."""

from __future__ import annotations

from wsgn.engines.engine import EngineDescription, require_snippets
from wsgn.engines.open import describe_engine
from wsgn.video.flow import require_opencv

from ..pipeline import frame_grid
from ..streaming.rules import alarm_words, check_options
from .console import Console
from .options import RunOptions, with_labels


def checked_engine(options: RunOptions, console: Console) -> tuple[EngineDescription, RunOptions]:
    """The engine and the options with its labels, told what is to be known of it.

    It must take frames; labels and thresholds must be its own. No driver mends that.
    """
    assert options.engine is not None
    description = describe_engine(options.engine)
    require_snippets(description)
    frame_grid(description.manifest, description.path.name)
    require_opencv(description.manifest.flow)
    options = with_labels(options, description.manifest.classes)
    check_options(description.manifest, options.detect.detector)
    for notice in description.notices:
        console.warn(notice)
    if words := alarm_words(description.manifest, options.detect.detector):
        console.detail(words)
    return description, options
