"""Emission only: statistics, metrics and logs; nothing here decides anything."""
