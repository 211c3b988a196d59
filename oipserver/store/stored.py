"""StoredModel: one version of a model in a store, as its users see it; changes nothing."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import NotFoundError
from .record import Record, check_files, inventory
from .tags import Tag

if TYPE_CHECKING:
    from .local import LocalModel


class StoredModel:
    """One version of a stored model. It never changes; ``path`` is its folder."""

    def __init__(self, path: Path, record: Record, aliases: tuple[str, ...] = ()) -> None:
        self.path = path
        self.record = record
        #: What else this version is called, ``latest`` not among them.
        self.aliases = aliases

    @property
    def tag(self) -> Tag:
        """``name:version``."""
        return Tag(self.record.name, self.record.version)

    @property
    def name(self) -> str:
        """The name of the model."""
        return self.record.name

    @property
    def version(self) -> str:
        """Its version."""
        return self.record.version

    @property
    def labels(self) -> dict[str, str]:
        """What it was labelled with."""
        return self.record.labels

    @property
    def metadata(self) -> dict[str, Any]:
        """Whatever was noted of it: metrics and parameters of its run, for one."""
        return self.record.metadata

    @property
    def created(self) -> datetime:
        """When it was imported, in UTC."""
        return self.record.created

    def path_of(self, item: str) -> str:
        """The path of a file or folder of this model. Raises NotFoundError, also for what lies outside."""
        path = (self.path / item).resolve()
        if not path.is_relative_to(self.path.resolve()) or not path.exists():
            raise NotFoundError(f"model '{self.tag}' has no '{item}'")
        return str(self.path / item)

    def to_runner(self) -> LocalModel:
        """This model for use in this process: ``init_local()`` loads it, ``run()`` asks it."""
        from .local import LocalModel

        return LocalModel(self.path)

    def verify(self) -> None:
        """Raises InvalidArgumentError naming a file that is no longer what was stored; OSError."""
        check_files(self.record, inventory(self.path), f"model '{self.tag}'")

    def describe(self) -> dict[str, Any]:
        """Everything known of it, as plain data; files by size alone."""
        told = self.record.model_dump(mode="json", exclude={"format", "files"})
        return {
            "tag": str(self.tag),
            **told,
            "aliases": list(self.aliases),
            "size": self.record.size,
            "path": str(self.path),
            "files": {path: file.size for path, file in self.record.files.items()},
        }

    def __str__(self) -> str:
        return str(self.tag)

    def __repr__(self) -> str:
        return f"StoredModel('{self.tag}', path='{self.path}')"
