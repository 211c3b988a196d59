"""The module that MLflow loads for the target ``oip``; it may hold one deployment client and nothing like it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mlflow.deployments import BaseDeploymentClient

from ...settings.deployments import deployment_variables
from .answers import Answer
from .deployments import Deployments
from .failures import not_offered, wrong
from .local import run_local
from .target import read_target
from .target_help import target_help

__all__ = ["OipClient", "run_local", "target_help"]

Config = dict[str, Any] | None


class OipClient(BaseDeploymentClient):  # type: ignore[misc]
    """Deploys MLflow's models on a server of the Open Inference Protocol: this one, or Triton.

    ``target_uri`` is ``oip`` for the server of ``$OIP_URL``, or ``oip://host:port[/base][?grpc=port&tls=1&verify=0]``.
    Every method raises MlflowException with the code that fits.
    """

    def __init__(self, target_uri: str) -> None:
        super().__init__(target_uri)
        variables = deployment_variables()
        self._target = read_target(target_uri, variables)
        self._deployments = Deployments(self._target, variables)

    def create_deployment(
        self, name: str, model_uri: str, flavor: str | None = None, config: Config = None, endpoint: str | None = None
    ) -> dict[str, Any]:
        """Deploy the model at ``model_uri`` as ``name``; tells its name, flavor, version, state and URL."""
        return self._deployments.create(name, model_uri, flavor, config)

    def update_deployment(
        self,
        name: str,
        model_uri: str | None = None,
        flavor: str | None = None,
        config: Config = None,
        endpoint: str | None = None,
    ) -> dict[str, Any]:
        """Replace ``name`` by another model, or the same with other settings; the old one serves until then."""
        return self._deployments.update(name, model_uri, flavor, config)

    def delete_deployment(self, name: str, config: Config = None, endpoint: str | None = None) -> None:
        """Unload ``name`` and remove what was deployed; it is no mistake that it is not there."""
        self._deployments.delete(name, config)

    def list_deployments(self, endpoint: str | None = None) -> list[dict[str, Any]]:
        """Every model of the server, in every state."""
        return self._deployments.every()

    def get_deployment(self, name: str, endpoint: str | None = None) -> dict[str, Any]:
        """State and origin of one model."""
        return self._deployments.get(name)

    def predict(self, deployment_name: str | None = None, inputs: Any = None, endpoint: str | None = None) -> Answer:
        """The answer of ``deployment_name`` to ``inputs``: an array, a DataFrame, a dictionary, a V2 request."""
        return self._deployments.asking.predict(_required(deployment_name), inputs)

    def predict_stream(
        self, deployment_name: str | None = None, inputs: Any = None, endpoint: str | None = None
    ) -> Iterator[dict[str, Any]]:
        """The answers of ``deployment_name`` as they come."""
        return self._deployments.asking.predict_stream(_required(deployment_name), inputs)

    def explain(self, deployment_name: str | None = None, df: Any = None, endpoint: str | None = None) -> Any:
        """Not offered: the protocol has no explanations."""
        raise not_offered("explanations are not part of the Open Inference Protocol")

    def list_endpoints(self) -> list[dict[str, Any]]:
        """The one endpoint there is: the server."""
        return [{"name": self._target.url}]

    def get_endpoint(self, endpoint: str) -> dict[str, Any]:
        """What the server tells of itself."""
        return {**self._deployments.server_metadata(), "name": self._target.url}


def _required(name: str | None) -> str:
    if not name:
        raise wrong("say which deployment is to predict: --name")
    return name
