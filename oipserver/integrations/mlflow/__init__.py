"""MLflow: deployments of its models on a server of this protocol; imports no MLflow until a module here is used."""

from __future__ import annotations
