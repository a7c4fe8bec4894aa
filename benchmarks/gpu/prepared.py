"""A folder that `gpu.sh --prepare` made, on the machine with the GPU."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

# In the folder.
WHEELS, CACHE, CODE, PLAN, ABOUT = "wheels", "triton", "code.json", "demo.plan", "prepared.json"


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """What lies in the folder; parts that are not there are None."""

    folder: Path

    def file(self, name: str) -> Path | None:
        """One of the names above."""
        path = self.folder / name
        return path if path.exists() else None

    def unpack_cache(self, target: Path) -> int:
        """Copy Triton's cache; how many binaries it holds.

        Triton keeps where each file lies by its whole path, and takes no file from elsewhere.
        """
        source = self.file(CACHE)
        if source is None:
            return 0
        shutil.copytree(source, target, dirs_exist_ok=True)
        for path in target.rglob("__grp__*.json"):
            document = json.loads(path.read_text())
            children = document["child_paths"]
            document["child_paths"] = {name: str(path.parent / name) for name in children}
            path.write_text(json.dumps(document))
        return len(list(target.rglob("*.cubin")))

    def sentence(self) -> str:
        """What it was made with."""
        versions = json.loads((self.folder / ABOUT).read_text())["versions"]
        words = ", ".join(f"{name} {version}" for name, version in versions.items())
        return f"prepared with {words}"
