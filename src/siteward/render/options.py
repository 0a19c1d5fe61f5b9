"""How a reader wants a report: colour, length, grouping, and what may be published."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

GroupBy = Literal["person", "site"]
Privacy = Literal["full", "handles", "counts"]


class Options(Struct, frozen=True, kw_only=True):
    """How to show a report.

    `width` is the terminal's, in columns, or `None` where lines may be as long as they need to be.
    `plain` uses words and ASCII instead of symbols. `goes_on` tells that the verb goes on after this, so that there is
    neither an exit nor a way onward to tell of.
    """

    color: bool = False
    quiet: bool = False
    verbose: bool = False
    plain: bool = False
    group_by: GroupBy = "person"
    width: int | None = None
    privacy: Privacy = "full"
    goes_on: bool = False
