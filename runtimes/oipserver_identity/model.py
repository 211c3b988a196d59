"""IdentityModel: each output is the input at its place; computes nothing."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

from oipserver import MLModel, ModelSettings, Tensor
from oipserver.errors import InvalidArgumentError, ModelLoadError

_DELAY = "execute_delay_ms"


class IdentityModel(MLModel):
    """The first output of the configuration, or of the settings, is the first input, and so on; without any outputs
    each input comes back under its own name.

    The parameter ``execute_delay_ms`` of the configuration makes every execution take so many milliseconds more.
    """

    placement: ClassVar[Literal["in-process", "pool"]] = "in-process"

    def __init__(self, settings: ModelSettings) -> None:
        super().__init__(settings)
        configuration = settings.configuration or {}
        self.instances = max(1, sum(group.get("count", 1) for group in configuration.get("instance_group", ())))
        inputs, outputs = (
            [tensor["name"] for tensor in configuration.get(side, ())] or [tensor.name for tensor in declared]
            for side, declared in (("input", settings.inputs), ("output", settings.outputs))
        )
        self._sources = dict(zip(outputs, inputs, strict=False))
        self._outputs_told = len(outputs)
        self._delay = configuration.get("parameters", {}).get(_DELAY, {}).get("string_value", "0")
        self._seconds = 0.0

    async def load(self) -> bool:
        """Check what the settings say. Raises ModelLoadError."""
        if self._outputs_told > len(self._sources):
            raise ModelLoadError(f"model '{self.name}' has more outputs than inputs: there is nothing to answer with")
        try:
            self._seconds = int(self._delay) / 1000
        except ValueError:
            raise ModelLoadError(
                f"model '{self.name}': parameter '{_DELAY}' must be a number of milliseconds, got '{self._delay}'"
            ) from None
        return True

    def infer_tensors(
        self, inputs: Sequence[Tensor], outputs: Sequence[str], parameters: Mapping[str, Any]
    ) -> list[Tensor]:
        """The inputs, as outputs. Thread-safe. Raises InvalidArgumentError for an output there is none of."""
        if self._seconds:
            time.sleep(self._seconds)
        given = {tensor.name: tensor for tensor in inputs}
        sources = self._sources or {name: name for name in given}
        answers = []
        for name in outputs or sources:
            source = sources.get(name)
            if source is None:
                raise InvalidArgumentError(
                    f"unexpected inference output '{name}' for model '{self.name}', expected {list(sources)}"
                )
            if source in given:  # an optional input that was left out has no output
                answers.append(given[source].renamed(name))
                answers[-1].parameters = None  # they were said of the input
        return answers
