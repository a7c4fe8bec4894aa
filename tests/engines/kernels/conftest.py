"""As for `tests/kernels`: what Triton interprets runs in a process of its own."""

from __future__ import annotations

import os

import torch
from interpreter import patch_language_once

collect_ignore_glob = []
if os.environ.get("TRITON_INTERPRET") == "1":
    patch_language_once()
if not torch.cuda.is_available() and os.environ.get("TRITON_INTERPRET") != "1":
    collect_ignore_glob.append("on_device/*")
