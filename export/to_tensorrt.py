"""`python export/to_tensorrt.py wsgn.onnx -o wsgn.plan`: an exported model as a TensorRT plan."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from wsgn.engines.tensorrt.library import TITLES, Library
from wsgn.engines.tensorrt.sidecar import LIBRARIES, PlanSidecar, Profile
from wsgn.errors import MissingExtraError
from wsgn.remote.arguments import input_path, local_path
from wsgn.support.command import run_command, say
from wsgn.support.files import check_folder, size_in_words, write_whole_file
from wsgn.support.parser import CommandParser
from wsgn.support.signals import hold_signals
from wsgn.support.terminal import print_lines

if TYPE_CHECKING:
    from wsgn.export.plan.builder import BuildOptions
    from wsgn.export.plan.input import PlanInput
    from wsgn.export.plan.parity import PlanParity
    from wsgn.export.plan.target import Target

_NAME = "to_tensorrt"
# What -v shows of the library's lines.
_SHOWN = ("INTERNAL_ERROR", "ERROR", "WARNING")


def main(argv: Sequence[str] | None = None) -> int:
    """Build, check parity, report; the plan appears only when it is right."""

    def work() -> int:
        _run(_parser().parse_args(argv))
        return 0

    return run_command(_NAME, work)


def _parser() -> argparse.ArgumentParser:
    parser = CommandParser(
        prog=_NAME,
        description="Build a TensorRT plan from an exported ONNX file, on the machine (or one with "
        "the same GPU, system and library) that will run it. Of several GPUs CUDA_VISIBLE_DEVICES "
        "chooses.",
    )
    parser.add_argument("engine", type=input_path, help="the ONNX file of to_onnx")
    parser.add_argument(
        "-o", "--output", type=local_path, required=True, help="the plan to write; its sidecar is "
        "written beside it as OUTPUT.json"
    )  # fmt: skip
    parser.add_argument("--overwrite", action="store_true", help="replace existing files")
    parser.add_argument(
        "--library", choices=LIBRARIES, help="default: the first of them that is installed"
    )
    parser.add_argument("-v", "--verbose", action="store_true", help="show the library's warnings")
    _add_shapes(parser)
    _add_build(parser)
    return parser


def _add_shapes(parser: argparse.ArgumentParser) -> None:
    shapes = parser.add_argument_group("shapes", "that the plan takes; larger ones take memory")
    shapes.add_argument(
        "--max-snippets",
        type=int,
        metavar="N",
        help="most snippets in a call (default: 1024), of a whole video (20000), of one stream "
        "in a call (64); less by default where frames would not fit",
    )
    shapes.add_argument(
        "--max-batch",
        type=int,
        metavar="B",
        help="most whole videos (default: 8) or streams (64) in a call",
    )


def _add_build(parser: argparse.ArgumentParser) -> None:
    build = parser.add_argument_group("build")
    build.add_argument(
        "--tf32",
        action="store_true",
        help="multiply float32 numbers as TensorFloat-32: faster, and correct to three digits only",
    )
    build.add_argument(
        "--version-compatible",
        action="store_true",
        help="let later versions of TensorRT run the plan: about 100 MB more, slower kernels, and "
        "the host must allow the code inside the plan to run",
    )
    build.add_argument(
        "--hardware-compatible",
        action="store_true",
        help="let every GPU from Ampere on run the plan: slower, for it uses no newer features",
    )
    build.add_argument(
        "--plugin",
        action="store_true",
        help="whole-video graphs: the fused kernel of training in place of operators; for plans of "
        "one shape, because changing ones leak memory in TensorRT; not tried on a GPU yet",
    )
    build.add_argument(
        "--workspace-mb", type=int, metavar="MB", help="most scratch memory (default: all)"
    )
    build.add_argument(
        "--timing-cache",
        type=local_path,
        metavar="FILE",
        help="keep timings of kernels here, which makes the next build on this GPU faster",
    )


def _run(arguments: argparse.Namespace) -> None:
    try:
        # An interruption in here would look like a missing package.
        with hold_signals():
            import onnx  # noqa: F401
    except ImportError as error:
        raise MissingExtraError(f"Building plans ({error.name})", "export") from error
    from wsgn.export.plan.builder import check_options
    from wsgn.export.plan.files import check_output, publish, unchecked_plan
    from wsgn.export.plan.input import read_plan_input, with_plugin
    from wsgn.export.plan.profiles import Limits, plan_profiles
    from wsgn.export.plan.target import open_target, register_plugin

    output: Path = arguments.output
    limits = Limits(max_snippets=arguments.max_snippets, max_batch=arguments.max_batch)
    options = _options(arguments)
    check_output(output, overwrite=arguments.overwrite)
    source = read_plan_input(arguments.engine)
    if options.plugin:
        source = with_plugin(source)
    profiles = plan_profiles(source, limits)
    check_folder(output)
    target = open_target(arguments.library)
    check_options(target.library.name, options, timing_cache=arguments.timing_cache is not None)
    if options.plugin:
        register_plugin(target)
    start = time.perf_counter()
    content = _build(arguments, target.library, source, profiles, options)
    seconds = time.perf_counter() - start
    sidecar = _describe(content, target, source, profiles, options)
    with unchecked_plan(output, content, sidecar) as unchecked:
        _check_parity(unchecked, target, source, sidecar)
        publish(unchecked, output)
    _print_plan(output, sidecar, seconds)


def _options(arguments: argparse.Namespace) -> BuildOptions:
    from wsgn.export.plan.builder import BuildOptions

    return BuildOptions(
        tf32=arguments.tf32,
        version_compatible=arguments.version_compatible,
        hardware_compatible=arguments.hardware_compatible,
        plugin=arguments.plugin,
        workspace_mb=arguments.workspace_mb,
    )


def _build(
    arguments: argparse.Namespace,
    library: Library,
    source: PlanInput,
    profiles: Sequence[Profile],
    options: BuildOptions,
) -> bytes:
    """The plan; timings are kept also where its parity will fail."""
    from wsgn.export.plan.builder import build_plan
    from wsgn.export.plan.files import read_timings

    cache: Path | None = arguments.timing_cache
    timings = None if cache is None else read_timings(cache)
    with library.collected() as log:
        try:
            built = build_plan(library, source, profiles, options, timing_cache=timings)
        finally:
            for line in log.lines:
                if arguments.verbose and line.severity in _SHOWN:
                    say(_NAME, f"{library.title}: {line.severity.lower()}: {line.text}")
    if cache is not None and built.timing_cache is not None:
        write_whole_file(cache, built.timing_cache, what="the timing cache")
    return built.content


def _describe(
    content: bytes,
    target: Target,
    source: PlanInput,
    profiles: Sequence[Profile],
    options: BuildOptions,
) -> PlanSidecar:
    from wsgn.export.plan.files import describe_plan

    return describe_plan(
        content,
        source.manifest,
        target.library,
        compute_capability=target.compute_capability(options),
        flags=options.flags(half=source.half),
        profiles=profiles,
    )


def _check_parity(plan: Path, target: Target, source: PlanInput, sidecar: PlanSidecar) -> None:
    """Run the plan beside ONNX Runtime where that is possible. Raises `EngineError`."""
    from wsgn.export.plan.parity import compare_on_gpu

    if target.gpu is None or target.why_not_run:
        say(
            _NAME,
            f"parity was NOT checked, for the plan cannot run here: {target.why_not_run}; look at "
            "its results where it runs.",
        )
        return
    parity = compare_on_gpu(source, plan, sidecar, target.library, target.gpu)
    _print_parity(parity, target.library.title)


def _print_parity(parity: PlanParity, library_title: str) -> None:
    """On which sizes the plan was compared, and how far each output was off."""
    sizes = "; ".join(
        ", ".join(f"{axis} = {size}" for axis, size in one.items()) for one in parity.sizes
    )
    print_lines(
        f"parity of {library_title} on {parity.gpu} and ONNX Runtime for {sizes} (tolerance "
        f"{parity.tolerance:.0e}):"
    )
    for row in parity.rows:
        print_lines(
            f"  {row.output:20} differs by at most {row.largest_difference:.1e}"
            f" (values up to {row.largest_value:.3g})"
        )


def _print_plan(plan: Path, sidecar: PlanSidecar, seconds: float) -> None:
    """The file that was written, and what it takes."""
    target = sidecar.compute_capability
    print_lines(
        f"{plan}: {size_in_words(plan.stat().st_size)} in {seconds:.1f} s, "
        f"{TITLES[sidecar.library]} {sidecar.library_version}, for "
        + (f"compute capability {target}" if target else "several GPU architectures")
    )
    for profile in sidecar.profiles:
        ranges = "; ".join(
            f"{name} {_shape(shapes.minimum)} to {_shape(shapes.maximum)}, best at "
            f"{_shape(shapes.optimum)}"
            for name, shapes in profile.inputs.items()
        )
        print_lines(f"  profile {profile.name}: {ranges}")


def _shape(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))


if __name__ == "__main__":
    sys.exit(main())
