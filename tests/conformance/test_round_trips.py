"""Any array of any datatype comes back as it was sent, by Triton's four clients, from models in both layouts."""

from __future__ import annotations

import asyncio
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import tritonclient.grpc.aio as grpc_aio
import tritonclient.http.aio as http_aio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.conformance.same_models import DATATYPES, MAX_BATCH_SIZE
from tests.conformance.wires import MODULES, WIRES, Wire
from tests.support.server_process import ServerProcess

pytestmark = pytest.mark.process

_WORDS = ("INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64")
NUMPY: dict[str, Any] = {name: name.lower() for name in _WORDS}
NUMPY |= {"BOOL": "?", "FP16": "f2", "BF16": "f4", "FP32": "f4", "FP64": "f8", "BYTES": "O"}
#: What each datatype may hold as JSON; the client refuses to send the others so.
AS_JSON = set(DATATYPES) - {"FP16", "BF16"}
SHAPES = hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=MAX_BATCH_SIZE)


def arrays(datatype: str) -> st.SearchStrategy[Any]:
    elements: Any = None
    if datatype == "BYTES":
        elements = st.text(max_size=6).map(str.encode)
    elif datatype == "BF16":  # the values that survive being cut to 16 bits
        elements = st.integers(-256, 256).map(float)
    made = hnp.arrays(NUMPY[datatype], SHAPES, elements=elements)
    return made.map(lambda array: array.astype(ml_dtypes.bfloat16)) if datatype == "BF16" else made


@pytest.mark.parametrize("datatype", DATATYPES)
def test_both_wires_hand_every_array_back(layout_server: ServerProcess, datatype: str) -> None:
    wires = [Wire(kind, layout_server) for kind in WIRES]

    @settings(max_examples=12, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(array=arrays(datatype), as_json=st.booleans())
    def check(array: Any, as_json: bool) -> None:
        binary = datatype not in AS_JSON or not as_json
        if not binary and array.dtype.kind == "f" and not np.isfinite(array).all():
            binary = True  # the client's JSON has no such numbers
        for wire in wires:
            asked = [wire.output("y", binary=binary)]
            result = wire.infer(
                f"identity-{datatype}", [wire.input("x", array, datatype, binary=binary)], outputs=asked
            )
            back = result.as_numpy("y")
            assert back.shape == array.shape
            if datatype == "BYTES":
                assert [
                    one if isinstance(one, bytes) else one.encode() for one in back.ravel()
                ] == array.ravel().tolist()
            else:
                np.testing.assert_array_equal(back.astype(array.dtype), array)

    try:
        check()
    finally:
        for wire in wires:
            wire.close()


@pytest.mark.parametrize("kind", ["http", "grpc"])
def test_asynchronous_clients(layout_server: ServerProcess, kind: str) -> None:
    module: Any = {"http": http_aio, "grpc": grpc_aio}[kind]

    async def scenario() -> None:
        async with module.InferenceServerClient(getattr(layout_server, kind)) as client:

            async def one(value: int) -> None:
                array = np.full((1, 16), value, np.int32)
                items = []
                for name in ("INPUT0", "INPUT1"):
                    item = MODULES[kind].InferInput(name, [1, 16], "INT32")
                    item.set_data_from_numpy(array)
                    items.append(item)
                result = await client.infer("add", items, request_id=f"id-{value}", model_version="")
                told = result.get_response()
                assert (told["id"] if kind == "http" else told.id) == f"id-{value}"
                np.testing.assert_array_equal(result.as_numpy("OUTPUT0"), array * 2)
                np.testing.assert_array_equal(result.as_numpy("OUTPUT1"), array * 0)

            await asyncio.gather(*(one(value) for value in range(20)))

    asyncio.run(scenario())
