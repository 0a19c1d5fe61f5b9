"""Siteward: access as code for web analytics."""

__version__ = "0.1.0"
