"""Modules of a model's own: apart from those of other models and earlier loads, and able to import each other."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path

import pytest

from oipserver.errors import ModelLoadError
from oipserver.runtime import resolve_class
from oipserver.runtime.resolve import release_class
from oipserver.settings import ModelSettings

HEAD = "from oipserver import MLModel\n"


def settings(folder: Path, implementation: str, name: str = "m") -> ModelSettings:
    found = ModelSettings(name=name, implementation=implementation)
    found._source = str(folder / "model-settings.json")
    return found


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        path = folder / (name.replace("__in__", "/") + ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def test_a_module_whose_name_is_no_identifier(tmp_path: Path) -> None:
    (tmp_path / "serve-model.py").write_text(HEAD + "class My(MLModel): pass\n")
    assert resolve_class(settings(tmp_path, "serve-model.My")).__name__ == "My"


def test_two_folders_with_the_same_module_names(tmp_path: Path) -> None:
    kinds = []
    for word in ("a", "b"):
        text = HEAD + "import helper\nfrom helper import WORD\nclass My(MLModel): word = WORD, helper.WORD\n"
        write(tmp_path / word, models=text, helper=f"WORD = {word!r}\n")
        kinds.append(resolve_class(settings(tmp_path / word, "models.My")))
    assert [kind.word for kind in kinds] == [("a", "a"), ("b", "b")]  # type: ignore[attr-defined]


def test_each_load_sees_the_code_as_it_is(tmp_path: Path) -> None:
    write(tmp_path, models=HEAD + "from helper import WORD\nclass My(MLModel): word = WORD\n", helper="WORD = 1\n")
    first = resolve_class(settings(tmp_path, "models.My"))
    write(tmp_path, helper="WORD = 2\n")
    second = resolve_class(settings(tmp_path, "models.My"))
    assert (first.word, second.word) == (1, 2)  # type: ignore[attr-defined]
    assert not list(tmp_path.rglob("__pycache__")), "nothing is written into the model's folder"


def test_packages_relative_imports_and_imports_inside_functions(tmp_path: Path) -> None:
    write(
        tmp_path,
        pack__in____init__="",
        pack__in__models=HEAD
        + "from . import near\nfrom pack import far\nimport pack.deep.end\n"
        + "class My(MLModel):\n    word = near.WORD + far.WORD + pack.deep.end.WORD\n"
        + "    def late(self):\n        from pack.deep import end\n"
        + "        import lone\n        return end.WORD + lone.WORD\n",
        pack__in__near="WORD = 'n'\n",
        pack__in__far="WORD = 'f'\n",
        pack__in__deep__in____init__="",
        pack__in__deep__in__end="WORD = 'e'\n",
        lone="WORD = 'l'\n",
    )
    asked = settings(tmp_path, "pack.models.My")
    kind = resolve_class(asked)
    assert kind.word == "nfe"  # type: ignore[attr-defined]
    assert kind(asked).late() == "el"  # type: ignore[attr-defined]


def test_other_modules_are_shared_and_the_standard_library_is_not_shadowed(tmp_path: Path) -> None:
    text = HEAD + "import json, collections.abc, numpy\nclass My(MLModel): parts = json, collections.abc, numpy\n"
    write(tmp_path, models=text, json="raise AssertionError('not this one')\n")
    kind = resolve_class(settings(tmp_path, "models.My"))
    assert kind.parts == (sys.modules["json"], sys.modules["collections.abc"], sys.modules["numpy"])  # type: ignore[attr-defined]


def test_artefacts_that_name_the_module_are_read(tmp_path: Path) -> None:
    name = "pickled_by_training"
    write(tmp_path, models=HEAD + "class My(MLModel): pass\n", **{name: "class Thing:\n    pass\n"})
    resolve_class(settings(tmp_path, "models.My"))
    thing = pickle.loads(b"\x80\x02c" + name.encode() + b"\nThing\n)\x81.")
    assert type(thing).__name__ == "Thing"


def test_released_modules_are_gone_and_instances_live_on(tmp_path: Path) -> None:
    write(tmp_path, models=HEAD + "WORD = 'w'\nclass My(MLModel):\n    def word(self): return WORD\n")
    before = set(sys.modules)
    asked = settings(tmp_path, "models.My")
    kind = resolve_class(asked)
    model = kind(asked)
    release_class(kind)
    assert set(sys.modules) == before
    assert model.word() == "w"  # type: ignore[attr-defined]


def test_broken_modules_say_so_and_leave_nothing(tmp_path: Path) -> None:
    write(tmp_path, models="import nowhere_at_all\n")
    before = set(sys.modules)
    with pytest.raises(ModelLoadError, match=r"model 'm': cannot import 'models': ModuleNotFoundError.*nowhere_at_all"):
        resolve_class(settings(tmp_path, "models.My"))
    assert set(sys.modules) == before
