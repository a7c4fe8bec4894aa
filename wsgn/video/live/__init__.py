"""Sources that film now: cameras and streams that may go away and come back."""

from wsgn.video.live.items import LiveFrame, LivePosition, Skipped, Status
from wsgn.video.live.opening import ask_live
from wsgn.video.live.options import LiveOptions
from wsgn.video.live.reader import LiveItem, LiveReader
from wsgn.video.live.source import LiveSource, default_name, is_live

__all__ = [
    "LiveFrame",
    "LiveItem",
    "LiveOptions",
    "LivePosition",
    "LiveReader",
    "LiveSource",
    "Skipped",
    "Status",
    "ask_live",
    "default_name",
    "is_live",
]
