"""Where the kernels' tests run: on a GPU, or inside Triton's interpreter.

Triton decides that at its first import, which other tests of a session may cause. So a session
without a GPU leaves the files of `on_device/` out, and `test_interpreter.py` runs each of them in a
process of its own. To run them here: TRITON_INTERPRET=1 pytest tests/kernels/on_device
"""

from __future__ import annotations

import os

import torch

collect_ignore_glob = []
if not torch.cuda.is_available() and os.environ.get("TRITON_INTERPRET") != "1":
    collect_ignore_glob.append("on_device/*")
