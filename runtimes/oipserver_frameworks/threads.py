"""How many threads a model's framework may use, so that workers beside each other do not use each core many times."""

from __future__ import annotations

import os

from oipserver.runtime.cores import usable_cores


def thread_share() -> int:
    """Threads for one model: OMP_NUM_THREADS where it is set, which the server does for its workers, else the cores."""
    told = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    return int(told) if told.isdecimal() and int(told) else usable_cores()


# Measured with 100 trees of depth 6 on two cores: up to 64 rows, the second thread changed nothing for the caller (103
# against 113 us for one row with XGBoost) and doubled the CPU time; from about 100 rows on it saved up to half.
_WORTH_THREADS = 8192


def threads_for(rows: int, trees: int, share: int) -> int:
    """How many of ``share`` threads are worth starting to send ``rows`` through ``trees``."""
    return share if rows * trees >= _WORTH_THREADS else 1
