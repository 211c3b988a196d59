"""Type hints in one form, so that ``List[str]`` and ``list[str]`` mean the same codec; knows no codec."""

from __future__ import annotations

from functools import reduce
from operator import or_
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin

import numpy as np

_UNIONS = (Union, UnionType)


def canonical(hint: Any) -> Any:
    """A value equal for hints that mean the same, whichever way they are written."""
    origin = get_origin(hint)
    if origin is None:
        return hint
    if origin is np.ndarray:  # npt.NDArray[...] and np.ndarray[shape, dtype]
        return np.ndarray
    arguments = get_args(hint)
    if origin in _UNIONS:
        return frozenset(canonical(argument) for argument in arguments)
    return (origin, *(canonical(argument) for argument in arguments))


def unwrap_optional(hint: Any) -> tuple[Any, bool]:
    """``hint`` without its None, and whether it had one."""
    if get_origin(hint) not in _UNIONS:
        return hint, False
    arguments = get_args(hint)
    others = [argument for argument in arguments if argument is not NoneType]
    if len(others) == len(arguments):
        return hint, False
    return reduce(or_, others), True


def as_hints(hint: Any) -> list[Any]:
    """The hints of what a function returns: those of a tuple's elements, or the one there is."""
    if hint is None or hint is NoneType:
        return []
    return list(get_args(hint)) if get_origin(hint) is tuple else [hint]
