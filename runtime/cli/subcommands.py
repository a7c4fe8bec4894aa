"""The subcommands beside a run: `manifest`, `probe` and others.

Each imports what it needs itself: `doctor` has to end where the others cannot begin.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Callable, Sequence

from wsgn.errors import EngineError, InputError
from wsgn.support.command import failure_code
from wsgn.support.parser import CommandParser
from wsgn.support.tables import columns
from wsgn.support.terminal import json_text

from .console import Console, print_result


def show_manifest(arguments: Sequence[str]) -> int:
    """Print the manifest of an engine as JSON; a plan must be the one of its sidecar."""
    from wsgn.engines.open import describe_engine
    from wsgn.engines.tensorrt.checks import read_plan

    from ..demo import engine_path

    parser = CommandParser(
        prog="wsgn-run manifest",
        description="Show what an engine says about itself, as JSON; "
        "a plan is held against the hash in its sidecar.",
    )
    parser.add_argument("engine", metavar="ENGINE", help="engine, .onnx or .plan, or demo")
    description = describe_engine(engine_path(parser.parse_args(arguments).engine))
    if description.sidecar is not None:
        read_plan(description.path, description.sidecar)
    document = json.loads(description.manifest.to_json())
    print_result(json_text(document, indent=2) + "\n")
    return 0


def probe_sources(arguments: Sequence[str]) -> int:
    """Print what the header of each source says: lines for people, JSON lines for programs."""
    from wsgn.video import probe

    from .sources import display_name, expand_sources, video_of, waiting_sentence

    parser = CommandParser(
        prog="wsgn-run probe", description="Show what sources are; decodes one frame of each."
    )
    parser.add_argument("sources", nargs="+", metavar="SOURCE", help="as for a run")
    console = Console()
    jobs = expand_sources(parser.parse_args(arguments).sources, tell=console.say)
    num_failed = 0
    for job in jobs:
        try:
            if job.problem is not None:
                raise job.problem
            if sentence := waiting_sentence(job):
                console.say(sentence)
            facts = dataclasses.asdict(probe(video_of(job)))
        except InputError as error:
            name = display_name(job.source)
            console.error(str(error) if name in str(error) else f"{name}: {error}")
            num_failed += 1
            continue
        if sys.stdout.isatty():
            rows = [[name.replace("_", " "), str(value)] for name, value in facts.items()]
            print_result(columns(rows, indent="", num_left=2) + "\n")
        else:
            print_result(json.dumps(facts, default=str) + "\n")
    return failure_code(num_failed, len(jobs) - num_failed)


def run_doctor(arguments: Sequence[str]) -> int:
    """Print versions, devices and problems; 5 when an engine could not run."""
    from .doctor import examine

    parser = CommandParser(
        prog="wsgn-run doctor",
        description="Show versions and devices, and what is wrong with them.",
    )
    parser.parse_args(arguments)
    findings = examine()
    print_result(columns(findings.facts, indent="", num_left=2))
    for problem in findings.problems:
        print_result(f"problem: {problem}\n")
    if not findings.problems:
        print_result("no problems found\n")
    return EngineError.exit_code if findings.problems else 0


def run_report(arguments: Sequence[str]) -> int:
    """Make pages of results that exist."""
    from .report import run_report

    return run_report(arguments)


def export_results(arguments: Sequence[str]) -> int:
    """Write results as files of other people's tools."""
    from .export import export

    return export(arguments)


def cut_clips(arguments: Sequence[str]) -> int:
    """Make a file of each segment."""
    from .clips import run_clips

    return run_clips(arguments)


def merge_shards(arguments: Sequence[str]) -> int:
    """Join what the shards of a run left."""
    from .merge import merge

    return merge(arguments)


def write_golden(arguments: Sequence[str]) -> int:
    """Write golden vectors of an engine."""
    from .golden import golden

    return golden(arguments)


# A file of such a name is reached as ./manifest.
SUBCOMMANDS: dict[str, Callable[[Sequence[str]], int]] = {
    "manifest": show_manifest,
    "probe": probe_sources,
    "doctor": run_doctor,
    "merge": merge_shards,
    "golden": write_golden,
    "report": run_report,
    "export": export_results,
    "clips": cut_clips,
}
