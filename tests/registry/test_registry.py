"""What is loaded, which version a request means, and how versions replace each other without losing anything."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from oipserver.errors import ModelLoadError, NotFoundError, OIPError, UnavailableError
from oipserver.executor.pool import PoolManager
from oipserver.plane import DataPlane
from oipserver.protocol import InferRequest, ModelState, ServerMetadata
from oipserver.registry import ModelRegistry, Servable, ServableBuilder, VersionsFailedError
from oipserver.registry.registry import version_key
from oipserver.settings import ModelSettings, Settings
from oipserver.tensor import Tensor

CODE = '''
import asyncio
from pathlib import Path
from oipserver import MLModel, Tensor

HERE = Path(__file__).parent


class Model(MLModel):
    """Adds the number in ``number.txt``; waits for ``gate`` where there is one; refuses to load without a number."""

    async def load(self):
        self.number = int((HERE / "number.txt").read_text())
        if self.settings.parameters.extra.get("slow"):
            await asyncio.Event().wait()

    async def predict(self, payload):
        from oipserver.types import InferenceResponse, ResponseOutput
        while (HERE / "gate").exists():
            await asyncio.sleep(0.001)
        data = [value + self.number for value in payload.inputs[0].data]
        return InferenceResponse(model_name=self.name, outputs=[
            ResponseOutput(name="y", shape=payload.inputs[0].shape, datatype="INT64", data=data)])

    async def unload(self):
        (HERE / "unloaded").write_text(str(self.number))
'''


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "model.py").write_text(CODE)
    (tmp_path / "number.txt").write_text("1")
    return tmp_path


def settings(folder: Path, version: str = "", name: str = "m", **extra: Any) -> ModelSettings:
    made = ModelSettings.model_validate(
        {
            "name": name,
            "implementation": "model.Model",
            "parallel_workers": 0,
            "parameters": {"version": version or None, "extra": extra},
        }
    )
    made._source = str(folder / "model-settings.json")
    return made


def broken(folder: Path, version: str) -> ModelSettings:
    made = settings(folder, version)
    made.implementation = "no_such_module.Model"
    return made


def registry() -> ModelRegistry:
    server = Settings()
    return ModelRegistry(ServableBuilder(server, PoolManager(server)))


def run(scenario: Callable[[ModelRegistry, DataPlane], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        models = registry()
        await scenario(models, DataPlane(models, ServerMetadata("s", "1"), lambda: True))

    asyncio.run(main())


def ask(plane: DataPlane, version: str = "", value: int = 0) -> Coroutine[Any, Any, int]:
    async def answer() -> int:
        request = InferRequest("m", [Tensor.from_array("x", np.array([value]))], version)
        response = await plane.infer(request)
        return int(response.outputs[0].array[0])

    return answer()


def test_versions_are_ordered_by_value() -> None:
    versions = ["v1", "10", "2", "v10", "", "1"]
    assert sorted(versions, key=version_key) == ["v1", "v10", "1", "2", "10", ""]


def test_the_default_is_the_highest_version_and_each_can_be_named(folder: Path) -> None:
    async def scenario(models: ModelRegistry, plane: DataPlane) -> None:
        await models.load("m", [settings(folder, "2"), settings(folder, "10"), settings(folder, "v3")])
        assert models.find("m").version == "10"
        assert plane.model_versions("m") == ["v3", "2", "10"]
        assert await ask(plane, "2", 5) == 6
        with pytest.raises(NotFoundError, match="Request for unknown model: 'm' version 3 is not found"):
            await ask(plane, "3")
        with pytest.raises(NotFoundError, match="Request for unknown model: 'nope' is not found"):
            models.find("nope")

    run(scenario)


def test_a_reload_loses_no_request_and_answers_from_the_new_model(folder: Path) -> None:
    async def scenario(models: ModelRegistry, plane: DataPlane) -> None:
        await models.load("m", [settings(folder)])
        (folder / "gate").touch()
        old = models.find("m")
        held = asyncio.create_task(ask(plane))
        await asyncio.sleep(0)
        assert old.in_flight == 1
        (folder / "number.txt").write_text("100")
        reload = asyncio.create_task(models.load("m", [settings(folder)]))
        while models.find("m") is old:  # noqa: ASYNC110
            await asyncio.sleep(0)
        late = asyncio.create_task(ask(plane))
        await asyncio.sleep(0.01)
        assert not reload.done()  # it waits for the lease
        assert old.state is ModelState.UNLOADING
        (folder / "gate").unlink()
        assert (await held, await late) == (1, 100)
        await reload
        assert old.state is ModelState.UNAVAILABLE
        assert (folder / "unloaded").read_text() == "1"

    run(scenario)


def test_a_reload_that_fails_leaves_the_old_model_serving(folder: Path) -> None:
    async def scenario(models: ModelRegistry, plane: DataPlane) -> None:
        await models.load("m", [settings(folder)])
        (folder / "number.txt").write_text("nonsense")
        with pytest.raises(ModelLoadError, match="'m' failed to load: ValueError"):
            await models.load("m", [settings(folder)])
        assert await ask(plane) == 1
        assert models.problems() == []

    run(scenario)


def test_versions_that_are_gone_leave_only_when_all_new_ones_are_there(folder: Path) -> None:
    async def scenario(models: ModelRegistry, plane: DataPlane) -> None:
        await models.load("m", [settings(folder, "1")])
        (folder / "number.txt").unlink()
        with pytest.raises(ModelLoadError):
            await models.load("m", [settings(folder, "2")])
        assert await ask(plane, "1") == 1
        (folder / "number.txt").write_text("2")
        await models.load("m", [settings(folder, "2")])
        assert [servable.version for servable in models] == ["2"]
        assert models.problems() == []

    run(scenario)


def test_versions_take_over_together_or_not_at_all(folder: Path) -> None:
    async def scenario(models: ModelRegistry, plane: DataPlane) -> None:
        await models.load("m", [settings(folder, "1")])
        (folder / "number.txt").write_text("2")
        with pytest.raises(VersionsFailedError, match="no_such_module") as caught:
            await models.load("m", [settings(folder, "1"), broken(folder, "3"), settings(folder, "4")])
        assert list(caught.value.failures) == ["3"]
        assert (await ask(plane, "1"), [servable.version for servable in models]) == (1, ["1"])
        assert (folder / "unloaded").read_text() == "2"  # those that had loaded
        rows = {row.version: row for row in models.index()}
        assert rows["1"].state is ModelState.READY
        assert "another version" in rows["1"].reason
        assert [rows[version].state for version in ("3", "4")] == [ModelState.UNAVAILABLE] * 2
        await models.load("m", [settings(folder, "1"), settings(folder, "4")])
        assert [(row.version, row.reason) for row in models.index()] == [("1", ""), ("4", "")]
        assert await ask(plane, "1") == 2

    run(scenario)


def test_an_unloaded_model_is_remembered_until_it_is_forgotten(folder: Path) -> None:
    async def scenario(models: ModelRegistry, plane: DataPlane) -> None:
        await models.load("m", [settings(folder, "1"), settings(folder, "2")])
        (folder / "gate").touch()
        held = asyncio.create_task(ask(plane))
        await asyncio.sleep(0)
        unload = asyncio.create_task(models.unload("m"))
        await asyncio.sleep(0.01)
        assert ModelState.UNLOADING in {row.state for row in models.index()}
        (folder / "gate").unlink()
        await asyncio.gather(held, unload)
        rows = [(row.version, row.state, row.reason) for row in models.index()]
        assert rows == [(version, ModelState.UNAVAILABLE, "unloaded") for version in ("1", "2")]
        assert models.problems() == []
        models.forget("m")
        assert models.index() == []

    run(scenario)


@pytest.mark.parametrize("step", ["load", "unload"])
def test_who_waits_for_old_requests_may_leave(folder: Path, step: str) -> None:
    async def scenario(models: ModelRegistry, plane: DataPlane) -> None:
        await models.load("m", [settings(folder)])
        (folder / "gate").touch()
        held = asyncio.create_task(ask(plane))
        await asyncio.sleep(0)
        old = models.find("m")
        waiting = asyncio.create_task(models.load("m", [settings(folder)]) if step == "load" else models.unload("m"))
        while old.state is not ModelState.UNLOADING:  # noqa: ASYNC110
            await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        (folder / "gate").unlink()
        assert await held == 1
        await models.close()
        assert old.state is ModelState.UNAVAILABLE
        assert (folder / "unloaded").exists()

    run(scenario)


def test_a_model_that_never_loaded_is_unavailable_with_its_reason(folder: Path) -> None:
    async def scenario(models: ModelRegistry, plane: DataPlane) -> None:
        (folder / "number.txt").unlink()
        with pytest.raises(ModelLoadError):
            await models.load("m", [settings(folder)])
        with pytest.raises(UnavailableError, match=r"has no available versions: .*FileNotFoundError"):
            await ask(plane)
        (row,) = models.index()
        assert (row.name, row.state) == ("m", ModelState.UNAVAILABLE)
        assert "FileNotFoundError" in row.reason
        assert "FileNotFoundError" in models.problems()[0]
        await models.unload("m")
        assert models.index() == []

    run(scenario)


def test_a_model_is_seen_loading(folder: Path) -> None:
    async def scenario(models: ModelRegistry, plane: DataPlane) -> None:
        load = asyncio.create_task(models.load("m", [settings(folder, slow=True)]))
        while not models.index():  # noqa: ASYNC110
            await asyncio.sleep(0)
        assert models.index()[0].state is ModelState.LOADING
        with pytest.raises(UnavailableError, match="is LOADING") as caught:
            await ask(plane)
        assert caught.value.retry_after
        load.cancel()
        with pytest.raises(asyncio.CancelledError):
            await load
        assert models.index() == []

    run(scenario)


def test_unload_waits_for_requests_and_refuses_new_ones(folder: Path) -> None:
    async def scenario(models: ModelRegistry, plane: DataPlane) -> None:
        await models.load("m", [settings(folder)])
        (folder / "gate").touch()
        held = asyncio.create_task(ask(plane))
        await asyncio.sleep(0)
        unload = asyncio.create_task(models.unload("m"))
        await asyncio.sleep(0.01)
        with pytest.raises(NotFoundError):
            await ask(plane)
        assert not unload.done()
        (folder / "gate").unlink()
        assert await held == 1
        await unload
        with pytest.raises(NotFoundError):
            await models.unload("m")

    run(scenario)


def test_two_loads_of_a_name_happen_one_after_the_other(folder: Path) -> None:
    async def scenario(models: ModelRegistry, plane: DataPlane) -> None:
        results = await asyncio.gather(
            *(models.load("m", [settings(folder)]) for _ in range(5)), models.unload("m"), return_exceptions=True
        )
        assert [error for error in results if error is not None and not isinstance(error, OIPError)] == []
        assert [servable.name for servable in models] in ([], ["m"])

    run(scenario)


def test_states_never_go_back(folder: Path) -> None:
    async def scenario(models: ModelRegistry, plane: DataPlane) -> None:
        await models.load("m", [settings(folder)])
        servable: Servable = models.find("m")
        await models.unload("m")
        with pytest.raises(RuntimeError, match="no way from UNAVAILABLE to LOADING"):
            await servable.load()
        with pytest.raises(UnavailableError):
            servable.acquire()

    run(scenario)


def test_failures_are_counted_once_and_leases_are_given_back(folder: Path) -> None:
    async def scenario(models: ModelRegistry, plane: DataPlane) -> None:
        await models.load("m", [settings(folder)])
        servable = models.find("m")
        twice = [Tensor.from_array("x", np.zeros(1)), Tensor.from_array("x", np.zeros(1))]
        with pytest.raises(OIPError, match="already exists"):
            await plane.infer(InferRequest("m", twice))
        await ask(plane)
        totals = servable.statistics.totals
        assert (totals.success.count, totals.fail.count, servable.in_flight) == (1, 1, 0)
        assert totals.success.ns >= totals.queue.ns + totals.compute_infer.ns

    run(scenario)
