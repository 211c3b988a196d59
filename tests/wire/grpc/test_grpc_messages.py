"""The messages: their numbers are those of the clients, they live apart from the clients' own, they are up to date."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from google.protobuf.descriptor import Descriptor

from oipserver.pb import inference_pb2

ROOT = Path(__file__).parents[3]
MESSAGES = inference_pb2.DESCRIPTOR.message_types_by_name
#: Fields that other clients know and Triton's do not.
OURS_ALONE = {
    "ModelMetadataResponse": {"properties"},
    "RepositoryModelLoadResponse": {"model_name", "is_loaded"},
    "RepositoryModelUnloadResponse": {"model_name", "is_unloaded"},
}


def shape_of(message: Descriptor, leave_out: frozenset[str] = frozenset()) -> dict[str, object]:
    """Number, type and label of each field, through nested messages of the same file."""
    return {
        field.name: (
            field.number,
            field.type,
            field.is_repeated if hasattr(field, "is_repeated") else field.label == field.LABEL_REPEATED,
            field.containing_oneof.name if field.containing_oneof else None,
            shape_of(field.message_type) if field.message_type else None,
        )
        for field in message.fields
        if field.name not in leave_out
    }


@pytest.mark.parametrize("name", sorted(MESSAGES))
def test_fields_are_those_of_tritons_clients(name: str) -> None:
    from tritonclient.grpc import service_pb2

    theirs = service_pb2.DESCRIPTOR.message_types_by_name[name]
    leave_out = frozenset(OURS_ALONE.get(name, ()))
    assert shape_of(MESSAGES[name], leave_out) == shape_of(theirs)
    assert leave_out.isdisjoint(theirs.fields_by_name)


def test_methods_are_those_of_tritons_service() -> None:
    from tritonclient.grpc import service_pb2

    theirs = service_pb2.DESCRIPTOR.services_by_name["GRPCInferenceService"].methods_by_name
    ours = inference_pb2.DESCRIPTOR.services_by_name["GRPCInferenceService"].methods_by_name
    for name, method in ours.items():
        assert method.input_type.name == theirs[name].input_type.name
        assert method.output_type.name == theirs[name].output_type.name


@pytest.mark.parametrize(
    "order",
    [
        "import oipserver.wire.grpc, tritonclient.grpc",
        "import tritonclient.grpc, oipserver.wire.grpc",
    ],
)
def test_both_can_be_imported(order: str) -> None:
    check = (
        f"{order}\n"
        "from oipserver.pb import inference_pb2 as ours\n"
        "from tritonclient.grpc import service_pb2 as t\n"
        "assert t.ModelInferRequest is not ours.ModelInferRequest\n"
        "data = ours.ModelInferRequest(model_name='m', id='7').SerializeToString()\n"
        "assert t.ModelInferRequest.FromString(data).id == '7'\n"
    )
    subprocess.run([sys.executable, "-c", check], check=True, cwd=ROOT)


def test_generated_files_are_up_to_date() -> None:
    pytest.importorskip("grpc_tools")
    subprocess.run([sys.executable, ROOT / "proto" / "generate.py", "--check"], check=True)
