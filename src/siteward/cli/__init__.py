"""Thin verbs, the error edge and the exit."""
