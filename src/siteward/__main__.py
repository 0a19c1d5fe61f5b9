"""``python -m siteward``."""

from siteward.cli.app import run

run()
