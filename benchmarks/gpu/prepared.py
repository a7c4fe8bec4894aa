"""A folder that `gpu.sh --prepare` made, on the machine with the GPU."""

from __future__ import annotations

import json
import tarfile
from dataclasses import dataclass
from pathlib import Path

# In the folder.
WHEELS, CODE, PLAN, ABOUT = "wheels", "code.json", "demo.plan", "prepared.json"
# Packed: binaries and texts by the hundred take a third so.
CACHE = "triton.tar.gz"


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """What lies in the folder; parts that are not there are None."""

    folder: Path

    def file(self, name: str) -> Path | None:
        """One of the names above."""
        path = self.folder / name
        return path if path.exists() else None

    def pack_cache(self, source: Path) -> None:
        """Keep Triton's cache: whole, or as it was before."""
        part = self.folder / f"{CACHE}.part"
        with tarfile.open(part, "w:gz") as archive:
            archive.add(source, arcname=".")
        part.replace(self.folder / CACHE)

    def unpack_cache(self, target: Path) -> int:
        """Put the cache there; how many binaries it holds.

        Triton keeps where each file lies by its whole path, and takes no file from elsewhere.
        """
        source = self.file(CACHE)
        if source is None:
            return 0
        with tarfile.open(source) as archive:
            archive.extractall(target, filter="data")
        for path in target.rglob("__grp__*.json"):
            children = json.loads(path.read_text())["child_paths"]
            moved = {name: str(path.parent / name) for name in children}
            path.write_text(json.dumps({"child_paths": moved}))
        return len(list(target.rglob("*.cubin")))

    def sentence(self) -> str:
        """What it was made with."""
        versions = json.loads((self.folder / ABOUT).read_text())["versions"]
        words = ", ".join(f"{name} {version}" for name, version in versions.items())
        return f"prepared with {words}"
