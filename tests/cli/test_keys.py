"""Keys that Community Edition's database shows, beside those of the file: one way through plan, doctor, review and waivers."""

from __future__ import annotations

import csv
import json
from datetime import datetime
from io import StringIO
from typing import TYPE_CHECKING

import pytest

from cli.conftest import Program
from platforms.plausible.at import needs_postgres
from siteward import platforms
from siteward.platforms import fakery
from siteward.platforms.fakery import World, WorldAccount, WorldGrant, WorldSite

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOW = "2026-12-01T12:00:00+00:00"
GRAFANA = (
    "key: grafana (view (stats:read:*), made 2025-03-01, due 2026-03-01, to be made anew, "
    "made on another day than the file says, used by Grafana, owner olga)"
)
PEOPLE = ("reports", "ben", "stranger")
WORLD = World(
    accounts=(WorldAccount(login="olga@example.org", role="owner"),),
    sites=(WorldSite(name="Shop", domain="shop.example.org"),),
    grants=tuple(WorldGrant(account=f"{one}@example.org", site="shop.example.org", role="viewer") for one in PEOPLE),
    more={
        "keys": [
            {"owner": "reports@example.org", "name": "grafana", "made": "2025-03-01T09:30:00Z"},
            {"owner": "ben@example.org", "name": "ben@example.org laptop", "made": "2026-01-01T00:00:00Z"},
            {"owner": "stranger@example.org", "name": "Max", "made": "2026-01-01T00:00:00Z"},
        ]
    },
)
FILE = """\
version: 1
instances:
  stats: {platform: plausible, edition: ce, url: "URL", self: siteward@example.org}
users:
  olga: {email: olga@example.org}
  ben: {email: ben@example.org, state: suspended}
  reports:
    email: reports@example.org
    kind: service
    owner: olga
    keys:
      - {name: grafana, on: stats, holds: view, rotates: 365d, since: 2026-11-01, used_by: Grafana}
grants:
  - {to: reports, role: view, sites: shop.example.org}
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Iterator[Program]:
    needs_postgres()
    clock = datetime.fromisoformat(NOW)
    with fakery.serve(platforms.fake("plausible").of(WORLD, "ce-3", clock=lambda: clock)) as sandbox:
        program = Program(tmp_path, moment=NOW)
        program.write(FILE.replace("URL", sandbox.url))
        program.env |= {f"SITEWARD_STATS_{name.upper()}": value for name, value in sandbox.fake.credentials.items()}
        yield program


def test_a_plan_tells_live_keys_and_a_waiver_silences_one(checkout: Program) -> None:
    """The newer day in the file rotates nothing; what somebody was suspended for stays open; the exit code is the steps'."""
    plan = checkout("plan", "--format", "json")
    assert plan.code == 2, plan.err
    document = plan.json()["plan"]
    assert not [said for said in document.get("diagnostics", ()) if said["code"].startswith("key-")]
    keys = [said for said in document["instances"][0]["diagnostics"] if said["code"].startswith("key-")]
    assert {said["code"]: said.get("thing") for said in keys} == {
        "key-orphaned": "ben@example.org laptop",
        "key-undeclared": "Max",
        "key-overdue": None,
    }
    (seen,) = [said["seen"] for said in keys if said["code"] == "key-undeclared"]
    waiver = f"{{rule: key-undeclared, on: stats, about: Max, reason: asked, until: 2027-03-01, seen: {seen}}}"
    path = checkout.folder / "access.yaml"
    checkout.write(f"{path.read_text(encoding='utf-8')}policy:\n  waivers:\n    - {waiver}\n")
    text = checkout("plan")
    assert "key-undeclared" not in text.out
    assert "key-orphaned" in text.out
    assert "waived" in text.out


def test_doctor_and_review_list_them_and_nothing_is_decided_there(checkout: Program) -> None:
    doctor = checkout("doctor", "--privacy", "handles")
    assert doctor.code == 0, doctor.err
    lines = [line.strip() for line in doctor.out.splitlines() if line.startswith("  key: ")]
    assert lines == [
        GRAFANA,
        "key: key-2 (view (stats:read:*), made 2026-01-01, ben is suspended, not in the file)",
        "key: key-3 (view (stats:read:*), made 2026-01-01, not in the file)",
    ]
    review = checkout("review", "--format", "csv")
    rows = list(csv.DictReader(StringIO(review.out)))
    assert [row["where"] for row in rows if row["kind"] == "key"] == ["grafana", "ben@example.org laptop", "Max"]
    decided = [{**row, "decision": {"Max": "revoke", "grafana": "keep"}.get(row["where"], "")} for row in rows]
    with (checkout.folder / "review.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, decided[0])
        writer.writeheader()
        writer.writerows(decided)
    refused = checkout("review", "--decisions", "review.csv")
    assert refused.code == 1
    assert "'revoke' is decided of a key, and nothing is decided of keys here" in refused.err + refused.out


def test_a_key_of_a_service_without_anybody_is_to_be_looked_at(checkout: Program) -> None:
    path = checkout.folder / "access.yaml"
    checkout.write(
        path.read_text(encoding="utf-8")
        .replace("olga: {", "olga: {state: absent, ")
        .replace("since: 2026-11-01", "since: 2025-03-01")
    )
    (key, *_) = checkout("review", "--format", "json").json()["keys"]
    assert (key["name"], key["owner"], key["flags"]) == ("grafana", "olga", ["overdue", "unattended"])


def test_whoever_leaves_has_their_live_keys_on_the_list(checkout: Program) -> None:
    """Ticked by reading alone; and what people called one is told only where names are."""
    left = checkout("offboard", "ben", "--format", "json")
    keys = [item for item in json.loads(left.out)["items"] if item["id"].startswith("key/")]
    assert [(item["what"], item["is_read"], item["state"]) for item in keys] == [
        ("the key `ben@example.org laptop` on stats, made on 2026-01-01", True, "open")
    ]
    assert keys[0]["id"].startswith("key/unlisted-")
    assert "stats-keys" not in left.out
    hidden = checkout("offboard", "ben", "--privacy", "handles")
    assert "laptop" not in hidden.out
    assert "name hidden" in hidden.out
    reports = checkout("offboard", "reports", "--format", "json")
    (key,) = [item for item in json.loads(reports.out)["items"] if item["id"].startswith("key/")]
    assert (key["id"], key["is_read"]) == ("key/grafana", True)


def test_one_account_s_keys_are_explained(checkout: Program) -> None:
    told = checkout("explain", "reports", "shop.example.org", "--format", "json")
    (key,) = told.json()["items"][0]["keys"]
    assert (key["name"], key["live"], key["flags"], key["last_used"]) == ("grafana", True, ["overdue", "redated"], None)
