"""Which options libavformat has: what it does not know, it takes without a word."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterable
from functools import cache

from wsgn.errors import UsageError
from wsgn.support.terminal import quoted

# AV_OPT_SEARCH_CHILDREN (those of every format and protocol) and AV_OPT_SEARCH_FAKE_OBJ (no object,
# its class alone): thus ffmpeg's own command looks its words up.
_SEARCH = 1 | 2


def require_known_options(names: Iterable[str]) -> None:
    """Raise `UsageError` for names that are options of no format and no protocol of libavformat."""
    is_known = _lookup()
    unknown = [] if is_known is None else [name for name in names if not is_known(name)]
    if unknown:
        raise UsageError(
            f"FFmpeg's libraries know no option {quoted(unknown)} of sources: check its spelling; "
            "ffmpeg -h full lists those of formats and protocols."
        )


@cache
def _lookup() -> Callable[[str], bool] | None:
    """Whether a name is an option; None where PyAV's libraries cannot be asked."""
    import av._core

    try:
        # It brings the libraries that it was linked with; PyAV itself asks none of this.
        library = ctypes.CDLL(av._core.__file__)
        get_class, find = library.avformat_get_class, library.av_opt_find
    except (OSError, AttributeError):
        return None
    get_class.restype = find.restype = ctypes.c_void_p
    find.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_int, ctypes.c_int]
    fake = ctypes.c_void_p(get_class())

    def is_known(name: str) -> bool:
        found = find(ctypes.byref(fake), name.encode("utf-8", "replace"), None, 0, _SEARCH)
        return found is not None

    return is_known
