"""Which tensors of a request and its answer are binary data behind JSON; knows no JSON and no transport."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..errors import InvalidArgumentError


@dataclass(slots=True)
class OutputForm:
    """Which outputs a caller wants as binary data: ``named`` ones as they say, all others as ``default``."""

    default: bool = False
    named: dict[str, bool] = field(default_factory=dict)

    def binary(self, name: str) -> bool:
        """Whether the output called ``name`` is wanted as binary data."""
        return self.named.get(name, self.default)

    @property
    def wanted(self) -> bool:
        """Whether any output may be binary."""
        return self.default or True in self.named.values()


class BinaryCursor:
    """Hands out the binary data behind the JSON of a request, in the order of the inputs that have some."""

    __slots__ = ("_position", "_view", "model")

    def __init__(self, view: memoryview | bytes, model: str) -> None:
        self._view = memoryview(view)
        self._position = 0
        self.model = model

    def take(self, size: int, tensor: str) -> memoryview:
        """The next ``size`` bytes, without a copy. Raises InvalidArgumentError where fewer are left."""
        start, end = self._position, self._position + size
        missing = end - self._view.nbytes
        if missing > 0:
            raise InvalidArgumentError(
                f"unexpected size for input '{tensor}', expecting {missing} additional bytes for model '{self.model}'"
            )
        self._position = end
        return self._view[start:end]

    def finish(self) -> None:
        """Raises InvalidArgumentError where bytes are left over."""
        if self._position != self._view.nbytes:
            raise InvalidArgumentError(f"unexpected additional input data for model '{self.model}'")
