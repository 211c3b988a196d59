"""A folder of model files becomes a registered model, as the other plugin's script has it; deploys nothing."""

from __future__ import annotations

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal, get_args

import mlflow
from mlflow import MlflowClient
from mlflow.models import Model

from ...repository.mlmodel import MLMODEL_FILE
from .failures import wrong

PublishedFlavor = Literal["triton", "onnx"]
PUBLISHED_FLAVORS: tuple[str, ...] = get_args(PublishedFlavor)
_ARTIFACTS = "triton"


def publish(name: str, folder: Path, flavor: str, *, alias: str = "", stage: str = "") -> tuple[str, str]:
    """Register what is in ``folder`` as a new version of ``name``; the version, and the URI of its files.

    ``triton``: a model's folder in Triton's layout, as it is. ``onnx``: a folder with a .onnx file, its weights beside
    it, or such a file in a version's folder. ``alias`` and ``stage`` are given to the new version.
    Raises MlflowException.
    """
    if not folder.is_dir():
        raise wrong(f"{folder} is no folder of a model")
    if flavor not in PUBLISHED_FLAVORS:
        raise wrong(f"unknown flavor '{flavor}': expected one of {', '.join(PUBLISHED_FLAVORS)}")
    with TemporaryDirectory(prefix="oipserver-publish-") as scratch, mlflow.start_run() as run:
        _laid_out(folder.resolve(), Path(scratch), flavor, run.info.run_id)
        MlflowClient().log_artifacts(run.info.run_id, scratch, _ARTIFACTS)
        uri = f"runs:/{run.info.run_id}/{_ARTIFACTS}"
    version = mlflow.register_model(uri, name).version
    if alias:
        MlflowClient().set_registered_model_alias(name, alias, version)
    if stage:
        MlflowClient().transition_model_version_stage(name, version, stage)
    return str(version), uri


def _laid_out(folder: Path, scratch: Path, flavor: str, run_id: str) -> None:
    """The artifacts of a logged model in ``scratch``, linking to the files of ``folder``."""
    model = Model(artifact_path=_ARTIFACTS, run_id=run_id)
    if flavor == "triton":
        if not any(path.is_dir() and path.name.isdigit() for path in folder.iterdir()):
            raise wrong(f"{folder} has no version: expected a folder whose name is a number in it")
        shutil.copytree(folder, scratch / folder.name, copy_function=_link)
        model.add_flavor("triton", data=folder.name)
    else:
        model.add_flavor("onnx", data=_onnx_files(folder, scratch))
    model.save(str(scratch / MLMODEL_FILE))


def _onnx_files(folder: Path, scratch: Path) -> str:
    """Put the one model of ``folder``, what lies beside it, and what describes it there; the name of its file."""
    found = sorted(folder.rglob("*.onnx"))
    if len(found) != 1:
        raise wrong(f"{folder} has {len(found)} files *.onnx, expected one")
    places = {path.name: path for path in folder.iterdir() if path.is_file()}
    places |= {path.name: path for path in found[0].parent.iterdir() if path.is_file()}
    for name, path in places.items():
        _link(str(path), str(scratch / name))
    return found[0].name


def _link(source: str, target: str) -> str:
    Path(target).symlink_to(Path(source).resolve())
    return target
