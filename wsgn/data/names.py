"""What users call videos in which nothing of interest happens, and their subsets."""

from __future__ import annotations

# In lower case; such a label is none.
_BACKGROUND = frozenset(("", "background", "nothing", "none", "negative", "negatives", "no_action"))
# Names of folders that hold a subset, and what the subset is called.
_SUBSETS = {
    "train": "train", "training": "train",
    "val": "validation", "valid": "validation", "validation": "validation",
    "test": "test", "testing": "test",
}  # fmt: skip


def is_background(label: str) -> bool:
    """Whether a label says that nothing of interest happens."""
    return label.strip().lower().replace(" ", "_").replace("-", "_") in _BACKGROUND


def subset_of_folder(name: str) -> str | None:
    """The subset that a folder of this name holds; None for any other folder."""
    return _SUBSETS.get(name.lower())
