"""``import mlserver`` finds this server's own modules: where the package is not installed, and only once asked to."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.support.server_process import ServerProcess

# What third parties import, by module.
SURFACE = {
    "mlserver": "MLModel ModelSettings Settings MLServer types register log __version__",
    "mlserver.model": "MLModel",
    "mlserver.types": (
        "MetadataServerResponse MetadataServerErrorResponse MetadataModelErrorResponse Parameters TensorData "
        "RequestOutput InferenceErrorResponse Datatype MetadataTensor RequestInput ResponseOutput InferenceResponse "
        "MetadataModelResponse InferenceRequest RepositoryIndexRequest State RepositoryIndexResponseItem "
        "RepositoryIndexResponse RepositoryLoadErrorResponse RepositoryUnloadErrorResponse"
    ),
    "mlserver.settings": "ModelSettings ModelParameters Settings CORSSettings",
    "mlserver.errors": (
        "MLServerError InferenceError InvalidModelURI ModelNotFound ModelNotReady ModelParametersMissing"
    ),
    "mlserver.utils": (
        "get_model_uri to_absolute_path generate_uuid insert_headers extract_headers schedule_with_callback"
    ),
    "mlserver.logging": "logger get_logger configure_logger",
    "mlserver.handlers": "custom_handler get_custom_handlers",
    "mlserver.handlers.custom": "custom_handler CustomHandler register_custom_handler get_custom_handlers",
    "mlserver.batching": "BatchedRequests",
    "mlserver.batching.requests": "BatchedRequests",
    "mlserver.rest.responses": "Response",
    "mlserver.cache": "ResponseCache LocalCache",
    "mlserver.cloudevents": "CloudEventsMiddleware CloudEventsTypes CLOUDEVENTS_HEADER_ID CLOUDEVENTS_HEADER_TYPE",
    "mlserver.context": "model_context model_name_var model_version_var",
    "mlserver.metrics": "register log",
    "mlserver.raw": "pack unpack inject_raw extract_raw",
    "mlserver.repository": "ModelRepository SchemalessModelRepository DEFAULT_MODEL_SETTINGS_FILENAME",
    "mlserver.repository.load": "load_model_settings",
    "mlserver.version": "__version__",
    "mlserver.codecs": (
        "NumpyCodec NumpyRequestCodec PandasCodec StringCodec StringRequestCodec Base64Codec DatetimeCodec "
        "RequestCodec InputCodec InputCodecLike RequestCodecLike CodecError register_input_codec "
        "register_request_codec decode_args has_decoded get_decoded get_decoded_or_raw DecodedParameterName "
        "encode_inference_response "
        "encode_response_output decode_request_input decode_inference_request"
    ),
    "mlserver.codecs.base": (
        "InputCodec RequestCodec find_input_codec find_input_codec_by_payload find_input_codec_by_type_hint "
        "find_request_codec find_request_codec_by_payload find_request_codec_by_type_hint register_input_codec "
        "register_request_codec"
    ),
    "mlserver.codecs.utils": (
        "has_decoded _save_decoded get_decoded_or_raw inject_batch_dimension InputOrOutput SingleInputRequestCodec"
    ),
    "mlserver.codecs.lists": "is_list_of as_list",
    "mlserver.codecs.numpy": "to_datatype to_dtype _to_ndarray _encode_data NumpyCodec NumpyRequestCodec",
    "mlserver.codecs.json": "JSONEncoderWithArray encode_to_json_bytes",
    "mlserver.codecs.string": "StringRequestCodec StringCodec",
    "mlserver.codecs.base64": "Base64Codec",
    "mlserver.codecs.datetime": "DatetimeCodec",
    "mlserver.codecs.pandas": "PandasCodec",
    "mlserver.codecs.errors": "CodecNotFound CodecError OutputNotFound InputsNotFound",
    "mlserver.codecs.decorator": "decode_args SignatureCodec",
    "mlserver.grpc.converters": (
        "ModelInferRequestConverter ModelInferResponseConverter ServerMetadataResponseConverter "
        "ModelMetadataResponseConverter RepositoryIndexResponseConverter ParametersConverter"
    ),
    "mlserver.grpc.dataplane_pb2": "ModelInferRequest ModelInferResponse InferParameter InferTensorContents",
    "mlserver.grpc.model_repository_pb2": "RepositoryIndexRequest RepositoryModelLoadRequest",
    "mlserver.grpc.model_repository_pb2_grpc": "ModelRepositoryServiceStub",
    "mlserver.grpc.utils": "to_headers to_metadata",
    "mlserver.grpc.dataplane_pb2_grpc": "GRPCInferenceServiceStub",
}


def python(code: str, *, path: Path | None = None) -> str:
    """What a fresh interpreter prints that runs ``code``, with ``path`` in front of its own."""
    text = f"import sys\nsys.path.insert(0, {str(path)!r})\n{code}" if path else code
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_every_name_third_parties_import_is_there() -> None:
    imports = "\n".join(f"from {module} import {', '.join(names.split())}" for module, names in SURFACE.items())
    assert python(f"import oipserver.compat\nassert oipserver.compat.install()\n{imports}\nprint('all')") == "all"


def test_classes_are_the_same_by_both_names() -> None:
    code = """
import oipserver.compat
oipserver.compat.install()
import mlserver, mlserver.codecs.numpy, mlserver.types, oipserver, oipserver.codecs.numpy
from mlserver import codecs, errors, handlers, types
from mlserver.grpc import dataplane_pb2
assert mlserver.MLModel is oipserver.MLModel
assert mlserver.MLServer is oipserver.MLServer
assert mlserver.ModelSettings is oipserver.ModelSettings
assert issubclass(mlserver.Settings, oipserver.Settings)
assert mlserver.codecs.numpy is codecs.numpy is oipserver.codecs.numpy
assert types is oipserver.types is mlserver.types
assert errors.MLServerError is oipserver.errors.MLServerError
assert issubclass(mlserver.errors.InferenceError, oipserver.OIPError)
assert handlers.custom.custom_handler is handlers.custom_handler
print(oipserver.__spec__.name, oipserver.codecs.__spec__.name)
"""
    assert python(code) == "oipserver oipserver.codecs", "the modules keep their own identity"


def test_nothing_is_imported_that_is_not_asked_for() -> None:
    heavy = ["fastapi", "starlette", "grpc", "google.protobuf", "onnxruntime", "pandas"]
    code = "import oipserver.compat\noipserver.compat.install()\nimport mlserver\n"
    code += f"print([name for name in {heavy!r} if name in sys.modules])"
    assert python(f"import sys\n{code}") == "[]"


def test_there_is_no_alias_before_it_is_installed() -> None:
    code = """
import oipserver, oipserver.types, oipserver.codecs, oipserver.model
try:
    import mlserver
except ModuleNotFoundError as error:
    print(error.name)
"""
    assert python(code) == "mlserver"


def test_what_has_no_counterpart_says_so() -> None:
    code = """
import oipserver.compat
oipserver.compat.install()
try:
    from mlserver.kafka import KafkaServer
except ImportError as error:
    print(error)
"""
    answer = python(code)
    assert "stands in for MLServer" in answer
    assert "'mlserver.kafka'" in answer


def test_names_that_are_no_modules_are_attribute_errors() -> None:
    code = """
import oipserver.compat
oipserver.compat.install()
import mlserver
try:
    mlserver.nonsense
except AttributeError as error:
    print(error)
"""
    assert "nonsense" in python(code)


def test_pickles_find_the_classes(tmp_path: Path) -> None:
    code = """
import oipserver.compat, pickle
oipserver.compat.install()
from mlserver.types import InferenceRequest, RequestInput
request = InferenceRequest(inputs=[RequestInput(name="x", shape=[1], datatype="FP32", data=[1.5])])
print(pickle.loads(pickle.dumps(request)) == request)
"""
    assert python(code) == "True"


def write_package(folder: Path) -> None:
    """A package ``mlserver`` of somebody else's, with a base class for models."""
    (folder / "mlserver").mkdir(parents=True)
    (folder / "mlserver" / "__init__.py").write_text("class MLModel:\n    pass\n")


def test_the_real_package_is_left_alone(tmp_path: Path) -> None:
    write_package(tmp_path)
    code = "import oipserver.compat\nprint(oipserver.compat.install())\nimport mlserver\nprint(mlserver.__file__)"
    assert python(code, path=tmp_path).split() == ["False", str(tmp_path / "mlserver" / "__init__.py")]


def test_a_runtime_that_is_installed_is_left_alone_too(tmp_path: Path) -> None:
    code = (
        "import oipserver.compat\noipserver.compat.install()\n"
        "from mlserver_mlflow import MLflowRuntime\nfrom mlserver_mlflow.runtime import MLflowRuntime as Same\n"
        "print(MLflowRuntime.__module__, Same is MLflowRuntime)"
    )
    assert python(code, path=tmp_path).split() == ["oipserver_mlflow.model", "True"]
    (tmp_path / "mlserver_mlflow").mkdir()
    (tmp_path / "mlserver_mlflow" / "__init__.py").write_text("from .runtime import MLflowRuntime\n")
    (tmp_path / "mlserver_mlflow" / "runtime.py").write_text(
        "from mlserver import MLModel\nclass MLflowRuntime(MLModel):\n    pass\n"
    )
    assert python(code, path=tmp_path).split() == ["mlserver_mlflow.runtime", "True"]


def test_a_folder_of_that_name_is_no_package(tmp_path: Path) -> None:
    (tmp_path / "mlserver").mkdir()
    code = "import oipserver.compat\nprint(oipserver.compat.install())\nimport mlserver\nprint(mlserver.__name__)"
    assert python(code, path=tmp_path).split() == ["True", "oipserver.compat"]


@pytest.mark.process
def test_a_server_beside_the_real_package_says_what_is_wrong(
    tmp_path: Path, serve: Callable[..., ServerProcess]
) -> None:
    write_package(tmp_path / "site")
    models = tmp_path / "models"
    for name, source in {
        "theirs": "from mlserver import MLModel\n\n\nclass Model(MLModel):\n    pass\n",
        "ours": "from oipserver import MLModel\n\n\nclass Model(MLModel):\n    pass\n",
    }.items():
        (models / name).mkdir(parents=True)
        (models / name / "model-settings.json").write_text(json.dumps({"name": name, "implementation": "m.Model"}))
        (models / name / "m.py").write_text(source)
    server = serve(models, environ={"PYTHONPATH": str(tmp_path / "site")})
    assert "the package mlserver is installed" in server.output
    assert httpx.get(server.url("/v2/models/ours/ready")).status_code == 200
    (row,) = [row for row in httpx.post(server.url("/v2/repository/index")).json() if row["name"] == "theirs"]
    assert row["state"] == "UNAVAILABLE"
    assert "one of the installed package mlserver" in row["reason"]
