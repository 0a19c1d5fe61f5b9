"""The texts in answers that are of any use, for the structs that answers are read into."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from msgspec import Meta

Some: TypeAlias = Annotated[str, Meta(min_length=1)]
"""Any text but the empty one: an id, or a name that things are told apart by."""

Token: TypeAlias = Annotated[str, Meta(pattern=r"^[!-~]+\Z")]
"""A text that a header can carry: something else would not even be sent, and look as if the network were down."""
