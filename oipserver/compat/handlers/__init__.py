"""``mlserver.handlers``: REST endpoints of a model's own."""

from __future__ import annotations

from ... import handlers as custom
from ...handlers import CustomHandler, custom_handler, get_custom_handlers, register_custom_handler

__all__ = ["CustomHandler", "custom", "custom_handler", "get_custom_handlers", "register_custom_handler"]
