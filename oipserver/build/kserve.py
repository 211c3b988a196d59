"""A folder of models as objects of KServe: a serving runtime and an inference service; talks to no cluster."""

from __future__ import annotations

import re
from collections.abc import Mapping

from ..errors import InvalidArgumentError
from .dockerfile import MODELS
from .needs import Needs
from .yaml_text import Plain

RUNTIME_NAME = "kserve-oipserver"
HTTP_PORT = 8080  # where KServe looks unless a port is declared
GRPC_PORT = 9000  # where its own runtimes listen

#: What the runtime serves, by KServe's names and versions: a format is the name of the runtime here that reads it.
FORMATS: Mapping[str, tuple[str, ...]] = {
    "onnx": ("1",),
    "sklearn": ("1",),
    "xgboost": ("1", "2", "3"),
    "lightgbm": ("3", "4"),
    "catboost": ("1",),
    "huggingface": ("1",),
    "mlflow": ("1", "2", "3"),
}
#: The format of folders that describe their models themselves.
OWN_FORMAT = "oipserver"

_PRIORITY = 3  # above that of KServe's own runtimes
_GRACE = 20  # below the thirty seconds after which a pod is killed
_NAME = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")


def serving_runtime(image: str, *, gpu: bool = False) -> dict[str, Plain]:
    """The ClusterServingRuntime of ``image``, for the models of any InferenceService."""
    formats: list[Plain] = [
        {"name": name, "version": version, "autoSelect": True, "priority": _PRIORITY}
        for name, versions in FORMATS.items()
        for version in versions
    ]
    formats.append({"name": OWN_FORMAT, "version": "1", "autoSelect": True, "priority": _PRIORITY})
    container = _container(image, gpu=gpu)
    # KServe adds the model's name and place in these variables' siblings, as it does for MLServer.
    container["env"] = [{"name": "MLSERVER_MODEL_IMPLEMENTATION", "value": "{{.Annotations.modelFormat}}"}]
    return {
        "apiVersion": "serving.kserve.io/v1alpha1",
        "kind": "ClusterServingRuntime",
        "metadata": {"name": RUNTIME_NAME, "annotations": {"serving.kserve.io/server-type": "mlserver"}},
        "spec": {
            "annotations": {"prometheus.kserve.io/port": str(HTTP_PORT), "prometheus.kserve.io/path": "/metrics"},
            "supportedModelFormats": formats,
            "protocolVersions": ["v2", "grpc-v2"],
            "multiModel": False,
            "containers": [container],
            "volumes": [{"name": "tmp", "emptyDir": {}}],
        },
    }


def inference_service(
    needs: Needs, name: str, *, image: str, storage_uri: str | None = None, grpc: bool = False, gpu: bool = False
) -> dict[str, Plain]:
    """The InferenceService ``name`` of a folder: models at ``storage_uri`` served by the runtime, or without one the
    ``image`` that has them. ``grpc``: gRPC is what is called from outside, where only one port can be.

    Raises InvalidArgumentError for a name that no service can have.
    """
    if not _NAME.fullmatch(name):
        raise InvalidArgumentError(
            f"'{name}' cannot name an InferenceService: expected a letter, then letters, digits and '-', all lower case"
        )
    ports: list[Plain] = [{"name": "h2c", "containerPort": GRPC_PORT, "protocol": "TCP"}] if grpc else []
    predictor: dict[str, Plain] = {"minReplicas": 1}
    if storage_uri is None:
        container = _container(image, gpu=gpu)
        http: Plain = {"name": "http1", "containerPort": HTTP_PORT, "protocol": "TCP"}
        container["ports"] = ports or [http]
        predictor |= {"containers": [container], "volumes": [{"name": "tmp", "emptyDir": {}}]}
    else:
        model: dict[str, Plain] = {
            "modelFormat": {"name": model_format(needs)},
            "protocolVersion": "grpc-v2" if grpc else "v2",
            "runtime": RUNTIME_NAME,
            "storageUri": storage_uri,
        }
        predictor["model"] = model | ({"ports": ports} if grpc else {})
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {"name": name},
        "spec": {"predictor": predictor},
    }


def model_format(needs: Needs) -> str:
    """The format that a folder's models are declared in: the runtime of the one bare model, else their own settings."""
    return next(iter(needs.bare)) if len(needs.bare) == 1 and len(needs.models) == 1 else OWN_FORMAT


def _container(image: str, *, gpu: bool) -> dict[str, Plain]:
    resources: dict[str, Plain] = {"cpu": "1", "memory": "2Gi"}
    limits = resources | ({"nvidia.com/gpu": "1"} if gpu else {})
    return {
        "name": "kserve-container",
        "image": image,
        "args": [
            "oipserver",
            "start",
            MODELS,
            f"--http-port={HTTP_PORT}",
            f"--grpc-port={GRPC_PORT}",
            # What is served is the service's to say; its callers may be anywhere, and share no memory with the pod.
            "--model-control-mode=none",
            "--allow-client-shm=false",
            f"--shutdown-timeout={_GRACE}",
        ],
        "readinessProbe": {"httpGet": {"path": "/v2/health/ready", "port": HTTP_PORT}, "timeoutSeconds": 5},
        "livenessProbe": {"httpGet": {"path": "/v2/health/live", "port": HTTP_PORT}, "timeoutSeconds": 5},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "privileged": False,
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
        "resources": {"requests": dict(resources), "limits": limits},
    }
