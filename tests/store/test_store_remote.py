"""Stores elsewhere: folders, and S3 as moto speaks it."""

from __future__ import annotations

import builtins
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from oipserver.errors import AlreadyExistsError, InvalidArgumentError, NotFoundError, UnavailableError
from oipserver.store import Draft, ModelStore, StoredModel, pull, push

REGION = "us-east-1"


def add(store: ModelStore, tag: str, text: str = "weights") -> StoredModel:
    def fill(folder: Path) -> Draft:
        (folder / "data").mkdir()
        (folder / "data" / "model.bin").write_text(text)
        return Draft({"implementation": "identity", "parameters": {"uri": "data/model.bin"}}, labels={"a": "b"})

    return store.add(tag, fill)


@pytest.fixture
def here(tmp_path: Path) -> ModelStore:
    return ModelStore(tmp_path / "here")


@pytest.fixture
def there(tmp_path: Path) -> ModelStore:
    return ModelStore(tmp_path / "there")


@pytest.fixture(scope="module")
def s3() -> Iterator[Any]:
    """An S3 of our own, as boto3's client."""
    boto3 = pytest.importorskip("boto3")
    pytest.importorskip("s3fs")
    server = pytest.importorskip("moto.server").ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        patch.setenv("AWS_DEFAULT_REGION", REGION)
        yield boto3.client("s3")
    server.stop()


@pytest.fixture
def bucket(s3: Any, request: pytest.FixtureRequest) -> str:
    name = f"bucket-{abs(hash(request.node.name))}"
    s3.create_bucket(Bucket=name)
    return name


@pytest.fixture(params=["folder", "file", "s3"])
def uri(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "s3":
        return f"s3://{request.getfixturevalue('bucket')}/team/models"
    return f"{'file://' if request.param == 'file' else ''}{tmp_path / 'some where'}".replace(
        " ", "%20" if request.param == "file" else " "
    )


def test_there_and_back(here: ModelStore, there: ModelStore, uri: str) -> None:
    model = add(here, "iris:1")
    assert push(model, uri).endswith("/iris/1")
    pulled = pull(there, "iris:1", uri)
    assert pulled.record == model.record
    pulled.verify()
    assert (pulled.path / "model-settings.json").read_bytes() == (model.path / "model-settings.json").read_bytes()


def test_the_newest_is_pulled(here: ModelStore, there: ModelStore, uri: str) -> None:
    for version in ("v9", "v10"):
        push(add(here, f"iris:{version}"), uri)
    assert pull(there, "iris", uri).version == "v10"
    assert pull(there, "iris:latest", uri).version == "v10"
    assert [model.version for model in there.models()] == ["v10"]


def test_doing_it_again_does_nothing(here: ModelStore, there: ModelStore, uri: str) -> None:
    model = add(here, "iris:1")
    assert push(model, uri) == push(model, uri)
    assert pull(there, "iris:1", uri).path == pull(there, "iris:1", uri).path


def test_many_at_once_come_to_one(here: ModelStore, there: ModelStore, tmp_path: Path) -> None:
    model, shared = add(here, "iris:1"), str(tmp_path / "shared")
    with ThreadPoolExecutor(8) as threads:
        assert len(set(threads.map(lambda _: push(model, shared), range(16)))) == 1
        assert len({found.path for found in threads.map(lambda _: pull(there, "iris", shared), range(16))}) == 1
    there.get("iris:1").verify()


def test_another_model_of_the_same_tag(here: ModelStore, there: ModelStore, uri: str) -> None:
    push(add(here, "iris:1"), uri)
    other = add(there, "iris:1", "others")
    with pytest.raises(AlreadyExistsError, match="another 'iris:1' is in"):
        push(other, uri)
    with pytest.raises(AlreadyExistsError, match="another 'iris:1' is in"):
        pull(there, "iris:1", uri)
    assert (other.path / "data" / "model.bin").read_text() == "others"


def test_what_is_not_there(here: ModelStore, there: ModelStore, uri: str) -> None:
    push(add(here, "iris:1"), uri)
    with pytest.raises(NotFoundError, match="there is no 'iris:2'"):
        pull(there, "iris:2", uri)
    with pytest.raises(NotFoundError, match="there is no model 'wine'"):
        pull(there, "wine", uri)


def test_a_changed_model_is_not_pushed(here: ModelStore, uri: str) -> None:
    model = add(here, "iris:1")
    (model.path / "data" / "model.bin").write_text("changed")
    with pytest.raises(InvalidArgumentError, match="is not what was stored"):
        push(model, uri)


def test_a_store_in_s3_has_the_layout_of_a_repository(here: ModelStore, s3: Any, bucket: str) -> None:
    push(add(here, "iris:1"), f"s3://{bucket}")
    keys = [entry["Key"] for entry in s3.list_objects_v2(Bucket=bucket)["Contents"]]
    assert keys == ["iris/1/data/model.bin", "iris/1/model-settings.json", "iris/1/stored-model.json"]


def test_half_a_push_is_not_there(here: ModelStore, there: ModelStore, s3: Any, bucket: str) -> None:
    push(add(here, "iris:1"), f"s3://{bucket}")
    push(add(here, "iris:2"), f"s3://{bucket}")
    s3.delete_object(Bucket=bucket, Key="iris/2/stored-model.json")  # which is written last
    assert pull(there, "iris", f"s3://{bucket}").version == "1"
    push(here.get("iris:2"), f"s3://{bucket}")
    assert pull(there, "iris", f"s3://{bucket}").version == "2"


@pytest.mark.parametrize(
    ("key", "body", "reason"),
    [
        ("data/model.bin", b"other", "file 'data/model.bin' is not what was stored"),
        ("model-settings.json", b'{"name": "wine"}', "is not that of 'iris:1'"),
        ("stored-model.json", b"{}", "is no record of a stored model"),
        ("stored-model.json", None, "has 'wine:1' in the place of 'iris:1'"),
    ],
)
def test_what_somebody_changed_is_not_pulled(
    here: ModelStore, there: ModelStore, s3: Any, bucket: str, key: str, body: bytes | None, reason: str
) -> None:
    push(add(here, "iris:1"), f"s3://{bucket}")
    body = (add(here, "wine:1").path / key).read_bytes() if body is None else body
    s3.put_object(Bucket=bucket, Key=f"iris/1/{key}", Body=body)
    with pytest.raises(InvalidArgumentError, match=reason):
        pull(there, "iris:1", f"s3://{bucket}")
    assert there.models() == []


def test_a_file_that_is_gone(here: ModelStore, there: ModelStore, s3: Any, bucket: str) -> None:
    push(add(here, "iris:1"), f"s3://{bucket}")
    s3.delete_object(Bucket=bucket, Key="iris/1/data/model.bin")
    with pytest.raises(NotFoundError, match="'iris:1' is not whole in s3://"):
        pull(there, "iris:1", f"s3://{bucket}")
    assert there.models() == []


def test_a_place_that_cannot_be_reached(here: ModelStore, s3: Any) -> None:
    assert s3
    with pytest.raises((UnavailableError, NotFoundError), match="s3://there-is-none"):
        push(add(here, "iris:1"), "s3://there-is-none")


def test_unknown_places(here: ModelStore) -> None:
    pytest.importorskip("fsspec")
    with pytest.raises(InvalidArgumentError, match="cannot reach nope://x"):
        push(add(here, "iris:1"), "nope://x")


def test_what_is_not_installed_is_named(here: ModelStore, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *arguments: Any, **keywords: Any) -> Any:
        if name.partition(".")[0] == "fsspec":
            raise ModuleNotFoundError(f"No module named '{name}'", name="fsspec")
        return real(name, *arguments, **keywords)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(InvalidArgumentError, match=r'pip install "oipserver\[s3\]"'):
        push(add(here, "iris:1"), "s3://bucket/models")
