"""Undoing a run: which one is meant, the edit of the files that takes it back, and what no edit brings back."""
