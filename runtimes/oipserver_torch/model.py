"""TorchModel: TorchScript or an exported PyTorch program as a model of the server."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from typing import Any

from oipserver_frameworks import Artefact, find_artefact, import_framework, load_alone
from oipserver_frameworks.torch_failures import run_failure

from oipserver import MLModel, ModelSettings, Tensor
from oipserver.errors import InvalidArgumentError
from oipserver.tensor import shape_text
from oipserver.types import MetadataModelResponse

from .options import TorchOptions, chosen_device, read_options
from .program import Program, load_program
from .tensors import from_torch, named, to_torch

_log = logging.getLogger(__name__)

_ARTEFACT = Artefact("PyTorch", ("model.pt2", "model.pt"), (".pt2", ".pt", ".torchscript"))
_REQUIREMENT = '"oipserver[torch]"'
_NUMBERED = re.compile(r".*__(\d+)")


class TorchModel(MLModel):
    """Serves TorchScript (``.pt``) and exported programs (``.pt2``); ``TorchOptions`` are what ``extra`` may hold.

    Inputs go to the arguments of their names. A single input may have any name; names that the settings declare, in
    the order of the arguments, and names that end in ``__0``, ``__1``, ... are taken as well. Outputs have the names
    that the settings declare in their order, those that the model gives them, or ``output-0``, ``output-1``, ...
    """

    def __init__(self, settings: ModelSettings) -> None:
        super().__init__(settings)
        self.instances = 1
        self.execution_provider = ""
        self._torch: Any = None
        self._program: Program | None = None
        self._device = "cpu"
        self._positions: dict[str, int] = {}
        self._declared_outputs = [tensor.name for tensor in settings.outputs]

    async def load(self) -> bool:
        """Open the model in a thread of its own: the server stays alive meanwhile. Raises ModelLoadError."""
        options = read_options(self.settings)
        await load_alone(self._load, options)
        if options.intra_op_threads:
            # Here and not in that thread: it holds for the thread that says it, and for those that start later.
            self._torch.set_num_threads(options.intra_op_threads)
        return True

    def _load(self, options: TorchOptions) -> None:
        path = find_artefact(self.settings, _ARTEFACT)
        torch = self._torch = import_framework("torch", _REQUIREMENT, self.name)
        self.instances = options.instances
        self._device = self.execution_provider = chosen_device(torch, options, self.name)
        program = self._program = load_program(torch, path, self._device, self.name)
        self._positions = {argument.name: index for index, argument in enumerate(program.arguments)}
        declared = [tensor.name for tensor in self.settings.inputs]
        if not set(declared) <= set(self._positions) and len(declared) <= len(program.arguments):
            self._positions |= {name: index for index, name in enumerate(declared)}
        if not declared:
            self.inputs = list(program.inputs)
        if not self._declared_outputs:
            self.outputs = list(program.outputs)
        _log.info("model '%s' runs on %s", self.name, self._device)

    async def unload(self) -> bool:
        """Let the model go, and the memory of its device."""
        self._program = None
        if self._device.startswith("cuda"):
            self._torch.cuda.empty_cache()
        return True

    async def metadata(self) -> MetadataModelResponse:
        """What the settings declare, and what the program tells where they are silent."""
        told = await super().metadata()
        assert self._program is not None, "load() comes first"
        told.platform = self.settings.platform or self._program.platform
        return told

    def infer_tensors(
        self, inputs: Sequence[Tensor], outputs: Sequence[str], parameters: Mapping[str, Any]
    ) -> list[Tensor]:
        """Compute ``outputs`` (all of them where empty). Thread-safe.

        Raises InvalidArgumentError for what the caller did wrong, InternalError for what the model or machine did.
        """
        torch, program = self._torch, self._program
        assert program is not None, "load() comes first"
        values = self._arguments(program, inputs)
        try:
            with torch.inference_mode():
                given = program.call(values)
                parts = self._chosen(dict(named(given)), outputs)
                return [from_torch(torch, name, part, self.name) for name, part in parts.items()]
        except Exception as error:
            raise run_failure(error, self.name) from error

    def _arguments(self, program: Program, inputs: Sequence[Tensor]) -> dict[str, Any]:
        values = {}
        for tensor in inputs:
            argument = program.arguments[self._position(tensor.name, len(inputs), program)]
            value = to_torch(self._torch, tensor, self._device)
            if argument.number is not None:
                if value.numel() != 1:
                    raise InvalidArgumentError(
                        f"unexpected shape for input '{tensor.name}' for model '{self.name}'. Expected [1], got "
                        f"{shape_text(tensor.shape)}"
                    )
                value = argument.number(value.item())
            values[argument.name] = value
        missing = [each.name for each in program.arguments if each.required and each.name not in values]
        if missing:
            raise InvalidArgumentError(
                f"model '{self.name}' expects inputs {[each.name for each in program.arguments]}, missing are {missing}"
            )
        return values

    def _position(self, name: str, inputs: int, program: Program) -> int:
        position = self._positions.get(name)
        if position is not None:
            return position
        found = _NUMBERED.fullmatch(name)
        if found and int(found[1]) < len(program.arguments):
            return int(found[1])
        if inputs == 1 and program.arguments:
            return 0
        raise InvalidArgumentError(
            f"unexpected inference input '{name}' for model '{self.name}', expected {list(self._positions)}"
        )

    def _chosen(self, parts: dict[str, Any], wanted: Sequence[str]) -> dict[str, Any]:
        declared = self._declared_outputs
        if len(declared) == len(parts) and not set(declared) <= set(parts):
            parts = dict(zip(declared, parts.values(), strict=True))
        if not wanted:
            return parts
        for name in wanted:
            if name not in parts:
                raise InvalidArgumentError(
                    f"unexpected inference output '{name}' for model '{self.name}', expected {list(parts)}"
                )
        return {name: parts[name] for name in wanted}
