"""Public names of a package that are loaded when one is asked for."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable, Collection, Mapping

from wsgn.errors import MissingExtraError

# What the extra `train` brings, and a lean install lacks.
_OF_TRAINING = ("torch", "safetensors")


def late_names(
    package: str, homes: Mapping[str, tuple[str, ...]], *, of_training: Collection[str] = ()
) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """`__getattr__` and `__dir__` of a package whose names lie in the modules `homes`.

    Names of the modules `of_training` need the extra `train`: where that is missing they raise
    `MissingExtraError`, and are not listed, so that `help` and the like work.
    """
    home_of = {name: home for home, names in homes.items() for name in names}

    def get(name: str) -> object:
        if name not in home_of:
            raise AttributeError(f"module '{package}' has no attribute '{name}'")
        try:
            value: object = getattr(importlib.import_module(home_of[name]), name)
        except ModuleNotFoundError as error:
            if error.name not in _OF_TRAINING:
                raise
            raise MissingExtraError(f"{package}.{name}", "train") from error
        setattr(sys.modules[package], name, value)
        return value

    def names() -> list[str]:
        hidden = () if importlib.util.find_spec("torch") else of_training
        late = {name for name, home in home_of.items() if home not in hidden}
        return sorted({*vars(sys.modules[package]), *late})

    return get, names
