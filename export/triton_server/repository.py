"""A model of a Triton server's repository: `NAME/config.pbtxt`, `NAME/1/` with the engine.

The fields are those of the server's model_config.proto; docs/triton_server.md says why they have
these values.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from wsgn.engines.tensors import TensorSpec
from wsgn.errors import EngineError, OutputError, UsageError
from wsgn.export.triton_server.config import Message, Word, to_text
from wsgn.export.triton_server.engine import ServedEngine, largest_batch
from wsgn.support.files import output_errors, unfinished_folder
from wsgn.support.signals import hold_signals

BACKENDS = ("onnxruntime", "tensorrt", "python")
# Snippets of a batch, or streams, or videos; a plan's profiles may take fewer.
DEFAULT_BATCH = 64
# How long a request may wait for others to share its batch: short beside the snippet stride, which
# is a good part of a second.
_QUEUE_DELAY_MICROSECONDS = 2000
# A batch of fewer is not worth sending before the delay is over.
_SMALLEST_PREFERRED = 8
# Counts are of that type in the server's config.
_LARGEST_INT32 = 2**31 - 1
# The server's words for element types.
_DATA_TYPES = {"float32": "TYPE_FP32", "uint8": "TYPE_UINT8"}
_MODEL_FILES = {"onnxruntime": "model.onnx", "tensorrt": "model.plan", "python": "model.py"}


@dataclass(frozen=True, kw_only=True)
class Serving:
    """How a server is to run a model."""

    # One of BACKENDS.
    backend: str
    # Most snippets, streams or videos in a batch; None takes DEFAULT_BATCH or what a plan takes.
    max_batch: int | None = None
    # Copies of the model that run at the same time, on each GPU where it runs on GPUs.
    instances: int = 1
    gpu: bool = False
    # Streams that an instance holds at a time; more wait until one ends.
    max_streams: int = 256
    # After so long without a request a stream is over.
    idle_seconds: float = 60.0

    def __post_init__(self) -> None:
        if self.backend not in BACKENDS:
            raise UsageError(f"backend must be one of {', '.join(BACKENDS)}, got {self.backend}.")
        for name in ("max_batch", "instances", "max_streams"):
            value = getattr(self, name)
            if value is not None and not 1 <= value <= _LARGEST_INT32:
                option = "--" + name.replace("_", "-")
                raise UsageError(f"{option} must be 1 to {_LARGEST_INT32}, got {value}.")
        # A tenth of a second is under the server's own precision.
        if not 0.1 <= self.idle_seconds <= 1e6:
            raise UsageError(f"--idle-seconds must be 0.1 to 1000000, got {self.idle_seconds}.")


@dataclass(frozen=True, kw_only=True)
class ServedModel:
    """A model that is ready to be written."""

    name: str
    engine: ServedEngine
    serving: Serving
    config: Message


def prepare(engine: ServedEngine, name: str, serving: Serving) -> ServedModel:
    """Check that engine and wishes fit. Raises `UsageError` and `EngineError`."""
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", name):
        raise UsageError(
            f"'{name}' cannot be a model's name, which is a folder's and part of an address: give "
            "--name with letters from a to z, digits, '_', '.' and '-', the last two not in front."
        )
    is_plan = engine.plan is not None
    if is_plan != (serving.backend == "tensorrt"):
        needed = "the backend tensorrt" if is_plan else "the backend onnxruntime or python"
        raise UsageError(f"'{engine.path}' is for {needed}, not for {serving.backend}.")
    if is_plan and not serving.gpu:
        raise UsageError(f"the plan '{engine.path}' runs on a GPU only: leave --cpu out.")
    if any("\n" in label or not label for label in engine.manifest.classes):
        raise EngineError(f"'{engine.path}' has a class whose name is empty or of several lines.")
    return ServedModel(
        name=name, engine=engine, serving=serving, config=model_config(engine, name, serving)
    )


def model_config(engine: ServedEngine, name: str, serving: Serving) -> Message:
    """The server's ModelConfig."""
    batch = _max_batch(engine, serving)
    config: dict[str, object] = {"name": name, "backend": serving.backend}
    if serving.backend == "tensorrt":
        config["platform"] = "tensorrt_plan"
    config["max_batch_size"] = batch
    # The state is no concern of the client's.
    config["input"] = [_tensor(spec) for spec in engine.tensors.inputs if spec.name != "state"]
    config["output"] = [
        {**_tensor(spec), "label_filename": "labels.txt"}
        for spec in engine.tensors.outputs
        if spec.name != "next_state"
    ]
    config["instance_group"] = [_instances(engine, serving)]
    if engine.manifest.graph == "streaming":
        config["sequence_batching"] = _sequence_batching(engine, serving, batch)
    elif engine.manifest.graph == "snippet":
        config["dynamic_batching"] = _batching(engine, batch)
    # Whole videos are long and rarely of the same length: none waits for another.
    return config


def write_models(repository: Path, models: Sequence[ServedModel], *, overwrite: bool) -> list[Path]:
    """Write the models' folders, each whole or not at all. Raises `OutputError`."""
    names = [model.name for model in models]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"two engines would become the model '{name}': write one at a time.")
        _require_free(repository / name, overwrite)
    written = []
    for model in models:
        target = repository / model.name
        with output_errors(target), unfinished_folder(target) as folder:
            whole = folder / model.name
            _fill(whole, model)
            with hold_signals():
                if target.exists():
                    target.rename(folder / "replaced")
                whole.rename(target)
        written.append(target)
    return written


def odd_characters(folder: Path) -> str:
    """Those of its whole path with which the Python backend does not start a model.

    Server 2.51 hands the path to bash without quotes, and to a Python that may be without a locale;
    the punctuation that passes here was tried with it.
    """
    found = re.findall(r"[^\w./:,+=@%~#-]", str(folder.resolve()), re.ASCII)
    return "".join(sorted(set(found)))


def _require_free(target: Path, overwrite: bool) -> None:
    if not target.exists() and not target.is_symlink():
        return
    if not overwrite:
        raise OutputError(f"{target} exists; choose another --name or add --overwrite.")
    if target.is_symlink() or not (target / "config.pbtxt").is_file():
        raise OutputError(f"{target} is not a model's folder and is left alone: choose another -o.")


def _fill(folder: Path, model: ServedModel) -> None:
    """Everything of one model."""
    manifest = model.engine.manifest
    version = folder / "1"
    version.mkdir(parents=True)
    (folder / "config.pbtxt").write_text(to_text(model.config), encoding="utf-8")
    (folder / "labels.txt").write_text("\n".join(manifest.classes) + "\n", encoding="utf-8")
    (folder / "manifest.json").write_text(manifest.to_json() + "\n", encoding="utf-8")
    file = version / _MODEL_FILES[model.serving.backend]
    if model.serving.backend == "python":
        shutil.copyfile(Path(__file__).with_name("model.py"), file)
        file = version / "model.onnx"
    shutil.copyfile(model.engine.path, file)


def _max_batch(engine: ServedEngine, serving: Serving) -> int:
    """The server's max_batch_size."""
    if engine.plan is None:
        return serving.max_batch or DEFAULT_BATCH
    limit = largest_batch(engine)
    if serving.max_batch is not None and serving.max_batch > limit:
        raise UsageError(
            f"the profiles of the plan '{engine.path}' take batches of up to {limit}, --max-batch "
            f"is {serving.max_batch}: ask for fewer, or build the plan with a larger profile."
        )
    return serving.max_batch or min(DEFAULT_BATCH, limit)


def _tensor(spec: TensorSpec) -> dict[str, object]:
    # The server adds the batch dimension itself.
    return {"name": spec.name, **_form(spec)}


def _form(spec: TensorSpec) -> dict[str, object]:
    """Element type and shape behind the batch dimension, in the server's words."""
    dims = [-1 if size is None else size for size in spec.sizes[1:]]
    return {"data_type": Word(_DATA_TYPES[spec.dtype.name]), "dims": dims}


def _instances(engine: ServedEngine, serving: Serving) -> Message:
    group: dict[str, object] = {
        "count": serving.instances,
        "kind": Word("KIND_GPU" if serving.gpu else "KIND_CPU"),
    }
    if engine.plan is not None:
        # By their numbers in the plan; the backend takes the one that suits a batch best.
        group["profile"] = [str(index) for index in range(len(engine.plan.profiles))]
    return group


def _batching(engine: ServedEngine, batch: int) -> dict[str, object]:
    """Sizes at which a batch leaves at once, and how long it waits below them."""
    if engine.plan is None:
        sizes = {1 << power for power in range(31) if _SMALLEST_PREFERRED <= 1 << power <= batch}
    else:
        main = engine.tensors.inputs[0].name
        optima = {profile.inputs[main].optimum[0] for profile in engine.plan.profiles}
        # A preferred batch of 1 would end all joining of requests.
        sizes = {size for size in optima if 1 < size <= batch}
    return {
        "preferred_batch_size": sorted(sizes | {batch}),
        "max_queue_delay_microseconds": _QUEUE_DELAY_MICROSECONDS,
    }


def _sequence_batching(engine: ServedEngine, serving: Serving, batch: int) -> Message:
    """Streams: the server joins requests of several, and keeps each one's state."""
    config: dict[str, object] = {
        "max_sequence_idle_microseconds": round(serving.idle_seconds * 1e6),
        "oldest": {"max_candidate_sequences": serving.max_streams, **_batching(engine, batch)},
    }
    if serving.backend != "python":
        (state,) = [spec for spec in engine.tensors.inputs if spec.name == "state"]
        # One tensor only: the server mixes several up (triton-inference-server/server#8586).
        form = _form(state)
        config["state"] = [
            {
                "input_name": "state",
                "output_name": "next_state",
                **form,
                "initial_state": [{**form, "zero_data": True, "name": "new stream"}],
            }
        ]
    return config
