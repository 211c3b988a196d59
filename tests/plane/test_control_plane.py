"""The control plane over real files and a real registry: what is loaded again, what follows, what never gets lost."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from oipserver.errors import InternalError, InvalidArgumentError, NotFoundError, UnavailableError
from oipserver.executor.pool import PoolManager
from oipserver.plane import ControlPlane, Watcher
from oipserver.protocol import ModelState
from oipserver.registry import ModelRegistry, ServableBuilder
from oipserver.repository import FileModelRepository, Overlays, Overrides
from oipserver.settings import Settings
from oipserver.settings.server import ModelControlMode

CODE = '''
import asyncio
from pathlib import Path
from oipserver import MLModel

HERE = Path(__file__).parent


class Model(MLModel):
    """Notes each load in ``loads``; ``broken`` makes it fail, ``slow`` makes it never end."""

    async def load(self):
        with (HERE / ".loads").open("a") as file:
            file.write("x")
        if (HERE / "broken").exists():
            raise ValueError("no weights")
        if (HERE / "slow").exists():
            await asyncio.Event().wait()
'''


class World:
    """A control plane, and the models it finds."""

    def __init__(self, root: Path, mode: ModelControlMode, retries: int, concurrency: int) -> None:
        self.root = root
        settings = Settings(parallel_workers=0)
        self.registry = ModelRegistry(ServableBuilder(settings, PoolManager(settings)), retries=retries)
        self.overlays = Overlays(FileModelRepository, 10_000)
        self.repository = FileModelRepository(root)
        self.control = ControlPlane(self.registry, self.repository, mode, self.overlays, concurrency=concurrency)

    def write(self, name: str = "m", **settings: Any) -> Path:
        folder = self.root / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "code.py").write_text(CODE)
        told = {"implementation": "code.Model", "parallel_workers": 0, **settings}
        (folder / "model-settings.json").write_text(json.dumps(told))
        return folder

    def loads(self, name: str = "m") -> int:
        file = self.root / name / ".loads"
        return len(file.read_text()) if file.exists() else 0

    async def start(self) -> list[str]:
        return await self.control.start(await self.repository.scan())

    async def states(self) -> dict[str, tuple[str, str]]:
        return {row.name: (row.state.value, row.reason) for row in await self.control.index()}


def run(
    scenario: Callable[[World], Awaitable[None]],
    root: Path,
    mode: ModelControlMode = "explicit",
    *,
    retries: int = 0,
    concurrency: int = 4,
) -> None:
    async def main() -> None:
        world = World(root, mode, retries, concurrency)
        try:
            await scenario(world)
        finally:
            await world.control.close()

    asyncio.run(main())


UPLOAD = Overrides(
    files={
        "model-settings.json": b'{"implementation": "code.Model", "parallel_workers": 0}',
        "code.py": CODE.encode(),
    }
)


def test_in_mode_auto_each_load_is_a_reload(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        world.write()
        await world.start()
        await world.control.load("m")
        assert world.loads() == 2
        with pytest.raises(NotFoundError, match="failed to load 'nope', failed to poll from model repository"):
            await world.control.load("nope")
        with pytest.raises(NotFoundError):
            await world.control.unload("nope")

    run(scenario, tmp_path, "auto")


def test_in_mode_explicit_only_what_changed_is_loaded(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        folder = world.write()
        await asyncio.gather(*(world.control.load("m") for _ in range(5)))
        assert world.loads() == 1
        os.utime(folder / "code.py")
        await world.control.load("m")
        assert world.loads() == 2
        with pytest.raises(InternalError, match="failed to load 'nope', failed to poll from model repository"):
            await world.control.load("nope")
        await world.control.unload("nope")

    run(scenario, tmp_path)


def test_a_failed_load_is_tried_again_and_then_noted(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        (world.write() / "broken").touch()
        with pytest.raises(InvalidArgumentError, match=r"load failed for model 'm': Internal: .*no weights;"):
            await world.control.load("m")
        assert world.loads() == 3
        state, reason = (await world.states())["m"]
        assert (state, "no weights" in reason) == ("UNAVAILABLE", True)
        assert len(world.control.problems()) == 1
        await world.control.unload("m")
        assert world.control.problems() == []
        assert await world.states() == {"m": ("UNKNOWN", "")}

    run(scenario, tmp_path, retries=2)


def test_no_more_loads_at_a_time_than_allowed(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        names = [f"m{number}" for number in range(6)]
        for name in names:
            (world.write(name) / "slow").touch()
        start = asyncio.create_task(world.start())
        while sum(map(world.loads, names)) < 2:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        assert sum(map(world.loads, names)) == 2
        states = [state for state, _ in (await world.states()).values()]
        assert sorted(states) == ["LOADING"] * 2 + ["UNKNOWN"] * 4
        world.write("asked")
        await world.control.load("asked")  # does not wait for them
        start.cancel()
        await asyncio.wait([start])

    run(scenario, tmp_path, concurrency=2)


def test_an_upload_whose_load_ends_badly_is_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home, root = tmp_path / "home", tmp_path / "models"
    home.mkdir()
    root.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(home))

    def kept() -> int:
        return sum(1 for base in home.iterdir() for _ in base.iterdir())

    def with_file(name: str) -> Overrides:
        return Overrides(files={**UPLOAD.files, name: b""})

    async def scenario(world: World) -> None:
        await world.control.load("m", UPLOAD)
        assert kept() == 1
        with pytest.raises(InvalidArgumentError, match="no weights"):
            await world.control.load("m", with_file("broken"))
        slow = asyncio.create_task(world.control.load("m", with_file("slow")))
        while kept() < 2 or not world.registry.index():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        slow.cancel()
        with pytest.raises(asyncio.CancelledError):
            await slow
        assert kept() == 1
        assert world.registry.find("m").ready
        await world.control.load("m", UPLOAD)  # an upload is always loaded
        assert kept() == 1
        await world.control.unload("m")
        assert kept() == 0
        assert await world.states() == {}

    run(scenario, root)
    assert list(home.iterdir()) == []


def test_an_upload_that_serves_is_kept_though_its_caller_left(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        await world.control.load("m", UPLOAD)
        old = world.registry.acquire("m")  # a request under way
        load = asyncio.create_task(world.control.load("m", UPLOAD))
        while old.state is not ModelState.UNLOADING:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        load.cancel()
        with pytest.raises(asyncio.CancelledError):
            await load
        old.release()
        source = world.registry.find("m").settings.source
        assert source is not None
        assert os.listdir(os.path.dirname(source))
        await world.control.unload("m")
        assert not world.registry.versions("m")

    run(scenario, tmp_path)


class Clock:
    """Time that passes when the test says so."""

    def __init__(self) -> None:
        self.waits: asyncio.Queue[tuple[float, asyncio.Event]] = asyncio.Queue()

    async def sleep(self, seconds: float) -> None:
        over = asyncio.Event()
        await self.waits.put((seconds, over))
        await over.wait()

    async def asleep(self) -> None:
        """Wait until the watcher is done and waits."""
        while self.waits.empty():  # noqa: ASYNC110
            await asyncio.sleep(0.001)

    async def tick(self) -> float:
        """Let the wait under way end; how long it was."""
        async with asyncio.timeout(10):
            seconds, over = await self.waits.get()
        over.set()
        return seconds


def watched(scenario: Callable[[World, Clock], Awaitable[None]], root: Path) -> None:
    async def main(world: World) -> None:
        clock = Clock()
        watching = asyncio.create_task(Watcher(world.control, 15, clock.sleep).run())
        try:
            await scenario(world, clock)
        finally:
            watching.cancel()

    run(main, root, "poll")


def test_a_change_is_followed_once_it_has_settled(tmp_path: Path) -> None:
    async def scenario(world: World, clock: Clock) -> None:
        folder = world.write()
        await world.start()
        assert [await clock.tick() for _ in range(3)] == [15, 15, 15]
        await clock.asleep()
        (folder / "weights").write_text("half")
        assert await clock.tick() == 15
        seconds, settled = await clock.waits.get()
        assert seconds == 1
        (folder / "weights").write_text("half and half")  # still being written
        settled.set()
        assert await clock.tick() == 15
        assert world.loads() == 1
        assert await clock.tick() == 1
        assert await clock.tick() == 15
        assert world.loads() == 2
        assert await clock.tick() == 15  # nothing more to follow

    watched(scenario, tmp_path)


def test_a_repository_that_is_away_for_a_while_unloads_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = tmp_path / "models"

    async def scenario(world: World, clock: Clock) -> None:
        world.write()
        await world.start()
        root.rename(tmp_path / "away")
        for _ in range(3):
            assert await clock.tick() == 15
        await clock.asleep()
        with pytest.raises(UnavailableError, match="does not exist"):
            await world.control.index()
        (tmp_path / "away").rename(root)
        assert [await clock.tick() for _ in range(2)] == [15, 15]
        await clock.asleep()
        assert world.registry.find("m").ready
        assert world.loads() == 1

    watched(scenario, root)
    assert caplog.text.count("models stay as they are") == 1


def test_a_model_whose_folder_is_gone_leaves(tmp_path: Path) -> None:
    async def scenario(world: World, clock: Clock) -> None:
        world.write()
        (world.write("never") / "broken").touch()
        assert len(await world.start()) == 1
        for name in ("m", "never"):
            shutil.rmtree(tmp_path / name)
        assert [await clock.tick() for _ in range(2)] == [15, 1]
        await clock.asleep()
        assert await world.states() == {}
        assert world.control.problems() == []
        assert ModelState.READY not in {servable.state for servable in world.registry}

    watched(scenario, tmp_path)


def test_a_broken_model_is_told_once_and_mended(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(world: World, clock: Clock) -> None:
        folder = world.write()
        await world.start()
        (folder / "model-settings.json").write_text("{")
        assert [await clock.tick() for _ in range(5)] == [15, 1, 15, 15, 15]
        await clock.asleep()
        state, reason = (await world.states())["m"]
        assert state == "READY"
        assert "model-settings.json" in reason
        assert world.control.problems() == []
        world.write()
        assert [await clock.tick() for _ in range(2)] == [15, 1]
        await clock.asleep()
        assert await world.states() == {"m": ("READY", "")}

    watched(scenario, tmp_path)
    assert caplog.text.count("the file ends too early") == 1


def test_a_look_that_fails_is_not_the_last_one(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(world: World, clock: Clock) -> None:
        world.write("m")
        await world.start()
        scan, world.repository.scan = world.repository.scan, None  # type: ignore[method-assign, assignment]
        assert await clock.tick() == 15
        await clock.asleep()
        world.repository.scan = scan  # type: ignore[method-assign]
        world.write("new")
        assert [await clock.tick() for _ in range(2)] == [15, 1]
        await clock.asleep()
        assert await world.states() == {"m": ("READY", ""), "new": ("READY", "")}

    watched(scenario, tmp_path)
    assert "could not be followed" in caplog.text
