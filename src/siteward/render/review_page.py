"""Renders an access review as one HTML page: the person and the right first, then why, what was live last, and the id."""

from __future__ import annotations

from typing import TYPE_CHECKING

from siteward.access.certification import FLAGS
from siteward.access.diagnostic import error, plural
from siteward.render import keys, words
from siteward.render.certification import (
    TITLES,
    count_dead,
    counted,
    dead_reasons,
    place,
    reasons,
    unused_unknown,
)
from siteward.render.html import Part, Sources, draw
from siteward.render.links import NO_LINES, Lines
from siteward.render.repeats import Occurrence, tell_once
from siteward.render.view import Row, Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from siteward.access.api_key import HeldKey
    from siteward.access.certification import DeadRow, Item, Review
    from siteward.access.diagnostic import Diagnostic

_HEADER = ("who", "right", "where", "declared", "last used", "last confirmed", "why", "flags", "id")
_NOT_KEPT = "not kept"
"""What stands for the last use on a platform that does not keep it."""


def page(review: Review, lines: Lines = NO_LINES, said: Iterable[Diagnostic] = ()) -> str:
    """Return the review as one HTML page: the grants of each flag, then all grants; places link to their `lines`.

    `said` are warnings about it.
    """
    numbers = " · ".join((*counted(review.counts()), *count_dead(review), *keys.count(review.keys)))
    standing_out = tuple(_flag_tables(review))
    return draw(
        title="Access review",
        lead=(
            f"{plural(len(review.items), 'grant')} as of {words.moment(review.as_of)}",
            *((numbers,) if numbers else ()),
            *unused_unknown(review),
            *keys.unseen(review.keys_unseen),
        ),
        told=tell_once(map(Occurrence, (*(error("not-read", words.not_read(gap)) for gap in review.gaps), *said))),
        parts=(
            *((Part(title="What stands out", tables=standing_out),) if standing_out else ()),
            Part(
                title="Everything",
                tables=(
                    _table("All grants", review.items, review),
                    *_dead_table(review.dead),
                    *_key_table(review.keys),
                ),
            ),
        ),
        foot=(
            f"review {review.digest}",
            "Decide in the CSV or JSON: keep, revoke or change; keep or remove for dead lines.",
        ),
        sources=Sources(lines=lines),
    )


def _flag_tables(review: Review) -> Iterator[Table]:
    for flag in FLAGS:
        items = tuple(item for item in review.items if flag in item.flags)
        if items:
            yield _table(TITLES[flag], items, review)


def _table(title: str, items: Iterable[Item], review: Review) -> Table:
    silent = frozenset(review.unused_unknown)
    return Table(title=title, header=_HEADER, rows=tuple(_row(item, silent) for item in items))


def _row(item: Item, silent: frozenset[str]) -> Row:
    return Row(
        cells=(
            words.name_with_login(item.handle, item.account),
            words.value(item.live) if item.live else "not live",
            f"{words.place(item.scope)} on {item.instance}",
            _declared(item),
            _NOT_KEPT if item.instance in silent else words.day(item.facts.get("last_seen", "")),
            words.confirmed(item.confirmed),
        ),
        place=place(item),
        why=reasons(item),
        after=(", ".join(item.flags), item.id),
    )


def _declared(item: Item) -> str:
    """Return what is declared where live differs from it, else that they agree, or that more than declared may stand."""
    if item.agreement != "same":
        return words.value(item.declared) if item.declared else "not in the file"
    return "the same" if item.declared is not None else "no difference"


def _dead_table(dead: Iterable[DeadRow]) -> tuple[Table, ...]:
    rows = tuple(
        Row(
            cells=(row.what, row.why),
            place=f"{row.at.file}:{row.at.line}",
            why=dead_reasons(row),
            after=(row.id,),
        )
        for row in dead
    )
    return (Table(title="Dead lines", header=("line", "because", "why", "id"), rows=rows),) if rows else ()


def _key_table(found: Iterable[HeldKey]) -> tuple[Table, ...]:
    rows = tuple(
        Row(
            cells=keys.cells(key),
            place=f"{key.listed.at.file}:{key.listed.at.line}" if key.listed is not None and key.listed.at else "",
            why=keys.remarks(key),
            after=(", ".join(key.flags),),
        )
        for key in found
    )
    return (Table(title="Keys", header=(*keys.HEADER, "why", "flags"), rows=rows),) if rows else ()
