"""Compression both ways with Triton's clients, by the bytes that pass; and the options of gRPC connections."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import tritonclient.grpc as grpc_client
import tritonclient.grpc.aio as grpc_aio
import tritonclient.http as http_client
import tritonclient.http.aio as http_aio
from tritonclient.utils import InferenceServerException

from oipserver.settings import Settings
from oipserver.wire.grpc.transport import channel_options
from tests.support.models import write_identity_model
from tests.support.relay import Relay
from tests.support.server_process import ServerProcess

SIZE = 100_000
PLAIN = 4 * SIZE
PACKED = PLAIN // 10
DATA = np.zeros(SIZE, np.float32)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("models")
    write_identity_model(root / "m", "FP32", 1)
    return root


@pytest.fixture(scope="module")
def server(models: Path) -> Iterator[ServerProcess]:
    options = ["--grpc-infer-response-compression-level", "high", "--grpc-max-connection-age", "300"]
    with ServerProcess(models, *options, "--grpc-max-message-length", "1000000") as process:
        yield process


@pytest.fixture(scope="module")
def plain(models: Path) -> Iterator[ServerProcess]:
    with ServerProcess(models) as process:
        yield process


def inputs(module: Any, data: Any = DATA) -> list[Any]:
    item = module.InferInput("x", list(data.shape), "FP32")
    item.set_data_from_numpy(data)
    return [item]


@pytest.mark.process
@pytest.mark.parametrize("algorithm", ["gzip", "deflate"])
def test_rest(plain: ServerProcess, algorithm: str) -> None:
    with Relay(plain.http) as relay, http_client.InferenceServerClient(relay.address) as client:
        for way in ("request", "response"):
            relay.up = relay.down = 0
            answer = client.infer("m", inputs(http_client), **{f"{way}_compression_algorithm": algorithm})
            assert (answer.as_numpy("y") == DATA).all()
            assert (relay.up < PACKED) is (way == "request")
            assert (relay.down < PACKED) is (way == "response")


@pytest.mark.process
@pytest.mark.parametrize("algorithm", ["gzip", "deflate"])
def test_grpc_requests(plain: ServerProcess, algorithm: str) -> None:
    with Relay(plain.grpc) as relay, grpc_client.InferenceServerClient(relay.address) as client:
        answer = client.infer("m", inputs(grpc_client), compression_algorithm=algorithm)
        assert (answer.as_numpy("y") == DATA).all()
        assert relay.up < PACKED
        assert relay.down > PLAIN  # only answers of a server that was told so are compressed


@pytest.mark.process
def test_grpc_answers(server: ServerProcess) -> None:
    with Relay(server.grpc) as relay, grpc_client.InferenceServerClient(relay.address) as client:
        answer = client.infer("m", inputs(grpc_client))
        assert (answer.as_numpy("y") == DATA).all()
        assert relay.up > PLAIN
        assert relay.down < PACKED


@pytest.mark.process
def test_asyncio_clients(plain: ServerProcess) -> None:
    async def main() -> None:
        async with http_aio.InferenceServerClient(plain.http) as client:
            answer = await client.infer(
                "m", inputs(http_aio), request_compression_algorithm="gzip", response_compression_algorithm="deflate"
            )
            assert (answer.as_numpy("y") == DATA).all()
        async with grpc_aio.InferenceServerClient(plain.grpc) as rpc:
            answer = await rpc.infer("m", inputs(grpc_aio), compression_algorithm="gzip")
            assert (answer.as_numpy("y") == DATA).all()

    asyncio.run(main())


@pytest.mark.process
def test_messages_and_connections_have_bounds(server: ServerProcess) -> None:
    with grpc_client.InferenceServerClient(server.grpc) as client:
        with pytest.raises(InferenceServerException, match="larger than max"):
            client.infer("m", inputs(grpc_client, np.zeros(300_000, np.float32)))
        states: list[grpc.ChannelConnectivity] = []
        client._channel.subscribe(states.append)
        assert client.is_server_live()
        deadline = time.monotonic() + 10
        while grpc.ChannelConnectivity.IDLE not in states[1:] and time.monotonic() < deadline:
            time.sleep(0.02)
        assert grpc.ChannelConnectivity.IDLE in states[1:]  # the connection is of age: the server has ended it
        assert client.is_server_live()


@pytest.mark.process
def test_clients_may_keep_connections_alive(plain: ServerProcess) -> None:
    options = grpc_client.KeepAliveOptions(
        keepalive_time_ms=10_000, keepalive_timeout_ms=5000, keepalive_permit_without_calls=True
    )
    with grpc_client.InferenceServerClient(plain.grpc, keepalive_options=options) as client:
        assert (client.infer("m", inputs(grpc_client)).as_numpy("y") == DATA).all()


def test_options_of_the_port() -> None:
    told = dict(channel_options(Settings()))
    # gRPC's own defaults for servers, which are Triton's too.
    assert told["grpc.keepalive_time_ms"] == 7_200_000
    assert told["grpc.keepalive_timeout_ms"] == 20_000
    assert told["grpc.keepalive_permit_without_calls"] == 0
    assert told["grpc.http2.max_pings_without_data"] == told["grpc.http2.max_ping_strikes"] == 2
    assert told["grpc.http2.min_recv_ping_interval_without_data_ms"] == 300_000
    assert "grpc.max_connection_age_ms" not in told
    changed = channel_options(
        Settings(
            grpc_keepalive_time=1,
            grpc_keepalive_permit_without_calls=True,
            grpc_max_connection_age=2,
            grpc_max_connection_age_grace=3,
            grpc_infer_response_compression_level="low",
        )
    )
    assert {
        ("grpc.keepalive_time_ms", 1),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.max_connection_age_ms", 2),
        ("grpc.max_connection_age_grace_ms", 3),
        ("grpc.default_compression_level", 1),
    } <= set(changed)
