"""`python export/to_onnx.py CHECKPOINT -o wsgn.onnx`: a trained model as one ONNX file."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from wsgn.errors import MissingExtraError, OutputError, WsgnError


def main(argv: Sequence[str] | None = None) -> int:
    """Export, check parity, report; the file appears only when it is right."""
    arguments = _parser().parse_args(argv)
    try:
        _export(arguments.checkpoint, arguments.output, overwrite=arguments.overwrite)
    except WsgnError as error:
        print(f"to_onnx: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="to_onnx", description="Export a trained model to one ONNX file for wsgn-run."
    )
    parser.add_argument("checkpoint", type=Path, help="model.safetensors of wsgn-train")
    parser.add_argument("-o", "--output", type=Path, required=True, help="the ONNX file to write")
    parser.add_argument("--overwrite", action="store_true", help="replace an existing file")
    return parser


def _export(checkpoint_path: Path, output: Path, *, overwrite: bool) -> None:
    if output.exists() and not overwrite:
        raise OutputError(f"{output} exists; choose another name or add --overwrite.")
    try:
        import onnxscript  # noqa: F401 (torch needs it, and finds out late)

        from wsgn.checkpoint import load_checkpoint
        from wsgn.export.graph import build_graph, save_graph
        from wsgn.export.verify import SIZES, TOLERANCE, parity_report
    except ImportError as error:
        raise MissingExtraError(f"Exporting ({error.name})", "export") from error
    checkpoint = load_checkpoint(checkpoint_path)
    document = build_graph(checkpoint)
    unchecked = output.with_name(output.name + ".unchecked")
    try:
        save_graph(document, unchecked)
        rows = parity_report(checkpoint, unchecked)
        try:
            unchecked.replace(output)
        except OSError as error:
            raise OutputError(f"{output} cannot be written: {error.strerror}.") from error
    finally:
        unchecked.unlink(missing_ok=True)
    sizes = ", ".join(str(size) for size in SIZES)
    print(f"parity of torch and ONNX Runtime for {sizes} snippets (tolerance {TOLERANCE:.0e}):")
    for row in rows:
        print(
            f"  {row.output:20} differs by at most {row.largest_difference:.1e}"
            f" (values up to {row.largest_value:.3g})"
        )
    print(
        f"{output}: {output.stat().st_size / 1e6:.2f} MB, {len(checkpoint.model.classes)} classes"
    )


if __name__ == "__main__":
    sys.exit(main())
