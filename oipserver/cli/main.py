"""From the first word of the command line to the command that it names, and from every error to one line."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module

from .. import __version__
from ..errors import OIPError
from .parser import UsageError, see_help, unknown

# Each command is a module with ``run(arguments) -> exit code``, imported when it is called for.
_COMMANDS = {
    "start": "serve the models of a folder, or one .onnx file",
    "models": "the model store: import, list, get, export, push, ...; or what a folder has",
    "infer": "run a file of requests through a model of a server",
    "init": "make the folder of a model to start from",
    "build": "make a container image of a folder of models",
    "dockerfile": "write the Dockerfile of that image",
    "kserve": "print a folder's objects for KServe",
    "mlflow": "register a folder of model files with MLflow",
    "config": "show every setting, and where its value comes from",
}

_HELP = """usage: oipserver COMMAND [options]

Serve models over the Open Inference Protocol.

commands:
{commands}

options:
  -h, --help     show this help
  --version      show the version

'oipserver COMMAND --help' tells more about each.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line. The exit code is 0, 1 where it failed, 2 where it was wrong, 130 where it was stopped."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        code = _run(words)
        sys.stdout.flush()
        return code
    except UsageError as error:
        return _fail(str(error), 2)
    except OIPError as error:
        return _fail(error.message, 1, debug="--debug" in words)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # whoever read our output has seen enough; what is still to be written goes nowhere
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        hint = "this is a bug, --debug shows where"
        return _fail(f"{type(error).__name__}: {error} ({hint})", 1, debug="--debug" in words)


def _run(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help", "help"):
        width = max(map(len, _COMMANDS))
        lines = [f"  {command:{width}}         {text}" for command, text in _COMMANDS.items()]
        print(_HELP.format(commands="\n".join(lines)), end="")
        return 0 if words else 2
    if words[0] in ("--version", "-V", "version"):
        print(f"oipserver {__version__}")
        return 0
    if words[0] not in _COMMANDS:
        kind = "option" if words[0].startswith("-") else "command"
        raise UsageError(see_help(unknown(kind, words[0], [*_COMMANDS, "--help", "--version"]), "oipserver"))
    code: int = import_module(f".{words[0]}", __package__).run(words[1:])
    return code


def _fail(message: str, code: int, *, debug: bool = False) -> int:
    if debug:
        traceback.print_exc()
    print(f"oipserver: error: {' '.join(message.split())}", file=sys.stderr)
    return code
