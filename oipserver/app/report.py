"""What a started server says of itself: its models and its addresses; starts nothing."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..protocol import ModelState
from ..registry import ModelRegistry


@dataclass(frozen=True, slots=True)
class ModelRow:
    """One line of the start-up report."""

    name: str
    version: str
    state: ModelState
    platform: str = ""
    execution_provider: str = ""
    executor: str = ""
    load_seconds: float = 0.0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class StartReport:
    """What a started server serves, and where; a port is None where that server is switched off."""

    host: str
    http_port: int | None
    grpc_port: int | None
    metrics_port: int | None
    models: list[ModelRow] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    rest_scheme: str = "http"
    metrics_scheme: str = "http"


def rows_of(registry: ModelRegistry) -> list[ModelRow]:
    """A row for every model version that is loaded, or was to be."""
    rows = [
        ModelRow(
            servable.name,
            servable.version,
            servable.state,
            servable.face.metadata.platform,
            servable.face.execution_provider,
            servable.executor.description,
            servable.load_seconds,
        )
        for servable in registry
    ]
    loaded = {(row.name, row.version) for row in rows}
    return rows + [
        ModelRow(item.name, item.version, item.state, reason=item.reason)
        for item in registry.index()
        if (item.name, item.version) not in loaded
    ]
