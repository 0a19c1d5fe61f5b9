"""Umami, self-hosted: 3.2, 3.1 and 2.20."""
