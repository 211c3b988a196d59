"""Programs of others that this server plugs into; nothing here is imported by the server itself."""

from __future__ import annotations
