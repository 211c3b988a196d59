"""Clients of the chaos run: each checks every answer it gets and accounts for every request it made."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import Callable, Mapping

import aiohttp
import numpy as np
import tritonclient.grpc as grpc_client
import tritonclient.grpc.aio as grpc_aio
from tritonclient.utils import InferenceServerException

ANSWERS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "double": lambda x: x * 2,
    "patient": lambda x: x + 1,
    "fickle": lambda x: x * 2,
    "triple": lambda x: x * 3,
}
BAD_BODIES = [b"", b"{", b"[]", b'{"inputs": 7}', b'{"inputs": [{"name": "x"}]}', b"\xff\xfe", b"[" * 5000]


class Ledger:
    """What became of every request: ``right``, ``refused`` (come back later), ``left`` by its client, or wrong."""

    def __init__(self) -> None:
        self.outcomes: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.draining = False

    def count(self, outcome: str, model: str) -> None:
        self.outcomes[f"{model} {outcome}"] += 1

    def total(self, outcome: str) -> int:
        return sum(count for key, count in self.outcomes.items() if key.endswith(f" {outcome}"))

    def fail(self, text: str) -> None:
        if len(self.wrong) < 20:
            self.wrong.append(text)


def some_rows() -> np.ndarray:
    return np.random.default_rng().random((random.randint(1, 4), 16), dtype=np.float32)


def may_be_missing(model: str, status: int, content: bytes) -> bool:
    """``fickle`` is unloaded now and then, and its loads are not repeated when their worker is killed: then it is
    rightly not found, or told to have failed."""
    return model == "fickle" and (status == 404 or (status == 503 and b"has no available versions" in content))


async def rest_client(address: str, models: list[str], stop: asyncio.Event, ledger: Ledger) -> None:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as session:
        while not stop.is_set():
            model, x = random.choice(models), some_rows()
            url = f"http://{address}/v2/models/{model}/infer"
            body, headers = encode(x, binary=random.random() < 0.5)
            try:
                async with session.post(url, data=body, headers=headers) as answer:
                    content = await answer.read()
                    judge(ledger, model, x, answer.status, answer.headers, content)
            except (aiohttp.ClientConnectionError, ConnectionError) as error:
                if ledger.draining:
                    return  # the port is closed: nothing was accepted, nothing is lost
                ledger.fail(f"{model}: {type(error).__name__}: {error}")


def encode(x: np.ndarray, *, binary: bool) -> tuple[bytes, dict[str, str]]:
    tensor = {"name": "x", "shape": list(x.shape), "datatype": "FP32"}
    if not binary:
        body = json.dumps({"inputs": [{**tensor, "data": x.ravel().tolist()}]})
        return body.encode(), {"Content-Type": "application/json"}
    tensor["parameters"] = {"binary_data_size": x.nbytes}
    head = json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}}).encode()
    return head + x.tobytes(), {"Inference-Header-Content-Length": str(len(head))}


def judge(ledger: Ledger, model: str, x: np.ndarray, status: int, headers: Mapping[str, str], content: bytes) -> None:
    if status in (429, 503) and "Retry-After" in headers:
        ledger.count("refused", model)
        return
    if may_be_missing(model, status, content):
        ledger.count("missing", model)
        return
    if status != 200:
        ledger.fail(f"{model}: HTTP {status} {content[:300]!r}")
        return
    size = headers.get("Inference-Header-Content-Length")
    if size:
        head = json.loads(content[: int(size)])
        y = np.frombuffer(content[int(size) :], np.float32).reshape(head["outputs"][0]["shape"])
    else:
        output = json.loads(content)["outputs"][0]
        y = np.array(output["data"], np.float32).reshape(output["shape"])
    if y.shape == x.shape and np.allclose(y, ANSWERS[model](x), rtol=1e-5):
        ledger.count("right", model)
    else:
        ledger.fail(f"{model}: a wrong answer")


async def grpc_caller(address: str, models: list[str], stop: asyncio.Event, ledger: Ledger) -> None:
    client = grpc_aio.InferenceServerClient(address)
    try:
        while not stop.is_set():
            model, x = random.choice(models), some_rows()
            item = grpc_client.InferInput("x", list(x.shape), "FP32")
            item.set_data_from_numpy(x)
            try:
                result = await client.infer(model, [item], client_timeout=60)
            except InferenceServerException as error:
                status = str(error.status())
                if "NOT_FOUND" in status and model == "fickle":
                    ledger.count("missing", model)
                elif "RESOURCE_EXHAUSTED" in status:
                    ledger.count("refused", model)
                elif "UNAVAILABLE" in status:
                    if ledger.draining and "failed to connect" in str(error.message()).lower():
                        return
                    ledger.count("refused", model)
                elif ledger.draining and ("CANCELLED" in status or "GOAWAY" in str(error)):
                    return
                else:
                    ledger.fail(f"{model}: gRPC {status} {error.message()}")
                continue
            if np.allclose(result.as_numpy("y"), ANSWERS[model](x), rtol=1e-5):
                ledger.count("right", model)
            else:
                ledger.fail(f"{model}: a wrong answer over gRPC")
    finally:
        await client.close()


async def leaver(address: str, models: list[str], stop: asyncio.Event, ledger: Ledger) -> None:
    """Sends requests, some of them whole and some cut short, and goes away without waiting for the answer."""
    host, port = address.rsplit(":", 1)
    while not stop.is_set():
        model = random.choice(models)
        body, _ = encode(some_rows(), binary=False)
        head = f"POST /v2/models/{model}/infer HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        whole = head + body
        try:
            _, writer = await asyncio.open_connection(host, int(port))
            writer.write(whole if random.random() < 0.5 else whole[: random.randrange(1, len(whole))])
            await writer.drain()
            await asyncio.sleep(random.random() * 0.02)
            writer.transport.abort()
        except OSError:
            if ledger.draining:
                return
            raise
        ledger.count("left", model)
        await asyncio.sleep(0.01)


async def vandal(address: str, stop: asyncio.Event, ledger: Ledger) -> None:
    """Sends what no client should; every answer must be its mistake, told in JSON."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as session:
        while not stop.is_set():
            url = f"http://{address}/v2/models/{random.choice(['double', 'triple', 'patient'])}/infer"
            try:
                async with session.post(url, data=random.choice(BAD_BODIES)) as answer:
                    body = await answer.json(content_type=None)
                    if not (400 <= answer.status < 500 or answer.status == 503) or "error" not in body:
                        ledger.fail(f"a bad body got HTTP {answer.status} {body}")
                    ledger.count("bad", "any")
            except (aiohttp.ClientConnectionError, ConnectionError):
                if not ledger.draining:
                    ledger.fail("a bad body cost the connection")
                return
            await asyncio.sleep(0.02)
