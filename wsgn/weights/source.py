"""Reading a published file of weights: PyTorch's, safetensors, or TensorFlow's."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from wsgn.errors import InputError
from wsgn.support.files import require_file
from wsgn.weights.i3d_layouts import (
    KINETICS_I3D,
    from_tensorflow,
    tensorflow_names,
    tensorflow_scope,
)
from wsgn.weights.identify import Identified, identify
from wsgn.weights.tensorflow_bundle import DATA_SUFFIX, INDEX_SUFFIX, read_index, read_tensors
from wsgn.weights.torch_file import require_plain_weights

# What DataParallel puts before every name, and where training scripts put the weights.
_WRAPPER, _NESTED = "module.", "state_dict"


def source_files(path: Path) -> tuple[Path, ...]:
    """The file itself, or index and data of a TensorFlow checkpoint that any of the two names."""
    stem = path.name.removesuffix(INDEX_SUFFIX).removesuffix(DATA_SUFFIX)
    index, data = path.with_name(stem + INDEX_SUFFIX), path.with_name(stem + DATA_SUFFIX)
    files = (index, data) if stem != path.name or index.is_file() else (path,)
    for file in files:
        if file.exists():
            require_file(file, file)
        if not file.is_file():
            beside = "" if file == path else f"; {path} needs it beside it"
            raise InputError(f"the file {file} does not exist{beside}.")
    return files


def read_source(files: tuple[Path, ...]) -> Identified:
    """The network in the files, whatever their layout; an `InputError` says what is wrong."""
    if len(files) > 1:
        return _read_tensorflow(files[0])
    path = files[0]
    if path.suffix == ".safetensors":
        return identify(_read_safetensors(path), what=str(path))
    return identify(_plain(_read_torch(path), path), what=str(path))


def _read_torch(path: Path) -> object:
    try:
        require_plain_weights(path)
    except InputError as error:
        raise InputError(
            f"{path} is not a file of weights alone: it is damaged or cut off, or holds Python "
            f"objects, which are not loaded because they are code ({error})"
        ) from error
    try:
        with warnings.catch_warnings():
            # What is odd about a file is said below, in one sentence.
            warnings.simplefilter("ignore")
            # A pickle is code: only tensors and plain containers are admitted.
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise InputError(
            f"{path} is not a file of weights alone: it is damaged, or holds Python objects, which "
            "are not loaded because they are code."
        ) from error
    except Exception as error:
        raise InputError(f"{path} is not a PyTorch file, or is damaged or cut off.") from error


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    # The library has an exception of its own, and others where PyTorch lacks a type.
    except Exception as error:
        raise InputError(f"{path} is not a safetensors file, or is damaged or cut off.") from error


def _plain(document: object, path: Path) -> dict[str, Tensor]:
    """Names and tensors, out of what training scripts wrap around them."""
    if isinstance(document, Mapping) and isinstance(document.get(_NESTED), Mapping):
        document = document[_NESTED]
    if not isinstance(document, Mapping) or not all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in document.items()
    ):
        raise InputError(f"{path} holds no table of named tensors.")
    for name, value in document.items():
        _require_whole(name, value, path)
    if all(name.startswith(_WRAPPER) for name in document):
        return {name.removeprefix(_WRAPPER): value for name, value in document.items()}
    return dict(document)


def _require_whole(name: str, value: Tensor, path: Path) -> None:
    """A tensor that stands for more numbers than the file holds, or for none, is no weight."""
    is_plain = value.layout == torch.strided and value.device.type == "cpu"
    if not is_plain or value.is_quantized or value.numel() > _stored_numbers(value):
        raise InputError(f"{path} holds '{name}' in a form that weights do not have.")


def _stored_numbers(value: Tensor) -> int:
    return value.untyped_storage().nbytes() // max(1, value.element_size())


def _read_tensorflow(index: Path) -> Identified:
    scope = tensorflow_scope(set(read_index(index)))
    names = {own: scope + other for own, other in tensorflow_names().items()}
    stored = read_tensors(index, set(names.values()))
    tensors = {own: torch.from_numpy(stored[name].copy()) for own, name in names.items()}
    found = identify(from_tensorflow(tensors), what=str(index))
    return Identified(config=found.config, layout=KINETICS_I3D, tensors=found.tensors)
