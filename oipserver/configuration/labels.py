"""Reads the label files of outputs; knows nothing of classification."""

from __future__ import annotations

from pathlib import Path

from ..errors import InvalidArgumentError
from .files import inside
from .forms import Configuration


def read_labels(configuration: Configuration, folder: Path) -> dict[str, tuple[str, ...]]:
    """The labels of each output that has a ``label_filename``, in the order of its classes: one a line.

    File names are relative to ``folder``, the model's. Raises InvalidArgumentError naming a file that cannot be read.
    """
    labels = {}
    for output in configuration["output"]:
        if filename := output["label_filename"]:
            path = inside(folder, filename, "label_filename")
            try:
                text = path.read_text("utf-8")
            except (OSError, UnicodeDecodeError) as error:
                reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
                raise InvalidArgumentError(f"cannot read the labels of '{output['name']}', {path}: {reason}") from None
            labels[output["name"]] = tuple(text.rstrip("\n").split("\n"))
    return labels
