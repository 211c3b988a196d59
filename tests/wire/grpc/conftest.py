"""A server that tests share which only ask, and clients of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import tritonclient.grpc as triton

from oipserver.pb import inference_pb2 as pb
from oipserver.wire.grpc import SERVICE

from .serving import Served, serving

MODELS = {
    "add": "Add",
    "echo": "Echo",
    "broken": "Broken",
    "busy": "Busy",
    "headers": "Headers",
    "pieces": "Pieces",
}


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serving(MODELS) as running:
        yield running


@pytest.fixture
def client(served: Served) -> Iterator[triton.InferenceServerClient]:
    with triton.InferenceServerClient(served.address) as opened:
        yield opened


@pytest.fixture
def call(served: Served) -> Iterator[Callable[..., Any]]:
    """Calls a method with one of our messages: ``call("ServerLive", pb.ServerLiveRequest(), timeout=1)``."""
    with served.channel() as channel:

        def ask(name: str, message: Any, **options: Any) -> Any:
            answer = getattr(pb, message.DESCRIPTOR.name.replace("Request", "Response"))
            method = channel.unary_unary(f"/{SERVICE}/{name}", type(message).SerializeToString, answer.FromString)
            return method(message, **options)

        yield ask
