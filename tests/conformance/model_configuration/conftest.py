"""Which layout the shared server has."""

from __future__ import annotations

import pytest


@pytest.fixture
def layout(layout_server: object, request: pytest.FixtureRequest) -> str:
    """The layout of ``layout_server``."""
    return str(request.node.callspec.params["layout_server"])
