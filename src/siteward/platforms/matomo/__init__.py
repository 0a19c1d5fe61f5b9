"""Matomo 5, 4 and 3, and the Piwik 2 it was."""
