"""The access review: what stands out is flagged, one digest covers it, and no output is dangerous."""

from __future__ import annotations

import csv
import json
import re
from datetime import timedelta
from io import StringIO
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from render.ledgers import AS_OF, hostile, small
from render.test_harmless import assert_harmless
from siteward.access.api_key import ApiKey, HeldKey, LiveKey
from siteward.access.certification import FLAGS, Horizon, Review, review
from siteward.access.diagnostic import Span
from siteward.access.model import Power
from siteward.render import Options
from siteward.render.certification import data, render, table
from siteward.render.review_page import page

if TYPE_CHECKING:
    from conftest import Golden
    from siteward.access.effective import Ledger

HORIZON = Horizon(as_of=AS_OF)


def made(ledger: Ledger | None = None, **more: object) -> Review:
    return review((ledger or small(),), replace(HORIZON, **more))


def flags(found: Review) -> dict[tuple[str, str], set[str]]:
    return {(item.handle or item.account, str(item.scope)): set(item.flags) for item in found.items}


def test_what_stands_out_is_flagged() -> None:
    found = flags(made())
    assert found["anna", "instance"] == {"admin"}
    assert found["anna", "shop.example.org"] == set()
    assert found["ben", "shop.example.org"] == {"differs"}
    assert found["jonas", "shop.example.org"] == {"outsider", "expiring"}
    assert found["li", "blog.example.org"] == {"pending", "differs"}
    assert found["old-agency", "instance"] == {"admin", "undeclared", "outsider", "stale"}
    assert found["reports", "shop.example.org"] == {"service"}


def test_plain_text_is_ascii() -> None:
    """Reasons are separated by semicolons where symbols are not wanted."""
    text = render(made(), "text", Options(plain=True))
    assert text.isascii()
    assert "; " in text


def test_an_end_that_has_passed_is_told_apart() -> None:
    assert "expired" in flags(made(as_of=AS_OF + timedelta(days=60)))["jonas", "shop.example.org"]


def test_the_riskiest_come_first() -> None:
    order = [min((FLAGS.index(flag) for flag in item.flags), default=99) for item in made().items]
    assert order == sorted(order)


def test_the_digest_is_of_what_was_reviewed() -> None:
    first = made()
    assert first.digest == made().digest
    ledger = small()
    anna = replace(ledger.entries[0], holdings=ledger.entries[0].holdings[:1])
    assert made(replace(ledger, entries=(anna, *ledger.entries[1:]))).digest != first.digest
    assert made(replace(ledger, complete=False)).digest != first.digest


def test_an_item_keeps_its_id_from_review_to_review() -> None:
    later = made(as_of=AS_OF + timedelta(days=90))
    assert {item.id for item in later.items} == {item.id for item in made().items}
    assert len({item.id for item in later.items}) == len(later.items)


def test_the_commit_of_the_line_is_told() -> None:
    found = review((small(),), HORIZON, {("access.yaml", 9): "a1b2c3d"})
    assert {item.commit for item in found.items if item.origin} == {"a1b2c3d"}
    assert "commit a1b2c3d" in page(found)


def test_every_output_has_every_item_and_the_digest() -> None:
    found = made()
    ids = {item.id for item in found.items}
    document = json.loads(data(found))
    rows = list(csv.DictReader(StringIO(table(found))))
    assert {item["id"] for item in document["items"]} == {row["id"] for row in rows} == ids
    assert {row["decision"] for row in rows} == {""}
    assert document["digest"] == found.digest == rows[0]["digest"]
    text = page(found)
    assert found.digest in text
    assert all(item_id in text for item_id in ids)
    assert document["counts"] == found.counts()
    assert re.search(rf"{found.counts()['admin']} admin grants", text)


def test_hostile_names_are_harmless() -> None:
    found = made(hostile())
    assert_harmless("html", page(found))
    assert_harmless("csv", table(found))
    assert_harmless("json", data(found))
    assert "was not read whole" in page(found)


def with_keys() -> Review:
    """Keys of a service: one in order, one of somebody else that nobody listed, and one that only the file knows."""
    listed = ApiKey(
        name="grafana", on="stats", holds=Power.VIEW, rotates=365, since=AS_OF - timedelta(days=400), used_by="team BI",
        at=Span("access.yaml", 7, 20),
    )  # fmt: skip
    live = LiveKey(
        account="reports", name="grafana", scopes=("stats:read:*",), made=AS_OF - timedelta(days=400),
        used=AS_OF - timedelta(days=1), ends=AS_OF + timedelta(days=30),
    )  # fmt: skip
    mine = HeldKey(
        account="reports", name="grafana", instance="stats", handle="reports", answers="anna", live=live, listed=listed,
        shown=True, flags=("overdue",),
    )  # fmt: skip
    stray = HeldKey(
        account="old-agency", name="=Max Muster's laptop", instance="stats", live=LiveKey(account="old-agency", name="x"),
        shown=True, flags=("orphaned", "undeclared"), why="has no right here",
    )  # fmt: skip
    alone = HeldKey(account="li", name="etl", instance="web", handle="li", listed=ApiKey(name="etl", on="web"))
    unseen = {"stats": "", "web": "no call lists keys", "shop": "no call lists keys"}
    return replace(made(), keys=(mine, stray, alone), keys_unseen=unseen)


def test_every_output_has_every_key_and_why_others_are_not_shown() -> None:
    """Nothing is decided of them, so they have no id, and the digest is that of the rights alone."""
    found = with_keys()
    assert found.digest == made().digest
    rows = [row for row in csv.DictReader(StringIO(table(found))) if row["kind"] == "key"]
    told = [
        (row["where"], row["person"] or row["account"], row["live"], row["created"], row["last seen"]) for row in rows
    ]
    assert told == [
        ("grafana", "reports", "view (stats:read:*)", "2025-10-18", "2026-11-21"),
        ("'=Max Muster's laptop", "old-agency", "view", "", ""),
        ("etl", "li", "", "", ""),
    ]
    assert {(row["id"], row["decision"]) for row in rows} == {("", "")}
    assert [(row["flags"], row["owner"], row["file"], row["until"]) for row in rows] == [
        ("overdue", "anna", "access.yaml", "2026-12-22"), ("orphaned undeclared", "", "", "no end"), ("", "", "", ""),
    ]  # fmt: skip
    document = json.loads(data(found))
    assert [key["live"] for key in document["keys"]] == [True, True, None]
    assert document["keys"][0]["due"] == "2026-10-18 09:30:12Z"
    assert document["keys_unseen"] == {"web": "no call lists keys", "shop": "no call lists keys"}
    for shown in (render(found, "text", Options(plain=True)), page(found)):
        assert "web, shop: not all keys can be read: no call lists keys" in shown
        for words in (
            "grafana",
            "last used",
            "2026-11-21",
            "old-agency has no right here",
            "used by team BI",
            "3 keys, 2 to look at",
        ):
            assert words in shown, words


def test_what_people_called_a_key_stays_where_names_do() -> None:
    for form in ("text", "csv", "json", "html"):
        shown = render(with_keys(), form, Options(privacy="handles"))
        assert "Muster" not in shown
        assert "key-2" in shown
        assert "grafana" in shown
        assert "grafana" not in render(with_keys(), form, Options(privacy="counts"))


@pytest.mark.parametrize("form", ["text", "csv", "json"])
def test_keys_are_shown_as_before(form: str, golden: Golden) -> None:
    golden(f"render/review-keys/{form}.txt", render(with_keys(), form, Options(privacy="handles", plain=True)))
