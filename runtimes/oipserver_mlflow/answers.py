"""What an MLflow model answered, as outputs; knows no request and no engine."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time
from typing import Any

import numpy as np

from oipserver import Tensor
from oipserver.codecs import PandasCodec
from oipserver.errors import InternalError
from oipserver.protocol import InferRequest
from oipserver.tensor import Parameters
from oipserver.types import InferenceResponse, MetadataTensor, from_public
from oipserver.types import Parameters as PublicParameters

from .schema import Field

_JSON = {"content_type": "pd_json"}
_TEXT = {"content_type": "str"}
_INSTANTS = {"content_type": "datetime"}


class Answers:
    """Turns whatever a model gave into tensors: a table into one for each column, a dictionary into one for each key,
    everything else into one of the name that the signature has for it."""

    def __init__(self, fields: Sequence[Field], model: str) -> None:
        self._name = fields[0].name if len(fields) == 1 else "output-0"
        self._model = model

    def tensors(self, answer: Any) -> list[Tensor]:
        """The outputs. Raises InternalError for what no tensor can hold."""
        if PandasCodec.can_encode(answer):
            return self._columns(answer)
        if hasattr(answer, "to_frame"):  # a Series
            return self._columns(answer.to_frame(self._name if answer.name is None else answer.name))
        if isinstance(answer, Mapping):
            return [self._tensor(str(key), value) for key, value in answer.items()]
        return [self._tensor(self._name, answer)]

    def _columns(self, frame: Any) -> list[Tensor]:
        frame = frame.set_axis([str(name) for name in frame.columns], axis=1)
        response = InferenceResponse(model_name=self._model, outputs=PandasCodec.encode_outputs(frame))
        outputs = from_public(response, InferRequest(self._model, [])).outputs
        return [tensor.reshaped((len(frame),)) for tensor in outputs]

    def _tensor(self, name: str, value: Any) -> Tensor:
        if hasattr(value, "toarray"):
            value = value.toarray()  # sparse
        elif hasattr(value, "to_numpy"):
            value = value.to_numpy()
        elif hasattr(value, "detach"):
            value = value.detach().cpu().numpy()
        if not isinstance(value, (np.ndarray, list, tuple)):
            value = [value]
        array = value if isinstance(value, np.ndarray) else _array(list(value))
        if array.ndim == 0:
            array = array.reshape(1)
        if array.dtype.kind in "biuf":
            wide = array.dtype.itemsize > 8
            return Tensor.from_array(name, array.astype(np.float64) if wide else array)
        if array.dtype.kind == "M":
            texts = np.char.encode(np.datetime_as_string(array)).astype(object)
            return Tensor.from_array(name, texts, "BYTES", dict(_INSTANTS))
        if array.dtype.kind in "USO":
            return self._texts(name, array.astype(object))
        raise InternalError(
            f"model '{self._model}' answered with elements of type {array.dtype} in '{name}', which no tensor can hold"
        )

    def _texts(self, name: str, array: np.ndarray[Any, Any]) -> Tensor:
        elements = array.ravel().tolist()
        plain = all(isinstance(element, (str, bytes)) for element in elements)
        texts = np.empty(len(elements), dtype=object)
        try:
            written = elements if plain else [json.dumps(element, default=_plain) for element in elements]
        except (TypeError, ValueError) as error:
            raise InternalError(
                f"model '{self._model}' answered with something in '{name}' that JSON cannot write: {error}"
            ) from None
        texts[:] = [element.encode() if isinstance(element, str) else element for element in written]
        text = plain and not any(isinstance(element, bytes) for element in elements)
        parameters: Parameters | None = dict(_TEXT) if text else None if plain else dict(_JSON)
        return Tensor.from_array(name, texts.reshape(array.shape), "BYTES", parameters)


def _array(elements: list[Any]) -> np.ndarray[Any, Any]:
    """``elements`` as an array: of numbers where they are all numbers, nested alike; else of as many objects."""
    simple = (bool, int, float, str, np.generic, list, tuple, np.ndarray)
    if elements and all(isinstance(element, simple) for element in elements):
        kinds = {isinstance(element, str) for element in elements}
        try:
            array = np.array(elements)
        except ValueError:  # nested, and not all of one length
            array = np.empty(0, dtype=object)
        if array.dtype.kind in "biufM" or (array.dtype.kind in "US" and kinds == {True}):
            return array
    objects = np.empty(len(elements), dtype=object)
    objects[:] = elements
    return objects


def _plain(value: Any) -> Any:
    """``value`` in what JSON knows. Raises TypeError."""
    if isinstance(value, (np.ndarray, np.generic)):
        return value.tolist()
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.decode()
    if hasattr(value, "model_dump"):
        return value.model_dump()
    raise TypeError(f"no JSON for {type(value).__name__}")


def observed(tensors: Sequence[Tensor]) -> list[MetadataTensor]:
    """Metadata of outputs as they came: any number of rows, the rest as it is."""
    return [
        MetadataTensor(
            name=tensor.name,
            datatype=tensor.datatype,
            shape=[-1, *tensor.shape[1:]],
            parameters=PublicParameters.model_validate(tensor.parameters) if tensor.parameters else None,
        )
        for tensor in tensors
    ]
