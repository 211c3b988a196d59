"""``custom_handler``: REST endpoints of a model's own; knows how a method is marked, not how it is called."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from .model import MLModel

_MARK = "__custom_handler__"
_Method = TypeVar("_Method", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class CustomHandler:
    """Where a method of a model is reached: ``rest_path`` may hold names in braces, ``rest_method`` is an HTTP verb."""

    rest_path: str
    rest_method: str = "POST"


def custom_handler(rest_path: str, rest_method: str = "POST") -> Callable[[_Method], _Method]:
    """Method decorator: answer requests for ``rest_path`` by calling the method.

    Arguments named in the path are taken from there; pydantic models, dataclasses, lists and dictionaries from the JSON
    body; ``bytes`` is the body itself; numbers, text and booleans come from the query, or from the body where the
    method takes nothing else. What it returns is sent as JSON, ``bytes`` as they are.
    """

    def mark(method: _Method) -> _Method:
        register_custom_handler(CustomHandler(rest_path, rest_method.upper()), method)
        return method

    return mark


def register_custom_handler(handler: CustomHandler, method: Callable[..., Any]) -> None:
    """Mark ``method`` as what answers at ``handler``."""
    setattr(method, _MARK, handler)


def marked_methods(kind: type) -> dict[str, CustomHandler]:
    """The marks of a model class's custom handlers, by method name and in its order."""
    marks = {name: getattr(getattr(kind, name, None), _MARK, None) for name in sorted(dir(kind))}
    return {name: mark for name, mark in marks.items() if isinstance(mark, CustomHandler)}


def get_custom_handlers(model: MLModel) -> list[tuple[CustomHandler, Callable[..., Any]]]:
    """The custom handlers of ``model``: marks and methods, in order of the methods' names."""
    return [(mark, getattr(model, name)) for name, mark in marked_methods(type(model)).items()]
