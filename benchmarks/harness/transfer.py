"""A client that moves one big tensor to a model and back again and again; run as a process of its own.

Prints JSON: round trips, megabytes per second (size of the tensor / time of the whole round trip, times the round trips
side by side), the same for each direction alone over REST, and the median milliseconds of a round trip.
"""

from __future__ import annotations

import json
import re
import socket
import statistics
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import grpc

from harness.cases import Payload, identity_case, parse_grpc, parse_rest

#: (seconds until the first byte of the answer, seconds from there to its last, the answer, length of its JSON part)
Trip = tuple[float, float, memoryview, int | None]
_GRPC_OPTIONS = [
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    ("grpc.use_local_subchannel_pool", 1),
]


def rest_trips(port: int, model: str, payload: Payload) -> Callable[[], Trip]:
    """One keep-alive connection; each call is one round trip."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=60)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    lines = [f"POST /v2/models/{model}/infer HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {len(payload.body)}"]
    lines += [f"{name}: {value}" for name, value in payload.headers.items()]
    head = ("\r\n".join(lines) + "\r\n\r\n").encode()
    answer = memoryview(bytearray(len(payload.body) + 65536))

    def trip() -> Trip:
        began = time.perf_counter()
        connection.sendall(head)
        connection.sendall(payload.body)
        size = connection.recv_into(answer)
        first = time.perf_counter()
        while (end := bytes(answer[: min(size, 8192)]).find(b"\r\n\r\n")) < 0:
            size += connection.recv_into(answer[size:]) or _closed()
        fields = dict(re.findall(rb"\r\n([a-z-]+): *([^\r]*)", bytes(answer[:end]).lower()))
        total = end + 4 + int(fields[b"content-length"])
        while size < total:
            size += connection.recv_into(answer[size:total]) or _closed()
        last = time.perf_counter()
        if not bytes(answer[:12]).endswith(b" 200"):
            raise RuntimeError(bytes(answer[: min(total, 500)]).decode(errors="replace"))
        json_part = fields.get(b"inference-header-content-length")
        return first - began, last - first, answer[end + 4 : total], int(json_part) if json_part else None

    return trip


def _closed() -> int:
    raise ConnectionError("the server closed the connection in the middle of an answer")


def grpc_trips(port: int, payload: Payload) -> Callable[[], Trip]:
    """One channel with a connection of its own; each call is one round trip, bytes to bytes."""
    call = grpc.insecure_channel(f"127.0.0.1:{port}", _GRPC_OPTIONS).unary_unary(
        "/inference.GRPCInferenceService/ModelInfer"
    )

    def trip() -> Trip:
        began = time.perf_counter()
        answer = call(payload.body, timeout=60)
        return time.perf_counter() - began, 0.0, memoryview(answer), None

    return trip


def main() -> None:
    """Arguments: port, model, wire (rest or grpc), floats, connections, seconds."""
    port, model, wire, floats, connections, seconds = sys.argv[1:]
    case = identity_case(int(floats), model)
    payload = case.binary() if wire == "rest" else case.grpc(raw=True)
    done: list[tuple[float, float]] = []
    failures: list[BaseException] = []
    start = threading.Barrier(int(connections) + 1)

    def client() -> None:
        try:
            trip = rest_trips(int(port), model, payload) if wire == "rest" else grpc_trips(int(port), payload)
            _, _, answer, json_part = trip()
            case.check(parse_rest(bytes(answer), json_part) if wire == "rest" else parse_grpc(bytes(answer)))
            start.wait(60)
            end = time.perf_counter() + float(seconds)
            while time.perf_counter() < end:
                done.append(trip()[:2])
        except BaseException as error:
            failures.append(error)
            start.abort()

    threads = [threading.Thread(target=client) for _ in range(int(connections))]
    for thread in threads:
        thread.start()
    try:
        start.wait(120)
        began = time.perf_counter()
    except threading.BrokenBarrierError:
        began = 0.0
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    elapsed, megabytes = time.perf_counter() - began, int(floats) * 4 / 1e6
    result = {
        "round_trips": len(done),
        "mb_s": len(done) * megabytes / elapsed,
        "in_mb_s": megabytes / statistics.median(there for there, _ in done),
        "out_mb_s": megabytes / statistics.median(back for _, back in done) if wire == "rest" else 0.0,
        "p50_ms": statistics.median(there + back for there, back in done) * 1e3,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
