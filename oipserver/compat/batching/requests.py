"""Several public requests as one, and its response as one for each of them; touches no tensor but by its list."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

from ...codecs.utils import elements_of
from ...errors import InvalidArgumentError
from ...types import (
    InferenceRequest,
    InferenceResponse,
    Parameters,
    RequestInput,
    RequestOutput,
    ResponseOutput,
    TensorData,
)
from ...types.bridge import DECODED_PARAMETER
from .shape import Shape

# Parameters that say what a whole tensor is: they are the same for all rows, and never listed.
_OF_THE_TENSOR = ("content_type", "headers")


class BatchedRequests:
    """``merged_request`` holds the rows of all ``inference_requests``; ``split_response`` gives each its rows back."""

    def __init__(self, inference_requests: Mapping[str, InferenceRequest] = {}) -> None:  # only read
        self.inference_requests = inference_requests
        self._minibatch_sizes: dict[str, int] = {}
        self.merged_request = self._merge_requests()

    def _merge_requests(self) -> InferenceRequest:
        inputs: defaultdict[str, dict[str, RequestInput]] = defaultdict(dict)
        outputs: dict[str, RequestOutput] = {}
        parameters: dict[str, Any] = {}
        for id_, request in self.inference_requests.items():
            parameters.update(_given(request.parameters))
            for request_input in request.inputs:
                inputs[request_input.name][id_] = request_input
            for output in request.outputs or ():
                first = outputs.setdefault(output.name, output)
                if first is not output and output.parameters is not None:
                    merged = {**_given(first.parameters), **_given(output.parameters)}
                    outputs[output.name] = RequestOutput(name=output.name, parameters=Parameters(**merged))
        fields: dict[str, Any] = {"inputs": [self._merge_request_inputs(same) for same in inputs.values()]}
        if outputs:
            fields["outputs"] = list(outputs.values())
        if parameters:
            fields["parameters"] = Parameters(**parameters)
        return InferenceRequest(**fields)

    def _merge_request_inputs(self, request_inputs: Mapping[str, RequestInput]) -> RequestInput:
        """One input with the rows of inputs that have the same name.

        What a parameter is in several of them becomes a list, one element for each that has it.
        """
        first = next(iter(request_inputs.values()))
        shape = Shape(first.shape)
        shape.batch_size = 0
        listed: defaultdict[str, list[Any]] = defaultdict(list)
        for id_, request_input in request_inputs.items():
            rows = Shape(request_input.shape).batch_size
            self._minibatch_sizes[id_] = rows
            shape.batch_size += rows
            for key, value in _given(request_input.parameters).items():
                listed[key].append(value)
        parameters = {
            key: values[-1] if key in _OF_THE_TENSOR or len(values) == 1 else values for key, values in listed.items()
        }
        data = _joined([elements_of(request_input) for request_input in request_inputs.values()], first.name)
        fields = {"name": first.name, "datatype": first.datatype, "shape": shape.to_list(), "data": TensorData(data)}
        return RequestInput(**fields, **({"parameters": Parameters(**parameters)} if parameters else {}))

    def split_response(self, batched_response: InferenceResponse) -> dict[str, InferenceResponse]:
        """The response of each request, by the key it came under. Raises InvalidArgumentError for an output that has
        another number of rows than the requests together."""
        outputs: defaultdict[str, list[ResponseOutput]] = defaultdict(list)
        for output in batched_response.outputs:
            for id_, part in self._split_response_output(output).items():
                outputs[id_].append(part)
        shared = {
            name: getattr(batched_response, name)
            for name in ("model_name", "model_version", "parameters")
            if name in batched_response.model_fields_set
        }
        return {
            id_: InferenceResponse(**shared, id=request.id, outputs=outputs[id_])
            for id_, request in self.inference_requests.items()
        }

    def _split_response_output(self, response_output: ResponseOutput) -> dict[str, ResponseOutput]:
        rows = Shape(response_output.shape).batch_size
        if rows != sum(self._minibatch_sizes.values()):
            raise InvalidArgumentError(
                f"output '{response_output.name}' has {rows} rows, but the requests have "
                f"{sum(self._minibatch_sizes.values())}"
            )
        split = {}
        parameters = self._split_parameters(response_output)
        for id_, data in self._split_data(response_output):
            shape = Shape(response_output.shape)
            shape.batch_size = self._minibatch_sizes[id_]
            split[id_] = ResponseOutput(
                name=response_output.name,
                datatype=response_output.datatype,
                shape=shape.to_list(),
                data=TensorData(data),
                **({"parameters": Parameters(**parameters[id_])} if parameters[id_] else {}),
            )
        return split

    def _split_data(self, response_output: ResponseOutput) -> Iterator[tuple[str, Any]]:
        elements = elements_of(response_output)
        rows = Shape(response_output.shape)
        # Nested lists have a row in each element; flat ones, text and bytes have its elements one after the other.
        width = 1 if isinstance(elements, list) and len(elements) == rows.batch_size else rows.elem_size
        start = 0
        for id_, count in self._minibatch_sizes.items():
            yield id_, elements[start : start + count * width]
            start += count * width

    def _split_parameters(self, response_output: ResponseOutput) -> defaultdict[str, dict[str, Any]]:
        split: defaultdict[str, dict[str, Any]] = defaultdict(dict)
        for key, value in _given(response_output.parameters).items():
            values = value if isinstance(value, list) else [value] * len(self._minibatch_sizes)
            for id_, own in zip(self._minibatch_sizes, values, strict=False):
                split[id_][key] = own
        return split


def _given(parameters: Parameters | None) -> dict[str, Any]:
    given = parameters.model_dump() if parameters is not None else {}
    given.pop(DECODED_PARAMETER, None)
    return given


def _joined(parts: Sequence[Any], name: str) -> Any:
    """All parts in one: lists one after the other, and text and bytes likewise."""
    kinds = {type(part) for part in parts}
    if kinds == {str}:
        return "".join(parts)
    if kinds == {bytes}:
        return b"".join(parts)
    if kinds != {list}:
        raise InvalidArgumentError(f"the data of input '{name}' cannot be merged: expected lists, or text, or bytes")
    return list(chain.from_iterable(parts))
