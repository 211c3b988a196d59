"""What is written down of a stored model beside its files: where it came from, labels, metadata, checksums."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from ..errors import InvalidArgumentError, OIPError
from ..settings.model_file import MODEL_SETTINGS_FILE
from .tags import check_name, check_new_version

RECORD_FILE = "stored-model.json"
COMPILED = "__pycache__"  # no part of a model: whoever runs its code may write that

MAX_FILES = 100_000
MAX_BYTES = 256 << 30  # of one model: what is more is a mistake, or meant to fill the disk
_MAX_RECORD_BYTES = 64 << 20


class FileRecord(BaseModel):
    """One file of a stored model."""

    model_config = ConfigDict(frozen=True)

    size: int = Field(ge=0)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class Record(BaseModel):
    """One version of a stored model.

    ``files`` has every file by its path in the version's folder, but for the record itself and ``model-settings.json``,
    which may be tuned. ``source`` says where the model was imported from.
    """

    model_config = ConfigDict(frozen=True)

    format: Literal[1] = 1
    name: str
    version: str
    module: str = "mlflow"
    created: datetime
    labels: dict[str, str] = Field(default_factory=dict)
    metadata: dict[str, Any] = Field(default_factory=dict)
    source: dict[str, Any] = Field(default_factory=dict)
    files: dict[str, FileRecord] = Field(default_factory=dict)

    @field_validator("name", "version")
    @classmethod
    def _is_word(cls, word: str, info: Any) -> str:
        try:
            (check_name if info.field_name == "name" else check_new_version)(word)
        except OIPError as error:
            raise ValueError(error.message) from None
        return word

    @field_validator("created")
    @classmethod
    def _in_utc(cls, created: datetime) -> datetime:
        return created.replace(tzinfo=UTC) if created.tzinfo is None else created.astimezone(UTC)

    @field_validator("files")
    @classmethod
    def _stay_inside(cls, files: dict[str, FileRecord]) -> dict[str, FileRecord]:
        for path in files:
            if not stays_inside(path):
                raise ValueError(f"file '{path}' must stay within the model's folder")
        if len(files) > MAX_FILES or sum(file.size for file in files.values()) > MAX_BYTES:
            raise ValueError(f"more than {MAX_FILES} files or {MAX_BYTES} bytes")
        return files

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files.values())

    def text(self) -> str:
        """As it is written down."""
        return json.dumps(self.model_dump(mode="json"), indent=2) + "\n"


def read_record(path: Path) -> Record:
    """The record in the file ``path``. Raises InvalidArgumentError saying what is wrong with it."""
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_RECORD_BYTES + 1)
    except OSError as error:
        raise InvalidArgumentError(f"cannot read {path}: {error.strerror or error}") from None
    if len(content) > _MAX_RECORD_BYTES:
        raise InvalidArgumentError(
            f"{path} is no record of a stored model: it is larger than {_MAX_RECORD_BYTES} bytes"
        )
    return parse_record(content, str(path))


def parse_record(content: bytes, where: str) -> Record:
    """The record that ``content`` is. Raises InvalidArgumentError naming ``where`` it came from."""
    try:
        return Record.model_validate_json(content)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, problem["loc"])) or "it"
        raise InvalidArgumentError(f"{where} is no record of a stored model: {place}: {problem['msg']}") from None


def stays_inside(path: str) -> bool:
    """Whether ``path`` is that of a file in a folder, as records name it: relative, and in one way only."""
    parts = PurePosixPath(path).parts
    return (
        bool(parts)
        and str(PurePosixPath(path)) == path
        and not (path.startswith("/") or ".." in parts or "\\" in path or "\0" in path)
    )


def inventory(folder: Path) -> dict[str, FileRecord]:
    """Every file below ``folder`` that a record lists. Raises InvalidArgumentError for too much, and for what is no
    file; OSError."""
    files: dict[str, FileRecord] = {}
    total = 0
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if name != COMPILED)
        for name in sorted(names):
            path = Path(parent, name)
            inside = path.relative_to(folder).as_posix()
            if inside in (RECORD_FILE, MODEL_SETTINGS_FILE):
                continue
            if path.is_symlink() or not path.is_file():
                raise InvalidArgumentError(f"{path} is no plain file: a stored model has nothing else")
            total += path.stat().st_size
            if len(files) >= MAX_FILES or total > MAX_BYTES:
                raise InvalidArgumentError(f"{folder} holds more than {MAX_FILES} files or {MAX_BYTES} bytes")
            files[inside] = _file_record(path)
    return files


def _file_record(path: Path) -> FileRecord:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return FileRecord(size=os.fstat(file.fileno()).st_size, sha256=digest)


def check_files(record: Record, found: Mapping[str, FileRecord], where: str) -> None:
    """Raises InvalidArgumentError naming the first file that is not as ``record`` says, missing, or too many."""
    for path in sorted({*record.files, *found}):
        if path not in found:
            raise InvalidArgumentError(f"{where}: file '{path}' is missing")
        if path not in record.files:
            raise InvalidArgumentError(f"{where}: file '{path}' is not in its {RECORD_FILE}")
        if found[path] != record.files[path]:
            raise InvalidArgumentError(
                f"{where}: file '{path}' is not what was stored: expected {record.files[path].size} bytes with SHA-256 "
                f"{record.files[path].sha256}, got {found[path].size} bytes with {found[path].sha256}"
            )
