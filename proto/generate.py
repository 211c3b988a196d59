"""Writes the messages' descriptors and type stubs from the ``.proto`` files beside it; needs grpcio-tools.

``python proto/generate.py`` writes, ``python proto/generate.py --check`` fails where the committed files are stale.
The descriptors are stripped of all that depends on the compiler's version, so they are always compared. The stubs are
laid out as the compiler likes: they are compared only where the same version of it made them.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from base64 import b85encode
from importlib.metadata import version
from pathlib import Path

from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorProto, FileDescriptorSet
from grpc_tools import protoc

FOLDER = Path(__file__).parent
#: In order of their imports.
SOURCES = ("model_config", "inference")
TARGET = FOLDER.parent / "oipserver" / "pb"
# The compiler's stubs are not as strict as this project is: one field's name is even a keyword of Python.
_LENIENT = '# mypy: disable-error-code="type-arg, no-untyped-def"\n'
_REGENERATE = "Generated from the .proto files by proto/generate.py; do not edit."
_WIDTH = 108


def compile_protos() -> tuple[list[bytes], dict[str, str]]:
    """The serialized file descriptors, in order, and the text of the type stubs by source."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        arguments = [
            "protoc",
            f"--proto_path={FOLDER}",
            f"--descriptor_set_out={out / 'set'}",
            f"--pyi_out={out}",
            *(f"{source}.proto" for source in SOURCES),
        ]
        if protoc.main(arguments):
            raise SystemExit(f"the files in {FOLDER} do not compile")
        files = FileDescriptorSet.FromString((out / "set").read_bytes()).file
        stubs = {source: _relative((out / f"{source}_pb2.pyi").read_text()) for source in SOURCES}
    return [_plain(file).SerializeToString(deterministic=True) for file in files], stubs


def _relative(stubs: str) -> str:
    """Stubs that import each other from their own package; the compiler thinks of modules at the top."""
    for source in SOURCES:
        stubs = re.sub(rf"^import {source}_pb2 as", f"from . import {source}_pb2 as", stubs, flags=re.MULTILINE)
    return stubs


def _plain(file: FileDescriptorProto) -> FileDescriptorProto:
    file.ClearField("source_code_info")
    for message in file.message_type:
        _drop_json_names(message)
    return file


def _drop_json_names(message: DescriptorProto) -> None:
    for field in message.field:
        field.ClearField("json_name")
    for nested in message.nested_type:
        _drop_json_names(nested)


def descriptor_module(descriptors: list[bytes]) -> str:
    """The text of the module that holds the descriptors."""
    entries = []
    for descriptor in descriptors:
        text = b85encode(descriptor).decode()
        lines = (f'        b"{text[start : start + _WIDTH]}"' for start in range(0, len(text), _WIDTH))
        entries.append("    b85decode(\n" + "\n".join(lines) + "\n    ),\n")
    body = "".join(entries)
    return f'"""{_REGENERATE}"""\n\nfrom base64 import b85decode\n\nDESCRIPTORS = (\n{body})\n'


def outputs() -> dict[Path, str]:
    """Every generated file and its text."""
    descriptors, stubs = compile_protos()
    header = f"# {_REGENERATE}\n# Made with grpcio-tools {version('grpcio-tools')}.\n{_LENIENT}"
    return {
        TARGET / "descriptors.py": descriptor_module(descriptors),
        **{TARGET / f"{source}_pb2.pyi": header + text for source, text in stubs.items()},
    }


def _stale(path: Path, text: str) -> bool:
    if not path.exists():
        return True
    committed = path.read_text()
    if path.suffix == ".pyi" and committed.splitlines()[:2] != text.splitlines()[:2]:
        print(f"{path.name} was made with another version of grpcio-tools and is not compared")
        return False
    return committed != text


def main() -> int:
    """Write or check; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail where a committed file is stale")
    check = parser.parse_args().check
    status = 0
    for path, text in outputs().items():
        if not check:
            path.write_text(text)
        elif _stale(path, text):
            print(f"{path} is stale: run python proto/generate.py")
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main())
