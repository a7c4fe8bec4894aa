"""Options of commands that share their work with others, and among processes of their own.

Like a `cli.py`, this file knows argparse; nothing but those files imports it.
"""

from __future__ import annotations

import argparse

from wsgn.workers.options import STALL_SECONDS


def add_shard(group: argparse._ArgumentGroup, noun: str) -> None:
    """--shard, of a command on several of what `noun` names."""
    group.add_argument(
        "--shard",
        metavar="I/N",
        help=f"only every N-th {noun} from the I-th on, as the I-th of N commands that share the "
        "list; auto: as Kubernetes or Slurm say (docs/scale.md)",
    )


def add_workers(group: argparse._ArgumentGroup, flag: str, noun: str) -> None:
    """The option for the number of processes, and --stall-limit; see `worker_options`."""
    group.add_argument(
        flag,
        type=int,
        metavar="N",
        help=f"so many {noun}s at once, each in a process: one that dies costs its {noun} only",
    )
    group.add_argument(
        "--stall-limit",
        type=float,
        metavar="S",
        help=f"give up a {noun} of which its process was silent for so many seconds "
        f"(default: {STALL_SECONDS:g})",
    )


def add_ray(group: argparse._ArgumentGroup, flag: str, noun: str) -> None:
    """--ray, beside `flag` of `add_workers`."""
    group.add_argument(
        "--ray",
        nargs="?",
        const="",
        metavar="HOST:PORT",
        help=f"run {noun}s on the machines of a Ray cluster: this one, that of RAY_ADDRESS, or one "
        f"that is started here; {flag} N at once, or as many as find room (docs/scale.md)",
    )
