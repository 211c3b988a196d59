"""``oipserver mlflow``: what concerns MLflow's registry; everything else is ``mlflow deployments -t oip``."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from ..errors import InvalidArgumentError
from ..repository.mlflow_lookup import import_mlflow
from .parser import Parser, UsageError, see_help, unknown

_PROGRAM = "oipserver mlflow"
_PUBLISH = "publish"
_HELP = f"""usage: {_PROGRAM} {_PUBLISH} --model-name NAME --model-directory DIR --flavor triton|onnx [options]

  {_PUBLISH}        register a folder of model files with MLflow, to be deployed with 'mlflow deployments create -t oip'

'{_PROGRAM} {_PUBLISH} --help' tells more.
"""


def run(arguments: Sequence[str]) -> int:
    """Run the command; returns the exit code. Raises OIPError and UsageError."""
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(_HELP, end="")
        return 0 if arguments else 2
    if arguments[0] != _PUBLISH:
        raise UsageError(see_help(unknown("command", arguments[0], [_PUBLISH, "--help"]), _PROGRAM))
    return _publish(arguments[1:])


def _publish(arguments: Sequence[str]) -> int:
    parser = Parser(f"{_PROGRAM} {_PUBLISH}", "Register a folder of model files with MLflow, as a new version.")
    parser.usage = f"{_PROGRAM} {_PUBLISH} --model-name NAME --model-directory DIR --flavor triton|onnx [options]"
    for option, text in (
        ("--model-name", "name in the registry"),
        ("--model-directory", "folder of the model: with version folders for triton, with a .onnx file for onnx"),
    ):
        # The other plugin's script has its options with underscores.
        parser.add_argument(option, option.replace("model-", "model_"), required=True, help=text)
    parser.add_argument("--flavor", choices=("triton", "onnx"), required=True, help="what the folder holds")
    parser.add_argument("--alias", default="", help="alias for the new version")
    parser.add_argument("--stage", default="", help="stage of the new version: Staging, Production, Archived")
    parser.add_argument("--tracking-uri", default="", help="the tracking server [$MLFLOW_TRACKING_URI]")
    options = parser.parse(arguments)
    if options.tracking_uri:
        os.environ["MLFLOW_TRACKING_URI"] = options.tracking_uri
    import_mlflow("oipserver mlflow publish")
    from mlflow.exceptions import MlflowException

    from ..integrations.mlflow.publish import publish

    folder = Path(options.model_directory)
    try:
        version, uri = publish(options.model_name, folder, options.flavor, alias=options.alias, stage=options.stage)
    except MlflowException as error:
        raise InvalidArgumentError(error.message) from error
    print(f"models:/{options.model_name}/{version} is {uri}")
    return 0
