"""Revisions: git, asked in one place, and the declaration as it stood at a commit."""
