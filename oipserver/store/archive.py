"""Stored models as one file: a tar archive, the same bytes for the same model; knows no MLflow and no network."""

from __future__ import annotations

import gzip
import shutil
import tarfile
import uuid
from pathlib import Path
from typing import IO

from ..errors import AlreadyExistsError, InvalidArgumentError, NotFoundError
from ..settings.model_file import MODEL_SETTINGS_FILE
from .record import MAX_BYTES, MAX_FILES, RECORD_FILE, Record, read_record, stays_inside
from .store import ModelStore
from .stored import StoredModel

_ZIPPED = (".tar.gz", ".tgz")
_PLAIN = ".tar"
_LEVEL = 6


def export_model(model: StoredModel, file: Path) -> Path:
    """Write ``model`` into ``file``, or into a file of its name where that is a folder; the path it has.

    ``.tar.gz`` and ``.tgz`` are compressed, ``.tar`` is not. Raises AlreadyExistsError, InvalidArgumentError for
    another suffix, a place that cannot be written, or a model that is no longer what was stored.
    """
    if file.is_dir():
        file = file / f"{model.name}-{model.version}.tar.gz"
    if not file.name.endswith((*_ZIPPED, _PLAIN)):
        raise InvalidArgumentError(f"cannot export to {file}: expected a name that ends in .tar.gz, .tgz or .tar")
    if file.exists():
        raise AlreadyExistsError(f"{file} exists: nothing was written")
    model.verify()
    scratch = file.with_name(f".{uuid.uuid4().hex}")
    try:
        with scratch.open("wb") as raw:
            _write(model, raw, zipped=not file.name.endswith(_PLAIN))
        scratch.replace(file)
    except OSError as error:
        raise InvalidArgumentError(f"cannot write {file}: {error.strerror or error}") from None
    finally:
        scratch.unlink(missing_ok=True)
    return file


def _write(model: StoredModel, raw: IO[bytes], *, zipped: bool) -> None:
    if not zipped:
        _add_all(model, raw)
        return
    with gzip.GzipFile("", "wb", _LEVEL, raw, mtime=0) as file:
        _add_all(model, file)


def _add_all(model: StoredModel, file: IO[bytes] | gzip.GzipFile) -> None:
    with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path in (RECORD_FILE, MODEL_SETTINGS_FILE, *sorted(model.record.files)):
            with (model.path / path).open("rb") as content:
                member = tarfile.TarInfo(path)
                member.size = content.seek(0, 2)
                content.seek(0)
                archive.addfile(member, content)


def import_model(store: ModelStore, file: Path) -> StoredModel:
    """The model in ``file``, as ``export_model`` wrote it, in ``store``.

    Raises NotFoundError, AlreadyExistsError, and InvalidArgumentError for what is no such archive, does not have the
    files it says, or would reach outside of its folder; the store is as before then.
    """
    if not file.is_file():
        raise NotFoundError(f"there is no file {file}")
    try:
        return store.adopt(lambda folder: _extract(file, folder))
    except InvalidArgumentError as error:
        raise InvalidArgumentError(f"cannot import {file}: {error.message}") from None


def _extract(file: Path, folder: Path) -> Record:
    count = size = 0
    try:
        with tarfile.open(file, "r:*") as archive:
            for member in archive:
                count, size = count + 1, size + member.size
                if count > MAX_FILES + 2 or size > MAX_BYTES:
                    raise InvalidArgumentError(f"it holds more than {MAX_FILES} files or {MAX_BYTES} bytes")
                if not member.isfile() or not stays_inside(member.name):
                    raise InvalidArgumentError(f"'{member.name}' is no file within the model's folder")
                _copy(archive, member, folder / member.name)
    except (tarfile.TarError, EOFError, ValueError, gzip.BadGzipFile, FileExistsError, NotADirectoryError) as error:
        raise InvalidArgumentError(f"it is no archive of a model, or a damaged one: {error}") from None
    if not (folder / RECORD_FILE).is_file():
        raise InvalidArgumentError(f"it is no archive of a stored model: there is no {RECORD_FILE} in it")
    return read_record(folder / RECORD_FILE)


def _copy(archive: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
    """The content alone: whose a file is and who may read it is not for an archive to say."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = archive.extractfile(member)
    assert content is not None  # of a file
    with content, path.open("wb") as file:
        shutil.copyfileobj(content, file)
