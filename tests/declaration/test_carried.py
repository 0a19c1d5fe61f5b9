"""What the keys of a file become: each reaches the declared values."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from declaration.tables import HEAD, read_text
from siteward.access.api_key import ApiKey
from siteward.access.model import Power
from siteward.access.policy import Policy, Waiver, strictest
from siteward.declaration.build import Builder
from siteward.declaration.declared import Ldap, Location, User
from siteward.declaration.directories import build_directories
from siteward.declaration.document import Document
from siteward.declaration.grammar import fitted
from siteward.declaration.policies import Known, Policies
from siteward.declaration.references import Names
from siteward.declaration.source import Source
from siteward.declaration.yaml_reader import read

CASE = Path(__file__).parent / "cases" / "unknown-user--group-of-a-directory" / "access.yaml"


def _document() -> tuple[Source, Document]:
    """Return a file with directories and a policy."""
    source, _ = read(str(CASE), CASE.read_text(encoding="utf-8"))
    assert source is not None
    row = fitted(source.data, Document, source)
    assert isinstance(row, Document)
    return source, row


def _user(folder: Path, written: str) -> User:
    """Return a user as far as the file can be used."""
    loaded = read_text(folder, f"{HEAD}users:\n  nora: {written}\n")
    assert loaded.usable is not None
    return loaded.usable.users["nora"]


def test_a_user_s_id_tags_and_attests(tmp_path: Path) -> None:
    user = _user(tmp_path, "{id: 7, tags: [lead, acme], attests: {nda: 2026-05-01}}")
    assert (user.id, user.tags) == ("7", frozenset({"lead", "acme"}))
    assert user.attests == {"nda": datetime(2026, 5, 1, tzinfo=UTC)}


def test_a_user_s_keys_and_access_elsewhere(tmp_path: Path) -> None:
    key = "{name: grafana, on: stats, holds: view, rotates: 365d, since: 2026-05-02, used_by: Grafana}"
    user = _user(tmp_path, f"{{keys: [{key}], also: [a shared password]}}")
    since = datetime(2026, 5, 2, tzinfo=UTC)
    assert user.keys == (
        ApiKey(name="grafana", on="stats", holds=Power.VIEW, rotates=365, since=since, used_by="Grafana"),
    )
    assert user.also == ("a shared password",)


def test_a_group_s_purpose_and_former_names(tmp_path: Path) -> None:
    text = "groups: {all: {members: [nora], description: Reads reports, ticket: 7, previously: everybody}}\n"
    loaded = read_text(tmp_path, f"{HEAD}users: {{nora: {{}}}}\n{text}")
    assert loaded.usable is not None
    group = loaded.usable.groups["all"]
    assert (group.description, group.ticket, group.previously) == ("Reads reports", "7", ("everybody",))


def test_a_directory_is_a_file_or_a_server() -> None:
    source, row = _document()
    staff, hq = build_directories(row.directories, source, [], {"staff": "people/staff.yaml"}).values()
    assert (staff.file, staff.written, staff.ldap, hq.file) == ("people/staff.csv", "people/staff.yaml", None, None)
    attributes = {"id": "entryUUID", "handle": "uid", "email": "mail", "name": "cn"}
    assert hq.ldap == Ldap(url="ldaps://ldap.example.org", base="dc=example,dc=org", filter="(mail=*)", map=attributes)
    assert hq.shrink is not None
    assert (hq.shrink.count, hq.shrink.percent) == (5, 10)
    assert (hq.at_least, hq.witnesses) == (4500, ("anna", "ben"))


def test_a_policy_s_reviews_and_managers() -> None:
    source, row = _document()
    known = Known(instances=("stats",), groups=Names(["analysts"]), rules=frozenset(), attested=frozenset(), whole=True)
    builder = Builder(source, UTC)
    policy = Policies(builder, known).laid_whole(row.policy, Location(source, ("policy",)))
    assert builder.diagnostics == []
    assert policy.managers_min == 1
    assert policy.reviews == {"admins": 90, "services": 365, "everybody": 365}
    assert [(rule.at_most_for, rule.not_with, rule.login) for rule in policy.rules] == [
        (90, None, None), (None, "analysts", None), (None, None, None), (None, None, "*@example.org"),
    ]  # fmt: skip


def test_a_policy_s_waivers(tmp_path: Path) -> None:
    """Every instance has them, with their place and their end as the file says it."""
    row = "{rule: public-access, on: stats, about: blog, reason: press, until: 2027-06-30, seen: 1f0c9b2d77aa03e4}"
    loaded = read_text(tmp_path, f"{HEAD}policy:\n  timezone: Europe/Berlin\n  waivers:\n    - {row}\n")
    assert loaded.declaration is not None
    (waiver,) = loaded.declaration.instances["stats"].policy.waivers
    assert (waiver.rule, waiver.on, waiver.about) == ("public-access", ("stats",), "blog")
    assert (waiver.until, waiver.ends) == (datetime(2027, 6, 30, 22, tzinfo=UTC), "2027-06-30")
    assert (waiver.reason, waiver.seen) == ("press", "1f0c9b2d77aa03e4")
    assert waiver.at is not None
    assert waiver.at.line == HEAD.count("\n") + 4


WAIVER = Waiver(rule="public-access", reason="press page", until=datetime(2027, 7, 1, tzinfo=UTC), seen="0" * 16)


@pytest.mark.parametrize("turned", [False, True])
def test_of_two_policies_the_shorter_time_and_the_common_waivers_hold(turned: bool) -> None:  # noqa: FBT001
    """A change can neither put off a review, nor lower a number, nor bring its own waiver along."""
    one = Policy(managers_min=1, reviews={"admins": 90, "services": 30}, waivers=(WAIVER,))
    other = Policy(managers_min=2, reviews={"admins": 30, "everybody": 365})
    found = strictest(other, one) if turned else strictest(one, other)
    assert found.managers_min == 2
    assert found.reviews == {"admins": 30, "services": 30, "everybody": 365}
    assert found.waivers == ()
    assert strictest(one, one) == one


def test_an_instance_has_its_own_number_of_managers(tmp_path: Path) -> None:
    """It replaces the file's, as other numbers do."""
    text = (
        HEAD.replace("layout: per-site", "layout: per-site, policy: {managers: {min: 2}}")
        + "policy: {managers: {min: 1}}\n"
    )
    loaded = read_text(tmp_path, text)
    assert loaded.declaration is not None
    policy = loaded.declaration.instances["stats"].policy
    assert (policy.managers_min, policy.managers_at and policy.managers_at.line) == (2, 3)
