"""What docs/deploy/ holds is what the code takes: schemas, command lines, exit codes, installs."""

from __future__ import annotations

import dataclasses
import os
import re
import shlex
import subprocess
import sys
import tomllib
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import dacite
import planted
import pytest
from commands import HANG_SECONDS
from places import ROOT

from wsgn.errors import EngineError, InputError, UsageError
from wsgn.runtime.cli.main import main
from wsgn.support.command import PARTLY_FAILED

yaml = pytest.importorskip("yaml", reason="reads the files for Kubernetes; make test installs it")

FOLDER = ROOT / "docs" / "deploy"
SECRETS = {"WSGN_TOKEN": "t" * 16, "DOOR_PASSWORD": "d%40", "YARD_PASSWORD": "y"}
Object = dict[str, Any]


def objects(name: str) -> list[Object]:
    """What a file holds for Kubernetes."""
    return list(yaml.safe_load_all((FOLDER / "kubernetes" / name).read_text(encoding="utf-8")))


def of_kind(name: str, kind: str) -> Object:
    (found,) = [one for one in objects(name) if one["kind"] == kind]
    return found


def container(name: str, kind: str) -> Object:
    """The container of a file's pods."""
    (found,) = of_kind(name, kind)["spec"]["template"]["spec"]["containers"]
    assert "command" not in found, "the image's own is wsgn-run"
    return dict(found)


def words(of: Object, given: Mapping[str, str]) -> list[str]:
    """Its command line, with `$(NAME)` as Kubernetes fills it in from the container's `env`."""
    known = {one["name"]: one.get("value", given.get(one["name"])) for one in of.get("env", ())}
    return [re.sub(r"\$\((\w+)\)", lambda name: known[name[1]], word) for word in of["args"]]


def moved(line: Sequence[str], places: Mapping[str, Path]) -> list[str]:
    """A command line with the folders of another machine in places of this one."""
    moved_words = []
    for word in line:
        for place, here in places.items():
            word = re.sub(rf"^{place}(?=/|$)", str(here), word)
        moved_words.append(word)
    return moved_words


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, engine_path: Path) -> Path:
    """What lies on the volume: three videos, one of which is none, and an engine."""
    folder = tmp_path_factory.mktemp("data")
    (folder / "videos").mkdir()
    for name in ("a", "b"):
        planted.write_video(folder / "videos" / f"{name}.mp4", (("green", 1.0), ("black", 1.0)))
    (folder / "videos" / "c.mp4").write_bytes(b"no video")
    (folder / "wsgn.onnx").write_bytes(engine_path.read_bytes())
    return folder


@pytest.fixture
def result_of_one(data: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> bytes:
    """`detections.json` of one run over all videos."""
    engine, out = str(data / "wsgn.onnx"), tmp_path / "one"
    arguments = [str(data / "videos"), "-e", engine, "-o", str(out), "-f", "json,csv"]
    assert main([*arguments, "--threads", "1"]) == PARTLY_FAILED
    return (out / "detections.json").read_bytes()


# Kubernetes.


@pytest.fixture(scope="module")
def models() -> Iterator[Mapping[str, type]]:
    """The dataclasses of Kubernetes' objects, by kind, with every field that there is."""
    # The package makes them with whatever stands under this name; a client of Kubernetes usually.
    plain = types.ModuleType("lightkube.core.schema")
    vars(plain).update(dataclass=dataclasses.dataclass, field=dataclasses.field, DictMixin=object)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "lightkube.core", types.ModuleType("lightkube.core"))
        patch.setitem(sys.modules, "lightkube.core.schema", plain)
        batch, core, apps = (
            pytest.importorskip(f"lightkube.models.{name}_v1", reason="lightkube-models has them")
            for name in ("batch", "core", "apps")
        )
        yield {
            "Job": batch.Job,
            "ConfigMap": core.ConfigMap,
            "Service": core.Service,
            "StatefulSet": apps.StatefulSet,
        }


def faults(document: Object, models: Mapping[str, type]) -> list[str]:
    """Fields that Kubernetes does not know or misses, and values of another type."""
    try:
        dacite.from_dict(models[document["kind"]], document, dacite.Config(strict=True))
    except dacite.DaciteError as error:
        return [str(error)]
    return []


@pytest.mark.parametrize("name", ["batch.yaml", "merge.yaml", "cameras.yaml"])
def test_objects_are_those_of_kubernetes(name: str, models: Mapping[str, type]) -> None:
    for document in objects(name):
        assert faults(document, models) == []
        group = {"Job": "batch/v1", "StatefulSet": "apps/v1"}.get(document["kind"], "v1")
        assert document["apiVersion"] == group


def test_a_planted_field_is_found(models: Mapping[str, type]) -> None:
    def wrong(change: Callable[[Object, Object], object]) -> list[str]:
        job = of_kind("batch.yaml", "Job")
        (one,) = job["spec"]["template"]["spec"]["containers"]
        change(job["spec"], one)
        return faults(job, models)

    assert wrong(lambda spec, one: None) == []
    assert wrong(lambda spec, one: spec.update(completionsMode="Indexed"))
    assert wrong(lambda spec, one: spec.update(completions="64"))
    assert wrong(lambda spec, one: one["env"][0].update(value=64))
    assert wrong(lambda spec, one: one.pop("name"))


def test_the_shards_of_a_job_merged_are_one_run(
    data: Path, tmp_path: Path, result_of_one: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = of_kind("batch.yaml", "Job")
    one = container("batch.yaml", "Job")
    (shards,) = [variable["value"] for variable in one["env"] if variable["name"] == "WSGN_SHARDS"]
    assert int(shards) == job["spec"]["completions"]
    assert job["spec"]["completionMode"] == "Indexed"
    places = {"/data/results": tmp_path / "results", "/data": data}
    line = moved(words(one, {}), places)
    monkeypatch.setenv("WSGN_SHARDS", "2")
    codes = []
    for index in range(2):
        monkeypatch.setenv("JOB_COMPLETION_INDEX", str(index))
        codes.append(main(line))
    assert codes == [PARTLY_FAILED, 0]
    merge = moved(words(container("merge.yaml", "Job"), {}), places)
    assert main(merge) == PARTLY_FAILED
    assert (tmp_path / "results" / "detections.json").read_bytes() == result_of_one
    # A Job may be made once more.
    assert main(line) == 0
    assert main(merge) == PARTLY_FAILED


def test_failures_of_a_job_are_told_apart_by_the_codes_of_the_command() -> None:
    rules = of_kind("batch.yaml", "Job")["spec"]["podFailurePolicy"]["rules"]
    by_action = {rule["action"]: rule.get("onExitCodes", {}).get("values") for rule in rules}
    assert by_action == {
        "Ignore": None,
        "FailJob": [UsageError.exit_code, EngineError.exit_code],
        "FailIndex": [InputError.exit_code, PARTLY_FAILED],
    }


def test_pods_have_what_their_commands_name(
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    stateful_set = of_kind("cameras.yaml", "StatefulSet")
    one = container("cameras.yaml", "StatefulSet")
    (listed,) = of_kind("cameras.yaml", "ConfigMap")["data"].items()
    (tmp_path / listed[0]).write_text(listed[1], encoding="utf-8")
    cameras = tomllib.loads(listed[1])
    replicas = stateful_set["spec"]["replicas"]
    told = {variable["name"]: variable for variable in one["env"]}
    assert int(told["WSGN_SHARDS"]["value"]) == replicas
    assert told["WSGN_SHARD_INDEX"]["valueFrom"] == {
        "fieldRef": {"fieldPath": "metadata.labels['apps.kubernetes.io/pod-index']"}
    }
    mounted = [mount["mountPath"] for mount in one["volumeMounts"]]
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("WSGN_SHARDS", told["WSGN_SHARDS"]["value"])
    line = words(one, {})
    paths = [word for word in line if word.startswith("/")]
    assert all(any(path.startswith(f"{place}/") for place in mounted) for path in paths)
    places = {"/etc/wsgn": tmp_path, "/data": data, "/var/lib/wsgn": tmp_path / "kept"}
    played: list[str] = []
    for index in range(replicas):
        monkeypatch.setenv("WSGN_SHARD_INDEX", str(index))
        assert main([*moved(line, places), "--dry-run"]) == 0
        said = capfd.readouterr()
        assert SECRETS["DOOR_PASSWORD"] not in said.out + said.err
        played += [name for name in cameras if f"{name}: " in said.out]
    # Each camera in one pod.
    assert sorted(played) == sorted(cameras)
    # Each variable comes from the Secret that the page tells to make.
    monkeypatch.delenv("WSGN_TOKEN")
    assert main([*moved(line, places), "--dry-run"]) == UsageError.exit_code
    page = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
    assert all(f"\n{name}=" in page for name in SECRETS)


def test_probes_ask_what_the_page_answers() -> None:
    one = container("cameras.yaml", "StatefulSet")
    served = one["args"][one["args"].index("--serve") + 1]
    (port,) = one["ports"]
    assert served == f"0.0.0.0:{port['containerPort']}"
    answers = (ROOT / "runtime" / "serve" / "app.py").read_text(encoding="utf-8")
    for kind, path in (("livenessProbe", "/healthz"), ("readinessProbe", "/readyz")):
        asked = one[kind]["httpGet"]
        assert asked == {"path": path, "port": port["name"]}
        assert f'Route("{path}"' in answers


# Slurm.


def test_the_tasks_of_an_array_merged_are_one_run(
    data: Path,
    tmp_path: Path,
    result_of_one: bytes,
    command: list[str],
    environment: dict[str, str],
) -> None:
    script = FOLDER / "slurm" / "batch.sh"
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "wsgn-run").write_text(f'#!/bin/sh\nexec {shlex.join(command)} "$@"\n')
    (programs / "wsgn-run").chmod(0o755)
    asked = dict(re.findall(r"^#SBATCH --([\w-]+)=(\S+)$", script.read_text(), re.MULTILINE))
    least, most = map(int, asked["array"].split("-"))
    assert (least, most, int(asked["cpus-per-task"])) == (1, 64, 4)
    results = tmp_path / "results"

    def task(*arguments: object, number: int = 1) -> subprocess.CompletedProcess[str]:
        numbers = {"ID": number, "COUNT": 2, "MIN": 1, "MAX": 2}
        told = {f"SLURM_ARRAY_TASK_{name}": str(value) for name, value in numbers.items()}
        path = f"{programs}{os.pathsep}{environment['PATH']}"
        return subprocess.run(
            ["bash", script, *map(str, arguments)],
            env=environment | told | {"SLURM_CPUS_PER_TASK": "1", "PATH": path},
            capture_output=True,
            text=True,
            timeout=HANG_SECONDS,
            check=False,
        )

    # What stands behind the three words is taken too.
    given = (data / "videos", data / "wsgn.onnx", results, "--format", "json")
    ran = [task(*given, number=number) for number in (1, 2)]
    assert [one.returncode for one in ran] == [PARTLY_FAILED, 0], ran
    assert [one.stdout for one in ran] == ["", ""]
    assert list(results.glob("*.csv")) == []
    # Given again, nothing is done twice.
    written = (results / "b.json").stat().st_mtime_ns
    assert task(*given, number=2).returncode == 0
    assert (results / "b.json").stat().st_mtime_ns == written
    assert main(["merge", str(results)]) == PARTLY_FAILED
    assert (results / "detections.json").read_bytes() == result_of_one
    lacking = task(data / "videos")
    assert lacking.returncode == UsageError.exit_code
    assert lacking.stderr.startswith("usage: sbatch")


# systemd.


def unit() -> dict[str, dict[str, list[str]]]:
    """Settings of the unit by section and name; each may stand several times."""
    text = (FOLDER / "systemd" / "wsgn.service").read_text(encoding="utf-8").replace("\\\n", " ")
    found: dict[str, dict[str, list[str]]] = {}
    section: dict[str, list[str]] = {}
    for line in text.splitlines():
        if line.startswith("["):
            section = found.setdefault(line.strip("[]"), {})
        elif line and not line.startswith("#"):
            name, _, value = line.partition("=")
            section.setdefault(name, []).append(value)
    return found


def test_the_unit_runs_what_the_command_takes(
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    service = unit()["Service"]
    (line,) = service["ExecStart"]
    program, *arguments = shlex.split(line)
    assert Path(program).name == "wsgn-run"
    (tmp_path / "cameras.toml").write_text('[door]\nurl = "rtsp://cam:${DOOR_PASSWORD}@h/s"\n')
    (tmp_path / "wsgn.onnx").write_bytes((data / "wsgn.onnx").read_bytes())
    monkeypatch.setenv("DOOR_PASSWORD", SECRETS["DOOR_PASSWORD"])
    places = {"/etc/wsgn": tmp_path, "/var/lib/wsgn": tmp_path / "kept"}
    assert main([*moved(arguments, places), "--dry-run"]) == 0
    assert str(tmp_path / "kept" / "events") in capfd.readouterr().out
    # All that it writes is what it owns.
    (owned,) = service["StateDirectory"]
    written = [arguments[arguments.index(option) + 1] for option in ("--output", "--state")]
    assert all(path.startswith(f"/var/lib/{owned}/") for path in written)
    assert service["ProtectSystem"] == ["strict"]


def test_the_unit_knows_the_codes_and_signals_of_the_command() -> None:
    service = unit()["Service"]
    assert service["Restart"] == ["always"]
    (never,) = service["RestartPreventExitStatus"]
    assert [int(code) for code in never.split()] == [UsageError.exit_code, EngineError.exit_code]
    assert service["SuccessExitStatus"] == ["143"]
    assert service["ExecReload"] == ["/bin/kill -HUP $MAINPID"]
    # Nothing of wsgn-run tells systemd that it lives.
    assert "WatchdogSec" not in service
    assert service["Type"] == ["exec"]


# Images.

DOCKERFILES = ("Dockerfile", "Dockerfile.cuda")


def instructions(name: str) -> Iterator[tuple[str, str]]:
    """Each instruction of a Dockerfile, with its words."""
    text = (FOLDER / name).read_text(encoding="utf-8").replace("\\\n", " ")
    for line in text.splitlines():
        if line and not line.startswith("#"):
            kind, _, rest = line.partition(" ")
            yield kind, rest.strip()


def installs(name: str) -> list[str]:
    """Commands of pip, as README and docs/gpu.md write them."""
    found = [rest for kind, rest in instructions(name) if kind == "RUN"]
    commands = [command.strip() for line in found for command in line.split("&&")]
    return [
        command.replace("/opt/wsgn/bin/", "") for command in commands if " -m venv" not in command
    ]


@pytest.mark.parametrize("name", DOCKERFILES)
def test_an_image_copies_what_the_package_is_made_of(name: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    needed = {"pyproject.toml", "constraints.txt", project["project"]["readme"], "wsgn"}
    needed |= set(project["tool"]["setuptools"]["package-dir"].values())
    copied: set[str] = set()
    for kind, rest in instructions(name):
        if kind == "COPY" and not rest.startswith("--from"):
            *sources, target = rest.split()
            assert target == "./" or [target] == sources
            copied |= set(sources)
    assert copied == needed


@pytest.mark.parametrize("name", DOCKERFILES)
def test_an_image_runs_the_command_as_nobody(name: str) -> None:
    *_, (kind, entry) = instructions(name)
    assert (kind, entry) == ("ENTRYPOINT", '["wsgn-run"]')
    (user,) = [rest for kind, rest in instructions(name) if kind == "USER"]
    for file, of in (("batch.yaml", "Job"), ("merge.yaml", "Job"), ("cameras.yaml", "StatefulSet")):
        context = of_kind(file, of)["spec"]["template"]["spec"]["securityContext"]
        assert user == f"{context['runAsUser']}:{context['runAsGroup']}"


def test_images_install_what_the_pages_say() -> None:
    (plain,) = installs("Dockerfile")
    found = re.fullmatch(r"pip install '\.\[([\w,]+)\]'", plain)
    assert found is not None
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert set(found[1].split(",")) <= set(project["optional-dependencies"])
    # What the pods of cameras need.
    assert "serve" in found[1].split(",")
    first, *more = installs("Dockerfile.cuda")
    assert first == plain
    page = (ROOT / "docs" / "gpu.md").read_text(encoding="utf-8")
    assert f"```sh\n{' && '.join(more)}\n```" in page
