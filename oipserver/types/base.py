"""What all public types share: enums read as their values, dumps leave out what was never set; knows no field."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Self, cast

import pydantic
from pydantic import ConfigDict
from pydantic.json_schema import DEFAULT_REF_TEMPLATE

_JSON = dict[str, Any]  # the methods below take the name ``dict``


class BaseModel(pydantic.BaseModel):
    """A pydantic model that leaves unset and empty fields out of its dumps, and keeps the method names of pydantic 1.

    Those names (``dict``, ``json``, ``parse_raw``, ...) are what models and clients of the protocol are written with;
    here they are no deprecated leftovers and warn of nothing.
    """

    model_config = ConfigDict(use_enum_values=True, protected_namespaces=(), populate_by_name=True)

    def model_dump(self, **kwargs: Any) -> _JSON:
        """The fields that are set and not None, as plain Python values."""
        return super().model_dump(**{"exclude_unset": True, "exclude_none": True, **kwargs})

    def model_dump_json(self, **kwargs: Any) -> str:
        """The fields that are set and not None, as JSON text."""
        return super().model_dump_json(**{"exclude_unset": True, "exclude_none": True, **kwargs})

    def dict(self, **kwargs: Any) -> _JSON:
        """All fields as plain Python values, those never set included."""
        return self.model_dump(**{"exclude_unset": False, "exclude_none": False, **kwargs})

    def json(self, **kwargs: Any) -> str:
        """All fields as JSON text, those never set included."""
        return self.model_dump_json(**{"exclude_unset": False, "exclude_none": False, **kwargs})

    @classmethod
    def parse_obj(cls, obj: Any) -> Self:
        """From plain Python values. Raises pydantic.ValidationError."""
        return cls.model_validate(obj)

    @classmethod
    def parse_raw(cls, b: str | bytes, **_: Any) -> Self:
        """From JSON text. Raises pydantic.ValidationError."""
        return cls.model_validate_json(b)

    @classmethod
    def parse_file(cls, path: str | Path, **_: Any) -> Self:
        """From a JSON file. Raises pydantic.ValidationError."""
        return cls.model_validate_json(Path(path).read_bytes())

    @classmethod
    def construct(cls, _fields_set: set[str] | None = None, **values: Any) -> Self:
        """From values that are taken as they are, unchecked."""
        return cast(Self, cls.model_construct(_fields_set, **values))

    @classmethod
    def schema(cls, by_alias: bool = True, ref_template: str = DEFAULT_REF_TEMPLATE) -> _JSON:
        """The JSON schema."""
        return cls.model_json_schema(by_alias, ref_template)

    @classmethod
    def schema_json(
        cls, *, by_alias: bool = True, ref_template: str = DEFAULT_REF_TEMPLATE, **dumps_kwargs: Any
    ) -> str:
        """The JSON schema as text."""
        return json.dumps(cls.model_json_schema(by_alias, ref_template), **dumps_kwargs)

    def copy(
        self,
        *,
        include: Any = None,
        exclude: Any = None,
        update: _JSON | None = None,
        deep: bool = False,
    ) -> Self:
        """A copy, with ``update`` applied, without the fields named in ``exclude`` or not named in ``include``."""
        copied = self.model_copy(update=update, deep=deep)
        if include is None and exclude is None:
            return copied
        kept = {name for name in copied.model_fields_set if include is None or name in include} - set(exclude or ())
        return self.construct(kept, **{name: getattr(copied, name) for name in kept})
