"""``oipserver kserve``: what KServe is to be told about a folder of models, printed; talks to no cluster."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from .. import __version__
from ..build import Needs, inference_service, needs_of, serving_runtime, yaml_documents
from .parser import Parser

_IMAGE = f"oipserver:{__version__}"


def run(arguments: Sequence[str]) -> int:
    """Run the command; returns the exit code. Raises OIPError and UsageError."""
    parser = Parser("oipserver kserve", "Print a ClusterServingRuntime and an InferenceService for a folder of models.")
    parser.add_argument("folder", metavar="DIR", type=Path, help="folder of models")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--runtime", action="store_true", help="print the runtime alone, which many services can share")
    which.add_argument("--inference-service", action="store_true", help="print the service alone")
    parser.add_argument("--image", default=_IMAGE, help=f"image of the server [{_IMAGE}]")
    parser.add_argument(
        "--storage-uri", metavar="URI", help="where KServe finds the models, such as s3://...; default: in the image"
    )
    parser.add_argument("--name", help="name of the service [the model's, or the folder's]")
    parser.add_argument("--grpc", action="store_true", help="let gRPC be what is called from outside")
    parser.add_argument("--gpu", action="store_true", help="ask for an NVIDIA GPU")
    namespace = parser.parse(arguments)
    documents = []
    if not namespace.inference_service:
        documents.append(serving_runtime(namespace.image, gpu=namespace.gpu))
    if not namespace.runtime:
        needs = needs_of(namespace.folder)
        documents.append(
            inference_service(
                needs,
                namespace.name or _name(needs),
                image=namespace.image,
                storage_uri=namespace.storage_uri,
                grpc=namespace.grpc,
                gpu=namespace.gpu,
            )
        )
    print(yaml_documents(documents), end="")
    return 0


def _name(needs: Needs) -> str:
    """A name for the service: that of its only model, else the folder's, in letters KServe allows."""
    names = {model.partition(":")[0] for model in needs.models}
    name = names.pop() if len(names) == 1 else needs.folder.name
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
