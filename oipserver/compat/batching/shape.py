"""``mlserver.batching.shape``: a shape whose first dimension counts rows."""

from __future__ import annotations

from math import prod


class Shape:
    """A shape, of which the rows can be changed."""

    batch_axis = 0

    def __init__(self, shape: list[int]) -> None:
        self._shape = list(shape)

    def to_list(self) -> list[int]:
        """The dimensions, in a list of the caller's own."""
        return list(self._shape)

    def copy(self) -> Shape:
        """Another one of the same dimensions."""
        return Shape(self._shape)

    @property
    def batch_size(self) -> int:
        """How many rows there are."""
        return self._shape[0]

    @batch_size.setter
    def batch_size(self, new_size: int) -> None:
        self._shape[0] = new_size

    @property
    def elem_size(self) -> int:
        """How many elements a row has."""
        return prod(self._shape[1:])
