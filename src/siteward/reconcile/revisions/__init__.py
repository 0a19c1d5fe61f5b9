"""Revisions: calls of git, the declaration as it stood at a commit, and comparisons of two declarations."""
