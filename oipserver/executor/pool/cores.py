"""How many of the machine's cores each worker may use; knows no worker."""

from __future__ import annotations

from ...runtime.cores import usable_cores

# What numpy's BLAS, OpenMP (torch, xgboost, lightgbm, scikit-learn), MKL and joblib read when they are loaded.
_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "LOKY_MAX_CPU_COUNT")


def thread_variables(workers: int) -> dict[str, str]:
    """Variables that make each of ``workers`` use its share of the cores.

    Left alone, every library starts a thread per core in every worker, and they all wait for each other.
    """
    return dict.fromkeys(_VARIABLES, str(max(1, usable_cores() // workers)))
