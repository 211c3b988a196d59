"""The configuration of a model that was given none: what its settings and metadata come to in Triton's form."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..protocol import ModelMetadata, TensorMetadata
from ..settings import ModelSettings
from .backends import BACKENDS
from .datatypes import configured_name
from .forms import Configuration, to_json, to_message
from .mapping import batching_of
from .normal import normalized


def described(
    settings: ModelSettings, metadata: ModelMetadata, max_batch_size: int, *, decoupled: bool
) -> Configuration:
    """The configuration that a model with ``settings`` and ``metadata`` answers for its own.

    ``max_batch_size`` is that of its scheduler; it counts where every input has a first axis for it, and 0 is told
    otherwise, with whole shapes.
    """
    tensors = (*metadata.inputs, *metadata.outputs)
    batched = max_batch_size > 1 and bool(tensors) and all(tensor.shape[:1] == (-1,) for tensor in tensors)
    told: dict[str, Any] = {
        "name": settings.name,
        "platform": metadata.platform,
        "backend": next((each.name for each in BACKENDS if each.platform and each.platform == metadata.platform), ""),
        "default_model_filename": Path(settings.parameters.uri).name if settings.parameters.uri else "",
        "max_batch_size": max_batch_size if batched else 0,
        "input": [{**_tensor(tensor, batched=batched), "optional": tensor.optional} for tensor in metadata.inputs],
        "output": [_tensor(tensor, batched=batched) for tensor in metadata.outputs],
    }
    if batched:
        told["dynamic_batching"] = batching_of(settings)
    if decoupled:
        told["model_transaction_policy"] = {"decoupled": True}
    if settings.cache_enabled:
        told["response_cache"] = {"enable": True}
    return normalized(to_json(to_message(told)))


def _tensor(tensor: TensorMetadata, *, batched: bool) -> dict[str, Any]:
    dims = tensor.shape[1:] if batched else tensor.shape
    return {"name": tensor.name, "data_type": configured_name(tensor.datatype), "dims": list(dims)}
