"""What metrics read of a loaded model, as plain data."""

from __future__ import annotations

from dataclasses import dataclass, field

from oipserver.telemetry.statistics import ModelStatistics


@dataclass
class Queue:
    queued: int = 0


@dataclass
class Model:
    """What the registry yields."""

    name: str
    version: str = ""
    statistics: ModelStatistics = field(default_factory=ModelStatistics)
    scheduler: Queue = field(default_factory=Queue)
    in_flight: int = 0
    ready: bool = True
    load_seconds: float = 0.5
    metric_tags: dict[str, str] = field(default_factory=dict)
    execution_provider: str = ""
