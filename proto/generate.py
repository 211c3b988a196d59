"""Writes the gRPC messages' descriptor and type stubs from ``inference.proto``; needs grpcio-tools.

``python proto/generate.py`` writes, ``python proto/generate.py --check`` fails where the committed files are stale.
The descriptor is stripped of all that depends on the compiler's version, so it is always compared. The stubs are laid
out as the compiler likes: they are compared only where the same version of it made them.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from base64 import b85encode
from importlib.metadata import version
from pathlib import Path

from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorProto, FileDescriptorSet
from grpc_tools import protoc

SOURCE = Path(__file__).with_name("inference.proto")
TARGET = Path(__file__).parent.parent / "oipserver" / "wire" / "grpc" / "pb"
_REGENERATE = "Generated from proto/inference.proto by proto/generate.py; do not edit."
_WIDTH = 112


def compile_proto() -> tuple[bytes, str]:
    """The serialized file descriptor and the text of the type stubs."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        arguments = [
            "protoc",
            f"--proto_path={SOURCE.parent}",
            f"--descriptor_set_out={out / 'set'}",
            f"--pyi_out={out}",
            SOURCE.name,
        ]
        if protoc.main(arguments):
            raise SystemExit(f"{SOURCE} does not compile")
        file = FileDescriptorSet.FromString((out / "set").read_bytes()).file[0]
        stubs = (out / "inference_pb2.pyi").read_text()
    return _plain(file).SerializeToString(deterministic=True), stubs


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


def descriptor_module(descriptor: bytes) -> str:
    """The text of the module that holds the descriptor."""
    text = b85encode(descriptor).decode()
    lines = "\n".join(f'    b"{text[start : start + _WIDTH]}"' for start in range(0, len(text), _WIDTH))
    return f'"""{_REGENERATE}"""\n\nfrom base64 import b85decode\n\nDESCRIPTOR = b85decode(\n{lines}\n)\n'


def outputs() -> dict[Path, str]:
    """Every generated file and its text."""
    descriptor, stubs = compile_proto()
    header = (
        f"# {_REGENERATE}\n# Made with grpcio-tools {version('grpcio-tools')}.\n# mypy: disable-error-code=type-arg\n"
    )
    return {
        TARGET / "inference_descriptor.py": descriptor_module(descriptor),
        TARGET / "inference_pb2.pyi": header + stubs,
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
