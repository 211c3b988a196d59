"""How oipserver and each peer is configured and started; knows nothing of how they are measured."""

from __future__ import annotations

import json
import os
import shutil
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from .environments import Environments
from .process import Command, free_port

_PEERS = Path(__file__).resolve().parents[1] / "peers"


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """A model to serve: an ONNX ``file``, or, without one, the Python class ``kind`` ("Echo" or "Busy")."""

    name: str
    file: Path | None = None
    kind: str = ""
    max_batch_size: int = 0
    max_batch_ms: float = 0.0

    @property
    def batching(self) -> dict[str, float]:
        """The batching keys of ``model-settings.json``."""
        return {"max_batch_size": self.max_batch_size, "max_batch_time": self.max_batch_ms / 1e3}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A server to start, and where it will answer."""

    command: Command
    http_port: int
    grpc_port: int = 0
    infer_path: str = "/v2/models/{}/infer"

    def url(self, model: str) -> str:
        """Where requests to ``model`` are posted."""
        return f"http://127.0.0.1:{self.http_port}{self.infer_path.format(model)}"


def _write(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1))


def oipserver(folder: Path, models: list[ModelSpec], workers: int | None = None) -> Endpoint:
    """oipserver from the environment this program runs in; ``workers`` None leaves its default."""
    for model in models:
        settings: dict[str, object] = {"name": model.name, **model.batching}
        if model.file:
            extra = {"session_options": {"intra_op_num_threads": 1}}
            settings |= {"implementation": "onnx", "parameters": {"uri": str(model.file), "extra": extra}}
        else:
            settings["implementation"] = f"oipserver_models.{model.kind}Model"
            (folder / model.name).mkdir(parents=True)
            shutil.copy(_PEERS / "oipserver_models.py", folder / model.name)
        _write(folder / model.name / "model-settings.json", settings)
    ports = [free_port() for _ in range(3)]
    options = ["--host", "127.0.0.1"]
    for name, port in zip(("http", "grpc", "metrics"), ports, strict=True):
        options += [f"--{name}-port", str(port)]
    if workers is not None:
        options += ["--parallel-workers", str(workers)]
    argv = [str(Path(sys.executable).with_name("oipserver")), "start", str(folder), *options]
    return Endpoint(Command(argv, folder, ports[0]), ports[0], ports[1])


def mlserver(folder: Path, models: list[ModelSpec], environments: Environments, workers: int | None = None) -> Endpoint:
    """MLServer 1.7.1 without its access log (on by default); ``workers`` None leaves its default, one."""
    for model in models:
        kind = "Onnx" if model.file else model.kind
        settings: dict[str, object] = {"name": model.name, "implementation": f"mlserver_models.{kind}Model"}
        settings |= {"parameters": {"uri": str(model.file)}} if model.file else {}
        _write(folder / model.name / "model-settings.json", {**settings, **model.batching})
    ports = [free_port() for _ in range(3)]
    server = {"debug": False, "host": "127.0.0.1", "grpc_max_message_length": -1}
    server |= dict(zip(("http_port", "grpc_port", "metrics_port"), ports, strict=True))
    _write(folder / "settings.json", server if workers is None else {**server, "parallel_workers": workers})
    argv = [str(environments.of("mlserver") / "bin" / "mlserver"), "start", str(folder)]
    command = Command(argv, folder, ports[0], {"PYTHONPATH": str(_PEERS)})
    return Endpoint(command, ports[0], ports[1])


def mosec(folder: Path, model: ModelSpec, environments: Environments, workers: int = 1) -> Endpoint:
    """mosec with one stage that parses, computes and writes V2 JSON: one server serves one model."""
    folder.mkdir(parents=True)
    port = free_port()
    env = {
        "MODEL": str(model.file) if model.file else model.kind.lower(),
        "WORKERS": str(workers),
        "MAX_BATCH_SIZE": str(max(1, model.max_batch_size)),
        "MAX_WAIT_MS": str(round(model.max_batch_ms)),
        "MOSEC_ADDRESS": "127.0.0.1",
        "MOSEC_PORT": str(port),
        "MOSEC_PATH": str(folder / "ipc"),
        "MOSEC_LOG_LEVEL": "warning",
    }
    argv = [str(environments.of("mosec") / "bin" / "python"), str(_PEERS / "mosec_server.py")]
    return Endpoint(Command(argv, folder, port, env, ready_path="/"), port, infer_path="/inference")


def triton(folder: Path, models: list[ModelSpec], environments: Environments) -> Endpoint:
    """The tritonserver binary with its Python backend running onnxruntime, one instance a model."""
    site = next((environments.of("triton") / "lib").glob("python3*")) / "site-packages"
    binaries, version = site / "pytriton" / "tritonserver", site.parent.name.removeprefix("python")
    backend, repository = folder / "backends" / "python", folder / "models"
    backend.mkdir(parents=True)
    stub = binaries / "python_backend_stubs" / version / "triton_python_backend_stub"
    for part in [stub, *(binaries / "backends" / "python").glob("*triton*")]:
        (backend / part.name).symlink_to(part)
    for model in models:
        (repository / model.name / "1").mkdir(parents=True)
        shutil.copy(_PEERS / "triton_model.py", repository / model.name / "1" / "model.py")
        (repository / model.name / "config.pbtxt").write_text(_triton_config(model))
    ports = [free_port() for _ in range(3)]
    argv = [str(binaries / "bin" / "tritonserver"), "--model-repository", str(repository), "--log-info=false"]
    argv += ["--backend-directory", str(folder / "backends")]
    for name, port in zip(("http", "grpc", "metrics"), ports, strict=True):
        argv += [f"--{name}-port={port}", f"--{name}-address=127.0.0.1"]
    libraries = [str(site / "nvidia_pytriton.libs"), str(sysconfig.get_config_var("LIBDIR"))]
    # The stub ignores PYTHONPATH; the first python3 on PATH tells it where its modules are.
    path = f"{environments.of('triton') / 'bin'}:{os.environ['PATH']}"
    command = Command(argv, folder, ports[0], {"LD_LIBRARY_PATH": ":".join(libraries), "PATH": path})
    return Endpoint(command, ports[0], ports[1])


def _triton_config(model: ModelSpec) -> str:
    batching = f"dynamic_batching {{ max_queue_delay_microseconds: {round(model.max_batch_ms * 1e3)} }}"
    return f"""
backend: "python"
max_batch_size: {max(1, model.max_batch_size)}
input [ {{ name: "x", data_type: TYPE_FP32, dims: [ 512 ] }} ]
output [ {{ name: "y", data_type: TYPE_FP32, dims: [ 10 ] }} ]
instance_group [ {{ kind: KIND_CPU, count: 1 }} ]
parameters: {{ key: "file", value: {{ string_value: "{model.file}" }} }}
{batching if model.max_batch_size > 1 else ""}
"""
