"""The decoders of every wire behind their real entry points: one changed request in, its outcome out."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from random import Random
from typing import Any, TypeVar

from oipserver.errors import OIPError
from oipserver.pb import inference_pb2 as pb
from oipserver.plane import DataPlane
from oipserver.protocol import ServerMetadata
from oipserver.registry import ModelRegistry
from oipserver.settings import ModelSettings, Settings, TensorSettings
from oipserver.wire.grpc.errors import status_of
from oipserver.wire.grpc.handlers import InferHandler as GrpcInferHandler
from oipserver.wire.rest.extensions.generate import AsgiGenerate
from oipserver.wire.rest.handler import InferHandler
from oipserver.wire.rest.headers import HeaderView
from oipserver.wire.rest.reply import Reply
from tests.wire.rest.rest_world import HERE as WORLD
from tests.wire.rest.rest_world import MODELS, InProcess

from . import seeds
from .mutate import mutate_bytes, mutate_message, mutate_value

T = TypeVar("T")
#: Lies around every REST body: an answer that holds it shows that something beyond the body was read.
CANARY = bytes.fromhex("c5a17f03eeb2d94c6b")
SERVER_FAILURES = {"UNKNOWN", "INTERNAL", "UNAVAILABLE", "UNIMPLEMENTED"}
#: A model with a configuration in Triton's form, which is stricter.
CONFIGURED = ModelSettings(
    name="text",
    implementation=f"{WORLD}.Echo",
    inputs=[TensorSettings(name="x", datatype="BYTES", shape=[-1, 3])],
    outputs=[TensorSettings(name="x", datatype="BYTES", shape=[-1, 3])],
    enforce_inputs=True,
    configuration={
        "max_batch_size": 4,
        "input": [{"name": "x", "data_type": "TYPE_STRING", "dims": [3]}],
        "output": [{"name": "x", "data_type": "TYPE_STRING", "dims": [3]}],
    },
)
Target = Callable[[Random], Coroutine[Any, Any, str]]


class FailedError(AssertionError):
    """A request that made the server fail; ``request`` repeats it."""

    def __init__(self, problem: str, request: object) -> None:
        super().__init__(f"{problem}\n{request!r}")


class _Call:
    """A gRPC call without a deadline; all models answer in the calling thread."""

    headers: Mapping[str, str] = {}
    deadline = None

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        work.close()
        raise AssertionError("a model did not answer in the calling thread")

    def send_headers(self, headers: Mapping[str, str]) -> None:
        raise AssertionError("no model sends headers")


class Targets:
    """The targets over a data plane with the models that the seeds ask."""

    def __init__(self, plane: DataPlane) -> None:
        settings = Settings()
        self._rest = InferHandler(plane, settings)
        self._generate = AsgiGenerate(plane, self._rest, settings)
        self._grpc = GrpcInferHandler(plane)
        self._documents, self._flat = seeds.json_documents(), seeds.flat_documents()
        self._binary, self._messages = seeds.binary_requests(), seeds.messages()
        self._texts = [json.dumps(document).encode() for _, document in self._documents]
        self._serialized = [message.SerializeToString() for message in self._messages]
        self.all: dict[str, Target] = {
            "rest-json": self.rest_json,
            "rest-binary": self.rest_binary,
            "generate": self.generate,
            "grpc": self.grpc,
        }

    def _text(self, random: Random, document: Any) -> bytes:
        """``document`` as JSON with changes to its values, its bytes or both."""
        kind = random.randrange(3)
        text = json.dumps(mutate_value(random, document) if kind else document).encode()
        return text if kind == 1 else mutate_bytes(random, text, self._texts)

    async def rest_json(self, random: Random) -> str:
        """A request of nothing but JSON; one in eight says it is something else."""
        model, document = random.choice(self._documents)
        kind = b"application/octet-stream" if random.randrange(8) == 0 else b"application/json"
        return await self._ask(model, self._text(random, document), [(b"content-type", kind)])

    async def rest_binary(self, random: Random) -> str:
        """JSON and binary data, and a length of the JSON that may lie."""
        model, document, blob = random.choice(self._binary)
        text = self._text(random, document) if random.randrange(2) else json.dumps(document).encode()
        if random.randrange(2):
            blob = mutate_bytes(random, blob, [item[2] for item in self._binary])
        length = b"%d" % len(text)
        if random.randrange(4) == 0:
            length = random.choice((b"0", b"-1", b"x", b"%d" % (len(text) + len(blob) + 1), b"%d" % (len(text) - 1)))
        return await self._ask(model, text + blob, [(b"inference-header-content-length", length)])

    async def _ask(self, model: str, body: bytes, headers: list[tuple[bytes, bytes]]) -> str:
        around = bytearray(CANARY + body + CANARY)
        view = memoryview(around)[len(CANARY) : len(CANARY) + len(body)]
        answer = self._rest.begin(model, "", HeaderView(headers), view)
        reply = answer if isinstance(answer, Reply) else await answer
        return _checked(reply.status, b"".join(reply.buffers), (model, headers, body))

    async def generate(self, random: Random) -> str:
        """A flat object, through the route's own application."""
        model, document = random.choice(self._flat)
        body = self._text(random, document)
        sent: list[Any] = []
        left = asyncio.Event()
        messages = iter([{"type": "http.request", "body": body}])

        async def receive() -> Any:
            if (message := next(messages, None)) is None:
                await left.wait()
            return message or {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {"type": "http", "headers": [], "path_params": {"model_name": model}, "query_string": b""}
        await self._generate(scope, receive, send)
        return _checked(sent[0]["status"], b"".join(part["body"] for part in sent[1:]), (model, body))

    async def grpc(self, random: Random) -> str:
        """A message with changes to its fields, its bytes or both."""
        number = random.randrange(len(self._messages))
        kind = random.randrange(3)
        data = mutate_message(random, self._messages[number]).SerializeToString() if kind else self._serialized[number]
        if kind != 1:
            data = mutate_bytes(random, data, self._serialized)
        try:
            answer = self._grpc(data, _Call())
        except OIPError as error:
            status = status_of(error).name
            if status in SERVER_FAILURES or not error.message:
                raise FailedError(f"{status}: {error.message}", data) from error
            return status
        except Exception as error:
            raise FailedError(f"{type(error).__name__}: {error}", data) from error
        pb.ModelInferResponse.FromString(answer)
        return "OK"


def _checked(status: int, body: bytes, request: object) -> str:
    if status >= 500:
        raise FailedError(f"{status}: {body[:200]!r}", request)
    if CANARY in body:
        raise FailedError("the answer holds bytes from outside of the request", request)
    if status >= 400 and not json.loads(body)["error"]:
        raise FailedError(f"{status} without a reason", request)
    return str(status)


@asynccontextmanager
async def targets() -> AsyncIterator[Targets]:
    """The targets, over models that are loaded meanwhile."""
    registry = ModelRegistry(InProcess(Settings()))
    for model in MODELS:
        if model.name in ("echo", "add"):
            await registry.load(model.name, [model])
    await registry.load("text", [CONFIGURED])
    try:
        yield Targets(DataPlane(registry, ServerMetadata("oipserver", "1"), lambda: True))
    finally:
        await registry.close()
