"""Requests that belong together: a model's sequences, the inputs that tell it of them, and the state kept for them."""

from __future__ import annotations

from .rules import SequenceRules, sequence_rules, visible_face
from .scheduler import SequenceScheduler

__all__ = ["SequenceRules", "SequenceScheduler", "sequence_rules", "visible_face"]
