"""Models for the executors' tests, loaded as a user's would be: from a folder, by their settings."""

# Some do what users' models should not, such as blocking the loop:
# ruff: noqa: ASYNC110, ASYNC240, ASYNC251

import asyncio
import ctypes
import logging
import os
import signal
import sys
import threading
import time
from pathlib import Path

import numpy as np

import oipserver
from oipserver import MLModel, Tensor
from oipserver.errors import InvalidArgumentError, ResourceExhaustedError, UnsupportedError
from oipserver.handlers import custom_handler
from oipserver.types import InferenceResponse, ResponseOutput

log = logging.getLogger("user.models")


class Echo(MLModel):
    """Gives its inputs back, by the fast path."""

    def infer_tensors(self, inputs, outputs, parameters):
        wanted = [tensor for tensor in inputs if not outputs or tensor.name in outputs]
        return [tensor.renamed(tensor.name) for tensor in wanted]


class Doubler(MLModel):
    """Computes something new, by the fast path."""

    def infer_tensors(self, inputs, outputs, parameters):
        return [Tensor.from_array("y", inputs[0].array * 2)]


class Strided(MLModel):
    """Answers with an array that is not contiguous, and one whose bytes are the wrong way round."""

    def infer_tensors(self, inputs, outputs, parameters):
        array = inputs[0].array
        return [Tensor.from_array("t", array.T), Tensor.from_array("swapped", array.astype(array.dtype.newbyteorder()))]


class Public(MLModel):
    """Answers by ``predict``, with the request's id, parameters and headers in the answer's."""

    async def predict(self, payload):
        parameters = payload.parameters.model_dump() if payload.parameters else {}
        outputs = [
            ResponseOutput(name=tensor.name, shape=tensor.shape, datatype=tensor.datatype, data=tensor.data)
            for tensor in payload.inputs
        ]
        headers = parameters.pop("headers", None) or {}
        return InferenceResponse(
            model_name=self.name,
            id=payload.id,
            outputs=outputs,
            parameters={**parameters, "seen_id": payload.id, "seen_header": headers.get("x-test"), "pid": os.getpid()},
        )


class Raises(MLModel):
    """Raises what the parameter ``what`` names."""

    async def predict(self, payload):
        what = payload.parameters.what
        if what == "invalid":
            raise InvalidArgumentError("the input is wrong")
        if what == "busy":
            raise ResourceExhaustedError("too much", retry_after=7.5)
        if what == "unsupported":
            raise UnsupportedError("not that")
        if what == "exit":
            raise SystemExit(3)
        if what == "wrong type":
            return "text"
        raise ValueError("internal detail")


class BadTensor(MLModel):
    """Answers with a tensor that is not what it says."""

    def infer_tensors(self, inputs, outputs, parameters):
        return [Tensor("bad", "FP32", (3,), array=np.zeros(4, np.float32))]


class Counts(MLModel):
    """Streams ``n`` parts; tells in a file how far it came, and how it ended."""

    async def predict_stream(self, payloads):
        async for payload in payloads:
            n = payload.parameters.n
            sent = 0
            try:
                for number in range(n):
                    if getattr(payload.parameters, "fail_at", None) == number:
                        raise InvalidArgumentError("no more")
                    if getattr(payload.parameters, "die_at", None) == number:
                        os.kill(os.getpid(), signal.SIGKILL)
                    data = np.full(getattr(payload.parameters, "size", 1), number, np.int64)
                    yield InferenceResponse(
                        model_name=self.name,
                        outputs=[ResponseOutput(name="n", shape=[data.size], datatype="INT64", data=data.tolist())],
                    )
                    sent = number + 1
            finally:
                if path := getattr(payload.parameters, "path", None):
                    Path(path).write_text(str(sent))


class Waits(MLModel):
    """Awaits a file called like the parameter ``gate``; tells in another that it began, and that it was cancelled."""

    async def predict(self, payload):
        gate = Path(payload.parameters.gate)
        gate.with_suffix(".begun").touch()
        try:
            while not gate.exists():
                await asyncio.sleep(0.002)
        except asyncio.CancelledError:
            gate.with_suffix(".cancelled").touch()
            raise
        return InferenceResponse(model_name=self.name, outputs=[])


class Blocks(MLModel):
    """Like Waits, but never lets go of its thread."""

    async def predict(self, payload):
        gate = Path(payload.parameters.gate)
        gate.with_suffix(".begun").touch()
        while not gate.exists():
            time.sleep(0.002)
        return InferenceResponse(model_name=self.name, outputs=[])


class Hangs(MLModel):
    """Waits for a lock that nobody gives back, or computes for a while, as the parameter ``how`` says."""

    async def predict(self, payload):
        how, path = payload.parameters.how, Path(payload.parameters.path)
        first = not path.exists()
        path.touch()
        if how == "lock" and first:
            threading.Event().wait()
        if how == "interpreter" and first:
            ctypes.PyDLL(None).sleep(3600)  # holds the interpreter lock all the while
        if how == "compute":
            end = time.monotonic() + payload.parameters.seconds
            while time.monotonic() < end:
                pass
        if how == "await":
            await asyncio.sleep(payload.parameters.seconds)
        return InferenceResponse(model_name=self.name, outputs=[])


class Dies(MLModel):
    """Ends its process when ``die`` says so: always, or only where the file ``once`` does not exist yet."""

    async def predict(self, payload):
        parameters = payload.parameters
        if getattr(parameters, "die", False):
            os.kill(os.getpid(), signal.SIGKILL)
        once = getattr(parameters, "once", None)
        if once and not Path(once).exists():
            Path(once).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        await asyncio.sleep(getattr(parameters, "sleep", 0))
        return InferenceResponse(
            model_name=self.name, outputs=[], parameters={"pid": os.getpid(), "n": getattr(parameters, "n", 0)}
        )


class Keeps(MLModel):
    """Keeps every input for ever, and answers with their sums: memory that is still in use must not be used again."""

    async def load(self):
        self.kept = []

    def infer_tensors(self, inputs, outputs, parameters):
        if parameters.get("forget"):
            self.kept.clear()
        self.kept.extend(tensor.array for tensor in inputs)
        return [Tensor.from_array("sums", np.array([array.sum() for array in self.kept]))]


class FailsToLoad(MLModel):
    """Cannot be loaded: raises, returns False, ends its process, or hangs, as its settings say."""

    async def load(self):
        how = self.settings.parameters.extra.get("how")
        if how == "raise":
            raise FileNotFoundError("no artefact here")
        if how == "exit":
            os.kill(os.getpid(), signal.SIGKILL)
        if how == "hang":
            await asyncio.sleep(3600)
        if how == "block":
            threading.Event().wait()
        return how != "false"


class Unloads(MLModel):
    """Tells in a file that it was unloaded."""

    def infer_tensors(self, inputs, outputs, parameters):
        return []

    async def unload(self):
        Path(self.settings.parameters.extra["path"]).write_text("unloaded")


class Handlers(MLModel):
    """Has custom handlers."""

    @custom_handler(rest_path="/double")
    async def double(self, body: bytes) -> bytes:
        return body * 2

    @custom_handler(rest_path="/refuse")
    async def refuse(self, body: bytes) -> bytes:
        raise InvalidArgumentError("not this")


class Tells(MLModel):
    """Logs, records a metric, and tells about its process."""

    async def predict(self, payload):
        log.warning("hello %s", "there")
        try:
            raise RuntimeError("inner")
        except RuntimeError:
            log.exception("trouble")
        oipserver.log(my_metric=2.5)
        loaded = [name for name in ("fastapi", "starlette", "grpc", "uvicorn", "pandas") if name in sys.modules]
        facts = {"loaded": ",".join(loaded), "cuda": os.environ.get("CUDA_VISIBLE_DEVICES", "")}
        facts |= {"python": sys.executable, "pid": os.getpid(), "threads": threading.active_count()}
        return InferenceResponse(model_name=self.name, outputs=[], parameters=facts)


class Steps(MLModel):
    """By the fast path: gives ``n`` back; writes it to the file ``log`` first, waits for ``gate``, sleeps or dies."""

    def infer_tensors(self, inputs, outputs, parameters):
        if log := parameters.get("log"):
            with Path(log).open("a") as file:
                file.write(f"{parameters['n']}\n")
        if path := parameters.get("gate"):
            gate = Path(path)
            gate.with_suffix(".begun").touch()
            while not gate.exists():
                time.sleep(0.002)
        time.sleep(parameters.get("sleep", 0))
        if parameters.get("die"):
            os.kill(os.getpid(), signal.SIGKILL)
        return [Tensor.from_array("n", np.array([parameters["n"]]))]
