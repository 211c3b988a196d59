"""What a server is asked for lies around its data plane, and nothing else does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from oipserver.app import Server
from oipserver.plane import AnnotatedDataPlane, CachedDataPlane, DataPlane, ResponseCache, TracedDataPlane
from oipserver.protocol import ServerMetadata
from oipserver.settings import Settings


def layers(folder: Path, **settings: Any) -> list[type[DataPlane]]:
    server = Server(Settings(**settings), folder)
    cache = ResponseCache(1, 1) if settings.get("cache_enabled") else None
    plane = server._data_plane(ServerMetadata("x", "1"), cache)
    found = [type(plane)]
    while hasattr(plane, "_inner"):
        plane = plane._inner
        found.append(type(plane))
    if server._tracing is not None:
        server._tracing.close()
    return found


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, [DataPlane]),
        ({"generate_ids": True}, [AnnotatedDataPlane, DataPlane]),
        ({"cloudevents_enabled": True, "cache_enabled": True}, [AnnotatedDataPlane, CachedDataPlane]),
        (
            {"generate_ids": True, "tracing_server": "127.0.0.1:1", "cache_enabled": True},
            [AnnotatedDataPlane, TracedDataPlane, CachedDataPlane],
        ),
    ],
    ids=["nothing", "ids", "events and cache", "everything"],
)
def test_layers(tmp_path: Path, settings: dict[str, Any], expected: list[type[DataPlane]]) -> None:
    assert layers(tmp_path, **settings) == expected


def test_every_layer_passes_on_all_that_reaches_a_model() -> None:
    """A way to a model that a layer knew nothing of would go round it."""
    ways = {"begin", "infer_here", "stream"}
    for kind in (AnnotatedDataPlane, TracedDataPlane):
        assert ways | {"call_handler"} <= vars(kind).keys()
    assert ways - {"stream"} <= vars(CachedDataPlane).keys()
    public = {name for name, member in vars(DataPlane).items() if callable(member) and not name.startswith("_")}
    known = {
        *ways,
        "call_handler",
        "infer",  # by way of begin
        *(
            "live",
            "ready",
            "model_ready",
            "server_metadata",
            "model_metadata",
            "streams",
            "model_versions",
            "models",
            "model",
        ),
        *("on_change", "on_readiness", "handlers", "default_handlers", "check", "intercept", "offer_regions"),
    }
    assert public == known
