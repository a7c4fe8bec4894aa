"""A plan and its sidecar on disk: both, of each other, or neither."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from wsgn.engines.tensorrt.library import Library
from wsgn.engines.tensorrt.sidecar import (
    FORMAT_VERSION,
    PLAN_SUFFIXES,
    PlanSidecar,
    Profile,
    is_plan,
    network_name,
    sidecar_path,
)
from wsgn.errors import OutputError, UsageError
from wsgn.manifest import Manifest
from wsgn.support.files import (
    check_folder,
    output_errors,
    put_in_place,
    unfinished_folder,
    write_whole_file,
)
from wsgn.support.signals import hold_signals


def describe_plan(
    content: bytes,
    manifest: Manifest,
    library: Library,
    *,
    compute_capability: str,
    flags: Sequence[str],
    profiles: Sequence[Profile],
) -> PlanSidecar:
    """The sidecar of a plan that was built here."""
    return PlanSidecar(
        format_version=FORMAT_VERSION,
        manifest=manifest,
        plan_sha256=hashlib.sha256(content).hexdigest(),
        library=library.name,
        library_version=library.version,
        compute_capability=compute_capability,
        platform=f"{platform.system()}-{platform.machine()}",
        network_name=network_name(manifest),
        flags=tuple(flags),
        profiles=tuple(profiles),
    )


def check_output(plan: Path, *, overwrite: bool) -> None:
    """Raise before a long build what would otherwise be raised behind it."""
    if not is_plan(plan):
        raise UsageError(
            f"a plan's name ends in {', '.join(PLAN_SUFFIXES)}, by which hosts know it, got "
            f"'{plan}'."
        )
    for path in (plan, sidecar_path(plan)):
        if path.is_dir():
            raise OutputError(f"{path} is a directory; choose another name.")
        if path.exists() and not overwrite:
            raise OutputError(f"{path} exists; choose another name or add --overwrite.")


@contextmanager
def unchecked_plan(plan: Path, content: bytes, sidecar: PlanSidecar) -> Iterator[Path]:
    """Write both into a hidden folder; the path of the plan there, which a session can open.

    What is not published is removed at the end.
    """
    with unfinished_folder(plan) as folder:
        unchecked = folder / plan.name
        beside, text = sidecar_path(unchecked), sidecar.to_json().encode()
        write_whole_file(beside, text, what="the sidecar", wanted=sidecar_path(plan))
        write_whole_file(unchecked, content, what="the plan", wanted=plan)
        yield unchecked


def publish(unchecked: Path, plan: Path) -> None:
    """Put an `unchecked_plan` in its place.

    The old plan goes first and the new one comes last: whenever this is cut off there is a plan
    with its own sidecar, or no plan.
    """
    with hold_signals(), output_errors(plan):
        plan.unlink(missing_ok=True)
        put_in_place(sidecar_path(unchecked), sidecar_path(plan))
        put_in_place(unchecked, plan)


def read_timings(path: Path) -> bytes:
    """Timings of earlier builds; nothing where the file is not there yet."""
    try:
        # Reading a pipe or a device would never end.
        if path.exists() and not path.is_file():
            raise UsageError(f"the timing cache {path} cannot be read: name a regular file.")
        return path.read_bytes()
    except FileNotFoundError:
        check_folder(path)
        return b""
    except OSError as error:
        raise UsageError(
            f"the timing cache {path} cannot be read ({error.strerror}): name a file."
        ) from error
