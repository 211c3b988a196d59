"""Which models an ensemble is made of; knows nothing of how one runs."""

from __future__ import annotations

from collections.abc import Iterable

from ...settings import ModelSettings


class MembersMissingError(Exception):
    """A model cannot be loaded before ``names`` are, of which it is made."""

    def __init__(self, names: list[str]) -> None:
        super().__init__(", ".join(names))
        self.names = names


def members(models: Iterable[ModelSettings]) -> list[str]:
    """The models that versions of one model pass tensors through, in order; empty for all but ensembles."""
    found: dict[str, None] = {}
    for model in models:
        scheduling = (model.configuration or {}).get("ensemble_scheduling") or {}
        steps = scheduling.get("step", []) if isinstance(scheduling, dict) else []
        found |= {step["model_name"]: None for step in steps if step.get("model_name")}
    return list(found)
