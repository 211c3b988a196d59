"""Inference over files of requests: what ``oipserver infer`` does, apart from its command line."""

from __future__ import annotations

from .call import CallError, Client
from .job import Job, Plan, Summary

__all__ = ["CallError", "Client", "Job", "Plan", "Summary"]
