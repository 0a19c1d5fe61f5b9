"""What an end date or a start causes: which steps it is, on every platform, and that nothing else stands in its way."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from rig import NOW, Rig, part
from siteward import platforms
from siteward.access.model import EVERYWHERE, Grant
from siteward.access.report import exit_code
from siteward.platforms.fakery import World, WorldAccount, WorldGrant, WorldSite
from siteward.reconcile.apply.revalidate import Allowance
from siteward.reconcile.plan import Run, plan
from siteward.reconcile.revisions.base_policy import BasePolicy
from siteward.reconcile.selection import Selection
from siteward.render import render
from siteward.render.context import Options

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from siteward.access.plan import Step
    from siteward.access.report import Report

SHOP, BLOG = "shop.example.org", "blog.example.org"
ENDED = "2026-12-31"
LATER = datetime(2027, 1, 1, 3, tzinfo=UTC)
"""The night after the end."""
PLATFORMS: dict[str, tuple[str, dict[str, Any]]] = {
    "umami": ("3.2", {"self": "siteward", "layout": "per-site", "accept_blind": ["board-links"]}),
    "matomo": ("5.3", {"self": "root"}),
}
ADMIN = {"umami": ("admin", "admin"), "matomo": ("superuser", "admin")}
HIGH = {"umami": "team-manager", "matomo": "admin"}
LOW = {"umami": "team-view-only", "matomo": "view"}


class Confirmed(Rig):
    """A rig on which more than the file says whose the credentials are."""

    def declare(self, document: Mapping[str, Any]) -> None:
        super().declare(document)
        own = self.project.declaration.instances["it"].self_account or ""
        env = {**self.instance.env, "SITEWARD_IT_SELF": own}
        self.instance = replace(self.instance, env=env, self_account=own)


def document(platform: str, *grants: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return a file about anna and ben, with wide limits."""
    names = ("removals", "revocations", "escalations", "expiries", "mails")
    limits = {name: {"count": 99, "percent": 100} for name in names}
    return {
        "version": 1,
        "instances": {"it": {"platform": platform, "url": "http://127.0.0.1:1"} | PLATFORMS[platform][1]},
        "users": {name: {"email": f"{name}@example.org"} for name in ("anna", "ben")},
        "policy": {"admins": {"min": 2}, "limits": limits | more.pop("limits", {})},
        "grants": list(grants),
        **more,
    }


def rig_of(folder: Path, declared: dict[str, Any], *, admins: tuple[str, ...] = (), sites: tuple[str, ...] = ()) -> Rig:
    """Return a rig whose server has anna and ben, some of them admins, and nothing else."""
    platform = declared["instances"]["it"]["platform"]
    top = {"umami": "admin", "matomo": "superuser"}[platform]
    start = World(
        accounts=tuple(
            WorldAccount(login=name, email=f"{name}@example.org", role=top if name in admins else None)
            for name in ("anna", "ben")
        ),
        sites=tuple(WorldSite(name=site, domain=site) for site in (SHOP, BLOG)),
        grants=tuple(WorldGrant(account=name, site=SHOP, role=HIGH[platform]) for name in sites),
    )
    fake = platforms.fake(platform).of(start, PLATFORMS[platform][0], clock=lambda: NOW)
    return Confirmed(folder, fake, declared)


def settle(rig: Rig) -> None:
    """Apply what the file asks for now."""
    report = rig.plan()
    assert report.plan is not None
    done = rig.apply(report.plan)
    assert {outcome.status for outcome in done.outcomes} <= {"done", "already"}, done.outcomes


def due(report: Report) -> dict[str, str | None]:
    """Return why by a date each step is due, by person and place."""
    return {f"{step.person} {step.change.key[-1]}": step.due for step in part(report).steps}


def only(report: Report) -> Step:
    (found,) = part(report).steps
    return found


MANAGE = {"to": "anna", "role": "manage", "sites": SHOP}
VIEW = {"to": "anna", "role": "view", "sites": SHOP}


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_lowering_to_what_remains_is_due_by_the_end(platform: str, tmp_path: Path) -> None:
    """Manage until the end of the year and view for good: the step down is the end's doing."""
    rig = rig_of(tmp_path, document(platform, MANAGE | {"until": ENDED}, VIEW))
    settle(rig)
    step = only(rig.plan(as_of=LATER))
    assert (step.due, step.waits, step.blocked) == ("end", False, False)
    assert step.change.after is not None


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("where", ["grant", "user", "membership"])
def test_a_time_boxed_admin_ends_though_no_other_is_declared(where: str, platform: str, tmp_path: Path) -> None:
    """Who has ended never counted towards `admins.min`; that too few are left is a warning."""
    grant: dict[str, Any] = {"to": "anna", "role": "admin", "on": "it"}
    users: dict[str, Any] = {name: {"email": f"{name}@example.org"} for name in ("anna", "ben")}
    groups: dict[str, Any] = {"bosses": ["ben"]}
    if where == "grant":
        grant["until"] = ENDED
    elif where == "user":
        users["anna"]["until"] = ENDED
    else:
        grant["to"], groups = "bosses", {"bosses": [{"user": "anna", "until": ENDED}]}
    rig = rig_of(tmp_path, document(platform, grant, users=users, groups=groups), admins=("anna",))
    settle(rig)
    report = rig.plan(as_of=LATER)
    top = next(step for step in part(report).steps if step.change.key[-2:] == (EVERYWHERE.kind, EVERYWHERE.name))
    assert (top.due, top.blocked) == ("end", False), top.diagnostics
    codes = {diagnostic.code for diagnostic in part(report).diagnostics if not diagnostic.blocks}
    assert "below-min-admins" in codes
    assert not any(diagnostic.blocks for diagnostic in part(report).diagnostics)


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_time_boxed_admin_ends_under_the_rules_of_a_base_too(platform: str, tmp_path: Path) -> None:
    """The base asks for more admins than the branch does."""
    grant = {"to": "anna", "role": "admin", "on": "it", "until": ENDED}
    base = rig_of(tmp_path / "base", document(platform, grant), admins=("anna",)).project.declaration
    lax = document(platform, grant)
    lax["policy"]["admins"]["min"] = 1
    rig = rig_of(tmp_path / "head", lax, admins=("anna",))
    settle(rig)
    judged = BasePolicy(head=rig.project.declaration, ref="main", base=base, fork=base)
    rig.project = replace(rig.project, base_policy=judged)
    top = next(step for step in part(rig.plan(as_of=LATER)).steps if step.change.key[-2:] == ("instance", ""))
    assert (top.due, top.blocked) == ("end", False), top.diagnostics
    assert "below-min-admins" in said(rig.plan(as_of=LATER))


def night(rig: Rig, word: str, *, as_of: datetime = LATER) -> Report:
    """Plan the part for a night as the job does, and apply it."""
    only = Selection(words=(word,), domains={})
    allowance = Allowance(accept={}, allow_delete=False, passwords=rig.passwords)
    run = Run(created=NOW, as_of=as_of, as_of_given=True, allowance=allowance, only=only)
    report = plan(rig.project, [rig.instance], rig.journals, run)
    assert report.plan is not None
    return rig.apply(report.plan, as_of=as_of)


def left(report: Report) -> list[str]:
    return [f"{step.person} {step.change.key[-1]}" for step in part(report).left_out]


def said(report: Report) -> set[str]:
    return {diagnostic.code for diagnostic in part(report).diagnostics}


START = {"to": "ben", "role": "view", "sites": BLOG, "from": "2027-01-01"}


@pytest.mark.parametrize("platform", PLATFORMS)
def test_an_agreed_start_begins_by_itself(platform: str, tmp_path: Path) -> None:
    """The line was in the file at the last completed apply: `dates` gives it, `expiries` does not."""
    rig = rig_of(tmp_path, document(platform, VIEW, START))
    settle(rig)
    assert left(night(rig, "expiries")) == [f"ben {BLOG}"]
    done = night(rig, "dates")
    assert [outcome.status for outcome in done.outcomes] == ["done"]
    assert ("grant", "account", "ben", "site", BLOG) in rig.access()


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_start_that_nobody_agreed_to_waits_and_is_named(platform: str, tmp_path: Path) -> None:
    """The line came after the last completed apply: it was merged, and not applied."""
    rig = rig_of(tmp_path, document(platform, VIEW))
    settle(rig)
    rig.declare(document(platform, VIEW, START))
    report = night(rig, "dates")
    assert (left(report), "waits-for-plan" in said(report), exit_code(report)) == ([f"ben {BLOG}"], True, 3)
    assert ("grant", "account", "ben", "site", BLOG) not in rig.access()
    assert due(rig.plan(as_of=LATER)) == {f"ben {BLOG}": "start"}


def test_a_plan_tells_of_starts_to_come_until_an_apply_has_them(tmp_path: Path) -> None:
    """An apply of the empty plan is enough, and then the night job begins them."""
    rig = rig_of(tmp_path, document("umami", VIEW))
    settle(rig)
    rig.declare(document("umami", VIEW, START))
    assert part(rig.plan()).steps == ()
    assert "begins-later" in said(rig.plan())
    settle(rig)
    assert "begins-later" not in said(rig.plan())
    assert [outcome.status for outcome in night(rig, "dates").outcomes] == ["done"]


def test_a_part_is_no_completed_apply(tmp_path: Path) -> None:
    """A night job agrees to nothing: the line it met and left out waits the next night too."""
    rig = rig_of(tmp_path, document("umami", VIEW | {"until": ENDED}))
    settle(rig)
    rig.declare(document("umami", VIEW | {"until": ENDED}, START))
    assert left(night(rig, "dates")) == [f"ben {BLOG}"]
    assert left(night(rig, "dates")) == [f"ben {BLOG}"]


@pytest.mark.parametrize("agreed", [True, False])
def test_the_end_of_an_admin_gives_back_what_stood_below(agreed: bool, tmp_path: Path) -> None:  # noqa: FBT001
    """Matomo's admins have no site grants; the one that stands in the file comes back with the end, if it is not new."""
    admin = {"to": "anna", "role": "admin", "on": "it", "until": ENDED}
    rig = rig_of(tmp_path, document("matomo", admin, VIEW) if agreed else document("matomo", admin), admins=("anna",))
    settle(rig)
    rig.declare(document("matomo", admin, VIEW))
    report = night(rig, "expiries")
    assert {outcome.status for outcome in report.outcomes} == {"done"}, [o.message for o in report.outcomes]
    assert ("grant", "account", "anna", "instance", "") not in rig.access()
    assert (("grant", "account", "anna", "site", SHOP) in rig.access()) is agreed
    assert left(report) == ([] if agreed else [f"anna {SHOP}"])
    assert ("waits-for-plan" in said(report)) is not agreed


def test_an_admin_ends_beside_a_grant_that_is_not_applied_yet(tmp_path: Path) -> None:
    """The demotion waits for no grant that a merge has brought: it is not part of the night."""
    admin = {"to": "anna", "role": "admin", "on": "it", "until": ENDED}
    rig = rig_of(tmp_path, document("umami", admin), admins=("anna",))
    settle(rig)
    rig.declare(document("umami", admin, VIEW))
    report = night(rig, "expiries")
    assert [outcome.status for outcome in report.outcomes] == ["done"]
    assert left(report) == [f"anna {SHOP}"]


@pytest.mark.parametrize("platform", PLATFORMS)
def test_ends_go_on_beside_a_row_in_error(platform: str, tmp_path: Path) -> None:
    """A typo about the same person keeps no end from coming, and the exit tells of it."""
    rig = rig_of(tmp_path, document(platform, MANAGE | {"until": ENDED}, VIEW))
    settle(rig)
    rig.declare(document(platform, MANAGE | {"until": ENDED}, VIEW, START | {"to": ["anna", "bne"]}))
    report = night(rig, "expiries")
    assert [outcome.status for outcome in report.outcomes] == ["done"]
    assert exit_code(report) == 1


def test_a_large_pending_change_keeps_no_end_from_coming(tmp_path: Path) -> None:
    """Limits judge the part that is asked for; what else waits does not count."""
    limits = {"revocations": {"count": 0}, "removals": {"count": 0}}
    ended = document("umami", VIEW | {"until": ENDED}, VIEW | {"to": "ben"}, limits=limits)
    rig = rig_of(tmp_path, ended)
    settle(rig)
    rig.declare(document("umami", VIEW | {"until": ENDED}, limits=limits))
    assert part(rig.plan(as_of=LATER)).blocked
    report = night(rig, "dates")
    assert [outcome.status for outcome in report.outcomes] == ["done"]
    assert left(report) == [f"ben {SHOP}"]


def test_mode_add_only_lets_a_lowering_by_date_happen(tmp_path: Path) -> None:
    """It takes what the file names as ended."""
    declared = document("umami", MANAGE | {"until": ENDED}, VIEW)
    declared["instances"]["it"]["mode"] = "add-only"
    rig = rig_of(tmp_path, declared)
    settle(rig)
    assert only(rig.plan(as_of=LATER)).due == "end"


def test_time_never_goes_back(tmp_path: Path) -> None:
    """A given moment before one that the journal has gives nothing; `plan` shows it as a rehearsal; ends go on."""
    back = datetime(2026, 12, 15, tzinfo=UTC)
    rig = rig_of(tmp_path, document("umami", VIEW | {"until": ENDED}, VIEW | {"to": "ben", "until": "2026-12-01"}))
    settle(rig)
    night(rig, "expiries")
    allowance = Allowance(accept={}, allow_delete=False, passwords=rig.passwords)
    run = Run(created=NOW, as_of=back, as_of_given=True, allowance=allowance)
    report = plan(rig.project, [rig.instance], rig.journals, run)
    assert "as-of-behind-record" in said(report)
    assert exit_code(report) == 2
    assert report.plan is not None
    done = rig.apply(report.plan, as_of=back)
    assert [(outcome.status, outcome.step.person) for outcome in done.outcomes] == [("blocked", "anna")]
    assert exit_code(done) == 3
    assert ("grant", "account", "anna", "site", SHOP) not in rig.access()


def test_drift_says_when_dates_were_last_carried_out(tmp_path: Path) -> None:
    """A run of a part by person does not count; one of the dates does."""
    rig = rig_of(tmp_path, document("umami", VIEW | {"until": ENDED}))
    settle(rig)
    (found,) = (item for item in rig.drift().diagnostics if item.code == "dates-carried-out")
    assert found.message == "dates were last carried out for 2026-11-22 12:00Z; nothing is due by an end date now"
    assert found.message in render("text", rig.drift())
    assert found.message in render("markdown", rig.drift())
    night(rig, "dates")
    (found,) = (item for item in rig.drift().diagnostics if item.code == "dates-carried-out")
    assert found.message == "dates were last carried out for 2027-01-01 03:00Z; nothing is due by an end date now"


EMAILS = {name: f"{name}@example.org" for name in ("anna", "ben")}
BY_EMAIL: dict[str, tuple[str, dict[str, Any], str]] = {
    "piwik-pro": ("current", {"self": "siteward@example.org"}, "edit"),
    "plausible": (
        "enterprise",
        {
            "self": "siteward@example.org",
            "role_change": "reinvite",
            "accept_blind": ["team-members", "shared-links"],
            "team_members": {"olga@example.org": "owner"},
        },
        "editor",
    ),
}


def rig_by_email(folder: Path, platform: str, declared: dict[str, Any], *, top: bool = False) -> Rig:
    """Return a rig on a platform whose logins are addresses; anna edits the shop, or is an owner."""
    release, settings, role = BY_EMAIL[platform]
    declared["instances"]["it"] = {"platform": platform, "url": "http://127.0.0.1:1"} | settings
    accounts = [WorldAccount(login="siteward@example.org", role="owner")]
    accounts += [
        WorldAccount(login=email, email=email, role="owner" if top and name == "anna" else None)
        for name, email in EMAILS.items()
    ]
    plausible = platform == "plausible"
    start = World(
        accounts=(WorldAccount(login="olga@example.org", role="owner"),) if plausible else tuple(accounts),
        sites=tuple(WorldSite(name=site, domain=site) for site in (SHOP, BLOG)),
        grants=() if top else (WorldGrant(account=EMAILS["anna"], site=SHOP, role=role),),
        more={"limits": False} if plausible else {"self": "siteward@example.org", "throttles": False},
    )
    return Confirmed(folder, platforms.fake(platform).of(start, release, clock=lambda: NOW), declared)


@pytest.mark.parametrize("platform", BY_EMAIL)
def test_a_lowering_is_due_on_platforms_with_addresses_too(platform: str, tmp_path: Path) -> None:
    edit = {"to": "anna", "role": "edit", "sites": SHOP, "until": ENDED}
    rig = rig_by_email(tmp_path, platform, document("umami", edit, VIEW))
    settle(rig)
    steps = [step for step in part(rig.plan(as_of=LATER)).steps if step.change.key[-1] == SHOP]
    assert [step.due for step in steps] == ["end"]


def test_an_owner_of_piwik_pro_ends_though_no_other_is_declared(tmp_path: Path) -> None:
    owner = {"to": "anna", "role": "admin", "on": "it", "until": ENDED}
    rig = rig_by_email(tmp_path, "piwik-pro", document("umami", owner, VIEW), top=True)
    settle(rig)
    top = next(step for step in part(rig.plan(as_of=LATER)).steps if step.change.key[-2:] == ("instance", ""))
    assert (top.due, top.blocked) == ("end", False), top.diagnostics
    assert due(rig.plan(as_of=LATER))[f"anna {SHOP}"] == "end"


def test_extras_of_a_line_that_ended_are_taken(tmp_path: Path) -> None:
    """The role remains, the capability ends."""
    role = {"tagger": {"matomo": {"role": "view", "extras": ["tagmanager_write"]}}}
    line = {"to": "anna", "role": "tagger", "sites": SHOP, "until": ENDED}
    plain = {"to": "anna", "role": "view", "sites": SHOP, "extras": []}
    rig = rig_of(tmp_path, document("matomo", line, plain, roles=role))
    settle(rig)
    step = only(rig.plan(as_of=LATER))
    assert isinstance(step.change.after, Grant)
    assert (step.due, step.change.after.extras) == ("end", frozenset())


def test_a_second_way_that_still_holds_keeps_everything(tmp_path: Path) -> None:
    """One membership ends, another leads to the same: there is nothing to do."""
    groups = {"a": [{"user": "anna", "until": ENDED}], "b": ["anna"]}
    rig = rig_of(tmp_path, document("umami", VIEW | {"to": "a"}, VIEW | {"to": "b"}, groups=groups))
    settle(rig)
    assert part(rig.plan(as_of=LATER)).steps == ()


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2)])
def test_what_ended_last_is_why_access_is_over(order: tuple[int, int, int], tmp_path: Path) -> None:
    """Of a phase that ended, one that ended after it and one to come, the second is named, whatever the order of lines."""
    lines = (
        MANAGE | {"until": "2026-12-15", "reason": "builds it"},
        VIEW | {"until": ENDED, "reason": "watches it"},
        VIEW | {"from": "2027-06-01", "reason": "comes back"},
    )
    rig = rig_of(tmp_path, document("umami", *(lines[number] for number in order)))
    settle(rig)
    step = only(rig.plan(as_of=LATER))
    assert (step.cause, step.due) == ("expired", "end")
    assert step.origin is not None
    assert step.origin.reason == "watches it"


def test_what_is_taken_for_another_reason_is_not_due(tmp_path: Path) -> None:
    """A line taken out of the file beside an end of somebody else: only the end is due."""
    rig = rig_of(tmp_path, document("umami", VIEW | {"until": ENDED}, VIEW | {"to": "ben"}))
    settle(rig)
    rig.declare(document("umami", VIEW | {"until": ENDED}))
    assert due(rig.plan(as_of=LATER)) == {f"anna {SHOP}": "end", f"ben {SHOP}": None}


def test_a_person_in_a_selection_is_hidden_where_names_are(tmp_path: Path) -> None:
    """The words of `--only` may hold a login."""
    rig = rig_of(tmp_path, document("umami", VIEW))
    only = Selection(words=("user:ann.b",), domains={})
    report = rig.plan()
    assert report.plan is not None
    shown = replace(
        report, plan=replace(report.plan, only=only.words), accounts={"it": {"ann.b": "anna", "anna": "anna"}}
    )
    for privacy in ("handles", "counts"):
        for name in ("text", "markdown", "json", "html"):
            assert "ann.b" not in render(name, shown, Options(privacy=privacy))
