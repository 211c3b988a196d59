"""Utilities, settings, repositories, caches and MLServer itself, as code written for MLServer uses them."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import pytest

from oipserver import settings as plain_settings
from oipserver.codecs import NumpyCodec
from oipserver.compat import utils
from oipserver.compat.cache import LocalCache
from oipserver.compat.context import model_context, model_name_var, model_version_var
from oipserver.compat.grpc.utils import to_metadata
from oipserver.compat.repository import SchemalessModelRepository
from oipserver.compat.repository.load import load_model_settings
from oipserver.compat.rest.responses import Response, ServerSentEvent
from oipserver.compat.server import MLServer
from oipserver.compat.settings import CORSSettings, ModelParameters, ModelSettings, Settings
from oipserver.errors import InvalidArgumentError, InvalidModelURI, ModelNotFound, OIPError
from oipserver.model import MLModel
from oipserver.types import InferenceRequest, InferenceResponse, Parameters

LOGGERS = ("", "oipserver", "mlserver", "uvicorn", "uvicorn.error", "uvicorn.access", "grpc")


@pytest.fixture(autouse=True)
def _restore_loggers() -> Iterator[None]:
    """MLServer configures the logs of the whole process."""
    before = {name: vars(logging.getLogger(name)).copy() for name in LOGGERS}
    yield
    for name, state in before.items():
        vars(logging.getLogger(name)).update(state)
        logging.getLogger(name).setLevel(state["level"])
    logging.captureWarnings(False)


class Doubler(MLModel):
    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        doubled = self.decode(payload.inputs[0], default_codec=NumpyCodec) * 2
        return InferenceResponse(model_name=self.name, outputs=[NumpyCodec.encode_output("y", doubled)])


# -- utils -----------------------------------------------------------------------------------------------------------


def settings_with(uri: str | None, source: Path | None = None) -> ModelSettings:
    settings = ModelSettings(name="m", parameters=ModelParameters(uri=uri))
    settings._source = str(source) if source else None
    return settings


def test_an_artefact_is_a_file_or_the_first_known_one_in_a_folder(tmp_path: Path) -> None:
    for name in ("b.bin", "other.txt"):
        (tmp_path / name).write_text("")

    def uri(given: str, *known: str, source: Path | None = None) -> str:
        return asyncio.run(utils.get_model_uri(settings_with(given, source), list(known)))

    assert uri(str(tmp_path / "other.txt"), "b.bin") == str(tmp_path / "other.txt")
    assert uri(str(tmp_path), "a.bin", "b.bin") == str(tmp_path / "b.bin")
    assert uri(str(tmp_path), "a.bin") == str(tmp_path)
    assert uri("b.bin", source=tmp_path / "model-settings.json") == str(tmp_path / "b.bin")
    assert uri(f"file:{tmp_path}/b.bin") == str(tmp_path / "b.bin")
    assert uri("s3://bucket/key", "b.bin") == "s3://bucket/key"


@pytest.mark.parametrize("uri", [None, "/nowhere/at/all"])
def test_a_missing_artefact_is_an_error_of_its_own(uri: str | None) -> None:
    with pytest.raises(InvalidModelURI, match="Invalid URI specified for model m") as caught:
        asyncio.run(utils.get_model_uri(settings_with(uri)))
    assert caught.value.status_code == 422


@pytest.mark.parametrize("before", [None, Parameters(), Parameters(headers={"old": "1"}), Parameters(other=1)])
def test_headers_are_put_in_and_taken_out(before: Parameters | None) -> None:
    request = utils.insert_headers(InferenceRequest(inputs=[], parameters=before), {"foo": "bar"})
    assert request.parameters is not None
    assert request.parameters.headers == {"foo": "bar"}

    output = NumpyCodec.encode_output("y", np.ones(1))
    output.parameters = Parameters(headers={"of": "output"})
    response = InferenceResponse(model_name="m", outputs=[output], parameters=Parameters(headers={"foo": "bar"}))
    assert utils.extract_headers(response) == {"foo": "bar", "of": "output"}
    assert utils.extract_headers(response) is None


def test_ids_are_unique() -> None:
    assert utils.generate_uuid() != utils.generate_uuid()


def test_a_callback_is_called_with_the_task() -> None:
    async def main() -> list[object]:
        called: asyncio.Future[object] = asyncio.get_running_loop().create_future()

        async def work() -> int:
            return 3

        task = utils.schedule_with_callback(work(), called.set_result)
        return [await called is task, task.result()]

    assert asyncio.run(main()) == [True, 3]


def test_the_function_inside_of_decorators_is_found() -> None:
    assert utils.get_wrapped_method(Doubler.predict) is Doubler.predict


# -- settings --------------------------------------------------------------------------------------------------------


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("mlserver_http_port", "5000")
    monkeypatch.setenv("MLSERVER_GRPC_PORT", "5001")
    settings = Settings(grpc_port=6000)
    assert (settings.http_port, settings.grpc_port) == (5000, 6000)
    monkeypatch.setenv("mlserver_http_port", "many")
    with pytest.raises(ValueError, match="http_port"):
        Settings()


def test_settings_of_models_come_from_the_environment_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("mlserver_model_name", "m")
    monkeypatch.setenv("OIPSERVER_MODEL_URI", "/ours")
    monkeypatch.setenv("MLSERVER_MODEL_URI", "/theirs")
    monkeypatch.setenv("MLSERVER_MODEL_INPUTS", '[{"name": "x", "datatype": "FP32", "shape": [-1]}]')
    settings = ModelSettings()
    assert (settings.name, settings.parameters.uri, settings.inputs[0].name) == ("m", "/ours", "x")
    given = ModelSettings.model_validate({"name": "given", "parameters": {"uri": "/given"}})
    assert (given.name, given.parameters.uri, given.inputs[0].name) == ("given", "/given", "x")
    assert type(settings) is plain_settings.ModelSettings
    file = tmp_path / "some.env"
    file.write_text("MLSERVER_MODEL_NAME=from_file\nMLSERVER_MODEL_PLATFORM=from_file\nMLSERVER_MAX_AGE=9\n")
    from_file = ModelSettings(_env_file=file)  # type: ignore[call-arg]  # pydantic-settings' word for it
    assert (from_file.name, from_file.platform) == ("m", "from_file")
    assert CORSSettings(_env_file=file).max_age == 9  # type: ignore[call-arg]
    assert ModelSettings(_env_file=tmp_path / "none").platform == ""  # type: ignore[call-arg]


def test_the_implementation_may_be_the_class() -> None:
    settings = ModelSettings(name="m", implementation=Doubler)
    assert settings.implementation == settings.implementation_ == f"{__name__}.Doubler"
    assert json.loads(settings.model_dump_json())["implementation"] == f"{__name__}.Doubler"
    assigned = ModelSettings(name="m")
    assigned.implementation = Doubler
    assert assigned == settings


def test_settings_know_the_file_they_are_from(tmp_path: Path) -> None:
    path = tmp_path / "model-settings.json"
    path.write_text('{"name": "m", "implementation": "a.B", "parameters": {"version": "v1"}}')
    parsed = ModelSettings.parse_file(path)
    assert (parsed.name, parsed.version, parsed.source) == ("m", "v1", str(path))
    validated = ModelSettings.model_validate({"_source": str(path), "name": "m"})
    assert validated.source == str(path)
    loaded = load_model_settings(str(path))
    assert (loaded.name, loaded.source, loaded.parameters.uri) == ("m", str(path), str(tmp_path))


def test_the_context_tells_the_model() -> None:
    assert model_name_var.get("none") == "none"
    with model_context(ModelSettings(name="m", parameters=ModelParameters(version="v1"))):
        assert (model_name_var.get(), model_version_var.get()) == ("m", "v1")
    with pytest.raises(LookupError):
        model_version_var.get()


# -- repository, cache, responses ------------------------------------------------------------------------------------


def test_a_folder_is_a_repository(tmp_path: Path) -> None:
    for version in ("1", "2"):
        folder = tmp_path / "m" / version
        folder.mkdir(parents=True)
        (folder / "model-settings.json").write_text(
            json.dumps({"name": "m", "implementation": "a.B", "parameters": {"version": version}})
        )
    repository = SchemalessModelRepository(str(tmp_path))
    assert [(model.name, model.version) for model in asyncio.run(repository.list())] == [("m", "1"), ("m", "2")]
    assert len(asyncio.run(repository.find("m"))) == 2
    with pytest.raises(ModelNotFound):
        asyncio.run(repository.find("n"))


def test_the_cache_keeps_the_latest() -> None:
    async def main() -> list[object]:
        cache = LocalCache(size=2)
        for key in "abc":
            await cache.insert(key, key.upper())
        return [await cache.lookup("a"), await cache.lookup("c"), await cache.size()]

    assert asyncio.run(main()) == ["", "C", 2]


def test_an_event_of_a_stream_is_what_this_server_sends() -> None:
    output = NumpyCodec.encode_output("y", np.array([[1]]))
    response = InferenceResponse(model_name="m", outputs=[output])
    event = ServerSentEvent(response).encode()
    assert event.startswith(b"data: {")
    assert event.endswith(b"}\n\n")
    assert json.loads(event.removeprefix(b"data: ")) == response.model_dump()


def test_headers_are_metadata_in_lower_case() -> None:
    assert to_metadata({"foo": "bar", "X-Foo": "2"}) == (("foo", "bar"), ("x-foo", "2"))


def test_a_response_is_written_as_json() -> None:
    output = NumpyCodec.encode_output("y", np.array(["a"]))
    response = Response(content=InferenceResponse(model_name="m", outputs=[output]), status_code=201)
    assert response.status_code == 201
    assert json.loads(response.body)["outputs"][0]["data"] == ["a"]
    assert "id" not in json.loads(response.body)
    assert json.loads(Response(content={"bytes": b"text", "array": np.arange(2)}).body) == {
        "bytes": "text",
        "array": [0, 1],
    }


# -- MLServer from Python --------------------------------------------------------------------------------------------


def server_settings(**more: object) -> Settings:
    return Settings(host="127.0.0.1", http_port=0, grpc_port=0, metrics_port=0, parallel_workers=0, **more)


@pytest.fixture
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """This module under its name, as a user's would be."""
    import sys

    monkeypatch.setitem(sys.modules, __name__, sys.modules.get(__name__, sys.modules[Doubler.__module__]))


@pytest.mark.usefixtures("importable")
def test_a_server_started_from_python_serves_until_it_is_stopped(tmp_path: Path) -> None:
    async def main() -> None:
        server = MLServer(server_settings(model_repository_root=str(tmp_path)))
        running = asyncio.create_task(server.start(models_settings=[ModelSettings(name="m", implementation=Doubler)]))
        report = await server.started()
        assert [row.name for row in report.models] == ["m"]
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{report.http_port}") as client:
            body = {"inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1, 2]}]}
            answer = await client.post("/v2/models/m/infer", json=body)
            assert answer.json()["outputs"][0]["data"] == [2.0, 4.0]
            assert (await client.get("/v2/health/ready")).status_code == 200
        await server.stop()
        assert running.done()
        await running

    asyncio.run(main())


@pytest.mark.usefixtures("importable")
@pytest.mark.parametrize("in_thread", [False, True])
def test_a_server_leaves_the_signals_as_they_were(in_thread: bool, tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)

    async def main() -> None:
        server = MLServer(server_settings(model_repository_root=str(tmp_path)))
        running = asyncio.create_task(server.start([ModelSettings(name="m", implementation=Doubler)]))
        await server.started()
        assert (signal.getsignal(signal.SIGTERM) == before) is in_thread
        if in_thread:
            await server.stop()
        else:
            os.kill(os.getpid(), signal.SIGTERM)
        await running

    if in_thread:
        with ThreadPoolExecutor(1) as threads:
            threads.submit(asyncio.run, main()).result()
    else:
        asyncio.run(main())
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_server_that_cannot_start_says_why(tmp_path: Path) -> None:
    async def main() -> None:
        server = MLServer(server_settings(model_repository_root=str(tmp_path)))
        await server.start([ModelSettings(name="m", implementation="no_such_module.Model")])

    with pytest.raises(OIPError, match="no_such_module"):
        asyncio.run(main())


@pytest.mark.parametrize(
    ("implementation", "complaint"),
    [
        ("no_such_module.Repository", "No module named"),
        ("json.NoSuchClass", "NoSuchClass"),
        ("plain", "cannot be used"),
        ("collections.UserDict", "has no method list and no find"),
    ],
)
def test_a_repository_class_that_cannot_be_used_is_named(implementation: str, complaint: str) -> None:
    with pytest.raises(InvalidArgumentError, match=complaint) as caught:
        MLServer(server_settings(model_repository_implementation=implementation))
    assert implementation in caught.value.message
