"""Which backend a configuration means, and the runtime that stands for it; imports no runtime."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from ..errors import InvalidArgumentError
from .forms import Configuration

ENSEMBLE = "ensemble"


@dataclass(frozen=True, slots=True)
class Backend:
    """A backend by Triton's names: ``filename`` is its models' default file, "" where they have none.

    ``implementation`` is the runtime that serves it here; "" for one that is known by its files alone.
    """

    name: str
    platform: str
    filename: str
    implementation: str = ""


# In the order in which Triton looks for files.
BACKENDS = (
    Backend("tensorflow", "tensorflow_savedmodel", "model.savedmodel"),
    Backend("tensorflow", "tensorflow_graphdef", "model.graphdef"),
    Backend("tensorrt", "tensorrt_plan", "model.plan"),
    Backend("onnxruntime", "onnxruntime_onnx", "model.onnx", "onnx"),
    Backend("openvino", "", "model.xml"),
    Backend("pytorch", "pytorch_libtorch", "model.pt", "torch"),
    Backend("python", "", "model.py", "python"),
    Backend("identity", "", "", "identity"),
    Backend("", ENSEMBLE, "", ENSEMBLE),
)

#: The names in a version's folder that show a model without any configuration.
DEFAULT_FILES = frozenset(backend.filename for backend in BACKENDS if backend.filename)

_SUPPORTED = sorted(backend.name or backend.platform for backend in BACKENDS if backend.implementation)


def backend_of(configuration: Configuration) -> Backend:
    """The backend of a configuration that ``fill_backend`` has completed."""
    name, platform = configuration["backend"], configuration["platform"]
    return next(
        each for each in BACKENDS if each.name == name and (not name or not each.platform or each.platform == platform)
    )


def is_ensemble(configuration: Configuration) -> bool:
    """Whether a configuration is that of an ensemble."""
    return bool(configuration["platform"] == ENSEMBLE)


def fill_backend(configuration: Configuration, files: Collection[str], *, strict: bool = False) -> None:
    """Complete ``platform``, ``backend`` and ``default_model_filename``, from each other and from the names in the
    folder of a version; from each other alone where ``strict``.

    Raises InvalidArgumentError where they contradict each other, or mean a backend that is not here.
    """
    name = configuration["name"]
    found = _named(configuration)
    if found is None and not strict:
        filename = configuration["default_model_filename"]
        candidates = [each for each in BACKENDS if each.filename]
        found = next((each for each in candidates if each.filename == filename), None) or next(
            (each for each in candidates if each.filename in files), None
        )
    if found is None:
        raise InvalidArgumentError(
            f"must specify 'platform' or 'backend' for '{name}'"
            if strict
            else f"Invalid model name: Could not determine backend for model '{name}' with no backend in model "
            f"configuration. Expected 'platform' or 'backend' in it (supported are {', '.join(_SUPPORTED)}), or one of "
            f"{', '.join(each.filename for each in BACKENDS if each.implementation and each.filename)} in the folder "
            "of a version."
        )
    if not found.implementation:
        raise _unsupported(name, found.name)
    configuration["platform"], configuration["backend"] = found.platform, found.name
    configuration["default_model_filename"] = configuration["default_model_filename"] or found.filename


def _named(configuration: Configuration) -> Backend | None:
    """The backend that ``platform`` and ``backend`` name; None where both are empty."""
    platform, backend = configuration["platform"], configuration["backend"]
    if not platform and not backend:
        return None
    by_backend = [each for each in BACKENDS if backend and each.name == backend]
    # Where a backend has no platform, its own name stands for one.
    by_platform = [each for each in BACKENDS if platform and platform in (each.platform, each.name)]
    if (backend and not by_backend) or (platform and not by_platform):
        raise _unsupported(configuration["name"], platform if backend and by_backend else backend or platform)
    matching = [each for each in (by_backend or by_platform) if not platform or each in by_platform]
    if not matching:
        raise InvalidArgumentError(
            f"unexpected 'platform' and 'backend' pair, got:{platform}, {backend} for '{configuration['name']}'"
        )
    return matching[0]


def _unsupported(model: str, backend: str) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"model '{model}' needs backend '{backend}', which is not supported; supported are {', '.join(_SUPPORTED)}"
    )
