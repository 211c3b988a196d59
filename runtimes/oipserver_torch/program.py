"""Program: a file of PyTorch's as something to call, its arguments, and what it tells of itself; knows no request."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from oipserver.errors import ModelLoadError
from oipserver.types import MetadataTensor

from .tensors import DATATYPES, named

_TENSORS = ("Tensor", "Optional[Tensor]")
_NUMBERS = {"int": int, "float": float, "bool": bool}


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of a model: ``number`` is what a tensor of one element becomes where the model wants no tensor."""

    name: str
    required: bool = True
    number: Callable[[Any], Any] | None = None


@dataclass(frozen=True, slots=True)
class Program:
    """A loaded model. ``call`` takes its arguments by name; ``inputs`` and ``outputs`` are what it tells of itself."""

    call: Callable[[Mapping[str, Any]], Any]
    arguments: Sequence[Argument]
    platform: str
    inputs: Sequence[MetadataTensor] = ()
    outputs: Sequence[MetadataTensor] = ()


def load_program(torch: Any, path: Path, device: str, model: str) -> Program:
    """The program in the file at ``path``, on ``device``. Raises ModelLoadError."""
    try:
        return _exported(torch, path, device, model) if path.suffix == ".pt2" else _script(torch, path, device, model)
    except ModelLoadError:
        raise
    except Exception as error:
        raise ModelLoadError(
            f"model '{model}': '{path}' cannot be read with torch {torch.__version__} ({_first_line(error)}). It must "
            "be TorchScript (torch.jit.trace(...).save) or an exported program (torch.export.save, suffix .pt2); what "
            "torch.save writes holds weights without the model"
        ) from error


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def _script(torch: Any, path: Path, device: str, model: str) -> Program:
    module = torch.jit.load(str(path), map_location=device).eval()
    arguments = []
    for told in module.forward.schema.arguments[1:]:  # the first one is the module itself
        kind = str(told.type)
        if kind in _TENSORS or kind in _NUMBERS:
            arguments.append(Argument(told.name, not told.has_default_value(), _NUMBERS.get(kind)))
        elif not told.has_default_value():
            raise ModelLoadError(
                f"model '{model}': its argument '{told.name}' is a {kind}, which no tensor can carry; expected Tensor, "
                "int, float or bool"
            )
    return Program(lambda values: module(**values), arguments, "pytorch_torchscript")


def _exported(torch: Any, path: Path, device: str, model: str) -> Program:
    program = torch.export.load(str(path))
    passes = import_module("torch.export.passes")  # which torch.export does not import itself
    program = passes.move_to_device_pass(program, device)
    names = list(program.graph_signature.user_inputs)
    positional, keywords = program.call_spec.in_spec.children()
    if positional.num_leaves != positional.num_children or keywords.num_leaves != keywords.num_children:
        raise ModelLoadError(
            f"model '{model}': '{path}' takes lists or dictionaries of tensors; export it with tensors"
        )
    by_position, by_keyword = (
        names[: positional.num_children],
        dict(zip(names[positional.num_children :], keywords.context or (), strict=True)),
    )
    values = {node.name: node.meta.get("val") for node in program.graph.nodes}
    module = program.module()

    def call(given: Mapping[str, Any]) -> Any:
        rest = {keyword: given[name] for name, keyword in by_keyword.items()}
        return module(*[given[name] for name in by_position], **rest)

    inputs = [_described(name, values.get(name)) for name in names]
    if None in inputs:
        odd = names[inputs.index(None)]
        raise ModelLoadError(f"model '{model}': its input '{odd}' is no tensor, or of a type the protocol cannot carry")
    given = program.call_spec.out_spec.unflatten([values.get(name) for name in program.graph_signature.user_outputs])
    outputs = [_described(name, value) for name, value in named(given)]
    return Program(
        call,
        [Argument(name) for name in names],
        "pytorch_export",
        [tensor for tensor in inputs if tensor],
        [tensor for tensor in outputs if tensor],
    )


def _described(name: str, value: Any) -> MetadataTensor | None:
    """What the exporter noted of a tensor: sizes that are no numbers are dynamic."""
    datatype = DATATYPES.get(str(getattr(value, "dtype", "")))
    if datatype is None:
        return None
    return MetadataTensor(
        name=name, datatype=datatype, shape=[dim if isinstance(dim, int) else -1 for dim in value.shape]
    )
