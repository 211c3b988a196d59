"""What ``parameters.extra`` may say about a PyTorch model, checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from oipserver import ModelSettings
from oipserver.errors import ModelLoadError


@dataclass(frozen=True, slots=True)
class TorchOptions:
    """The settings of one PyTorch model, all optional; each field is a key of ``parameters.extra``.

    ``device``: "cpu", "cuda", "cuda:1", ...; "" takes a GPU where there is one. ``instances``: executions at once in
    one process. ``intra_op_threads``: threads of one operation, for all PyTorch models of the process.
    """

    device: str = ""
    instances: int = 1
    intra_op_threads: int = 0


def read_options(settings: ModelSettings) -> TorchOptions:
    """The options in ``settings.parameters.extra``. Raises ModelLoadError naming the key and what it should be."""
    extra = settings.parameters.extra
    device = extra.get("device", "")
    if not isinstance(device, str):
        raise _wrong(settings, "device", 'a device, such as "cpu" or "cuda:0"', device)
    return TorchOptions(device, _count(settings, "instances", 1), _count(settings, "intra_op_threads", 0))


def _count(settings: ModelSettings, key: str, default: int) -> int:
    value = settings.parameters.extra.get(key, default)
    if not isinstance(value, int) or isinstance(value, bool) or value < default:
        raise _wrong(settings, key, f"an integer of {max(1, default)} or more", value)
    return value


def _wrong(settings: ModelSettings, key: str, expected: str, value: Any) -> ModelLoadError:
    return ModelLoadError(
        f"model '{settings.name}': parameters.extra.{key}: expected {expected}, got {value!r} ({type(value).__name__})"
    )


def chosen_device(torch: Any, options: TorchOptions, model: str) -> str:
    """The device to run on. Raises ModelLoadError for one that is not here."""
    device = options.device or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ModelLoadError(f"model '{model}': parameters.extra.device is '{device}', but: {reason}") from error
    return device
