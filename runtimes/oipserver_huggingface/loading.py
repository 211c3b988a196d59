"""From a model's options to a pipeline of transformers, or of optimum on ONNX Runtime; knows no request."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from oipserver_frameworks import import_framework

from oipserver import ModelSettings
from oipserver.errors import ModelLoadError

from .options import PipelineOptions

_log = logging.getLogger(__name__)

_REQUIREMENT = '"oipserver[huggingface]"'
_OPTIMUM = '"optimum[onnxruntime]"'


def load_pipeline(settings: ModelSettings, options: PipelineOptions) -> Any:
    """The pipeline. Takes as long as it takes: call it in a thread. Raises ModelLoadError."""
    import_framework("torch", _REQUIREMENT, settings.name)
    import_framework("PIL", _REQUIREMENT, settings.name)
    transformers = import_framework("transformers", _REQUIREMENT, settings.name)
    transformers.utils.logging.disable_progress_bar()
    _check_task(transformers, options, settings.name)
    source = _source(settings, options)
    given: dict[str, Any] = {"model": source, "batch_size": max(1, settings.max_batch_size or 1)}
    if options.pretrained_tokenizer:
        given["tokenizer"] = options.pretrained_tokenizer
    if options.device is not None:
        given["device"] = options.device
    if options.model_kwargs:
        given["model_kwargs"] = options.model_kwargs
    try:
        if options.optimum_model:
            pipeline = _optimum_pipeline(settings.name)(options.task_name, accelerator="ort", **given)
        else:
            pipeline = transformers.pipeline(options.task_name, **given)
    except ModelLoadError:
        raise
    except Exception as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise ModelLoadError(
            f"model '{settings.name}': transformers {transformers.__version__} cannot load '{source}' for task "
            f"'{options.task_name}': {type(error).__name__}: {' '.join(lines[:2])}"
        ) from error
    _pad(pipeline, settings.name)
    return pipeline


def _check_task(transformers: Any, options: PipelineOptions, model: str) -> None:
    if not options.task:
        raise ModelLoadError(f"model '{model}': parameters.extra.task says what the pipeline is to do, and is missing")
    tasks = [*transformers.pipelines.SUPPORTED_TASKS, *transformers.pipelines.TASK_ALIASES]
    if options.task not in tasks:
        raise ModelLoadError(
            f"model '{model}': Invalid transformer task: {options.task}. Available tasks: {tasks} (transformers "
            f"{transformers.__version__})."
        )


def _source(settings: ModelSettings, options: PipelineOptions) -> str | None:
    """A folder or a name on the hub; None leaves the choice to transformers, which have a model for each task."""
    told = options.pretrained_model or settings.parameters.uri
    folder = Path(settings.source).parent if settings.source else None
    if told:
        path = Path(told.removeprefix("file://"))
        beside = folder / path if folder is not None else path
        return str(beside) if beside.is_dir() else told
    return str(folder) if folder is not None and (folder / "config.json").is_file() else None


def _optimum_pipeline(model: str) -> Any:
    """Where today's optimum has its pipelines, else where it had them."""
    try:
        return import_framework("optimum.onnxruntime", _OPTIMUM, model).pipeline
    except (AttributeError, ImportError):
        return import_framework("optimum.pipelines", _OPTIMUM, model).pipeline


def _pad(pipeline: Any, model: str) -> None:
    """Let texts of different lengths form a batch, which takes a token to fill up with."""
    tokenizer = getattr(pipeline, "tokenizer", None)
    if tokenizer is None or tokenizer.pad_token_id is not None or (pipeline._batch_size or 1) == 1:
        return
    if tokenizer.eos_token is not None:
        tokenizer.pad_token = tokenizer.eos_token
    else:
        _log.warning("model '%s' has neither a padding nor an end token: its texts run one by one", model)
        pipeline._batch_size = 1


def set_threads(options: PipelineOptions, model: str) -> None:
    """Set PyTorch's threads, for the calling thread and those that start later."""
    torch = import_framework("torch", _REQUIREMENT, model)
    if options.intra_op_threads:
        torch.set_num_threads(options.intra_op_threads)
    if options.inter_op_threads and torch.get_num_interop_threads() != options.inter_op_threads:
        try:
            torch.set_num_interop_threads(options.inter_op_threads)
        except RuntimeError:
            _log.warning("model '%s': inter_op_threads comes too late, PyTorch runs in this process already", model)
