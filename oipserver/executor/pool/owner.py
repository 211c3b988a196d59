"""What a worker tells whoever keeps it; knows neither of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from ...errors import OIPError
from ...peers import Caller
from ...runtime import ModelFace
from .calls import Call

if TYPE_CHECKING:
    from .remote import RemoteWorker


class Owner(Protocol):
    """Who is told what becomes of a worker and its calls."""

    @property
    def caller(self) -> Caller | None:
        """Who passes on what its models ask of other models."""

    def worker_loaded(self, worker: RemoteWorker, key: int, face: ModelFace) -> None:
        """A model was loaded in it."""

    def worker_failed_to_load(self, worker: RemoteWorker, key: int, error: OIPError) -> None:
        """A model could not be loaded in it."""

    def call_finished(self, worker: RemoteWorker, call: Call) -> None:
        """A call was answered or failed; ``worker`` has it no more."""

    def worker_ended(self, worker: RemoteWorker, calls: Sequence[Call], executing: set[int]) -> None:
        """It is gone with ``calls`` unanswered, of which it had begun those in ``executing``."""
