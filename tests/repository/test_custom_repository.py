"""A repository of the user's own: what it lists is served, but for what nobody could ask for."""

import asyncio

import pytest

from oipserver import ModelSettings
from oipserver.errors import InvalidArgumentError, UnavailableError
from oipserver.repository.custom import CustomModelRepository, load_custom

Models = list[ModelSettings]  # the methods below take the name ``list``


class Listing:
    def __init__(self, root: str, names: tuple[str, ...] = ("good", "good", "a/b", "")) -> None:
        self._models = [ModelSettings(name=name, implementation="identity") for name in names]
        if root == "twice":
            self._models[1].parameters.version = "2"

    async def list(self) -> Models:
        return self._models

    async def find(self, name: str) -> Models:
        return [model for model in self._models if model.name == name]


class Failing(Listing):
    async def list(self) -> Models:
        raise OSError("the database\nis gone")


def repository(kind: str = "Listing", **arguments: object) -> CustomModelRepository:
    return load_custom(f"{__name__}.{kind}", "twice", arguments)


def test_names_that_cannot_be_are_problems() -> None:
    scan = asyncio.run(repository().scan())
    assert [(model.name, model.version) for model in scan.models] == [("good", ""), ("good", "2")]
    assert [problem.partition(":")[0] for problem in scan.problems] == [
        "'a/b' cannot be the name of a model",
        "'' cannot be the name of a model",
    ]
    assert set(scan.broken) == {"a/b", ""}


def test_finding_one() -> None:
    assert len(asyncio.run(repository().find("good"))) == 2
    assert asyncio.run(repository().find("other")) == []
    with pytest.raises(InvalidArgumentError, match="failed to load 'a/b': 'a/b' cannot be the name of a model"):
        asyncio.run(repository().find("a/b"))


def test_a_listing_that_fails_is_unavailable() -> None:
    with pytest.raises(UnavailableError, match=r"Failing: list\(\) failed: OSError: the database"):
        asyncio.run(repository("Failing").scan())


@pytest.mark.parametrize(
    ("kind", "arguments", "words"),
    [("Nobody", {}, "AttributeError"), ("Listing", {"what": 1}, "TypeError"), ("pytest", {}, "TypeError")],
)
def test_classes_that_cannot_be_used(kind: str, arguments: dict[str, object], words: str) -> None:
    with pytest.raises(InvalidArgumentError, match=rf"model_repository_implementation '.*{kind}' cannot .*{words}"):
        repository(kind, **arguments)
