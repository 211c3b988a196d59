"""ModelStore: a folder of models by name and version, which is a model repository too; knows no MLflow, no archive.

The folders are the truth: there is no index that could differ from them.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..errors import AlreadyExistsError, InternalError, InvalidArgumentError, NotFoundError
from ..settings import store_folder
from ..settings.json_file import read_json_object
from ..settings.model_file import MODEL_SETTINGS_FILE
from . import staging
from .record import RECORD_FILE, Record, inventory, read_record
from .stored import StoredModel
from .tags import LATEST, Tag, check_name, check_new_version, check_version, next_version, version_at

_log = logging.getLogger(__name__)

_ALIASES = ".aliases"  # a file for each in the model's folder, which holds the version


@dataclass(slots=True)
class Draft:
    """What is known of a model whose files were just put into a folder: ``settings`` are those of its
    ``model-settings.json``, without name and version."""

    settings: dict[str, Any]
    module: str = "mlflow"
    labels: dict[str, str] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)
    source: dict[str, Any] = field(default_factory=dict)


class ModelStore:
    """Models below ``root``, each in ``root/NAME/VERSION``.

    A version appears whole or not at all, whoever else writes, and whatever happens to the writer; it never changes.
    Every method raises OIPError for what cannot be done and why.
    """

    def __init__(
        self, root: Path | str | None = None, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        """``root``: by default ``$OIPSERVER_HOME/models``, or ``~/.oipserver/models``."""
        self.root = (store_folder() if root is None else Path(root)).absolute()
        self._clock = clock

    # -- finding ---------------------------------------------------------------------------------------------------

    def models(self, name: str = "", labels: Mapping[str, str] | None = None) -> list[StoredModel]:
        """The stored models, or the versions of one, that have all of ``labels``: by name, the newest first.

        A folder that is no stored model is passed over; one with a broken record is, with a warning.
        """
        if name:
            check_name(name)
        names = [name] if name else sorted(_folders(self.root))
        wanted = (labels or {}).items()
        return [model for each in names for model in self._versions(each) if wanted <= model.labels.items()]

    def get(self, tag: Tag | str) -> StoredModel:
        """The version that ``tag`` means: a version, an alias, or the newest one. Raises NotFoundError."""
        tag = Tag.parse(tag) if isinstance(tag, str) else tag
        if not tag.version or tag.version == LATEST:
            newest = next(iter(self._versions(tag.name)), None)
            if newest is None:
                raise NotFoundError(f"there is no model '{tag.name}' in {self.root}{self._known()}")
            return newest
        found = self._read(tag.name, tag.version)
        if found is None and (version := self._alias(tag.name, tag.version)):
            found = self._read(tag.name, version)
            if found is None:
                raise NotFoundError(f"'{tag}' is version '{version}', which is no longer in {self.root}")
        if found is None:
            versions = [model.version for model in self._versions(tag.name)]
            has = f"; '{tag.name}' has {', '.join(versions)}" if versions else self._known()
            raise NotFoundError(f"there is no '{tag}' in {self.root}{has}")
        return found

    def _known(self) -> str:
        names = sorted({model.name for model in self.models()})
        return f"; it has {', '.join(names)}" if names else ", which is empty"

    def _versions(self, name: str) -> list[StoredModel]:
        """The versions of a model, the newest first."""
        found = [model for version in _folders(self.root / name) if (model := self._try(name, version)) is not None]
        return sorted(found, key=lambda model: (model.created, model.version), reverse=True)

    def _try(self, name: str, version: str) -> StoredModel | None:
        try:
            return self._read(name, version)
        except InvalidArgumentError as error:
            _log.warning("%s", error.message)
            return None

    def _read(self, name: str, version: str) -> StoredModel | None:
        folder = self.root / name / version
        if not (folder / RECORD_FILE).exists():
            return None
        try:
            record = read_record(folder / RECORD_FILE)
        except InvalidArgumentError:
            if folder.exists():
                raise
            return None  # deleted meanwhile
        if (record.name, record.version) != (name, version):
            raise InvalidArgumentError(f"{folder} is not where '{record.name}:{record.version}' belongs")
        aliases = tuple(alias for alias, meant in self.aliases(name).items() if meant == version)
        return StoredModel(folder, record, aliases)

    # -- adding ----------------------------------------------------------------------------------------------------

    def add(self, tag: Tag | str, fill: Callable[[Path], Draft]) -> StoredModel:
        """A new version of files that ``fill`` puts into an empty folder. Without a version in ``tag`` it gets one that
        sorts behind those there are.

        Raises AlreadyExistsError where there is such a version, and whatever ``fill`` raises; nothing is left then.
        """
        tag = Tag.parse(tag) if isinstance(tag, str) else tag
        if tag.version:
            check_new_version(tag.version)
            self._refuse_existing(tag)
        with self._staged() as folder:
            draft = fill(folder)
            version = tag.version or self._new_version(tag.name)
            record = Record(
                name=tag.name,
                version=version,
                module=draft.module,
                created=self._clock(),
                labels=draft.labels,
                metadata=draft.metadata,
                source=draft.source,
                files=inventory(folder),
            )
            while True:
                _describe(folder, record, draft.settings)
                if staging.publish(folder, self.root / record.name / record.version):
                    return StoredModel(self.root / record.name / record.version, record)
                if tag.version:
                    raise _exists(tag)
                record = record.model_copy(update={"version": next_version(record.version)})

    def adopt(self, fill: Callable[[Path], Record]) -> StoredModel:
        """A version that exists elsewhere, whole, as ``fill`` puts it into an empty folder; it is checked.

        Raises AlreadyExistsError, and InvalidArgumentError where it is not what its record says; nothing is left then.
        """
        with self._staged() as folder:
            record = fill(folder)
            model = StoredModel(folder, record)
            model.verify()
            _check_settings(folder, record)
            (folder / RECORD_FILE).write_text(record.text(), encoding="utf-8")
            target = self.root / record.name / record.version
            if not staging.publish(folder, target):
                raise _exists(model.tag)
            return StoredModel(target, record)

    def _new_version(self, name: str) -> str:
        """One that sorts behind all that were made the same way, also where the clock went back."""
        made = version_at(self._clock())
        others = [version for version in _folders(self.root / name) if version.isdigit() and len(version) == len(made)]
        return max([made, *(next_version(version) for version in others)])

    def _refuse_existing(self, tag: Tag) -> None:
        if (self.root / tag.name / tag.version).exists():
            raise _exists(tag)
        if tag.version in self.aliases(tag.name):
            raise AlreadyExistsError(f"'{tag}' is an alias: a version cannot be called the same")

    # -- deleting, aliases -----------------------------------------------------------------------------------------

    def delete(self, tag: Tag | str, *, force: bool = False) -> None:
        """Take one version out of the store, at once. Raises NotFoundError, and InvalidArgumentError for a version that
        an alias means, unless ``force``: then the alias goes too."""
        model = self.get(tag)
        if model.aliases and not force:
            raise InvalidArgumentError(
                f"'{model.tag}' is '{model.name}@{model.aliases[0]}': give that to another version first, or force it"
            )
        with self._writing():
            for alias in model.aliases:
                (self.root / model.name / _ALIASES / alias).unlink(missing_ok=True)
            try:
                staging.remove(model.path, self.root)
            except FileNotFoundError:
                raise NotFoundError(f"there is no '{model.tag}' in {self.root}") from None
            with suppress(OSError):  # another version is there, or came meanwhile
                (self.root / model.name / _ALIASES).rmdir()
            with suppress(OSError):
                (self.root / model.name).rmdir()

    def aliases(self, name: str) -> dict[str, str]:
        """The aliases of a model and the version each means, in order."""
        try:
            entries = sorted((self.root / name / _ALIASES).iterdir())
        except OSError:
            return {}
        found = {path.name: self._alias(name, path.name) for path in entries if not path.name.startswith(".")}
        return {alias: version for alias, version in found.items() if version}

    def _alias(self, name: str, alias: str) -> str:
        try:
            return (self.root / name / _ALIASES / alias).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            return ""

    def set_alias(self, tag: Tag | str, alias: str) -> StoredModel:
        """Have ``alias`` mean the version that ``tag`` means now, whatever it meant before. Raises NotFoundError,
        AlreadyExistsError where a version is called that."""
        check_version(alias)
        if alias == LATEST:
            raise InvalidArgumentError(f"'{LATEST}' always means the newest version")
        model = self.get(tag)
        if (self.root / model.name / alias).exists():
            raise AlreadyExistsError(f"'{model.name}:{alias}' is a version: an alias cannot be called the same")
        folder = self.root / model.name / _ALIASES
        with self._writing():
            folder.mkdir(exist_ok=True)
            staging.write_file(folder / alias, model.version + "\n")
        return self.get(model.tag)

    def delete_alias(self, name: str, alias: str) -> None:
        """Have ``alias`` mean nothing. Raises NotFoundError."""
        check_name(name)
        check_version(alias)
        try:
            (self.root / name / _ALIASES / alias).unlink()
        except OSError:
            raise NotFoundError(f"model '{name}' has no alias '{alias}'") from None

    # -- writing ---------------------------------------------------------------------------------------------------

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise InternalError(f"cannot write to {self.root}: {error}") from error

    @contextmanager
    def _staged(self) -> Iterator[Path]:
        with self._writing(), staging.staged(self.root) as folder:
            yield folder


def _exists(tag: Tag) -> AlreadyExistsError:
    return AlreadyExistsError(f"there is a '{tag}' already: stored models do not change, give it another version")


def _folders(path: Path) -> list[str]:
    """The names of the folders in ``path`` that may be models or versions; none where it is not there."""
    try:
        return [entry.name for entry in path.iterdir() if not entry.name.startswith(".") and entry.is_dir()]
    except OSError:
        return []


def _describe(folder: Path, record: Record, settings: Mapping[str, Any]) -> None:
    """Write down what the model is, for servers and for the store."""
    parameters = {"version": record.version, **settings.get("parameters", {})}
    told = {"name": record.name, **settings, "parameters": parameters}
    (folder / MODEL_SETTINGS_FILE).write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    (folder / RECORD_FILE).write_text(record.text(), encoding="utf-8")


def _check_settings(folder: Path, record: Record) -> None:
    """Raises InvalidArgumentError unless the model's settings are those of ``record``'s model, in ``folder``."""
    told = read_json_object(folder / MODEL_SETTINGS_FILE)
    parameters = told.get("parameters")
    parameters = parameters if isinstance(parameters, dict) else {}
    if (told.get("name"), parameters.get("version")) != (record.name, record.version):
        raise InvalidArgumentError(f"its {MODEL_SETTINGS_FILE} is not that of '{record.name}:{record.version}'")
    uri = parameters.get("uri", ".")
    if not isinstance(uri, str) or not (folder / uri).resolve().is_relative_to(folder.resolve()):
        raise InvalidArgumentError(f"its {MODEL_SETTINGS_FILE} names {uri!r}, which was not stored with it")
