"""What ``mlflow deployments help -t oip`` prints."""

from __future__ import annotations

_TEXT = """\
Deploys models on a server of the Open Inference Protocol with the model repository extension: oipserver, or Triton
in explicit mode.

Targets
  oip                                       the server of $OIP_URL, or http://127.0.0.1:8080
  oip://HOST[:PORT][/BASE][?OPTIONS]        grpc=PORT or HOST:PORT: files and tensors over gRPC; tls=1; verify=0
  oip:http://HOST:PORT
  $OIP_TOKEN is sent as bearer token.

-C KEY=VALUE (values may be JSON)
  transfer=auto|push|copy|link|pull
                                push sends the files with the load request; copy and link place them in a folder that
                                the server sees too; pull has the server fetch them, if it allows that. auto: copy where
                                a repository is named, else push
  repository=FOLDER             that folder; default: $OIP_MODEL_REPO
  version=N                     number of the version; default: that of the registry, else 1
  timeout=SECONDS               until the model must be ready [600]
  keep=N                        update: older versions that stay in the folder [0]
  keep_files=true               delete: unload only
  force=true                    delete: remove the folder whoever made it
  trust=true|false              whether pickles may be deployed; default: all but PyTorch's
  smoke_test=false              do not ask the model the example that was logged with it
  port=N                        run-local: port of the server [5000]
  max_batch_size=8, parameters.extra.device=cuda, ...
                                any setting of model-settings.json, and for onnx and triton of config.pbtxt

Flavors (-f; default: the first the model has)
  triton, onnx, xgboost, lightgbm, sklearn, pytorch, python_function; transformers where named

predict reads {"inputs": {name: lists}}, V2 requests, {"instances": ...}, {"dataframe_split": ...},
{"dataframe_records": ...} and plain records.
"""


def target_help() -> str:
    """The help on targets, options and flavors."""
    return _TEXT
