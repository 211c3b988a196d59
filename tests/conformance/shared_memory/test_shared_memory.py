"""System shared memory with Triton's own client functions, on both wires and in both layouts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import tritonclient.utils.shared_memory as shm
from tritonclient.utils import InferenceServerException, serialize_byte_tensor

from tests.conformance.shared_memory.shared import Shared
from tests.conformance.wires import MISTAKE, NOT_FOUND, Wire

pytestmark = pytest.mark.process
LEFT = np.arange(16, dtype=np.int32).reshape(1, 16)
RIGHT = np.ones((1, 16), np.int32)
TENSOR = LEFT.nbytes


@pytest.fixture
def share(wire: Wire) -> Iterator[Callable[..., Shared]]:
    made: list[Shared] = []

    def make(size: int, **options: Any) -> Shared:
        made.append(Shared(wire, size, **options))
        return made[-1]

    yield make
    for shared in made:
        shared.close()


def status(wire: Wire, name: str = "") -> list[dict[str, Any]]:
    """The regions of the server, as REST tells them."""
    if wire.kind == "http":
        told: list[dict[str, Any]] = wire.client.get_system_shared_memory_status(name)
        return told
    regions = wire.client.get_system_shared_memory_status(name).regions
    assert all(key == region.name for key, region in regions.items())
    return [
        {"name": region.name, "key": region.key, "offset": region.offset, "byte_size": region.byte_size}
        for region in regions.values()
    ]


def answered_output(wire: Wire, result: Any, name: str) -> tuple[bool, dict[str, Any]]:
    """Whether the answer holds data for output ``name``, and the output's parameters."""
    output = result.get_output(name)
    if wire.kind == "http":
        parameters = output.get("parameters", {})
        return "data" in output or "binary_data_size" in parameters, parameters
    response = result.get_response()
    index = [tensor.name for tensor in response.outputs].index(name)
    assert len(response.raw_output_contents) == len(response.outputs)
    chosen = {key: getattr(value, value.WhichOneof("parameter_choice")) for key, value in output.parameters.items()}
    return bool(response.raw_output_contents[index]), chosen


def test_the_simple_flow(wire: Wire, share: Callable[..., Shared]) -> None:
    """As simple_*_shm_client do it: two inputs in one region, two outputs in another."""
    wire.client.unregister_system_shared_memory()
    wire.client.unregister_cuda_shared_memory()
    given, wanted = share(2 * TENSOR), share(2 * TENSOR)
    inputs = [given.input("INPUT0", LEFT), given.input("INPUT1", RIGHT, TENSOR)]
    outputs = [wanted.output("OUTPUT0", TENSOR), wanted.output("OUTPUT1", TENSOR, TENSOR)]
    for _ in range(3):
        result = wire.infer("add", inputs, outputs=outputs)
        assert wanted.get(np.int32, (1, 16)).tolist() == (LEFT + RIGHT).tolist()
        assert wanted.get(np.int32, (1, 16), TENSOR).tolist() == (LEFT - RIGHT).tolist()
        has_data, parameters = answered_output(wire, result, "OUTPUT0")
        assert not has_data
        place = {"shared_memory_region": wanted.name, "shared_memory_byte_size": TENSOR}
        assert parameters == (place if wire.kind == "grpc" else {})
        _, parameters = answered_output(wire, result, "OUTPUT1")
        assert parameters == ({**place, "shared_memory_offset": TENSOR} if wire.kind == "grpc" else {})
    assert len(status(wire)) == 2
    expected = {"name": given.name, "key": given.key, "offset": 0, "byte_size": 2 * TENSOR}
    assert status(wire, given.name) == [expected]
    wire.client.unregister_system_shared_memory()
    assert status(wire) == []


def test_some_tensors_here_and_some_there(wire: Wire, share: Callable[..., Shared]) -> None:
    region = share(2 * TENSOR)
    inputs = [region.input("INPUT0", LEFT), wire.input("INPUT1", RIGHT)]
    result = wire.infer("add", inputs, outputs=[wire.output("OUTPUT1"), region.output("OUTPUT0", TENSOR, TENSOR)])
    assert result.as_numpy("OUTPUT1").tolist() == (LEFT - RIGHT).tolist()
    assert region.get(np.int32, (1, 16), TENSOR).tolist() == (LEFT + RIGHT).tolist()
    inputs = [wire.input("INPUT0", LEFT), region.input("INPUT1", RIGHT)]
    assert wire.infer("add", inputs).as_numpy("OUTPUT0").tolist() == (LEFT + RIGHT).tolist()


def test_an_answer_may_lie_where_the_question_lay(wire: Wire, share: Callable[..., Shared]) -> None:
    region = share(2 * TENSOR)
    inputs = [region.input("INPUT0", LEFT), region.input("INPUT1", RIGHT, TENSOR)]
    wire.infer("add", inputs, outputs=[region.output("OUTPUT0", TENSOR), region.output("OUTPUT1", TENSOR, TENSOR)])
    assert region.get(np.int32, (1, 16)).tolist() == (LEFT + RIGHT).tolist()
    assert region.get(np.int32, (1, 16), TENSOR).tolist() == (LEFT - RIGHT).tolist()


def test_text(wire: Wire, share: Callable[..., Shared]) -> None:
    words = np.array([["é€"], [""], ["plain"]], dtype=object)
    packed = serialize_byte_tensor(words)
    size = len(packed.item())
    given, wanted = share(size), share(100)
    given.put(packed)
    inputs = [given.reference("text_input", words.shape, "BYTES", size)]
    result = wire.infer("text", inputs, outputs=[wanted.output("text_output", 100)])
    _, parameters = answered_output(wire, result, "text_output")
    assert parameters.get("shared_memory_byte_size", size) == size
    assert [[element.decode()] for (element,) in wanted.get(np.object_, words.shape)] == words.tolist()
    lie = given.reference("text_input", (4, 1), "BYTES", size)
    assert wire.mistake("text", [lie])[0] == MISTAKE[wire.kind]


def test_a_region_may_begin_anywhere(wire: Wire, share: Callable[..., Shared]) -> None:
    """Offsets that no page begins at, of the region in its object and of the tensor in the region."""
    region = share(20_000, register=False)
    wire.client.register_system_shared_memory(region.name, region.key, 1000, offset=4097)
    region.put(LEFT, 4097 + 3)
    inputs = [region.reference("INPUT0", LEFT.shape, "INT32", TENSOR, 3), wire.input("INPUT1", RIGHT)]
    wire.infer("add", inputs, outputs=[region.output("OUTPUT0", TENSOR, 1000 - TENSOR)])
    assert region.get(np.int32, (1, 16), 4097 + 1000 - TENSOR).tolist() == (LEFT + RIGHT).tolist()


def refused(wire: Wire, call: Callable[[], object]) -> tuple[str, str]:
    with pytest.raises(InferenceServerException) as caught:
        call()
    return str(caught.value.status()), str(caught.value.message())


def test_mistakes_in_registering(wire: Wire, share: Callable[..., Shared]) -> None:
    region = share(100)
    register = wire.client.register_system_shared_memory
    taken, text = refused(wire, lambda: register(region.name, region.key, 100))
    assert taken == {"http": "400", "grpc": "StatusCode.ALREADY_EXISTS"}[wire.kind]
    assert text == f"shared memory region '{region.name}' already in manager"
    for name, key, size, offset, expected in (
        ("a", "/nope_oip", 10, 0, "Unable to open shared memory region: '/nope_oip'"),
        ("b", region.key, 4097, 0, "failed to register shared memory region 'b': invalid args"),
        ("c", region.key, 100, 8192, "failed to register shared memory region 'c': invalid args"),
        ("d", "/", 10, 0, "cannot register shared memory region 'd' - invalid shm key '/'"),
        ("e", "/../etc/passwd", 10, 0, "invalid shm key '/../etc/passwd'"),
        ("f", "/triton_python_backend_shm_region_x", 10, 0, "cannot register shared memory region 'f' with key"),
        ("g", region.key, 2**63, 2**63, "Integer overflow detected"),
    ):
        code, text = refused(wire, lambda n=name, k=key, s=size, o=offset: register(n, k, s, offset=o))
        assert code == MISTAKE[wire.kind]
        assert expected in text
    code, text = refused(wire, lambda: status(wire, "nope"))
    assert (code, text) == (NOT_FOUND[wire.kind], "Unable to find system shared memory region: 'nope'")
    wire.client.unregister_system_shared_memory("nope")
    assert [told["name"] for told in status(wire)] == [region.name]


def test_mistakes_in_requests(wire: Wire, share: Callable[..., Shared]) -> None:
    region = share(2 * TENSOR)
    left, right = region.input("INPUT0", LEFT), wire.input("INPUT1", RIGHT)

    def place(size: int, offset: int = 0) -> Any:
        return region.reference("INPUT0", LEFT.shape, "INT32", size, offset)

    for wrong, expected in (
        (place(TENSOR, 2 * TENSOR), f"Invalid offset for shared memory region: '{region.name}'"),
        (place(TENSOR, TENSOR + 1), f"Invalid offset + byte size for shared memory region: '{region.name}'"),
        (place(2**62, 2), f"Invalid offset + byte size for shared memory region: '{region.name}'"),
        (place(TENSOR - 4), "input byte size mismatch for input 'INPUT0' for model 'add'. Expected"),
        (place(TENSOR + 4), "input byte size mismatch for input 'INPUT0' for model 'add'. Expected"),
    ):
        code, text = wire.mistake("add", [wrong, right])
        assert code == MISTAKE[wire.kind]
        assert expected in text
    for output, expected in (
        (region.output("OUTPUT0", TENSOR - 1), f"({TENSOR - 1} bytes) should be at least {TENSOR} bytes to hold"),
        (region.output("OUTPUT0", TENSOR, TENSOR + 1), "Invalid offset + byte size for shared memory region"),
    ):
        code, text = wire.mistake("add", [left, right], outputs=[output])
        assert code == MISTAKE[wire.kind]
        assert expected in text
    both = [region.output("OUTPUT0", TENSOR), region.output("OUTPUT1", TENSOR, 4)]
    assert "outputs 'OUTPUT0' and 'OUTPUT1' overlap" in wire.mistake("add", [left, right], outputs=both)[1]
    unknown = wire.module.InferInput("INPUT0", [1, 16], "INT32")
    unknown.set_shared_memory("nope", TENSOR)
    expected_error = (NOT_FOUND[wire.kind], "Unable to find shared memory region: 'nope'")
    assert wire.mistake("add", [unknown, right]) == expected_error
    assert wire.infer("add", [left, right]).as_numpy("OUTPUT0").tolist() == (LEFT + RIGHT).tolist()


def test_an_object_made_smaller_is_the_clients_mistake(wire: Wire, share: Callable[..., Shared]) -> None:
    region = share(8192 + TENSOR)
    left = region.input("INPUT0", LEFT, 8192)
    with open(f"/dev/shm{region.key}", "r+b") as file:
        file.truncate(4096)
        code, text = wire.mistake("add", [left, wire.input("INPUT1", RIGHT)])
        file.truncate(8192 + TENSOR)
    assert code == MISTAKE[wire.kind]
    assert "was made smaller since it was registered" in text


def test_cuda_without_a_gpu(wire: Wire) -> None:
    told = wire.client.get_cuda_shared_memory_status()
    assert (told if wire.kind == "http" else list(told.regions)) == []
    wire.client.unregister_cuda_shared_memory()
    code, text = refused(wire, lambda: wire.client.register_cuda_shared_memory("g", b"AAAA", 0, 10))
    assert code == MISTAKE[wire.kind]
    assert "failed to register CUDA shared memory region: 'g', GPUs not supported" in text
    code, text = refused(wire, lambda: wire.client.get_cuda_shared_memory_status("g"))
    assert (code, text) == (NOT_FOUND[wire.kind], "Unable to find cuda shared memory region: 'g'")


def test_extensions_are_listed_truthfully(wire: Wire) -> None:
    told = wire.client.get_server_metadata()
    extensions = told["extensions"] if wire.kind == "http" else list(told.extensions)
    assert "system_shared_memory" in extensions
    assert "cuda_shared_memory" not in extensions


@pytest.mark.parametrize("datatype", ["BOOL", "UINT8", "INT64", "FP16", "FP64"])
def test_every_width(wire: Wire, share: Callable[..., Shared], datatype: str) -> None:
    dtype = {"BOOL": np.bool_, "UINT8": np.uint8, "INT64": np.int64, "FP16": np.float16, "FP64": np.float64}[datatype]
    data = (np.arange(12) % 2).astype(dtype).reshape(3, 4)
    region = share(2 * data.nbytes + 1)
    offset = data.nbytes + 1
    wire.infer(f"identity-{datatype}", [region.input("x", data)], outputs=[region.output("y", data.nbytes, offset)])
    assert region.get(dtype, data.shape, offset).tolist() == data.tolist()


def test_many_tensors_of_no_bytes(wire: Wire, share: Callable[..., Shared]) -> None:
    region = share(16)
    empty = np.empty((1, 0), np.float32)
    inputs = [region.reference("x", empty.shape, "FP32", 0, 16)]
    result = wire.infer("identity-FP32", inputs, outputs=[region.output("y", 0, 16)])
    assert answered_output(wire, result, "y")[1].get("shared_memory_byte_size", 0) == 0
    assert shm.get_contents_as_numpy(region.handle, np.uint8, [16]).tolist() == [0] * 16
