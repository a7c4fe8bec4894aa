"""Configurations in checkpoints of earlier formats, in the words of today and with their meaning.

Until `wsgn.checkpoint/2`, weights were per frame, smoothing was counted in snippets, and many
thresholds had one of their own.
"""

from __future__ import annotations

from typing import Any

from wsgn.errors import UsageError
from wsgn.manifest import PER_FRAME, Sampling
from wsgn.manifest.bounds import MOST_SMOOTHING
from wsgn.support.records import record_from_dict

# The first ones did not say which they are.
EARLIER_FORMATS = (None, "wsgn.checkpoint/2")
# What a configuration said that did not say how many snippets are averaged.
_USUAL_SMOOTHING = 5


def of_today(document: dict[str, Any], *, what: str) -> dict[str, Any]:
    """The document of an earlier checkpoint as one of today; `UsageError` where it is damaged."""
    model = dict(document["model"])
    calibration = document["calibration"]
    method = model.get("method", {"name": "wsgn"})
    if isinstance(method, dict) and method.get("name", "wsgn") == "wsgn":
        model["method"] = {"weight_scale": PER_FRAME} | method
    model["smoothing_seconds"] = _smoothing_seconds(model, what)
    proposals = model.get("proposals")
    if isinstance(proposals, dict):
        model["proposals"] = proposals | {"smoothing_snippets": 1}
        if calibration is not None:
            calibration = {"proposals": proposals} | calibration
    return document | {"model": model, "calibration": calibration}


def _smoothing_seconds(model: dict[str, Any], what: str) -> float:
    """Takes the number of snippets out of the model; it comes back from these seconds."""
    snippets = model.pop("smoothing_snippets", _USUAL_SMOOTHING)
    sampling = record_from_dict(
        Sampling, _object(model.get("sampling")), what=f"the time base in {what}"
    )
    step = sampling.snippet_stride
    if model.get("time_unit") == "frame":
        step = model.get("scoring_step", 1)
    if not (_is_count(snippets) and snippets % 2 == 1 and _is_count(step)):
        raise UsageError(
            f"the model in {what} is not valid: smoothing_snippets must be odd, positive and at "
            f"most {MOST_SMOOTHING}, got {snippets!r:.60}."
        )
    return float(snippets * step / sampling.frame_rate)


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MOST_SMOOTHING
