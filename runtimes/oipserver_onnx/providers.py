"""Which execution providers a session gets, and why one that was asked for did not come; knows no model file."""

from __future__ import annotations

import ctypes
import importlib
import io
import logging
from collections.abc import Sequence
from contextlib import redirect_stdout
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from threading import Lock
from typing import Any

from oipserver.errors import ModelLoadError

from .names import CPU, CUDA, TENSORRT, Provider
from .options import OnnxOptions

_log = logging.getLogger(__name__)

_NVIDIA = (CUDA, TENSORRT)
_TAKES_DEVICE_ID = (*_NVIDIA, "ROCMExecutionProvider", "MIGraphXExecutionProvider")
# They all own the folder "onnxruntime": pip lets them overwrite each other without a word.
_DISTRIBUTIONS = ("onnxruntime", "onnxruntime-gpu", "onnxruntime-openvino", "onnxruntime-directml")

_preload_lock = Lock()


def import_onnxruntime(model: str) -> Any:
    """The onnxruntime module. Raises ModelLoadError with the pip lines that mend a missing or doubled installation."""
    installed = [name for name in _DISTRIBUTIONS if _installed(name)]
    if len(installed) > 1:
        raise ModelLoadError(
            f"model '{model}': {' and '.join(installed)} are both installed and overwrite each other's files. "
            "Mend it:\n"
            f"  pip uninstall -y {' '.join(installed)}\n"
            '  pip install "oipserver[gpu]"    (or "oipserver[onnx]" for CPU only)'
        )
    try:
        return importlib.import_module("onnxruntime")
    except ImportError as error:
        if installed:
            raise ModelLoadError(f"model '{model}': {installed[0]} is installed but broken: {error}") from error
        raise ModelLoadError(
            f"model '{model}' needs onnxruntime, which is not installed. Install it:\n"
            '  pip install "oipserver[onnx]"    (or "oipserver[gpu]" for CUDA)'
        ) from None


def _installed(name: str) -> bool:
    try:
        distribution(name)
    except PackageNotFoundError:
        return False
    return True


def explicit_providers(options: OnnxOptions) -> list[Provider] | None:
    """The providers somebody asked for, with their options; None where nobody did. A device id asks for CUDA."""
    names, groups = options.providers, options.provider_options
    if names is None:
        if options.device_id is None:
            return None
        names, groups = (CUDA, CPU), ({}, {})
    providers = []
    for name, group in zip(names, groups, strict=True):
        chosen = dict(group)
        if options.device_id is not None and name in _TAKES_DEVICE_ID:
            chosen.setdefault("device_id", str(options.device_id))
        providers.append((name, chosen))
    return providers


def default_providers(ort: Any, model: str, on_gpu: Sequence[Provider] = ()) -> list[Provider]:
    """CUDA with CPU behind it where CUDA can be expected to work, else CPU alone; ``on_gpu`` are what to use instead
    of CUDA, those of them that there are."""
    available = ort.get_available_providers()
    if CUDA not in available:
        return [(CPU, {})]
    obstacle = driver_obstacle()
    if obstacle:
        _log.info("model '%s' runs on the CPU: %s", model, obstacle)
        return [(CPU, {})]
    return [*([each for each in on_gpu if each[0] in available] or [(CUDA, {})]), (CPU, {})]


def check_possible(ort: Any, providers: Sequence[Provider], model: str) -> None:
    """Raises ModelLoadError for a provider that cannot start, where that can be told without trying.

    Trying would end in the same error, after lines of onnxruntime's own on stderr.
    """
    available = ort.get_available_providers()
    for name, options in providers:
        if name not in available:
            raise _not_built_in(ort, name, model)
        if name in _NVIDIA and driver_obstacle():
            raise not_obtained(ort, (name, options), model)


def _not_built_in(ort: Any, name: str, model: str) -> ModelLoadError:
    mend = (
        'Mend it:\n  pip uninstall -y onnxruntime\n  pip install "oipserver[gpu]"    '
        '(or "oipserver[cuda]" to bring the CUDA libraries as well)'
        if name == CUDA
        else "Install the onnxruntime build that has it, or change parameters.extra.providers"
    )
    return ModelLoadError(
        f"model '{model}': execution provider '{name}' was asked for, but the installed onnxruntime "
        f"{ort.__version__} was built without it; it has {', '.join(ort.get_available_providers())}. {mend}"
    )


def preload(ort: Any, providers: Sequence[Provider]) -> None:
    """Load the CUDA libraries that came as Python packages, so that the provider finds them."""
    if any(name in _NVIDIA for name, _ in providers) and hasattr(ort, "preload_dlls"):
        # It prints what it cannot find and goes on; provider_obstacle finds the reason again, in one line. The lock is
        # there because two threads that redirect one stdout would not put it back.
        said = io.StringIO()
        with _preload_lock, redirect_stdout(said):
            ort.preload_dlls()
        if said.getvalue():
            _log.debug("onnxruntime.preload_dlls: %s", said.getvalue().strip())


def not_obtained(ort: Any, missing: Provider, model: str) -> ModelLoadError:
    """The error of a provider that was asked for and silently left out."""
    name, options = missing
    return ModelLoadError(
        f"model '{model}': execution provider '{name}' was asked for, but onnxruntime could not start it: "
        f"{provider_obstacle(ort, name, options)}"
    )


def provider_obstacle(ort: Any, name: str, options: dict[str, str]) -> str:
    """Why provider ``name`` did not start, found by loading what it loads, and how to mend it."""
    obstacle = driver_obstacle() if name in _NVIDIA else ""
    if obstacle:
        return obstacle
    if name != CUDA:
        return "see its log lines on stderr; it was compiled in, so a library or device of it is missing"
    built_for = getattr(ort, "cuda_version", "") or "the CUDA version it was built for"
    folder = Path(ort.__file__).parent / "capi"
    try:
        ctypes.CDLL(str(folder / "libonnxruntime_providers_shared.so"), mode=ctypes.RTLD_GLOBAL)
        ctypes.CDLL(str(folder / "libonnxruntime_providers_cuda.so"))
    except OSError as error:
        return (
            f"{error}. It needs CUDA {built_for} and cuDNN 9. Mend it: install those libraries, or "
            'pip install "oipserver[cuda]", which brings them'
        )
    device = options.get("device_id", "0")
    return (
        f"its libraries load, so the device refused: is there a GPU number {device} (nvidia-smi -L, "
        f"CUDA_VISIBLE_DEVICES), and is its driver new enough for CUDA {built_for}?"
    )


def driver_obstacle() -> str:
    """Why no program can use an NVIDIA GPU here; "" where nothing speaks against it."""
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError as error:
        return (
            f"there is no NVIDIA driver here ({error}). Install it; in a container, start it with the GPUs "
            "(docker run --gpus all)"
        )
    return ""
