"""Where every draw comes from: the seed and a name, never the order in which things are made."""

from __future__ import annotations

import hashlib

import numpy as np


def named_generator(seed: int, *names: str) -> np.random.Generator:
    """A generator of its own for what the names say, such as ("video", name, "noise")."""
    digest = hashlib.sha256("\0".join(names).encode("utf-8")).digest()
    words = np.frombuffer(digest[:16], dtype="<u4").tolist()
    return np.random.default_rng([seed, *words])
