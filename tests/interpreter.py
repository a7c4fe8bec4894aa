"""Triton's interpreter, as tests want it."""

from __future__ import annotations

import inspect
from typing import Any


def patch_language_once() -> None:
    """While an interpreted kernel runs, `triton.language` is patched once.

    Triton patches all of it anew at each call of a function within a kernel, which took a third of
    the time. What the outermost call takes back at its end, the next one has to patch again.
    Versions that take nothing back are left as they are.
    """
    from triton.runtime import interpreter

    patch = interpreter._patch_lang
    # Modules of the language that functions see, the whole of it or its core; none between kernels.
    patched: set[str] = set()

    def patch_what_is_not(fn: Any) -> Any:
        seen = {
            value.__name__
            for value in fn.__globals__.values()
            if inspect.ismodule(value) and value.__name__.startswith("triton.language")
        }
        if seen <= patched:
            return None
        scope = patch(fn)
        if scope is None:
            return None
        if not patched:
            take_back = scope.restore

            def restore() -> None:
                patched.clear()
                take_back()

            scope.restore = restore
        patched.update(seen)
        return scope

    interpreter._patch_lang = patch_what_is_not
