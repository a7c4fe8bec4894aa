"""`${NAME}` in addresses: secrets stand in the environment, and not where others read them."""

from __future__ import annotations

import os
import re

from wsgn.errors import UsageError

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def without_variables(text: str) -> str:
    """The text without the names of variables in it."""
    return _VARIABLE.sub("", text)


def with_variables(text: str, where: str) -> str:
    """The text with the environment's values for the variables that it names.

    Raises `UsageError`, which says `where` the text stands, and never what it is.
    """

    def value_of(found: re.Match[str]) -> str:
        value = os.environ.get(found[1])
        if value is None:
            raise UsageError(f"{where}: the environment has no {found[1]}: set it, and export it.")
        return value

    if "${" in without_variables(text):
        raise UsageError(
            f"{where}: after ${{ stand the letters, digits and _ of a variable's name, and }}."
        )
    return _VARIABLE.sub(value_of, text)
