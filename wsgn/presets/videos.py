"""Training from pixels on a CPU, as on the synthetic videos; the default of `wsgn-train`."""

from __future__ import annotations

from wsgn.presets.preset import Preset

VIDEOS = Preset(description="pixels through the compact backbone, on a CPU (the default)")
