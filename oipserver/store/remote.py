"""Stores elsewhere: a folder of this machine, or whatever fsspec reaches (s3://, gs://, ...); knows no MLflow."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..errors import AlreadyExistsError, InvalidArgumentError, NotFoundError, OIPError, UnavailableError
from ..settings.model_file import MODEL_SETTINGS_FILE
from ..settings.places import local_path
from .record import RECORD_FILE, Record, parse_record, read_record
from .store import ModelStore
from .stored import StoredModel
from .tags import LATEST, Tag

_EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs"}


def push(model: StoredModel, uri: str) -> str:
    """Copy ``model`` into the store at ``uri``; where it lies there. Pushing again what is there already does nothing.

    Raises AlreadyExistsError where another model has its tag there, InvalidArgumentError for a URI that cannot be used
    or a model that is no longer what was stored, UnavailableError where the place cannot be reached.
    """
    model.verify()
    folder = local_path(uri)
    return _push_to_folder(model, folder) if folder is not None else _Remote(uri).push(model)


def pull(store: ModelStore, tag: Tag | str, uri: str) -> StoredModel:
    """Copy the model that ``tag`` means in the store at ``uri`` into ``store``; it is checked file by file. Pulling
    again what is here already does nothing.

    Raises NotFoundError, AlreadyExistsError where another model has its tag here, and otherwise as ``push``.
    """
    tag = Tag.parse(tag) if isinstance(tag, str) else tag
    folder = local_path(uri)
    if folder is not None:
        source = ModelStore(folder).get(tag)
        return _adopted(store, source.record, lambda target: _copy(source.path, target))
    remote = _Remote(uri)
    record = remote.find(tag)
    return _adopted(store, record, lambda target: remote.fetch(record, target))


def _adopted(store: ModelStore, record: Record, fill: Callable[[Path], Record]) -> StoredModel:
    """The model of ``record`` in ``store``, filled in where it is not there. Raises AlreadyExistsError where that is
    another one."""
    if (found := _same_here(store, record)) is not None:
        return found
    try:
        return store.adopt(fill)
    except AlreadyExistsError:  # somebody else was quicker
        if (found := _same_here(store, record)) is not None:
            return found
        raise


def _same_here(store: ModelStore, record: Record) -> StoredModel | None:
    """The model of ``record`` where ``store`` has it already. Raises AlreadyExistsError where that is another one."""
    try:
        found = store.get(Tag(record.name, record.version))
    except NotFoundError:
        return None
    _check_same(found.record, record, str(store.root))
    return found


def _check_same(found: Record, wanted: Record, where: str) -> None:
    if found.files != wanted.files:
        raise AlreadyExistsError(f"another '{wanted.name}:{wanted.version}' is in {where}: its files are not the same")


def _push_to_folder(model: StoredModel, folder: Path) -> str:
    return str(_adopted(ModelStore(folder), model.record, lambda target: _copy(model.path, target)).path)


def _copy(source: Path, target: Path) -> Record:
    record = read_record(source / RECORD_FILE)
    for path in (MODEL_SETTINGS_FILE, *record.files):
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / path, target / path)
    return record


class _Remote:
    """A store behind fsspec. A version's record is written last: a version without one is not there."""

    def __init__(self, uri: str) -> None:
        self._uri = uri.rstrip("/")
        self._files, self._root = _file_system(self._uri)

    def push(self, model: StoredModel) -> str:
        tag, place = model.tag, self._place(model.tag)
        with self._reaching():
            if self._files.exists(f"{place}/{RECORD_FILE}"):
                _check_same(self._record(tag), model.record, self._uri)
            else:
                paths = (*model.record.files, MODEL_SETTINGS_FILE)
                self._files.put([str(model.path / path) for path in paths], [f"{place}/{path}" for path in paths])
                self._files.put_file(str(model.path / RECORD_FILE), f"{place}/{RECORD_FILE}")
        return f"{self._uri}/{tag.name}/{tag.version}"

    def find(self, tag: Tag) -> Record:
        """The record of the version that ``tag`` means: a version, or the newest one. Raises NotFoundError."""
        with self._reaching():
            if tag.version and tag.version != LATEST:
                return self._record(tag)
            self._files.invalidate_cache()
            try:
                entries = self._files.ls(f"{self._root}/{tag.name}", detail=False)
            except FileNotFoundError:
                entries = []
            versions = [str(entry).rstrip("/").rpartition("/")[2] for entry in entries]
            found = [self._record(Tag(tag.name, version)) for version in versions if self._is_whole(tag, version)]
        if not found:
            raise NotFoundError(f"there is no model '{tag.name}' in {self._uri}")
        return max(found, key=lambda record: (record.created, record.version))

    def _is_whole(self, tag: Tag, version: str) -> bool:
        return bool(self._files.exists(f"{self._root}/{tag.name}/{version}/{RECORD_FILE}"))

    def _record(self, tag: Tag) -> Record:
        try:
            content = self._files.cat_file(f"{self._place(tag)}/{RECORD_FILE}")
        except FileNotFoundError:
            raise NotFoundError(f"there is no '{tag}' in {self._uri}; aliases are not pushed, name a version") from None
        record = parse_record(content, f"{self._uri}/{tag.name}/{tag.version}/{RECORD_FILE}")
        if (record.name, record.version) != (tag.name, tag.version):
            raise InvalidArgumentError(f"{self._uri} has '{record.name}:{record.version}' in the place of '{tag}'")
        return record

    def fetch(self, record: Record, folder: Path) -> Record:
        place = self._place(Tag(record.name, record.version))
        paths = (MODEL_SETTINGS_FILE, *record.files)
        for path in paths:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
        with self._reaching():
            try:
                self._files.get([f"{place}/{path}" for path in paths], [str(folder / path) for path in paths])
            except FileNotFoundError as error:
                tag = f"'{record.name}:{record.version}'"
                raise NotFoundError(f"{tag} is not whole in {self._uri}: a file of it is gone ({error})") from None
        return record

    def _place(self, tag: Tag) -> str:
        return f"{self._root}/{tag.name}/{tag.version}"

    @contextmanager
    def _reaching(self) -> Iterator[None]:
        try:
            yield
        except OIPError:
            raise
        except FileNotFoundError as error:
            raise NotFoundError(f"{self._uri}: there is no {error}") from error
        except Exception as error:  # each file system has errors of its own
            raise UnavailableError(f"cannot reach {self._uri}: {type(error).__name__}: {error}") from error


def _file_system(uri: str) -> tuple[Any, str]:
    """What reaches ``uri``, and its path there. Raises InvalidArgumentError where that is not installed, or unknown."""
    protocol = uri.partition("://")[0]
    needed = (
        f'pip install "oipserver[{_EXTRAS[protocol]}]"' if protocol in _EXTRAS else f"what fsspec needs for {protocol}"
    )
    try:
        from fsspec.core import url_to_fs
    except ModuleNotFoundError:
        raise InvalidArgumentError(f"cannot reach {uri} without fsspec: {needed}") from None
    try:
        files, root = url_to_fs(uri)
    except ImportError as error:
        raise InvalidArgumentError(f"cannot reach {uri}: {error}. Install it: {needed}") from None
    except (ValueError, OSError) as error:
        raise InvalidArgumentError(f"cannot reach {uri}: {error}") from None
    return files, str(root).rstrip("/")
