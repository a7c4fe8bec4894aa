"""Trainings on two nodes of two ranks each; a program, whose results test_many_nodes.py judges.

`joint_trainings.py DATASET FOLDER` takes a folder of `write_toy_dataset` and writes
FOLDER/NAME/ends.json, how each rank ended, beside what the training NAME wrote.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import torch

# The first optimiser of each rank would load it, which takes seconds.
import torch._dynamo
from ranks import RANKS_OF_A_NODE, run_ranks
from test_accumulation import ALL_METHODS, gradients, model, without_dropout
from toy import ToySource, short_training, train_words

from wsgn.errors import InputError
from wsgn.features.layouts import open_features
from wsgn.support.signals import hold_signals
from wsgn.training.cli import main
from wsgn.training.distributed import open_world
from wsgn.training.trainer import StepLog, Trainer

# Snippets of a micro-batch, for the gradients of all methods.
LIMITS = (0, 40)
OPTIONS = (
    "--steps", "8", "--checkpoint-every", "4", "--batch-videos", "7",
    "--preset", "wsgn", "--threads", "1", "-q",
)  # fmt: skip
# The rank that something happens to, and the update before which it does.
VICTIM, BEFORE = 2, 6


def node_of(rank: int) -> int:
    """The number of its node."""
    return rank // RANKS_OF_A_NODE


def before_update(rank: int, action: Callable[[], object]) -> None:
    """Let a rank do something in the middle of its training."""
    original = Trainer.run_step

    def run_step(self: Trainer) -> StepLog:
        if self.step == BEFORE and self.world.rank == rank:
            action()
        return original(self)

    Trainer.run_step = run_step  # type: ignore[method-assign]


def log_opened(log: Path) -> None:
    """Write the name of each feature file, whenever this process opens one, to a file."""
    file = log.open("a")

    def hear(event: str, arguments: tuple[object, ...]) -> None:
        if event == "open" and str(arguments[0]).endswith(".safetensors"):
            file.write(f"{Path(str(arguments[0])).name}\n")
            file.flush()

    sys.addaudithook(hear)


def interrupt() -> None:
    """What Ctrl-C does."""
    raise KeyboardInterrupt


def fill_disk() -> None:
    """Let no file of this process grow."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))


def fail() -> None:
    """What a file means that is damaged."""
    raise InputError("a planted fault.")


def hold_two_signals() -> None:
    """What an upload does with the signals of the watch and of torchrun, which both come."""
    with hold_signals() as held:
        while held.number is None:
            time.sleep(0.01)
        signal.raise_signal(signal.SIGTERM)


class Joint:
    """The trainings, one after the other."""

    def __init__(self, dataset: Path, folder: Path) -> None:
        self.dataset = dataset
        self.folder = folder

    def run(self, name: str, work: Callable[[int], int], *, own_store: bool = False) -> None:
        """Let the ranks work, and write how they end."""
        ends = run_ranks(self.folder / name, work, own_store=own_store)
        documents = json.dumps([end.document() for end in ends])
        (self.folder / name / "ends.json").write_text(documents)

    def train(
        self,
        name: str,
        *,
        datasets: Mapping[int, Path] | None = None,
        output: str | None = None,
        options: tuple[str, ...] = (),
        own_store: bool = False,
        prepare: Callable[[int], object] = lambda rank: None,
    ) -> None:
        """`wsgn-train` in each rank, on the data of its node, each node in a folder of its own."""

        def work(rank: int) -> int:
            prepare(rank)
            dataset = (datasets or {}).get(node_of(rank), self.dataset)
            folder = self.folder / (output or name) / f"node{node_of(rank)}"
            return main(train_words(dataset, folder, *OPTIONS, *options))

        self.run(name, work, own_store=own_store)

    def gradients_of_all_methods(self, rank: int) -> int:
        """Of the first batch, which has fewer videos and pairs than there are ranks at the end."""
        torch.set_num_threads(1)
        with open_world("cpu") as (world, device):
            for name, (method, train) in ALL_METHODS.items():
                for limit in LIMITS:
                    settings = short_training(accumulate_snippets=limit, **train)
                    trainer = Trainer(
                        model(method), settings, ToySource(9), device=device, world=world
                    )
                    found = gradients(without_dropout(trainer))
                    torch.save(found, self.folder / "methods" / f"{name}_{limit}_{rank}.pt")
        return 0

    def read_alone(self, rank: int) -> int:
        """What opening a header means, in one rank, and reading values, in another."""
        features = open_features(self.dataset / "features")
        log_opened(self.folder / "alone" / f"opened_{rank}")
        if rank == 0:
            features.info("toy_0")
        if rank == 1:
            features.read_stored("toy_0")
        return 0


def on_rank(victim: int, action: Callable[[], object]) -> Callable[[int], object]:
    """Something that happens to one rank in the middle of a training."""
    return lambda rank: before_update(victim, action)


def failed_in_an_upload(rank: int) -> None:
    """One rank fails while the first one is busy with what must not be torn apart."""
    before_update(VICTIM, fail)
    before_update(0, hold_two_signals)


def run_all(dataset: Path, damaged: Path, other: Path, folder: Path) -> None:
    """All trainings; `damaged` has a broken feature file, and `other` other annotations."""
    joint = Joint(dataset, folder)
    joint.run("methods", joint.gradients_of_all_methods)
    joint.run("alone", joint.read_alone)
    joint.train("whole", prepare=lambda rank: log_opened(folder / "whole" / f"opened_{rank}"))
    kill = on_rank(VICTIM, lambda: os.kill(os.getpid(), signal.SIGKILL))
    joint.train("killed", prepare=kill)
    joint.train("resumed", output="killed", options=("--resume",), own_store=True)
    joint.train("damaged_file", datasets={1: damaged}, own_store=True)
    joint.train("other_annotations", datasets={1: other})
    joint.train("full_disk", prepare=on_rank(0, fill_disk))
    joint.train("terminated", prepare=on_rank(1, lambda: signal.raise_signal(signal.SIGTERM)))
    joint.train("interrupted", prepare=on_rank(3, interrupt))
    joint.train("in_an_upload", prepare=failed_in_an_upload)
    last = folder / "full_disk" / "node0" / "last.safetensors"
    last.write_bytes(last.read_bytes()[:-1])
    joint.train("damaged_checkpoint", output="full_disk", options=("--resume",))


if __name__ == "__main__":
    run_all(*map(Path, sys.argv[1:]))
