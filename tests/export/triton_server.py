"""NVIDIA's server as a process: started, asked over HTTP, ended without leftovers."""

from __future__ import annotations

import ctypes.util
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import sysconfig
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import HANG_SECONDS
from peers import peers_with

from wsgn.support.arrays import Float32Array, FloatArray

SHARED_MEMORY = Path("/dev/shm")


class RefusedError(Exception):
    """What the server says to a request that it does not answer, and HTTP's status."""

    def __init__(self, text: str, status: int) -> None:
        super().__init__(text)
        self.status = status


@dataclass(frozen=True, kw_only=True)
class Server:
    """A server that runs."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path
    # What its pieces of shared memory begin with.
    prefix: str

    def ask(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """GET, or POST of a body; JSON or nothing comes back."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/v2/{path}", data)
        try:
            with urllib.request.urlopen(request, timeout=HANG_SECONDS) as answer:
                text = answer.read()
        except urllib.error.HTTPError as error:
            raise RefusedError(error.read().decode(), error.code) from error
        return json.loads(text) if text else None

    def infer(self, model: str, array: Float32Array, **parameters: object) -> dict[str, FloatArray]:
        """Outputs by name."""
        value = {
            "name": "features",
            "datatype": "FP32",
            "shape": array.shape,
            "data": array.ravel().tolist(),
        }
        answer = self.ask(f"models/{model}/infer", {"parameters": parameters, "inputs": [value]})
        return {
            output["name"]: np.array(output["data"]).reshape(output["shape"])
            for output in answer["outputs"]
        }

    def children(self) -> int:
        """Processes of its group besides itself."""
        listed = subprocess.run(
            ["ps", "-A", "-o", "pgid="], capture_output=True, text=True, check=True
        )
        return listed.stdout.split().count(str(self.process.pid)) - 1


@contextmanager
def running_server(repository: Path, folder: Path, *models: str) -> Iterator[Server]:
    """A server that has loaded these models of the repository, or a skip that says why."""
    server = _start(repository, folder, models)
    try:
        _wait_until_ready(server)
        yield server
    finally:
        _end(server)


def _start(repository: Path, folder: Path, models: tuple[str, ...]) -> Server:
    package = peers_with("pytriton")
    distribution = package / "pytriton" / "tritonserver"
    prefix = f"wsgn-{os.getpid()}-{secrets.token_hex(4)}"
    port = _free_port()
    log = folder / "server.log"
    command = [
        str(distribution / "bin" / "tritonserver"),
        f"--model-repository={repository}",
        f"--backend-directory={_backends(distribution, folder)}",
        f"--backend-config=python,shm-region-prefix-name={prefix}",
        "--model-control-mode=explicit",
        *(f"--load-model={model}" for model in models),
        "--disable-auto-complete-config",
        "--http-address=127.0.0.1",
        f"--http-port={port}",
        "--allow-grpc=false",
        "--allow-metrics=false",
        "--exit-timeout-secs=5",
    ]
    libraries = [str(package / "nvidia_pytriton.libs"), sysconfig.get_config_var("LIBDIR")]
    environment = os.environ | {
        # The backend's Python finds its packages beside the first python3 on the path.
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "LD_LIBRARY_PATH": ":".join(libraries),
    }
    with log.open("wb") as file:
        process = subprocess.Popen(
            command, stdout=file, stderr=file, env=environment, start_new_session=True
        )
    return Server(process=process, port=port, log=log, prefix=prefix)


def _backends(distribution: Path, folder: Path) -> Path:
    """The Python backend with the stub for this Python beside it, as pytriton arranges it."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    stub = distribution / "python_backend_stubs" / version / "triton_python_backend_stub"
    if not stub.is_file():
        pytest.skip(f"nvidia-pytriton has no Python backend for Python {version}")
    shared = Path(sysconfig.get_config_var("LIBDIR")) / f"libpython{version}.so.1.0"
    if not shared.exists() and ctypes.util.find_library(f"python{version}") is None:
        pytest.skip(f"the Python backend needs the shared library libpython{version}.so.1.0")
    python = folder / "backends" / "python"
    python.mkdir(parents=True)
    for file in [*(distribution / "backends" / "python").iterdir(), stub]:
        (python / file.name).symlink_to(file)
    return python.parent


def _free_port() -> int:
    try:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            port: int = listener.getsockname()[1]
    except OSError as error:
        pytest.skip(f"no port of this machine can be had: {error}")
    return port


def _wait_until_ready(server: Server) -> None:
    deadline = time.monotonic() + HANG_SECONDS
    while time.monotonic() < deadline:
        if server.process.poll() is not None:
            break
        try:
            server.ask("health/ready")
            return
        except (OSError, RefusedError):
            time.sleep(0.05)
    pytest.fail(f"the server is not ready:\n{server.log.read_text()[-3000:]}")


def _end(server: Server) -> None:
    server.process.terminate()
    try:
        server.process.wait(HANG_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(server.process.pid, signal.SIGKILL)
        server.process.wait(HANG_SECONDS)
        raise
