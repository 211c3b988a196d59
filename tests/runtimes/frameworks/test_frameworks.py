"""What the runtimes share: shares of the cores, imports that fail, and answers of every form."""

from __future__ import annotations

import asyncio
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from oipserver_frameworks import Artefact, find_artefact, import_framework, load_alone, thread_share, threads_for
from oipserver_frameworks.answers import as_array, np_tensor

from oipserver.errors import InternalError, ModelLoadError

from ..hosting import settings_of

TEXTS = Artefact("text", ("model.txt", "model.text"), (".txt", ".text", ".json"))


class TestThreads:
    @pytest.mark.parametrize(("told", "share"), [("3", 3), ("4,2", 4), (" 2 ", 2)])
    def test_the_environment_says_how_many(self, told: str, share: int, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("OMP_NUM_THREADS", told)
        assert thread_share() == share

    @pytest.mark.parametrize("told", ["", "0", "many", "-1"])
    def test_without_it_all_cores(self, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
        every = thread_share()
        monkeypatch.setenv("OMP_NUM_THREADS", told)
        assert thread_share() == every >= 1

    def test_little_work_is_done_by_one(self) -> None:
        assert threads_for(1, 100, 8) == 1
        assert threads_for(1000, 100, 8) == 8
        assert threads_for(1, 100_000, 8) == 8


class TestArtefacts:
    def test_names_before_suffixes(self, tmp_path: Path) -> None:
        (tmp_path / "other.txt").touch()
        (tmp_path / "model-settings.json").touch()
        assert find_artefact(settings_of("x", tmp_path), TEXTS).name == "other.txt"
        (tmp_path / "model.text").touch()
        assert find_artefact(settings_of("x", tmp_path), TEXTS).name == "model.text"
        (tmp_path / "model.txt").touch()
        assert find_artefact(settings_of("x", tmp_path), TEXTS).name == "model.txt"

    def test_uri_is_a_file_or_a_folder(self, tmp_path: Path) -> None:
        (tmp_path / "inside").mkdir()
        (tmp_path / "inside" / "model.txt").touch()
        for uri in ("inside", "./inside/model.txt", str(tmp_path / "inside"), f"file://{tmp_path}/inside/model.txt"):
            found = find_artefact(settings_of("x", tmp_path, parameters={"uri": uri}), TEXTS)
            assert found.resolve() == tmp_path / "inside" / "model.txt"

    def test_settings_from_nowhere(self) -> None:
        settings = settings_of("x", Path("."))
        settings._source = None
        with pytest.raises(ModelLoadError, match=r"parameters\.uri names no text file"):
            find_artefact(settings, TEXTS)


class TestImports:
    def test_a_package_that_is_broken_is_not_called_missing(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "broken_framework.py").write_text("import a_module_that_is_not_there")
        monkeypatch.syspath_prepend(str(tmp_path))
        with pytest.raises(
            ModelLoadError, match="broken_framework is installed but cannot be imported: No module named"
        ):
            import_framework("broken_framework", "broken-framework", "m")
        (tmp_path / "broken_library.py").write_text("raise OSError('libgomp.so.1: cannot open shared object file')")
        with pytest.raises(ModelLoadError, match="libgomp"):
            import_framework("broken_library", "broken-library", "m")
        sys.modules.pop("broken_framework", None)

    def test_a_missing_package(self) -> None:
        with pytest.raises(ModelLoadError, match=r"needs no_such_thing, which is not installed.*\n  pip install thing"):
            import_framework("no_such_thing.part", "thing", "m")


class TestLoading:
    def test_one_load_at_a_time_while_the_loop_lives(self) -> None:
        running: list[int] = []
        seen: list[int] = []
        released = threading.Event()

        def load(number: int) -> int:
            running.append(number)
            assert released.wait(20)
            seen.append(len(running))
            running.remove(number)
            return number

        async def both() -> list[int]:
            loads = asyncio.gather(load_alone(load, 1), load_alone(load, 2))
            await asyncio.sleep(0)
            released.set()
            return list(await loads)

        assert asyncio.run(both()) == [1, 2]
        assert seen == [1, 1]


class TestAnswers:
    def test_dimensions(self) -> None:
        assert np_tensor("x", np.array(3.0)).shape == (1,)
        assert np_tensor("x", np.arange(3)).shape == (3, 1)
        assert np_tensor("x", np.zeros((2, 3, 4))).shape == (2, 3, 4)

    def test_lists_of_arrays(self) -> None:
        assert as_array([np.zeros((4, 2)), np.ones((4, 2))], "x", "m").shape == (4, 2, 2)
        assert as_array([1, 2], "x", "m").tolist() == [1, 2]
        with pytest.raises(InternalError, match=r"different shapes \[\[4, 2\], \[4, 3\]\]"):
            as_array([np.zeros((4, 2)), np.ones((4, 3))], "x", "m")
