"""This file must fail to check: that planning cannot write is a fact of the type (DESIGN promise 1)."""

from siteward.transport.http import Reader


def plan(reader: Reader) -> None:
    """Try to command through a reader."""
    reader.command("POST", "/api/users")
