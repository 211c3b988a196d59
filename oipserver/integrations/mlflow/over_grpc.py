"""How files and tensors go to a server over gRPC; asks nothing else of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import grpc

from ...errors import OIPError
from ...pb import inference_pb2 as pb
from ...protocol import InferRequest, InferResponse
from ...wire.grpc import SERVICE
from ...wire.grpc.asking import read_answer, write_question
from .failures import as_mlflow, refused, refused_by_grpc, wrong
from .progress import Progress
from .server import Uploads
from .target import Target
from .upload import Source, content

_LARGEST = (1 << 31) - 1
_UNLIMITED = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


class GrpcUploads(Uploads):
    """A server over gRPC, one channel a call: what it does takes longer than opening one."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._metadata = list(target.headers.items())

    def load(
        self, name: str, config: str | None, files: Mapping[str, Source], progress: Progress, timeout: float
    ) -> None:
        message = pb.RepositoryModelLoadRequest(model_name=name)
        if config is not None:
            message.parameters["config"].string_param = config
        for path, source in files.items():
            message.parameters[f"file:{path}"].bytes_param = content(source)
        if message.ByteSize() > _LARGEST:
            raise wrong("the model is larger than a message of gRPC may be: deploy it with -C transfer=copy")
        with self._call("RepositoryModelLoad", message, pb.RepositoryModelLoadResponse, timeout):
            progress.add(sum(len(each.bytes_param) for each in message.parameters.values()))

    def pull(self, name: str, uri: str, timeout: float) -> None:
        message = pb.RepositoryModelLoadRequest(model_name=name)
        message.parameters["uri"].string_param = uri
        with self._call("RepositoryModelLoad", message, pb.RepositoryModelLoadResponse, timeout):
            pass

    def infer(self, request: InferRequest, timeout: float) -> InferResponse:
        with self._call("ModelInfer", write_question(request), pb.ModelInferResponse, timeout) as answer, as_mlflow():
            return read_answer(answer)

    def stream(self, request: InferRequest, timeout: float) -> Iterator[InferResponse]:
        message = write_question(request)
        with self._channel() as channel, self._failures():
            call = channel.stream_stream(
                f"/{SERVICE}/ModelStreamInfer",
                pb.ModelInferRequest.SerializeToString,
                pb.ModelStreamInferResponse.FromString,
            )
            for answer in call(iter([message]), timeout=timeout, metadata=self._metadata):
                if answer.error_message:
                    raise refused(500, answer.error_message)
                if answer.infer_response.outputs:
                    with as_mlflow():
                        yield read_answer(answer.infer_response)

    @contextmanager
    def _call(self, method: str, message: Any, kind: Callable[..., Any], timeout: float) -> Iterator[Any]:
        with self._channel() as channel, self._failures():
            call = channel.unary_unary(
                f"/{SERVICE}/{method}",
                type(message).SerializeToString,
                kind.FromString,  # type: ignore[attr-defined]
            )
            yield call(message, timeout=timeout, metadata=self._metadata)

    def _channel(self) -> Any:
        if self._target.tls:
            return grpc.secure_channel(self._target.grpc, grpc.ssl_channel_credentials(), _UNLIMITED)
        return grpc.insecure_channel(self._target.grpc, _UNLIMITED)

    @contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except grpc.RpcError as error:
            raise refused_by_grpc(error.code().name, f"grpc://{self._target.grpc}: {error.details()}") from error
        except OIPError as error:
            raise refused(500, error.message) from error
