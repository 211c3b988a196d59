"""A REST server in this process over a few small models, and clients for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from oipserver.errors import InvalidArgumentError
from oipserver.executor import InProcessExecutor
from oipserver.model import MLModel
from oipserver.plane import ControlPlane, DataPlane, TraceControl
from oipserver.protocol import ServerMetadata
from oipserver.registry import ModelRegistry, Servable
from oipserver.repository import ModelRepository, Scan
from oipserver.settings import ModelSettings, Settings, TensorSettings
from oipserver.tensor import Tensor
from oipserver.types import InferenceRequest, InferenceResponse, ResponseOutput, TensorData
from oipserver.wire.rest import RestServer

HERE = "tests.wire.rest.rest_world"


class Echo(MLModel):
    """Answers with its inputs, whatever they are."""

    placement = "in-process"

    def infer_tensors(self, inputs: Sequence[Tensor], outputs: Sequence[str], parameters: Any) -> Sequence[Tensor]:
        return list(inputs)


class Add(MLModel):
    """Sum and difference of two FP32 inputs."""

    placement = "in-process"

    def infer_tensors(self, inputs: Sequence[Tensor], outputs: Sequence[str], parameters: Any) -> Sequence[Tensor]:
        arrays = {tensor.name: tensor.array for tensor in inputs}
        left, right = arrays["INPUT0"], arrays["INPUT1"]
        return [Tensor.from_array("OUTPUT0", left + right), Tensor.from_array("OUTPUT1", left - right)]


class Slow(MLModel):
    """Answers when its gate opens; counts those it was cancelled for."""

    gate: asyncio.Event
    entered: asyncio.Event
    cancelled = 0

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        type(self).entered.set()
        try:
            async with asyncio.timeout(30):
                await type(self).gate.wait()
        except asyncio.CancelledError:
            type(self).cancelled += 1
            raise
        return InferenceResponse(
            model_name=self.name,
            outputs=[ResponseOutput(name="y", shape=[1], datatype="INT64", data=TensorData(root=[1]))],
        )


class Broken(MLModel):
    """Fails in the way its input says."""

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        kind = payload.inputs[0].data[0]
        if kind == "client":
            raise InvalidArgumentError("the caller did it")
        if kind == "headers":
            return InferenceResponse(
                model_name=self.name,
                parameters={"headers": {"X-Mine": "yes", "Content-Length": "1", "x-evil": "a\r\nb: c"}},
                outputs=[],
            )
        raise ValueError("secret inside")


class Counting(MLModel):
    """Streams as many numbers as its input says; a negative one fails after one answer."""

    async def predict_stream(self, payloads: AsyncIterator[InferenceRequest]) -> AsyncIterator[InferenceResponse]:
        async for payload in payloads:
            number = int(payload.inputs[0].data[0])
            if number == 0:
                raise InvalidArgumentError("nothing to count")
            for value in range(abs(number)):
                yield InferenceResponse(
                    model_name=self.name,
                    outputs=[ResponseOutput(name="n", shape=[1], datatype="INT64", data=TensorData(root=[value]))],
                )
                if number < 0:
                    raise InvalidArgumentError("no further")


def tensor(name: str, datatype: str, *shape: int) -> TensorSettings:
    return TensorSettings(name=name, datatype=datatype, shape=list(shape))


MODELS = [
    ModelSettings(name="echo", implementation=f"{HERE}.Echo"),
    ModelSettings(
        name="add",
        implementation=f"{HERE}.Add",
        inputs=[tensor("INPUT0", "FP32", -1, 16), tensor("INPUT1", "FP32", -1, 16)],
        outputs=[tensor("OUTPUT0", "FP32", -1, 16), tensor("OUTPUT1", "FP32", -1, 16)],
    ),
    ModelSettings(name="versioned", implementation=f"{HERE}.Echo", parameters={"version": "v1.0"}),
    ModelSettings(name="one", implementation=f"{HERE}.Echo", inputs=[tensor("x", "FP32", -1, 4)]),
    ModelSettings(name="text", implementation=f"{HERE}.Echo", inputs=[tensor("x", "BYTES", 1)]),
    ModelSettings(name="slow", implementation=f"{HERE}.Slow"),
    ModelSettings(name="broken", implementation=f"{HERE}.Broken"),
    ModelSettings(name="counting", implementation=f"{HERE}.Counting"),
    ModelSettings(name="..odd name", implementation=f"{HERE}.Echo"),
]


class InProcess:
    """Builds servables that run in this process."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def build(self, settings: ModelSettings) -> Servable:
        return Servable(settings, InProcessExecutor(settings), self._settings)


class Shelf(ModelRepository):
    """The models above; nothing on disk."""

    async def scan(self) -> Scan:
        return Scan(models=list(MODELS))

    async def find(self, name: str) -> list[ModelSettings]:
        return [settings for settings in MODELS if settings.name == name]


@asynccontextmanager
async def planes(settings: Settings, ready: Callable[[], bool] = lambda: True) -> AsyncIterator[tuple[Any, Any]]:
    """Data and control plane over MODELS, all loaded."""
    Slow.gate, Slow.entered, Slow.cancelled = asyncio.Event(), asyncio.Event(), 0
    registry = ModelRegistry(InProcess(settings))
    for model in MODELS:
        await registry.load(model.name, [model])
    data = DataPlane(registry, ServerMetadata("oipserver", "1.2.3", ("binary_tensor_data",)), ready)
    try:
        yield data, ControlPlane(registry, Shelf(), settings.model_control_mode)
    finally:
        Slow.gate.set()
        await registry.close()


@asynccontextmanager
async def rest_server(
    settings: Settings | None = None, ready: Callable[[], bool] = lambda: True, **options: Any
) -> AsyncIterator[tuple[RestServer, int]]:
    """A running REST server and its port."""
    settings = settings or Settings()
    settings = settings.model_copy(update={"host": "127.0.0.1", "http_port": 0})
    async with planes(settings, ready) as (data, control):
        server = RestServer(data, control, settings, trace=TraceControl(data, settings), **options)
        port = await server.start()
        try:
            yield server, port
        finally:
            await server.stop(0.2)


def run(test: Callable[[], Awaitable[None]]) -> None:
    """Run ``test`` on the loop that servers run on."""
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(test())  # type: ignore[arg-type]


async def eventually(condition: Callable[[], bool]) -> None:
    """Wait until ``condition`` holds, where the loop alone can make it hold and nothing announces it."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.001)


class RawClient:
    """Bytes on a connection, and answers read as they are framed."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def connect(cls, port: int) -> RawClient:
        return cls(*await asyncio.open_connection("127.0.0.1", port, limit=1 << 24))

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def head(self) -> tuple[int, dict[str, str]]:
        text = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = text.strip().split("\r\n")
        pairs = (line.split(": ", 1) for line in lines)
        return int(first.split()[1]), {name.lower(): value for name, value in pairs}

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        status, headers = await self.head()
        return status, headers, await self.reader.readexactly(int(headers["content-length"]))

    async def closed(self) -> bool:
        """Whether the server ends the connection, with nothing more on it."""
        try:
            return await self.reader.read() == b""
        except ConnectionResetError:
            return True

    def close(self) -> None:
        self.writer.close()


def post(path: str, body: bytes, *headers: str) -> bytes:
    """A POST request as bytes, framed by Content-Length."""
    lines = [f"POST {path} HTTP/1.1", "Host: x", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body
