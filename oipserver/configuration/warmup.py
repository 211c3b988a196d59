"""The warm-up requests of a configuration; runs none."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ..errors import InvalidArgumentError, ModelLoadError
from ..protocol import InferRequest
from ..tensor import DATATYPES, Datatype, Tensor, element_count
from .datatypes import protocol_name
from .files import inside
from .forms import Configuration

_FOLDER = "warmup"
_LENGTH_BYTES = 4
_SEED = 1  # the same values at every start, so that what a model does with them can be compared
_BELOW = {"bool": 2, "int": 100, "uint": 100, "float": 1}


def warmup_requests(configuration: Configuration, folder: Path) -> Iterator[tuple[str, InferRequest, int]]:
    """Name, request and number of runs of each sample in ``model_warmup``; data files are in ``folder``/warmup.

    Raises ModelLoadError naming the sample that cannot be made, and why.
    """
    batched = configuration["max_batch_size"] > 0
    sequences = "sequence_batching" in configuration
    for sample in configuration["model_warmup"]:
        lead = (max(1, sample["batch_size"]),) if batched else ()
        try:
            inputs = [_tensor(name, told, lead, folder / _FOLDER) for name, told in sample["inputs"].items()]
        except InvalidArgumentError as error:
            raise ModelLoadError(
                f"model '{configuration['name']}': warm-up '{sample['name']}': {error.message}"
            ) from error
        request = InferRequest(configuration["name"], inputs)
        if sequences:
            request.parameters |= {"sequence_id": 1, "sequence_start": True, "sequence_end": True}
        yield sample["name"], request, max(1, sample["count"])


def _tensor(name: str, told: Configuration, lead: tuple[int, ...], folder: Path) -> Tensor:
    datatype = DATATYPES[protocol_name(told["data_type"])]
    shape = (*lead, *told["dims"])
    if filename := told.get("input_data_file"):
        path = inside(folder, filename, "input_data_file")
        try:
            raw = path.read_bytes()
        except OSError as error:
            raise InvalidArgumentError(f"cannot read {path}: {error.strerror}") from None
    elif told.get("random_data") and datatype.itemsize:
        raw = _random(datatype, element_count(shape, name))
    else:
        raw = bytes(element_count(shape, name) * (datatype.itemsize or _LENGTH_BYTES))
    return Tensor.from_raw(name, datatype, shape, raw)


def _random(datatype: Datatype, count: int) -> bytes:
    """Raw bytes of ``count`` random values from 0 up, which any model can take."""
    values = np.random.default_rng(_SEED).random(count) * _BELOW[datatype.kind]
    if datatype.name == "BF16":
        return (values.astype("<f4").view("<u4") >> 16).astype("<u2").tobytes()
    if datatype.kind == "bool":
        return (values >= 1).tobytes()
    return values.astype(datatype.dtype).tobytes()
