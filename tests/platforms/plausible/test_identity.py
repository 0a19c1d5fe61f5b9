"""Who a guest is: Community Edition shows the ids of people, the Sites API shows none."""

from __future__ import annotations

import json

from platforms.plausible.at import needs_postgres
from platforms.plausible.test_spine import scene, view
from siteward.access.diagnostic import Diagnostic
from siteward.access.model import account_key
from siteward.access.report import Report, exit_code
from siteward.platforms.plausible.fake.forms import CommunityFake

ANNA, NEW = "anna@example.org", "anna.berg@example.org"


def change(fake: object, *statements: str) -> None:
    """Do something to the tables behind everybody's back."""
    assert isinstance(fake, CommunityFake)
    with fake.tables.open() as connection:
        for statement in statements:
            connection.execute(statement)


def codes(report: Report) -> list[str]:
    return [diagnostic.code for diagnostic in _all(report)]


def test_the_database_shows_ids_and_an_invitation_has_none() -> None:
    """They are those of people, by address; who has not accepted yet is nobody there."""
    needs_postgres()
    with scene(view("anna", "ben", "carla"), "ce-3", edition="ce") as at:
        at.apply()
        last = json.loads((at.rig.journals.folder / "it.last.json").read_text())["memory"]
        assert ANNA in last["identities"]
        assert last["identities"][ANNA].isdecimal()
        assert "carla@example.org" not in last["identities"]


def test_another_person_under_a_known_address() -> None:
    """The account was deleted and made anew: it has what it had, and is somebody else's until that is confirmed."""
    needs_postgres()
    with scene(view("anna", "ben", "carla"), "ce-3", edition="ce") as at:
        at.apply()
        assert "identity-mismatch" not in codes(at.plan())
        change(
            at.fake,
            f"INSERT INTO users SELECT (jsonb_populate_record(users, jsonb_build_object('id', 9999, 'email', 'x@y.z'))).* FROM users WHERE email = '{ANNA}'",
            f"UPDATE team_memberships SET user_id = 9999 WHERE user_id = (SELECT id FROM users WHERE email = '{ANNA}')",
            f"DELETE FROM users WHERE email = '{ANNA}'",
            f"UPDATE users SET email = '{ANNA}' WHERE id = 9999",
        )
        report = at.plan()
        assert exit_code(report) == 3
        assert "identity-mismatch" in codes(report)


def test_a_person_with_a_new_address_is_the_same() -> None:
    """No invitation goes to the old address; the plan says which line to write."""
    needs_postgres()
    with scene(view("anna", "ben", "carla"), "ce-3", edition="ce") as at:
        at.apply()
        change(at.fake, f"UPDATE users SET email = '{NEW}' WHERE email = '{ANNA}'")
        report = at.plan()
        assert report.plan is not None
        assert report.plan.instances[0].steps == ()
        (told,) = [found for found in report.plan.instances[0].diagnostics if found.code == "renamed-account"]
        assert told.about == account_key(NEW)
        assert f"`email: {NEW}`" in (told.hint or "")


def test_no_account_ids_where_the_api_shows_none() -> None:
    """On the Sites API identity is by address: nothing is remembered, and `ids` is refused at its place."""
    with scene(view("anna", "ben", "carla")) as at:
        at.apply()
        last = json.loads((at.rig.journals.folder / "it.last.json").read_text())["memory"]
        assert "identities" not in last
        users = {name: {"email": f"{name}@example.org"} for name in ("anna", "ben", "carla")}
        document = json.loads((at.rig.folder / "access.yaml").read_text())
        at.rig.declare(document | {"users": users | {"anna": {"email": ANNA, "ids": {"it": 7}}}})
        report = at.plan()
        assert "no-account-ids" in codes(report)
        assert exit_code(report) == 1


def test_a_changed_address_is_told_where_unmanaged_is_reported() -> None:
    """The old address in the file is to be invited to exactly what the new one, undeclared, has."""
    users = {name: {"email": f"{name}@example.org"} for name in ("ben", "carla")}
    with scene(view("anna", "ben"), users=users | {"anna": {"email": "anna.old@example.org"}}) as at:
        told = [found for found in _all(at.plan()) if found.code == "possible-address-change"]
        assert told
        assert all(ANNA in found.message and "anna.old@example.org" in found.message for found in told)


def _all(report: Report) -> list[Diagnostic]:
    assert report.plan is not None, report.diagnostics
    (part,) = report.plan.instances
    return [*part.diagnostics, *(diagnostic for step in part.steps for diagnostic in step.diagnostics)]


def test_a_new_address_looks_like_one_who_left_and_one_who_came() -> None:
    """MAPPING.md section 2: the address is all the identity there is; with another role it is nobody's."""
    users = {"ben": {"email": "ben@example.org"}, "anna": {"email": "anna.new@example.org"}}
    for role, count in (("view", 2), ("edit", 0)):
        grants = [*view("ben"), {"to": "anna", "role": role, "sites": "shop.example.org"}]
        with scene(grants, users=users, unmanaged="revoke") as at:
            assert codes(at.plan()).count("possible-address-change") == count
