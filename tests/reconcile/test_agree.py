"""Plan, drift, matrix, who-can and explain on sandboxes: nobody calls in sync who holds more than is declared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from promises.small import Somebody, made
from promises.small import rig as small_rig
from rig import NOW, Rig, part
from siteward import platforms
from siteward.access.effective import ledger
from siteward.access.model import Power, Scope
from siteward.access.report import exit_code
from siteward.platforms.fakery import World, WorldAccount, WorldGrant, WorldSite
from siteward.platforms.matomo.fake import MatomoFake
from siteward.platforms.matomo.fake.state import UserGroup
from siteward.reconcile.apply.revalidate import Allowance
from siteward.reconcile.explain import Right, explain, holdings, right_of
from siteward.reconcile.plan import Run, plan_and_survey
from siteward.render import render
from siteward.render.context import Options

if TYPE_CHECKING:
    from pathlib import Path

    from siteward.access.effective import Holding
    from siteward.access.explanation import Explanation, Grantee
    from siteward.access.report import Report

SHOP, BLOG = "shop.example.org", "blog.example.org"
TAGS = "tagmanager_write"
OWNER = "siteward@example.org"
ANNA, KIM = {"matomo": "anna", "piwik-pro": "anna@example.org"}, {"matomo": "kim", "piwik-pro": "kim@example.org"}


def rig_of(folder: Path, platform: str, *grants: WorldGrant, file: list[dict[str, Any]], **instance: Any) -> Rig:
    """Return a rig on which anna and kim are in a group outside the file that manages the blog."""
    people = (ANNA[platform], KIM[platform])
    accounts = tuple(WorldAccount(login=name, email=f"{name.partition('@')[0]}@example.org") for name in people)
    group = {"name": "editors", "members": list(people), "sites": {BLOG: "manage"}}
    owner = (WorldAccount(login=OWNER, role="owner"),) if platform == "piwik-pro" else ()
    fake = platforms.fake(platform).of(
        World(
            accounts=(*owner, *accounts),
            sites=(WorldSite(name=SHOP, domain=SHOP), WorldSite(name=BLOG, domain=BLOG)),
            grants=grants,
            more={"self": OWNER, "throttles": False, "groups": [group]} if owner else {},
        ),
        {"matomo": "5.3", "piwik-pro": "current"}[platform],
        clock=lambda: NOW,
    )
    if isinstance(fake, MatomoFake):
        fake.state.plugins["GroupPermissions"] = True
        fake.state.groups = {1: UserGroup("editors", list(people), {2: "admin"})}
    wide = {"count": 1000, "percent": 100}
    declared = {
        "version": 1,
        "instances": {
            "it": {
                "platform": platform,
                "url": "http://127.0.0.1:1",
                "self": {"matomo": "root", "piwik-pro": OWNER}[platform],
                **instance,
            }
        },
        "users": {name: {"email": f"{name}@example.org"} for name in ("anna", "kim")},
        "roles": {"plain": {platform: {"role": "view", "extras": []}}} if platform == "matomo" else {},
        "grants": file,
        "policy": {
            "admins": {"min": 1},
            "limits": dict.fromkeys(("removals", "revocations", "escalations", "expiries", "mails"), wide),
        },
    }
    return Rig(folder, fake, declared)


class Told:
    """What each verb says of one instance."""

    def __init__(self, rig: Rig) -> None:
        run = Run(created=NOW, as_of=NOW, allowance=Allowance(accept={}, allow_delete=True, passwords=rig.passwords))
        self.rig = rig
        self.report, (self.survey,) = plan_and_survey(rig.project, [rig.instance], rig.journals, run)
        self.drift = rig.drift()
        self.plan = part(self.report)

    def holding(self, account: str, site: str) -> Holding:
        """Return what matrix and review show."""
        survey = self.survey
        found = ledger("it", "", survey.desired, survey.live, survey.traits)
        entry = next(entry for entry in found.entries if entry.account == account)
        return next(holding for holding in entry.holdings if holding.scope == Scope("site", site))

    def explanation(self, account: str, site: str) -> Explanation:
        (found,) = explain(self.rig.project.declaration, self.survey, self.plan, account, site)
        return found

    def grantees(self, right: Power | Right, site: str) -> dict[str, Grantee]:
        rows = holdings(self.rig.project.declaration, self.survey, right, site)
        return {row.account: row for row in rows}


def text(report: Report) -> str:
    return render("text", report, Options())


VIEW_BLOG = [{"to": ["anna", "kim"], "role": "view", "sites": BLOG}]
MANAGE_BLOG = [{"to": ["anna", "kim"], "role": "manage", "sites": BLOG}]


def given(platform: str, role: str) -> tuple[WorldGrant, ...]:
    return tuple(WorldGrant(account=name[platform], site=BLOG, role=role) for name in (ANNA, KIM))


@pytest.mark.parametrize("platform", ["matomo", "piwik-pro"])
@pytest.mark.parametrize("blind", [{}, {"accept_blind": ["group-permissions"]}])
def test_what_a_group_outside_the_file_gives_is_a_difference_everywhere(
    tmp_path: Path, platform: str, blind: dict[str, Any]
) -> None:
    """The file gives view, a group gives manage: told by name in every verb, and accepting a blind spot covers nothing."""
    told = Told(
        rig_of(tmp_path, platform, *given(platform, "view"), file=VIEW_BLOG, **(blind if platform == "matomo" else {}))
    )
    anna, native = ANNA[platform], {"matomo": "admin", "piwik-pro": "manage"}[platform]
    assert told.plan.steps == ()
    said = [diagnostic for diagnostic in told.plan.diagnostics if diagnostic.code == "held-by-group"]
    assert [diagnostic.differs for diagnostic in said] == [True, True]
    assert f"{anna} has {native} on {BLOG} (view declared): held by group editors" in said[0].message
    assert exit_code(told.report) == exit_code(told.drift) == 2
    assert "equals the declaration" not in text(told.report)
    assert "no drift" not in text(told.drift)
    assert "held by group editors" in text(told.drift)
    assert "next: declare what differs" in text(told.report)
    assert {item.live.subject.name for item in told.drift.drift} == {anna, KIM[platform]}  # type: ignore[union-attr]  # grants alone
    holding, explanation = told.holding(anna, BLOG), told.explanation(anna, BLOG)
    assert (holding.agreement, holding.group, explanation.agreement) == ("differs", "editors", "differs")
    assert "held by group editors" in (explanation.why_kept or "")
    row = told.grantees(Power.MANAGE, BLOG)[anna]
    assert (row.live, row.through, row.declared, row.agreement) == (native, "group editors", "view", "differs")


@pytest.mark.parametrize("platform", ["matomo", "piwik-pro"])
def test_a_suspended_person_in_a_group_is_no_person_in_sync(tmp_path: Path, platform: str) -> None:
    """No step is left, and the group still opens the site."""
    rig = rig_of(tmp_path, platform, file=VIEW_BLOG)
    rig.declare(
        {
            **rig.document,
            "users": {name: {"email": f"{name}@example.org", "state": "suspended"} for name in ("anna", "kim")},
        }
    )
    told = Told(rig)
    assert {diagnostic.code for diagnostic in told.plan.diagnostics if diagnostic.differs} == {"held-by-group"}
    assert exit_code(told.report) == exit_code(told.drift) == 2
    assert told.holding(ANNA[platform], BLOG).agreement == "extra"


@pytest.mark.parametrize("platform", ["matomo", "piwik-pro"])
def test_a_group_that_gives_no_more_than_is_declared_is_no_difference(tmp_path: Path, platform: str) -> None:
    """What is declared is there; that a group gives it too changes nothing."""
    native = {"matomo": "admin", "piwik-pro": "manage"}[platform]
    told = Told(rig_of(tmp_path, platform, *given(platform, native), file=MANAGE_BLOG))
    assert (exit_code(told.report), exit_code(told.drift)) == (0, 0)
    assert "no drift" in text(told.drift)
    assert told.holding(ANNA[platform], BLOG).agreement == told.explanation(ANNA[platform], BLOG).agreement == "same"


def test_what_is_held_by_a_group_alone_is_still_to_be_granted(tmp_path: Path) -> None:
    """Both say that something differs: the plan by a step, the matrix by its word."""
    told = Told(rig_of(tmp_path, "matomo", file=MANAGE_BLOG))
    assert {step.change.action for step in told.plan.steps} == {"create"}
    assert told.holding("anna", BLOG).agreement == told.explanation("anna", BLOG).agreement == "differs"


def test_a_module_that_the_file_does_not_speak_of_is_no_difference(tmp_path: Path) -> None:
    """On Piwik PRO everybody begins with some."""
    rig = rig_of(tmp_path, "piwik-pro", *given("piwik-pro", "manage"), file=MANAGE_BLOG)
    told = Told(rig)
    modules = [grant for grant in told.survey.live.access.grants() if grant.scope.kind == "module"]
    assert {grant.subject.name for grant in modules} >= set(KIM.values()) - {"kim"}
    found = ledger("it", "", told.survey.desired, told.survey.live, told.survey.traits)
    differing = [
        holding for entry in found.entries if entry.handle for holding in entry.holdings if holding.agreement != "same"
    ]
    assert differing == []


def test_a_module_that_somebody_opens_is_no_drift_unless_the_file_speaks_of_it(tmp_path: Path) -> None:
    """Also where the journal knows how it was before."""
    people = {name: {"email": f"{name}@example.org"} for name in ("anna", "kim")}
    rig = rig_of(tmp_path, "piwik-pro", *given("piwik-pro", "manage"), file=MANAGE_BLOG)
    for users, code in ((people, 0), (people | {"kim": {**people["kim"], "modules": {"it": []}}}, 2)):
        rig.declare({**rig.document, "users": users})
        rig.apply(made(rig))
        assert exit_code(rig.drift()) == 0
        kim = next(person for person in rig.fake.state.people.values() if person.email == KIM["piwik-pro"])  # type: ignore[attr-defined]  # Piwik PRO's
        kim.modules = {"analytics", "tag_manager"} if code == 2 else {"analytics"}
        assert exit_code(rig.drift()) == code


# -- rights beside the role


def test_who_can_takes_a_capability(tmp_path: Path) -> None:
    """By an extra, by a role that includes it, and by the top role; extras are told on both sides."""
    live = (
        WorldGrant(account="anna", site=SHOP, role="view", extras=(TAGS,)),
        WorldGrant(account="kim", site=SHOP, role="write"),
    )
    file = [
        {"to": "anna", "role": "plain", "sites": SHOP},
        {"to": "kim", "role": "edit", "sites": SHOP},
    ]
    told = Told(rig_of(tmp_path, "matomo", *live, file=file))
    for word in (TAGS, f"matomo:{TAGS}"):
        assert right_of(told.survey, word) == Right("extra", TAGS)
    assert right_of(told.survey, f"umami:{TAGS}") is None
    assert right_of(told.survey, "matomo:write") is Power.EDIT
    rows = told.grantees(Right("extra", TAGS), SHOP)
    assert set(rows) == {"anna", "kim", "root"}
    anna = rows["anna"]
    assert (sorted(anna.extras), sorted(anna.declared_extras), anna.agreement) == ([TAGS], [], "differs")
    assert rows["kim"].agreement == "same"


def test_who_can_takes_a_module(tmp_path: Path) -> None:
    """Of those who have access to the site."""
    told = Told(rig_of(tmp_path, "piwik-pro", *given("piwik-pro", "view"), file=MANAGE_BLOG))
    module = next(grant.scope.name for grant in told.survey.live.access.grants() if grant.scope.kind == "module")
    right = right_of(told.survey, module)
    assert right == Right("module", module)
    assert set(told.grantees(right, BLOG)) == {"anna@example.org", "kim@example.org", OWNER}
    assert module in told.grantees(right, BLOG)["anna@example.org"].extras
    assert set(told.grantees(right, SHOP)) == {OWNER}


def test_who_is_declared_less_is_not_declared_nothing(tmp_path: Path) -> None:
    """The file gives view, admin is live."""
    told = Told(
        rig_of(
            tmp_path,
            "matomo",
            WorldGrant(account="kim", site=SHOP, role="admin"),
            file=[{"to": "kim", "role": "view", "sites": SHOP}],
        )
    )
    row = told.grantees(Power.MANAGE, SHOP)["kim"]
    assert (row.live, row.declared, row.agreement) == ("admin", "view", "differs")
    assert row.origin is not None


def test_explain_of_an_admin_shows_the_grant_on_the_site_too(tmp_path: Path) -> None:
    """Subsumed, and kept with its line."""
    file = [{"to": "kim", "role": "admin", "on": "it"}, {"to": "kim", "role": "view", "sites": SHOP}]
    told = Told(rig_of(tmp_path, "matomo", file=file)).explanation("kim", SHOP)
    assert told.wished is not None
    assert told.wished.role == "superuser"
    assert [wish.role for wish, origin in told.also if origin is not None] == ["view"]


# -- our own account, and rows in error


def test_our_own_account_never_drifts(tmp_path: Path) -> None:
    """The layout makes it own sites, so that a new one is not somebody's change."""
    small = small_rig(tmp_path)
    small.apply(made(small))
    assert exit_code(small.drift()) == 0
    somebody = Somebody(small.fake)
    somebody.http.post("/api/websites", json={"name": "Neu", "domain": "neu.example.org"}).raise_for_status()
    found = small.drift()
    assert found.drift == ()
    assert exit_code(found) == 0


@pytest.mark.parametrize("verb", ["plan", "drift"])
def test_beside_an_error_nobody_is_in_sync(tmp_path: Path, verb: str) -> None:
    """A site that is not there: no sentence says that nothing differs."""
    small = small_rig(tmp_path)
    small.apply(made(small))
    small.declare(
        {
            **small.document,
            "grants": [*small.document["grants"], {"to": "carla", "role": "view", "sites": "gone.example.org"}],
        }
    )
    report = small.plan() if verb == "plan" else small.drift()
    assert exit_code(report) == 1
    assert "no drift" not in text(report)
    assert "equals the declaration" not in text(report)
