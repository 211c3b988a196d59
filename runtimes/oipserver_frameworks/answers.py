"""What a predictor answers, in the form the np codec gives it; knows no request and no settings."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np

from oipserver import Tensor
from oipserver.codecs import NumpyCodec
from oipserver.codecs.utils import inject_batch_dimension
from oipserver.errors import InternalError
from oipserver.types import MetadataTensor, Parameters

from .predictor import Predictor

_log = logging.getLogger(__name__)

Array = np.ndarray[Any, Any]


def as_array(answer: Any, output: str, model: str) -> Array:
    """What a framework gave as one array: sparse matrices filled in, one array per target put side by side.

    Raises InternalError for what no tensor can hold.
    """
    if isinstance(answer, np.ndarray):
        return answer
    if hasattr(answer, "toarray"):
        return np.asarray(answer.toarray())
    if isinstance(answer, list) and answer and all(isinstance(part, np.ndarray) for part in answer):
        shapes = {part.shape for part in answer}
        if len(shapes) > 1:
            raise InternalError(
                f"model '{model}': '{output}' gives one array for each target, of the different shapes "
                f"{sorted(map(list, shapes))}, which no tensor can hold"
            )
        return np.stack(answer, axis=1)
    return np.asarray(answer)


def np_tensor(name: str, array: Array) -> Tensor:
    """An array of numbers as the np codec encodes it: one dimension becomes rows of one element."""
    if array.ndim < 2:
        array = array.reshape(inject_batch_dimension(list(array.shape)))
    return Tensor.from_array(name, array, parameters={"content_type": NumpyCodec.ContentType})


def output_metadata(predictor: Predictor) -> list[MetadataTensor]:
    """Datatypes and shapes of what the model computes, found by trying; outputs that fail are not told.

    Trying also does whatever a framework does in its first call only.
    """
    sample = predictor.sample()
    told = []
    for name, function in predictor.functions.items() if sample is not None else ():
        try:
            with np.errstate(all="ignore"):
                output = NumpyCodec.encode_output(name, as_array(function(sample), name, ""))
        except Exception as error:
            _log.debug("'%s' of an example fails: %s", name, error)
            continue
        told.append(
            MetadataTensor(
                name=name,
                datatype=str(output.datatype),
                shape=[-1, *output.shape[1:]],
                parameters=Parameters(content_type=NumpyCodec.ContentType),
            )
        )
    return told
