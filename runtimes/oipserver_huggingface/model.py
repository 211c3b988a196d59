"""HuggingFaceRuntime: a pipeline of transformers as a model of the server."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from oipserver_frameworks import load_alone
from oipserver_frameworks.torch_failures import run_failure

from oipserver import MLModel, ModelSettings, Tensor
from oipserver.errors import InferenceError
from oipserver.protocol import InferRequest
from oipserver.types import MetadataModelResponse, RequestInput, to_public

from .codecs import decode_value, json_encode
from .images import read_images
from .loading import load_pipeline, set_threads
from .options import read_options
from .tasks import input_metadata, output_metadata, takes_image

_log = logging.getLogger(__name__)

_OUTPUT = "output"
_POSITIONAL = ("array_inputs", "inputs")


class HuggingFaceRuntime(MLModel):
    """Serves one pipeline; ``PipelineOptions`` are what ``parameters.extra`` may hold.

    The input ``array_inputs`` (or ``inputs``, or the only one, whatever its name) is the list the pipeline works on;
    ``args`` is that as well, but one element alone is given as it is, not as a list. Every other input is a keyword
    argument. The one ``output`` has a JSON text for each element of what the pipeline gives.
    """

    def __init__(self, settings: ModelSettings) -> None:
        super().__init__(settings)
        self.strict_inputs = bool(settings.inputs)
        self.execution_provider = ""
        self._options = read_options(settings)
        self._pipeline: Any = None
        self._content_types = {tensor.name: (tensor.parameters or {}).get("content_type") for tensor in settings.inputs}

    async def load(self) -> bool:
        """Load the pipeline, once, in a thread of its own: the server stays alive meanwhile. Raises ModelLoadError."""
        self._pipeline = await load_alone(load_pipeline, self.settings, self._options)
        set_threads(self._options, self.name)  # here: it holds for the thread that says it
        self.execution_provider = str(self._pipeline.device)
        if not self.settings.inputs:
            self.inputs = input_metadata(self._options.task)
        if not self.settings.outputs:
            self.outputs = output_metadata()
        _log.info("model '%s' runs '%s' on %s", self.name, self._options.task_name, self.execution_provider)
        return True

    async def unload(self) -> bool:
        """Let the pipeline go, and the memory of its device."""
        self._pipeline = None
        if self.execution_provider.startswith("cuda"):
            import torch

            torch.cuda.empty_cache()
        return True

    async def metadata(self) -> MetadataModelResponse:
        """What the settings declare, and what is usual for the task where they are silent."""
        told = await super().metadata()
        told.platform = self.settings.platform or "huggingface"
        return told

    def infer_tensors(
        self, inputs: Sequence[Tensor], outputs: Sequence[str], parameters: Mapping[str, Any]
    ) -> list[Tensor]:
        """Run the pipeline. Raises InferenceError or InvalidArgumentError for what the caller did wrong."""
        for name in outputs:
            if name != _OUTPUT:
                raise InferenceError(f"HuggingFaceRuntime only supports '{_OUTPUT}' as output ({name} was received)")
        positional, keywords = self._arguments(inputs)
        try:
            given = self._pipeline(*positional, **keywords)
            listed = given if isinstance(given, list) else [given]
            texts = [json_encode(element).encode() for element in listed]
        except Exception as error:
            raise run_failure(error, self.name) from error
        array = np.empty((len(texts), 1), dtype=object)
        array[:, 0] = texts
        return [Tensor(_OUTPUT, "BYTES", array.shape, array=array, parameters={"content_type": "hg_jsonlist"})]

    def _arguments(self, inputs: Sequence[Tensor]) -> tuple[list[Any], dict[str, Any]]:
        request = to_public(InferRequest(self.name, list(inputs)))
        keywords = {tensor.name: self._value(tensor) for tensor in request.inputs}
        first = next((name for name in _POSITIONAL if name in keywords), None)
        if first is None and len(keywords) == 1 and "args" not in keywords:
            first = next(iter(keywords))
        positional = []
        if first is not None:
            value = keywords.pop(first)
            positional.append(value if isinstance(value, list) else [value])
        arguments = keywords.pop("args", [])
        if not isinstance(arguments, list):
            arguments = [arguments]
        if first is None and len(arguments) > 1 and not self._options.task.startswith("zero-shot-"):
            arguments = [arguments]  # pipelines ignore further arguments; these are several rows, perhaps of a batch
        return [*positional, *arguments], keywords

    def _value(self, tensor: RequestInput) -> Any:
        own = tensor.parameters.content_type if tensor.parameters else None
        content_type = own or self._content_types.get(tensor.name)
        image = takes_image(self._options.task, tensor.name) and content_type not in ("hg_json", "hg_jsonlist")
        if image:
            return read_images(tensor, content_type, self._options.allow_urls)
        return decode_value(tensor, content_type)
