"""What the REST server tells whoever counts its requests; knows no metrics library."""

from __future__ import annotations

from typing import Protocol

INFER_TEMPLATE = "/v2/models/{model_name}/infer"
INFER_VERSION_TEMPLATE = "/v2/models/{model_name}/versions/{model_version}/infer"
UNKNOWN_TEMPLATE = "__unknown__"  # every path nobody serves is this one: a client must not be able to make series


class RequestObserver(Protocol):
    """Told about every request, on the event loop; must be quick and not raise."""

    def started(self) -> None:
        """A request has been received and is about to be answered."""
        ...

    def finished(self, method: str, route_template: str, status: int, seconds: float) -> None:
        """That request has been answered; ``status`` is 499 where the client left first."""
        ...
