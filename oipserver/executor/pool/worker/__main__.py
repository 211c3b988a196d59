"""Entry of a worker process: ``python -m oipserver.executor.pool.worker <socket> <memory> <parent>``."""

from __future__ import annotations

from .main import main

main()
