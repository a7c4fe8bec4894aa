"""The one place where a code that cuda-bindings returns is looked at."""

from __future__ import annotations

from typing import Any

from wsgn.engines.cuda.memory import one_line
from wsgn.errors import EngineError


def call(driver: Any, name: str, *arguments: Any) -> Any:
    """What a function of the driver returns behind its code; any failure is an `EngineError`."""
    try:
        code, *values = getattr(driver, name)(*arguments)
    except (RuntimeError, AttributeError) as error:
        raise EngineError(
            f"the NVIDIA driver or cuda-bindings lacks {name} ({error}): install newer ones."
        ) from error
    if int(code) != 0:
        _, known_as = driver.cuGetErrorName(code)
        _, words = driver.cuGetErrorString(code)
        text = one_line(", ".join(part.decode() for part in (known_as, words) if part))
        raise EngineError(f"{name} failed: {text or f'error {int(code)}'}.")
    return values[0] if len(values) == 1 else tuple(values)
