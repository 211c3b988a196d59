"""How many of the machine's cores each worker may use; knows no worker."""

from __future__ import annotations

import os
from pathlib import Path

# What numpy's BLAS, OpenMP (torch, xgboost, lightgbm, scikit-learn), MKL and joblib read when they are loaded.
_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "LOKY_MAX_CPU_COUNT")


def thread_variables(workers: int) -> dict[str, str]:
    """Variables that make each of ``workers`` use its share of the cores.

    Left alone, every library starts a thread per core in every worker, and they all wait for each other.
    """
    return dict.fromkeys(_VARIABLES, str(max(1, usable_cores() // workers)))


def usable_cores() -> int:
    """Cores this process may use: its affinity mask, or less where its control group has a quota of CPU time."""
    try:
        cores = len(os.sched_getaffinity(0))
    except (AttributeError, OSError):
        cores = os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        if quota != "max":
            cores = min(cores, -(-int(quota) // int(period)))
    except (OSError, ValueError):
        pass  # no control groups here, or no quota in them
    return max(1, cores)
