"""The metrics port: the page at its path, in the format asked for, and nothing else."""

import asyncio
import socket
from collections.abc import Awaitable, Callable

import httpx
import pytest

from oipserver.errors import OIPError
from oipserver.settings import Settings
from oipserver.wire.metrics import MetricsServer


def settings(port: int = 0, endpoint: str = "/metrics") -> Settings:
    return Settings(host="127.0.0.1", metrics_port=port, metrics_endpoint=endpoint)


def page(accept: str) -> tuple[bytes, str]:
    return f"# asked for {accept}\n".encode(), "text/plain; version=0.0.4"


def exchange(talk: Callable[[httpx.AsyncClient], Awaitable[None]], endpoint: str = "/metrics") -> None:
    async def serve() -> None:
        server = MetricsServer(page, settings(endpoint=endpoint))
        port = await server.start()
        try:
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
                await talk(client)
        finally:
            await server.stop()
        with pytest.raises(OSError, match="refused"):
            socket.create_connection(("127.0.0.1", port), timeout=1)

    asyncio.run(serve())


def test_the_page() -> None:
    async def talk(client: httpx.AsyncClient) -> None:
        answer = await client.get("/metrics", headers={"accept": "application/openmetrics-text"})
        assert (answer.status_code, answer.text) == (200, "# asked for application/openmetrics-text\n")
        assert answer.headers["content-type"] == "text/plain; version=0.0.4"
        head = await client.head("/metrics", headers={"accept": "x"})
        assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", "14")

    exchange(talk)


def test_everything_else_is_refused() -> None:
    async def talk(client: httpx.AsyncClient) -> None:
        missing = await client.get("/metrics")
        assert (missing.status_code, missing.text) == (404, "metrics are at /numbers\n")
        wrong = await client.post("/numbers", content=b"x" * 100_000)
        assert (wrong.status_code, wrong.headers["allow"]) == (405, "GET, HEAD")

    exchange(talk, "/numbers")


def test_a_port_in_use_is_one_clear_line() -> None:
    async def serve() -> None:
        first = MetricsServer(page, settings())
        port = await first.start()
        second = MetricsServer(page, settings(port))
        try:
            with pytest.raises(OIPError) as caught:
                await second.start()
        finally:
            await second.stop()
            await first.stop()
        assert f"127.0.0.1:{port}" in caught.value.message
        assert "--metrics-port" in caught.value.message
        assert "\n" not in caught.value.message

    asyncio.run(serve())


def test_an_idle_connection_does_not_delay_the_end() -> None:
    async def serve() -> None:
        server = MetricsServer(page, settings())
        port = await server.start()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n")
        assert (await reader.readuntil(b"asked for \n")).startswith(b"HTTP/1.1 200")
        async with asyncio.timeout(0.9):
            await server.stop()
        assert await reader.read() == b""
        writer.close()

    asyncio.run(serve())
