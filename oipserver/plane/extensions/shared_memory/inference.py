"""Inference on tensors in registered regions: read where they lie, results written where they are wanted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import aclosing
from itertools import pairwise
from typing import Any, TypeVar

from ....errors import InvalidArgumentError
from ....protocol import InferRequest, InferResponse
from ....protocol.regions import Place, PlacedTensor
from ....tensor import DATATYPES, Tensor
from ...data import DataPlane
from .table import Held, RegionTable

#: Bytes of results up to which writing them takes the event loop less time than handing them to a thread.
QUICK_BYTES = 256 << 10
T = TypeVar("T")


class RegionPlane:
    """Answers, through the data plane behind it, requests with tensors in the regions of ``table``.

    Wires ask it instead of that plane for requests whose ``regions`` is not None, so that others pay nothing for it.
    Raises OIPError and nothing else.
    """

    def __init__(self, data: DataPlane, table: RegionTable) -> None:
        self.table = table
        self._data = data

    async def infer(self, request: InferRequest) -> InferResponse:
        """As DataPlane.infer."""
        answer = self.begin(request)
        return answer if isinstance(answer, InferResponse) else await answer

    def begin(self, request: InferRequest) -> InferResponse | Awaitable[InferResponse]:
        """As DataPlane.begin."""
        use = RegionUse(self.table, request)
        try:
            if use.slow:
                return self._infer(use)
            use.read()
            answer = self._data.begin(request)
            if not isinstance(answer, InferResponse):
                return self._answered(use, answer)
            if not use.quick:
                return self._written(use, answer)
            use.write(answer)
        except BaseException:
            use.release()
            raise
        use.release()
        return answer

    async def _infer(self, use: RegionUse) -> InferResponse:
        with use:
            await _in_thread(use, use.read)
            return await _write(use, await self._data.infer(use.request))

    async def _answered(self, use: RegionUse, answer: Awaitable[InferResponse]) -> InferResponse:
        with use:
            return await _write(use, await answer)

    async def _written(self, use: RegionUse, response: InferResponse) -> InferResponse:
        with use:
            return await _write(use, response)

    def infer_here(self, request: InferRequest) -> InferResponse | None:
        """As DataPlane.infer_here."""
        inputs = request.inputs
        with RegionUse(self.table, request) as use:
            use.read()
            response = self._data.infer_here(request)
            if response is not None:
                return use.write(response)
        request.inputs = inputs  # the event loop is asked next, which reads them anew
        return None

    async def stream(self, request: InferRequest) -> AsyncGenerator[InferResponse, None]:
        """As DataPlane.stream; each answer is written over the one before it, once that was taken."""
        with RegionUse(self.table, request) as use:
            if use.slow:
                await _in_thread(use, use.read)
            else:
                use.read()
            async with aclosing(self._data.stream(request)) as responses:
                async for response in responses:
                    yield await _write(use, response)


class RegionUse(Held):
    """The regions of one request, held from its making until ``release``."""

    def __init__(self, table: RegionTable, request: InferRequest) -> None:
        """Take hold of every region that ``request`` names.

        Raises NotFoundError for one that is not there, InvalidArgumentError for a place that is not inside.
        """
        assert request.regions is not None, "the request has tensors in regions"
        outputs = request.regions
        places = [tensor.place for tensor in request.inputs if isinstance(tensor, PlacedTensor)]
        places += outputs.values()
        super().__init__(table, table.acquire({place.region for place in places}))
        try:
            for place in places:
                self.regions[place.region].check(place)
            _check_apart(outputs)
        except BaseException:
            self.release()
            raise
        self.request = request
        self._outputs = outputs
        self.slow = any(region.slow for region in self.regions.values())
        #: Whether results can be written on the event loop.
        self.quick = not self.slow and sum(place.size for place in outputs.values()) <= QUICK_BYTES

    def read(self) -> None:
        """Put the data that lies in regions into the request. Raises InvalidArgumentError where it does not fit."""
        inputs = self.request.inputs
        self.request.inputs = [self._read(one) if isinstance(one, PlacedTensor) else one for one in inputs]
        if not self.quick:
            self._offer_targets(inputs)

    def _offer_targets(self, inputs: Iterable[Tensor]) -> None:
        """Let the model compute large results where they are wanted."""
        read = [(self.regions[one.place.region], one.place) for one in inputs if isinstance(one, PlacedTensor)]
        for output in self.request.outputs:
            place = self._outputs.get(output.name)
            if place is not None and place.size > QUICK_BYTES:
                output.into = self.regions[place.region].target(place, read)

    def _read(self, tensor: PlacedTensor) -> Tensor:
        raw = self.regions[tensor.place.region].read(tensor.place)
        datatype, model = DATATYPES[tensor.datatype], self.request.model_name
        return Tensor.from_raw(tensor.name, datatype, tensor.shape, raw, tensor.parameters, model=model)

    def write(self, response: InferResponse) -> InferResponse:
        """``response`` with the data of outputs that are wanted in regions put there.

        Raises InvalidArgumentError where there is not room enough.
        """
        places = self._outputs
        response.outputs = [
            self._write(tensor, place) if (place := places.get(tensor.name)) else tensor for tensor in response.outputs
        ]
        return response

    def _write(self, tensor: Tensor, place: Place) -> PlacedTensor:
        size = tensor.nbytes
        if size > place.size:
            raise InvalidArgumentError(
                f"shared memory size specified with the request for output '{tensor.name}' ({place.size} bytes) "
                f"should be at least {size} bytes to hold the results"
            )
        region = self.regions[place.region]
        region.check(place)  # again: the client may have made it smaller meanwhile
        region.write(place, tensor.raw)
        told = Place(place.region, size, place.offset)
        parameters = {**(tensor.parameters or {}), **told.parameters}
        return PlacedTensor(tensor.name, tensor.datatype, tensor.shape, told, parameters)


def _check_apart(places: dict[str, Place]) -> None:
    """Raises InvalidArgumentError where two outputs would be written over each other."""
    ordered = sorted(places.items(), key=lambda item: (item[1].region, item[1].offset))
    for (name, place), (other, next_place) in pairwise(ordered):
        if place.region == next_place.region and place.size and next_place.offset < place.offset + place.size:
            raise InvalidArgumentError(
                f"outputs '{name}' and '{other}' overlap in shared memory region '{place.region}': "
                f"{place.size} bytes at {place.offset}, {next_place.size} bytes at {next_place.offset}"
            )


async def _write(use: RegionUse, response: InferResponse) -> InferResponse:
    return use.write(response) if use.quick else await _in_thread(use, use.write, response)


async def _in_thread(use: RegionUse, work: Callable[..., T], *arguments: Any) -> T:
    """Run ``work`` in a thread, which goes on, and keeps the regions, also where nobody waits for it any more."""
    held = use.again()

    def run() -> T:
        with held:
            return work(*arguments)

    return await asyncio.to_thread(run)
