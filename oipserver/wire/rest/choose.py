"""Chooses what answers inference over REST: plainly, or with what the settings ask for before it."""

from __future__ import annotations

from ...plane import DataPlane
from ...protocol import InferRequest
from ...protocol.binary_form import OutputForm
from ...settings import Settings
from ...tensor.tensor import Buffer
from ..forwarding import HeaderForwarding
from ..restricted import Needed
from .handler import Begun, InferHandler
from .headers import HeaderView
from .restricted import refusal, restrictions


def infer_handler(data_plane: DataPlane, settings: Settings) -> InferHandler:
    """The handler for ``settings``. Raises InvalidArgumentError."""
    needed, pattern = restrictions(settings).get("inference"), settings.http_header_forward_pattern
    forwarding = HeaderForwarding("http_header_forward_pattern", pattern) if pattern else None
    if needed is None and forwarding is None:
        return InferHandler(data_plane, settings)
    return _Guarded(data_plane, settings, needed, forwarding)


class _Guarded(InferHandler):
    """An InferHandler for callers who know what is ``needed``, whose headers become parameters by ``forwarding``."""

    def __init__(
        self, data_plane: DataPlane, settings: Settings, needed: Needed | None, forwarding: HeaderForwarding | None
    ) -> None:
        super().__init__(data_plane, settings)
        self._needed = needed
        self._forwarding = forwarding

    def begin(self, name: str, version: str, headers: HeaderView, body: Buffer) -> Begun:
        if self._needed is not None and not self._needed.given(headers):
            return refusal(self._needed)
        return super().begin(name, version, headers, body)

    def _parse(
        self, name: str, version: str, headers: HeaderView, body: Buffer
    ) -> tuple[InferRequest, OutputForm | None]:
        request, form = super()._parse(name, version, headers, body)
        return self.forwarded(request), form

    def forwarded(self, request: InferRequest) -> InferRequest:
        return request if self._forwarding is None else self._forwarding(request)
