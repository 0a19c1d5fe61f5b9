"""An account is known by what the platform keeps of it for good, and not by its name."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from reconcile.three_people import (
    ADDRESSED,
    BLOG,
    EVERY,
    PEOPLE,
    SHOP,
    about,
    apply,
    document,
    login,
    moves,
    plan_of,
    recreate,
    rename,
    rig_of,
)
from rig import NOW, Killed, part
from siteward.access.report import exit_code
from siteward.reconcile.apply.target import Acceptance
from siteward.reconcile.journal.journal import Journal
from siteward.reconcile.journal.reading import recall

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("platform", EVERY)
def test_another_account_under_a_known_name_gets_nothing(platform: str, tmp_path: Path) -> None:
    """Its gains are blocked, the plan leaves with 3, and apply gives it nothing, now and the next time."""
    rig = rig_of(tmp_path, platform)
    recreate(rig)
    for _ in range(2):
        report = rig.plan()
        assert all(step.blocked for step in part(report).steps)
        assert moves(report)
        assert exit_code(report) == 3
        assert [account.name for account in part(report).unmanaged if account.name == login(platform, "anna")]
        assert all(step.risk == "high" for step in part(report).steps if not step.effects("gap"))
        before = rig.access()
        apply(rig)
        assert rig.access() == before
    assert exit_code(rig.drift()) in {2, 3}


@pytest.mark.parametrize("platform", EVERY)
def test_another_account_with_the_same_access_is_told_too(platform: str, tmp_path: Path) -> None:
    """A world that looks the same is not: no `no changes`, and with `unmanaged: revoke` it is taken away."""
    rig = rig_of(tmp_path, platform)
    recreate(rig, access=True)
    report = rig.plan()
    assert part(report).steps == ()
    assert exit_code(report) == 3
    assert [diagnostic.blocks for diagnostic in about(report, "identity-mismatch")] == [True]
    rig.declare(document(platform, instance={"unmanaged": "revoke"}))
    taken = [move for move in moves(rig.plan()) if move[2] == "unmanaged"]
    assert [(SHOP in key, blocked) for key, blocked, _ in taken] == [(True, False)]


@pytest.mark.parametrize("platform", EVERY)
def test_what_ended_still_ends_and_nothing_is_deleted(platform: str, tmp_path: Path) -> None:
    """Suspended, absent or left: the access goes, the account of somebody else stays."""
    rig = rig_of(tmp_path, platform)
    recreate(rig, access=True)
    for anna in ({"state": "suspended"}, {"state": "absent"}):
        rig.declare(document(platform, anna=anna))
        steps = part(rig.plan()).steps
        assert [step.blocked for step in steps if SHOP in step.change.key] == [False]
        assert all(step.blocked for step in steps if step.change.key[0] == "account")
    without = document(platform)
    del without["users"]["anna"]
    without["grants"][0]["to"] = ["ben", "dora"]
    rig.declare(without | {"instances": document(platform, instance={"unmanaged": "remove"})["instances"]})
    report = rig.plan()
    assert [move[1:] for move in moves(report) if SHOP in move[0]] == [(False, "left")]
    assert all(step.blocked for step in part(report).steps if step.change.key[0] == "account")
    apply(rig)
    names = {account.name for account in rig.access().accounts()}
    assert login(platform, "anna") in names
    assert not [grant for grant in rig.access().grants() if grant.subject.name == login(platform, "anna")
                and grant.scope.name == SHOP]  # fmt: skip


@pytest.mark.parametrize("platform", EVERY)
def test_the_file_confirms_it(platform: str, tmp_path: Path) -> None:
    """`ids` names the live account; another id there is another account."""
    rig = rig_of(tmp_path, platform)
    recreate(rig)
    (told,) = {diagnostic.message for diagnostic in about(rig.plan(), "identity-mismatch")}
    now = told.partition("its id is ")[2].partition(", not ")[0]
    rig.declare(document(platform, anna={"ids": {"it": now}}))
    assert [blocked for _, blocked, _ in moves(rig.plan())] == [False]
    apply(rig)
    rig.declare(document(platform))
    assert moves(rig.plan()) == []
    assert about(rig.plan(), "identity-mismatch") == []
    rig.declare(document(platform, anna={"ids": {"it": "no-such-id"}}))
    assert exit_code(rig.plan()) == 3


@pytest.mark.parametrize("platform", EVERY)
def test_one_of_two_is_accepted(platform: str, tmp_path: Path) -> None:
    """`--accept identity:LOGIN@INSTANCE` is for one account; the other one's steps stay blocked."""
    rig = rig_of(tmp_path, platform)
    recreate(rig, "anna")
    recreate(rig, "ben")
    reviewed = plan_of(rig.plan())
    anna, ben = login(platform, "anna"), login(platform, "ben")
    accept = {f"identity:{anna}@it": Acceptance(digest=reviewed.digest[:23], reason="made anew for her")}
    report = rig.apply(reviewed, accept=accept)
    assert {(outcome.step.person, outcome.status) for outcome in report.outcomes} == {
        ("anna", "done"),
        ("ben", "blocked"),
    }
    again = rig.plan()
    assert {step.person for step in part(again).steps} == {"ben"}
    assert all(ben in " ".join(diagnostic.about) for diagnostic in about(again, "identity-mismatch"))
    assert '"kind":"waiver"' in (rig.journals.folder / "it.jsonl").read_text().replace(" ", "")


def test_an_acceptance_needs_sixteen_digits_and_the_right_instance(tmp_path: Path) -> None:
    """A shorter digest is refused; one for another instance lifts nothing here."""
    rig = rig_of(tmp_path, "umami")
    recreate(rig)
    reviewed = plan_of(rig.plan())
    short = rig.apply(reviewed, accept={"identity:anna@it": Acceptance(digest=reviewed.digest[:22], reason="x")})
    assert "accept-other-plan" in {diagnostic.code for diagnostic in short.diagnostics}
    other = rig.apply(reviewed, accept={"identity:anna@at": Acceptance(digest=reviewed.digest, reason="x")})
    assert {outcome.status for outcome in other.outcomes} == {"blocked"}


def test_an_acceptance_without_a_step_is_remembered_for_the_reviewed_account_alone(tmp_path: Path) -> None:
    """The account that was reviewed is known then; one that came after the review is not."""
    rig = rig_of(tmp_path, "umami")
    recreate(rig, access=True)
    reviewed = plan_of(rig.plan())
    accept = {"identity:anna@it": Acceptance(digest=reviewed.digest, reason="made anew for her")}
    recreate(rig, access=True)
    rig.apply(reviewed, accept=accept)
    assert exit_code(rig.plan()) == 3
    reviewed = plan_of(rig.plan())
    rig.apply(reviewed, accept={"identity:anna@it": Acceptance(digest=reviewed.digest, reason="made anew for her")})
    assert exit_code(rig.plan()) == 0


@pytest.mark.parametrize("platform", EVERY)
def test_a_saved_plan_notices_the_exchange(platform: str, tmp_path: Path) -> None:
    """Between plan and apply: the step is refused, and the next plan blocks."""
    rig = rig_of(tmp_path, platform)
    wider = document(platform, grants=[{"to": ["anna", "ben"], "role": "view", "sites": [SHOP, BLOG]}])
    rig.declare(wider)
    reviewed = plan_of(rig.plan())
    recreate(rig, access=True)
    report = rig.apply(reviewed)
    assert {(outcome.step.person, outcome.status) for outcome in report.outcomes} == {
        ("anna", "refused"),
        ("ben", "done"),
        ("dora", "done"),
    }
    assert {move[1] for move in moves(rig.plan())} == {True}


@pytest.mark.parametrize("platform", EVERY)
def test_what_our_own_step_made_is_known(platform: str, tmp_path: Path) -> None:
    """Somebody deleted an account; apply makes it anew, with another id, and the next plan has nothing to say."""
    rig = rig_of(tmp_path, platform)
    fake: Any = rig.fake
    if platform == "matomo":
        fake.state.delete_user(fake.state.user("anna"))
        fake.state.clock = lambda: NOW + timedelta(days=1)
    elif platform == "umami":
        user = fake.state.names.pop("anna")
        del fake.state.users[user.id]
    else:
        del fake.state.people[fake.state.named(login(platform, "anna")).id]
    fake._writes += 1
    before = recall(rig.journals.folder / "it.jsonl").memory
    assert before is not None
    reviewed = plan_of(rig.plan())
    rig.axe.wrote.clear()
    apply(rig)
    report = rig.plan()
    assert about(report, "identity-mismatch") == []
    assert moves(report) == []
    assert len(reviewed.instances[0].steps) >= 1


@pytest.mark.parametrize("platform", ["umami", "piwik-pro"])
def test_an_exchange_while_a_run_is_cut_off(platform: str, tmp_path: Path) -> None:
    """Killed after the account was made; another one stands there at the resume: it gets nothing."""
    carl = document(platform, grants=[{"to": [*PEOPLE, "carl"], "role": "view", "sites": SHOP}])
    carl["users"]["carl"] = {"email": "carl@example.org"}
    name, rig = login(platform, "carl"), rig_of(tmp_path, platform, known=False)
    rig.declare(carl)
    reviewed, journal = plan_of(rig.plan()), rig.journals.folder / "it.jsonl"
    rig.axe.due = lambda: journal.exists() and '"ids":{' in journal.read_text()
    with pytest.raises(Killed):
        rig.apply(reviewed)
    rig.axe.due = lambda: False
    recreate(rig, "carl")
    report = rig.apply(reviewed, resume=True)
    held = {grant.subject.name for grant in rig.access().grants() if grant.scope.name == SHOP}
    assert name not in held, [(outcome.step.change, outcome.status, outcome.message) for outcome in report.outcomes]
    assert all(blocked for key, blocked, _ in moves(rig.plan()) if name in key)


@pytest.mark.parametrize("platform", EVERY)
def test_a_run_that_is_cut_off_before_a_write_makes_nobody_known(
    platform: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The plan after it says what the plan before it said, but for the interruption itself."""
    rig = rig_of(tmp_path, platform, known=False, grants=[{"to": [*PEOPLE], "role": "view", "sites": [SHOP, BLOG]}])

    def said() -> tuple[Any, ...]:
        plan = part(rig.plan())
        codes = [diagnostic.code for diagnostic in plan.diagnostics if diagnostic.code != "unfinished-run"]
        return codes, [(step.change, step.risks, [found.code for found in step.diagnostics]) for step in plan.steps]

    before, reviewed = said(), plan_of(rig.plan())
    assert any("existing-account" in codes for _, _, codes in before[1])

    def killed(*_: object) -> None:
        raise Killed

    monkeypatch.setattr(Journal, "intend", killed)
    with pytest.raises(Killed):
        rig.apply(reviewed)
    assert (rig.journals.folder / "it.jsonl").read_text()
    assert said() == before


def test_another_address_at_the_first_meeting_is_accepted(tmp_path: Path) -> None:
    """Said once, it is known; and `ids` says it for good."""
    rig = rig_of(tmp_path, "matomo", known=False, anna={"email": "anna.other@example.org"})
    assert exit_code(rig.plan()) == 3
    reviewed = plan_of(rig.plan())
    accept = {"identity:anna@it": Acceptance(digest=reviewed.digest, reason="it is her")}
    statuses = {outcome.status for outcome in rig.apply(reviewed, accept=accept).outcomes}
    assert statuses <= {"done", "blocked"}
    assert about(rig.plan(), "identity-mismatch") == []


@pytest.mark.parametrize("platform", ["umami", "piwik-pro"])
def test_a_renamed_account_is_the_same_account(platform: str, tmp_path: Path) -> None:
    """No second account is made; the plan says which line to write, and drift tells the renaming."""
    rig = rig_of(tmp_path, platform)
    rename(rig, "anna.berg")
    for _ in range(2):
        report = rig.plan()
        assert moves(report) == []
        (told,) = about(report, "renamed-account")
        new = login(platform, "anna.berg")
        line = f"`email: {new}`" if platform in ADDRESSED else "`logins: {it: anna.berg}`"
        assert line in told.hint
        apply(rig)
    logins = {"logins": {"it": new}} if platform == "umami" else {"email": new}
    rig.declare(document(platform, anna=logins))
    report = rig.plan()
    assert moves(report) == []
    assert about(report, "renamed-account") == []
    assert about(report, "existing-account") == []


def test_drift_tells_a_renaming_once(tmp_path: Path) -> None:
    """It is one item, on the account; its grants have not moved."""
    rig = rig_of(tmp_path, "umami")
    rename(rig, "anna.berg")
    report = rig.drift()
    assert exit_code(report) == 2
    assert [(item.kind, item.live and item.live.key) for item in report.drift] == [
        ("changed-since", ("account", "anna.berg"))
    ]


def test_a_renamed_account_is_renamed_back_where_the_file_says_so(tmp_path: Path) -> None:
    """`previously` names what it is called now."""
    rig = rig_of(tmp_path, "umami")
    rename(rig, "anna.berg")
    rig.declare(document("umami", anna={"previously": ["anna.berg"]}))
    assert [move[2] for move in moves(rig.plan())] == ["renamed"]
    apply(rig)
    assert moves(rig.plan()) == []
    assert "anna" in {account.name for account in rig.access().accounts()}


@pytest.mark.parametrize("platform", ["umami", "piwik-pro"])
def test_a_squatter_under_the_old_name(platform: str, tmp_path: Path) -> None:
    """The person is found under the new name; who took the old one gets nothing and is not deleted."""
    rig = rig_of(tmp_path, platform, instance={"unmanaged": "remove"})
    rename(rig, "anna.berg")
    fake: Any = rig.fake
    if platform == "umami":
        fake.state.new_user("anna", "a long password", "view-only")
    else:
        person = fake.state.named("anna.berg@example.org")
        other = type(person)(id=str(uuid.uuid4()), email="anna@example.org", role="USER", added=person.added)
        fake.state.people[other.id] = other
    fake._writes += 1
    report = rig.plan()
    assert [move for move in moves(report) if not move[1] and "module" not in move[0]] == []
    assert {diagnostic.about[1] for diagnostic in about(report, "identity-mismatch")} == {login(platform, "anna")}
    assert len(about(report, "renamed-account")) == 1


def test_a_leaver_who_was_renamed_loses_access(tmp_path: Path) -> None:
    """Taken out of the file after the renaming: it is still the same account."""
    rig = rig_of(tmp_path, "umami")
    rename(rig, "anna.berg")
    without = document("umami", grants=[{"to": ["ben", "dora"], "role": "view", "sites": SHOP}])
    del without["users"]["anna"]
    rig.declare(without)
    assert [(key.split()[2], cause) for key, _, cause in moves(rig.plan())] == [("anna.berg", "left")]


def test_matomo_accounts_of_one_second_are_not_taken_for_each_other(tmp_path: Path) -> None:
    """A date is no number of its own: somebody made in the same second is not anna under another name."""
    rig = rig_of(tmp_path, "matomo")
    fake: Any = rig.fake
    fake.state.delete_user(fake.state.user("anna"))
    fake._writes += 1
    report = rig.plan()
    assert about(report, "renamed-account") == []
    assert ("account anna", False, "granted") in moves(report)


def test_a_changed_address_is_told_with_the_default_settings(tmp_path: Path) -> None:
    """The file has the old address, which is to be invited, and the new one is there undeclared."""
    rig = rig_of(tmp_path, "piwik-pro", known=False)
    rig.fake.state.named("anna@example.org").email = "anna.new@example.org"  # type: ignore[attr-defined]
    fake: Any = rig.fake
    fake._writes += 1
    for unmanaged in ("report", "revoke"):
        changed = document("piwik-pro", instance={"unmanaged": unmanaged})
        changed["grants"][0]["role"] = "view"
        rig.declare(changed)
        told = about(rig.plan(), "possible-address-change")
        assert told
        assert all("anna.new@example.org" in diagnostic.message for diagnostic in told)


def test_an_account_that_is_gone_is_not_made_under_the_id_of_the_file(tmp_path: Path) -> None:
    """A new account has another id than the file names."""
    rig = rig_of(tmp_path, "umami", known=False)
    anew = document("umami", grants=[{"to": [*PEOPLE, "carl"], "role": "view", "sites": SHOP}])
    anew["users"]["carl"] = {"ids": {"it": "8a6f"}}
    rig.declare(anew)
    report = rig.plan()
    assert [diagnostic.about for diagnostic in about(report, "identity-gone")] == [("account", "carl")]
    assert exit_code(report) == 3
