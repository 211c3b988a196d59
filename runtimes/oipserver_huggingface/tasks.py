"""What each task's requests look like; knows no pipeline."""

from __future__ import annotations

from oipserver.types import MetadataTensor, Parameters

_LISTS_OF_IMAGES = frozenset(
    {
        "depth-estimation",
        "document-question-answering",
        "image-classification",
        "image-feature-extraction",
        "image-segmentation",
        "image-text-to-text",
        "image-to-image",
        "image-to-text",
        "mask-generation",
        "object-detection",
        "visual-question-answering",
        "vqa",
        "zero-shot-image-classification",
        "zero-shot-object-detection",
    }
)
_IMAGE_ARGUMENTS = frozenset({"args", "array_inputs", "image", "images", "inputs"})
_SOUNDS = frozenset({"audio-classification", "automatic-speech-recognition", "zero-shot-audio-classification"})
_QUESTIONS = frozenset({"question-answering"})
_JSON = frozenset({"table-question-answering", "visual-question-answering", "document-question-answering", "vqa"})


def takes_image(task: str, argument: str) -> bool:
    """Whether ``argument`` of a pipeline for ``task`` is a list of images."""
    return task in _LISTS_OF_IMAGES and argument in _IMAGE_ARGUMENTS


def input_metadata(task: str) -> list[MetadataTensor]:
    """The usual inputs of ``task``; further arguments of its pipeline are taken under their names."""
    if task in _JSON:
        inputs = [_input("array_inputs", "hg_jsonlist")]
    elif task in _LISTS_OF_IMAGES:
        inputs = [_input("inputs", "pillow_image")]
    elif task in _QUESTIONS:
        inputs = [_input("question", "str"), _input("context", "str")]
    elif task in _SOUNDS:
        inputs = [
            MetadataTensor(name="inputs", datatype="FP32", shape=[-1], parameters=Parameters(content_type="nplist"))
        ]
    else:
        inputs = [_input("array_inputs", "str")]
    if task.startswith("zero-shot-"):
        inputs.append(_input("candidate_labels", "str"))
    return inputs


def output_metadata() -> list[MetadataTensor]:
    """The one output of every pipeline: a JSON text for each element of what it gives."""
    told = Parameters(content_type="hg_jsonlist")
    return [MetadataTensor(name="output", datatype="BYTES", shape=[-1, 1], parameters=told)]


def _input(name: str, content_type: str) -> MetadataTensor:
    return MetadataTensor(name=name, datatype="BYTES", shape=[-1], parameters=Parameters(content_type=content_type))
