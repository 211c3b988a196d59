"""What onnxruntime's exceptions mean to the person who reads them: whose mistake it is and what to do."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from oipserver import OIPError, Tensor
from oipserver.errors import InternalError, InvalidArgumentError, ModelLoadError
from oipserver.tensor import shape_text

from .graph import Graph

_PREFIX = re.compile(r"^\[ONNXRuntimeError\] : \d+ : [A-Z_]+ : ")
_LOADING = re.compile(r"^Load model from .*? failed:")
# "/somewhere/file.cc:583 void some::Function(type, type) " - where it was thrown says nothing to a caller
_SOURCE = re.compile(r"\S+\.(?:cc|cpp|h|hpp|cu|cuh):\d+ (?:[^():]*(?:::[^():]*)+\([^()]*\)(?: const)? )?")
_NODE = re.compile(r"Non-zero status code returned while running (\w+) node\. Name:'[^']*' Status Message: ")
_IR = re.compile(r"Unsupported model IR version: (\d+), max supported IR version: (\d+)")
_OPSET = re.compile(r"Opset (\d+) is under development.*Current official support for domain (\S+) is till opset (\d+)")
_LOCALE = "Failed to construct locale"
# The same thing as said by newer and by older releases.
_NO_GRAPH = ("No graph was found", "does not have a graph")
_NO_WEIGHTS = ("External data path", "cannot get file size")
# What a kernel reports when the machine, not the request, is at fault.
_MACHINE = re.compile(r"alloc|out of memory|CUDA|CUDNN|CUBLAS|TensorRT|HIP error", re.IGNORECASE)


def _cleaned(message: str) -> str:
    text = " ".join(_PREFIX.sub("", message).split())
    return _SOURCE.sub("", _LOADING.sub("", text)).strip()


def load_failure(error: Exception, model: str, path: Path) -> ModelLoadError:
    """Why the file at ``path`` did not become a session, in one line."""
    kind, text = type(error).__name__, " ".join(str(error).split())
    return ModelLoadError(f"model '{model}': {_load_reason(kind, text, path)}")


def _load_reason(kind: str, text: str, path: Path) -> str:
    if found := _IR.search(text):
        exported, readable = found.groups()
        return (
            f"'{path}' was exported with IR version {exported}, this onnxruntime reads up to {readable}. Export it "
            f"again with model.ir_version = {readable} before onnx.save(model, path), or upgrade onnxruntime"
        )
    if found := _OPSET.search(text):
        exported, domain, readable = found.groups()
        return (
            f"'{path}' was exported with opset {exported} of {domain}, this onnxruntime knows up to {readable}. Export "
            f"it again with opset {readable} or less, or upgrade onnxruntime"
        )
    if _LOCALE in text:
        return (
            f"'{path}' has a StringNormalizer node, which needs the locale en_US.UTF-8, and this machine has none "
            "(Debian: apt-get install locales && localedef -i en_US -f UTF-8 en_US.UTF-8). Models of skl2onnx are "
            "free of it when text is lower-cased before the vectorizer (lowercase=False)"
        )
    if kind == "InvalidProtobuf" or any(said in text for said in _NO_GRAPH):
        return f"'{path}' is not an ONNX model, or only part of one ({path.stat().st_size} bytes)"
    if kind == "NoSuchFile":
        return f"there is no file '{path}'"
    if any(said in text for said in _NO_WEIGHTS):
        return f"the external weights of '{path}' cannot be read: {_cleaned(text)}"
    if "is not a registered function/op" in text:
        return f"'{path}' uses an operator this onnxruntime does not have: {_cleaned(text)}"
    return f"onnxruntime cannot load '{path}': {_cleaned(text)}"


def run_failure(error: Exception, model: str, inputs: Sequence[Tensor], graph: Graph) -> OIPError:
    """Whose mistake a failed execution was.

    The inputs are compared with the graph only now: it costs nothing while all goes well.
    """
    if isinstance(error, OIPError):
        return error
    mistake = _mistake(model, inputs, graph)
    if mistake is not None:
        return mistake
    if isinstance(error, UnicodeEncodeError):
        return InvalidArgumentError(
            f"model '{model}': an input holds text that is not valid Unicode (half a surrogate pair)"
        )
    if isinstance(error, UnicodeDecodeError):
        return InternalError(f"model '{model}' gave text that is not UTF-8, which onnxruntime cannot hand to Python")
    if not type(error).__module__.startswith("onnxruntime"):
        return InternalError(f"model '{model}' failed: {type(error).__name__}: {error}")
    return _kernel_failure(type(error).__name__, str(error), model)


def _kernel_failure(kind: str, message: str, model: str) -> OIPError:
    text = _cleaned(message)
    node = _NODE.search(text)
    reason = _NODE.sub("", text)
    where = f" in its {node.group(1)} node" if node else ""
    if kind == "InvalidArgument" or (node and not _MACHINE.search(reason)):
        # A loaded graph whose kernel refuses: it ran before, so these values or dimensions do not suit it.
        return InvalidArgumentError(f"model '{model}' cannot take these inputs{where}: {reason}")
    return InternalError(f"model '{model}' failed{where}: {reason}")


def _mistake(model: str, inputs: Sequence[Tensor], graph: Graph) -> InvalidArgumentError | None:
    given = {tensor.name: tensor for tensor in inputs}
    expected = {tensor.name: tensor for tensor in graph.inputs}
    for name in given:
        if name not in expected:
            return InvalidArgumentError(
                f"unexpected inference input '{name}' for model '{model}', expected {list(expected)}"
            )
    missing = [name for name in expected if name not in given]
    if missing:
        return InvalidArgumentError(f"model '{model}' expects inputs {list(expected)}, missing are {missing}")
    for name, tensor in given.items():
        if tensor.datatype != expected[name].datatype:
            return InvalidArgumentError(
                f"inference input '{name}' data-type is '{tensor.datatype}', "
                f"but model '{model}' expects '{expected[name].datatype}'"
            )
    return _shape_mistake(model, given, graph)


def _shape_mistake(model: str, given: dict[str, Tensor], graph: Graph) -> InvalidArgumentError | None:
    sizes: dict[str, tuple[int, str]] = {}
    for expected in graph.inputs:
        shape = given[expected.name].shape
        fits = len(shape) == len(expected.shape) and all(
            want in (-1, got) for got, want in zip(shape, expected.shape, strict=True)
        )
        if not fits:
            # A graph tensor without dimensions may also be one of unknown rank, which takes any shape.
            if not expected.shape:
                continue
            return InvalidArgumentError(
                f"unexpected shape for input '{expected.name}' for model '{model}'. "
                f"Expected {shape_text(expected.shape)}, got {shape_text(shape)}"
            )
        for axis, (dim, got) in enumerate(zip(expected.dims, shape, strict=True)):
            if not isinstance(dim, str):
                continue
            seen, where = sizes.setdefault(dim, (got, expected.name))
            if seen != got:
                return InvalidArgumentError(
                    f"unexpected shape for input '{expected.name}' for model '{model}'. "
                    f"Axis {axis} ('{dim}') is {got}, but {seen} in input '{where}'"
                )
    return None
