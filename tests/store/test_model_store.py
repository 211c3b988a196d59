"""The model store: tags, versions, aliases, and that nothing half-done can be seen."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from oipserver.errors import AlreadyExistsError, InvalidArgumentError, NotFoundError
from oipserver.store import Draft, ModelStore, StoredModel, Tag

NOON = datetime(2026, 11, 21, 12, 0, 0, 123456, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now


def fill(text: str = "weights", labels: dict[str, str] | None = None) -> Callable[[Path], Draft]:
    def put(folder: Path) -> Draft:
        (folder / "model.bin").write_text(text)
        return Draft({"implementation": "identity", "parameters": {"uri": "model.bin"}}, labels=labels or {})

    return put


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> ModelStore:
    return ModelStore(tmp_path / "models", clock)


def add(store: ModelStore, tag: str, text: str = "weights", **labels: str) -> StoredModel:
    return store.add(tag, fill(text, labels))


def test_a_version_is_the_time_and_sorts_by_it(store: ModelStore, clock: Clock) -> None:
    first = add(store, "iris")
    assert first.version == "20261121120000123"
    same_moment = add(store, "iris")
    clock.now -= timedelta(days=1)  # the clock went back
    earlier = add(store, "iris")
    versions = [first.version, same_moment.version, earlier.version]
    assert versions == sorted(versions) == sorted(set(versions), key=int)
    assert int(earlier.version) < 1 << 63


def test_latest_is_the_newest(store: ModelStore, clock: Clock) -> None:
    for version in ("v9", "v10"):
        clock.now += timedelta(seconds=1)
        add(store, f"iris:{version}")
    assert store.get("iris").version == store.get("iris:latest").version == "v10"
    assert [str(model) for model in store.models("iris")] == ["iris:v10", "iris:v9"]


def test_what_is_stored_is_told(store: ModelStore) -> None:
    model = add(store, "iris:1", stage="prod")
    found = store.get("iris:1")
    assert found.path == store.root / "iris" / "1" == model.path
    assert Path(found.path_of("model.bin")).read_text() == "weights"
    assert found.labels == {"stage": "prod"}
    assert found.created == NOON
    assert found.describe()["files"] == {"model.bin": 7}
    assert Tag.parse("iris@champion") == Tag.parse("iris:champion") == Tag("iris", "champion")


@pytest.mark.parametrize("item", ["other.bin", "../1/../../secret", "/etc/passwd"])
def test_only_what_a_model_has_has_a_path(store: ModelStore, item: str) -> None:
    (store.root.parent / "secret").write_text("x")
    with pytest.raises(NotFoundError, match="'iris:1' has no"):
        add(store, "iris:1").path_of(item)


def test_a_stored_model_does_not_change(store: ModelStore) -> None:
    add(store, "iris:1", "first")
    with pytest.raises(AlreadyExistsError, match="there is a 'iris:1' already"):
        add(store, "iris:1", "second")
    assert (store.get("iris:1").path / "model.bin").read_text() == "first"


def test_what_fails_leaves_nothing(store: ModelStore) -> None:
    def fail(folder: Path) -> Draft:
        (folder / "half").write_text("x")
        raise InvalidArgumentError("no model")

    with pytest.raises(InvalidArgumentError, match="no model"):
        store.add("iris", fail)
    assert store.models() == []
    assert [path for path in store.root.rglob("*") if path.is_file()] == []


def test_a_link_is_no_file_of_a_model(store: ModelStore) -> None:
    def link(folder: Path) -> Draft:
        (folder / "model.bin").symlink_to("/etc/hostname")
        return Draft({})

    with pytest.raises(InvalidArgumentError, match="is no plain file"):
        store.add("iris", link)


def test_unknown_tags_say_what_there_is(store: ModelStore) -> None:
    with pytest.raises(NotFoundError, match="which is empty"):
        store.get("iris")
    add(store, "iris:1")
    with pytest.raises(NotFoundError, match=r"there is no 'iris:2' in .*'iris' has 1"):
        store.get("iris:2")
    with pytest.raises(NotFoundError, match=r"there is no model 'wine' in .*; it has iris"):
        store.get("wine")


@pytest.mark.parametrize("tag", ["", "../x", "a/b", ".hidden", "a:", "a:../b", "a:b/c", "a b", "a:b:c", "é", "a" * 129])
def test_what_cannot_be_a_tag(store: ModelStore, tag: str) -> None:
    with pytest.raises(InvalidArgumentError):
        store.get(tag)
    with pytest.raises(InvalidArgumentError):
        store.add(tag, fill())


def test_no_version_is_called_latest(store: ModelStore) -> None:
    with pytest.raises(InvalidArgumentError, match="that means the newest"):
        add(store, "iris:latest")


def test_labels_choose(store: ModelStore) -> None:
    add(store, "iris:1", stage="prod", team="a")
    add(store, "iris:2", stage="test", team="a")
    add(store, "wine:1", team="b")
    assert [str(model) for model in store.models(labels={"team": "a", "stage": "prod"})] == ["iris:1"]
    assert {str(model) for model in store.models(labels={"team": "a"})} == {"iris:1", "iris:2"}
    assert store.models(labels={"team": "c"}) == []


def test_an_alias_means_a_version_until_it_means_another(store: ModelStore) -> None:
    add(store, "iris:1")
    add(store, "iris:2")
    store.set_alias("iris:1", "champion")
    assert store.get("iris@champion").version == "1"
    assert store.set_alias("iris:2", "champion").aliases == ("champion",)
    assert store.get("iris:champion").version == "2"
    assert store.get("iris:1").aliases == ()
    store.delete_alias("iris", "champion")
    with pytest.raises(NotFoundError):
        store.get("iris@champion")
    with pytest.raises(NotFoundError, match="no alias 'champion'"):
        store.delete_alias("iris", "champion")


def test_aliases_and_versions_have_names_of_their_own(store: ModelStore) -> None:
    add(store, "iris:1")
    add(store, "iris:2")
    with pytest.raises(AlreadyExistsError, match="'iris:1' is a version"):
        store.set_alias("iris:2", "1")
    store.set_alias("iris:2", "3")
    with pytest.raises(AlreadyExistsError, match="is an alias"):
        add(store, "iris:3")
    with pytest.raises(InvalidArgumentError, match="always means the newest"):
        store.set_alias("iris:1", "latest")


def test_deleting(store: ModelStore) -> None:
    add(store, "iris:1")
    add(store, "iris:2")
    store.set_alias("iris:2", "champion")
    store.delete("iris:1")
    assert [model.version for model in store.models("iris")] == ["2"]
    with pytest.raises(InvalidArgumentError, match="'iris:2' is 'iris@champion'"):
        store.delete("iris:2")
    store.delete("iris@champion", force=True)
    assert not (store.root / "iris").exists()
    with pytest.raises(NotFoundError):
        store.delete("iris:2")


def test_a_changed_file_is_found(store: ModelStore) -> None:
    model = add(store, "iris:1")
    model.verify()
    (model.path / "__pycache__").mkdir()
    (model.path / "__pycache__" / "code.pyc").write_text("what running it leaves")
    (model.path / "model-settings.json").write_text("{}")  # may be tuned
    model.verify()
    (model.path / "model.bin").write_text("WEIGHTS")
    with pytest.raises(InvalidArgumentError, match=r"'iris:1': file 'model.bin' is not what was stored"):
        model.verify()
    (model.path / "model.bin").unlink()
    with pytest.raises(InvalidArgumentError, match=r"file 'model.bin' is missing"):
        model.verify()


@pytest.mark.parametrize(
    "content", ["{", "[]", '{"format": 2}', '{"name": "../x", "version": "1", "created": "2026-01-01T00:00:00Z"}']
)
def test_a_broken_record_hides_its_version_alone(
    store: ModelStore, content: str, caplog: pytest.LogCaptureFixture
) -> None:
    add(store, "iris:1")
    add(store, "iris:2")
    (store.root / "iris" / "2" / "stored-model.json").write_text(content)
    with caplog.at_level(logging.WARNING):
        assert [model.version for model in store.models()] == ["1"]
    assert "is no record of a stored model" in caplog.text
    with pytest.raises(InvalidArgumentError, match="is no record of a stored model"):
        store.get("iris:2")


def test_other_folders_are_left_alone(store: ModelStore) -> None:
    (store.root / "iris" / "1").mkdir(parents=True)
    (store.root / "notes.txt").write_text("mine")
    assert store.models() == []
    assert add(store, "iris").version != "1"
    with pytest.raises(AlreadyExistsError):
        add(store, "iris:1")
