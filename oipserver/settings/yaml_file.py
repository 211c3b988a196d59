"""Reading a YAML file as plain data; knows no key, and imports PyYAML, which is no requirement, only then."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ..errors import InvalidArgumentError, one_line

_DEEPEST = 100


def require_yaml(path: Path, extra: str) -> None:
    """Raises InvalidArgumentError where PyYAML is missing to read ``path``; ``extra`` of oipserver brings it."""
    if find_spec("yaml") is None:
        raise InvalidArgumentError(f'cannot read {path} without PyYAML: pip install "oipserver[{extra}]"')


def read_yaml(path: Path, extra: str) -> Any:
    """What the YAML in ``path`` says; no object of any class but Python's own is made.

    Raises InvalidArgumentError where it cannot be read, or PyYAML, which ``extra`` brings, is missing.
    """
    require_yaml(path, extra)
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        content = path.read_bytes()
        _require_flat(yaml.parse(content, loader), yaml.CollectionStartEvent, yaml.CollectionEndEvent)
        return yaml.load(content, loader)
    except OSError as error:
        raise InvalidArgumentError(f"cannot read {path}: {error.strerror or error}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InvalidArgumentError(f"cannot read {path}: it is not YAML: {one_line(error)}") from None


def _require_flat(events: Iterable[object], start: type, end: type) -> None:
    """Raises ValueError for nesting that would take PyYAML's own C code, which does not look after the stack, too far
    down: the whole process would be gone."""
    depth = 0
    for event in events:
        depth += isinstance(event, start) - isinstance(event, end)
        if depth > _DEEPEST:
            raise ValueError(f"it is nested more than {_DEEPEST} deep")
