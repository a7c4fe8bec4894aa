"""The array types of the project: one name, one element type.

This module imports NumPy: what starts without it, such as `wsgn-run doctor`, keeps away from it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
Float32Array = npt.NDArray[np.float32]
# Features as their files hold them.
FeatureArray = npt.NDArray[np.float16] | npt.NDArray[np.float32]
# Floating-point numbers of any width.
FloatingArray = npt.NDArray[np.floating[Any]]
IntArray = npt.NDArray[np.int64]
UInt8Array = npt.NDArray[np.uint8]
BoolArray = npt.NDArray[np.bool_]
AnyArray = npt.NDArray[Any]
