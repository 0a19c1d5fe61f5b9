"""Hand-built reports, one for each thing that a run may have to say. No clock, no server, no file."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from msgspec.structs import replace

from siteward.access.change import Change
from siteward.access.diagnostic import Diagnostic, Severity, Span, diagnostic
from siteward.access.model import EVERYWHERE, Account, Grant, Power, Resource, Scope, Subject, account_key, grant_key
from siteward.access.plan import Cause, InstancePlan, Plan, Risk, Step, UnmanagedAccount
from siteward.access.report import DriftItem, Outcome, Report
from siteward.access.state import Listing, Origin
from siteward.render import Options

VERBOSE = Options(verbose=True)
ADMIN = (Power.NONE, Power.ADMIN)
NOW = datetime(2026, 11, 22, 9, 30, 12, tzinfo=UTC)
DIGEST = "sha256:7f3a91c2" + "0" * 54 + "c2"
TEXT = (
    "version: 1",
    "users:",
    "  anna: {email: anna@example.org}",
    "grants:",
    "  - {to: anna, role: veiw, sites: shop.example.org}",
    "\t- tab",
    "  - {to: 漢字, role: view, sites: nowhere.example.org}",
)
HOSTILE = (
    "<script>alert(1)</script>",
    "a|b|c",
    "`rm -rf`",
    "@everyone",
    '=HYPERLINK("https://evil.test")',
    "+1", "-2", "\t=3",
    "esc\x1b[31mred\x1b[0m",
    "rtl\u202egnp.exe",
    "zero\u200bwidth",
    "lone\ud800surrogate",
    "nul\x00and\x07bell\r\nnew line",
    "n" * 300,
    "😀 family 👨‍👩‍👧",
    "[click](https://evil.test)",
    "[/x]",
    "::set-output name=x::y",
    "##[add-path]/tmp",
    "%0A::error::x",
    "--> <!-- -->",
    "{{ 7 * 7 }} {0}",
    "www.evil.test #1 GH-1 !2 ~label $3 &4",
    "' onmouseover='x",
    "\\x1b",
    "* _a_ **b** ~~c~~",
    "</details>",
    "]]>",
)  # fmt: skip


def site(name: str) -> Scope:
    return Scope("site", name)


def grant(who: str, where: Scope, role: str, *extras: str) -> Grant:
    return Grant(Subject("account", who), where, role, frozenset(extras))


def origin(line: int, *via: str, file: str = "access.yaml", ticket: str | None = None) -> Origin:
    return Origin(Span(file, line, 5, line, 20), via=via, ticket=ticket)


def step(
    number: int,
    before: Resource | None,
    after: Resource | None,
    *,
    cause: Cause = "granted",
    at: Origin | None = None,
    person: str | None = None,
    powers: tuple[Power, Power] = (Power.NONE, Power.VIEW),
    risk: Risk = "low",
    risks: tuple[str, ...] = (),
    raises: bool = False,
    external: bool = False,
    said: tuple[Diagnostic, ...] = (),
    depends_on: tuple[str, ...] = (),
) -> Step:
    return Step(
        id=f"s{number}",
        change=Change(before, after),
        cause=cause,
        origin=at,
        person=person,
        before_power=powers[0],
        after_power=powers[1],
        raises=raises,
        external=external,
        risk=risk,
        risks=risks,
        diagnostics=said,
        depends_on=depends_on,
    )


def said(code: str, severity: Severity, message: str, **more: Any) -> Diagnostic:
    return diagnostic(severity, code, message, **more)


def validate_errors() -> Report:
    """A file with a mistyped role, an unknown site in wide characters, a warning and a note."""
    return Report(
        command="validate",
        diagnostics=(
            said(
                "unknown-role", Severity.ERROR, 'unknown role "veiw"', at=Span("access.yaml", 5, 22, 5, 26),
                suggestion="view", allowed=("view", "edit", "manage"), hint="roles of umami: see the platform table",
            ),
            said("unknown-site", Severity.ERROR, 'no site "nowhere.example.org"', at=Span("access.yaml", 7, 34, 7, 53),
                 related=(Span("teams/shop.yaml", 3, 1),)),
            said("tab-indent", Severity.ERROR, "tabs cannot indent", at=Span("access.yaml", 6, 2, 6, 3)),
            said("unused-group", Severity.WARNING, 'group "shop-leads" is used nowhere', at=Span("groups.yaml", 22, 3)),
            said("catch-all", Severity.NOTE, "this selector matches every site"),
        ),
        files=3,
        texts={"access.yaml": TEXT},
    )  # fmt: skip


def validate_clean() -> Report:
    return Report(command="validate", files=3)


def everything_steps() -> tuple[Step, ...]:
    """One step of every kind that a reviewer must be able to tell apart."""
    protected = said(
        "protected", Severity.ERROR, 'root is protected by "root"', at=Span("access.yaml", 88, 12),
        about=grant_key(Subject("account", "root"), EVERYWHERE),
    )  # fmt: skip
    mail = said(
        "invitation", Severity.NOTE, "sends an invitation to li@example.org", effect="mail", who="li@example.org"
    )
    rotate = said("access-code", Severity.NOTE, "rotates the access code of team shop", effect="opens")
    unsure = said("no-end", Severity.WARNING, "a contractor without an end date", hint="add until:")
    shop, blog, docs, wiki = map(site, ("shop.example.org", "blog.example.org", "docs.example.org", "wiki.example.org"))
    editors = origin(31, "group editors", "tag acme", file="teams/shop.yaml")
    admin = (Power.NONE, Power.ADMIN)
    return (
        step(1, None, Account("li", "li@example.org"), at=origin(12), person="li", said=(mail,)),
        step(2, None, grant("li", blog, "team-view-only"), at=origin(14), person="li", depends_on=("s1",)),
        step(3, None, grant("li", docs, "team-view-only"), at=origin(14), person="li", depends_on=("s1",)),
        step(4, grant("e.berg", shop, "team-view-only"), grant("e.berg", shop, "team-manager"), person="eva",
             at=origin(31, "group shop-leads", file="teams/shop.yaml", ticket="OPS-812"), raises=True, risk="high",
             risks=("becomes-manager",), powers=(Power.VIEW, Power.MANAGE)),
        step(5, None, grant("anna", EVERYWHERE, "admin"), at=origin(40, ticket="IAM-1"), person="anna", raises=True,
             risk="high", risks=("becomes-admin",), powers=admin),
        step(6, grant("jonas@partner.test", shop, "team-member"), None, cause="expired", at=origin(13), person="jonas",
             powers=(Power.EDIT, Power.NONE), risk="medium", external=True, said=(rotate,)),
        step(7, grant("jonas@partner.test", blog, "team-member"), None, cause="expired", at=origin(13), person="jonas",
             powers=(Power.EDIT, Power.NONE), risk="medium", external=True),
        step(8, grant("mia", blog, "team-member"), grant("mia", blog, "team-view-only"), at=origin(9), person="mia",
             powers=(Power.EDIT, Power.VIEW)),
        step(9, grant("root", EVERYWHERE, "admin"), None, cause="unmanaged", powers=(Power.ADMIN, Power.NONE),
             risk="high", said=(protected,)),
        step(10, None, grant("kim@agency.test", docs, "team-view-only"), at=origin(50), person="kim", external=True,
             risk="medium", said=(unsure,)),
        step(11, Account("ben", "b@example.org"), Account("ben", "ben@example.org"), at=origin(20), person="ben"),
        *(step(20 + at, None, grant(f"editor-{at}", wiki, "team-member"), at=editors, person=f"editor-{at}",
               powers=(Power.NONE, Power.EDIT)) for at in range(12)),
    )  # fmt: skip


def instance(*steps: Step, **more: Any) -> InstancePlan:
    base = InstancePlan(
        instance="stats",
        platform="umami",
        origin="https://stats.example.org",
        mode="full",
        version="3.2.0",
        me="siteward",
        steps=steps,
        listings=(Listing(name="users", rows=31, complete=True, proof="count"),),
        accounts=31,
        declared=29,
        sites=12,
        grants=96,
        read_requests=4,
    )
    return replace(base, **more)


def plan(*instances: InstancePlan, **more: Any) -> Plan:
    base = Plan(
        tool="0.1.0",
        created=NOW,
        as_of=NOW,
        config="access.yaml",
        config_digest="sha256:c0ffee",
        commit="a1b2c3d",
        files=3,
        instances=instances,
        digest=DIGEST,
    )
    return replace(base, **more)


def plan_everything() -> Report:
    """Two instances: one with every kind of step, one where the mode holds a removal back."""
    unmanaged = (
        UnmanagedAccount(
            name="old-agency", email="team@agency.test", power=Power.ADMIN, grants=3, facts={"created": "2021-04-01"}
        ),
        UnmanagedAccount(name="trial", grants=1, power=Power.VIEW),
        UnmanagedAccount(name="sso-7", grants=1, power=Power.VIEW, ignored=True),
    )
    held = step(1, grant("zoe", site("blog.example.org"), "write"), None, cause="silence", person="zoe",
                powers=(Power.EDIT, Power.NONE))  # fmt: skip
    full = instance(
        *everything_steps(), unmanaged=unmanaged, admins_before=2, admins_after=3, requests=31, seconds=90.0,
        diagnostics=(said("existing-account", Severity.WARNING, "ben meets an account of that login for the first time"),),
    )  # fmt: skip
    adding = instance(
        instance="matomo-eu", platform="matomo", origin="https://matomo.example.org", mode="add-only", version="5.2.0",
        held_back=(held,), blind_spots=("team-members",), waiting=(account_key("lee@example.org"),),
        steps=(),
    )  # fmt: skip
    return Report(
        command="plan", plan=plan(full, adding), files=3, next="siteward apply plan.json",
        accounts={"stats": {"li.wei": None}, "matomo-eu": {"lee@example.org": None}},
    )  # fmt: skip


def plan_empty() -> Report:
    return Report(command="plan", plan=plan(instance()), files=3)


def plan_unread() -> Report:
    """A world of which a part could not be read: never in sync."""
    return Report(command="plan", plan=plan(instance(unreadable=("teams: 500",))), files=3)


def plan_unreachable() -> Report:
    """Two instances, of which one could not be read at all: that nothing differs is not known."""
    gone = said(
        "unreachable", Severity.ERROR, "matomo.example.org does not answer", at=Span("access.yaml", 4, 3),
        instance="matomo-eu",
    )  # fmt: skip
    return Report(command="plan", plan=plan(instance(), diagnostics=(gone,), dirty=True), files=3)


def plan_observed() -> Report:
    """Everything differs and the mode holds all of it back."""
    held = tuple(
        step(at, grant(f"u{at}", site("shop.example.org"), "team-member"), None, cause="silence", person=f"u{at}",
             powers=(Power.EDIT, Power.NONE))
        for at in range(3)
    )  # fmt: skip
    return Report(command="plan", plan=plan(instance(mode="observe", held_back=held)), files=3)


def plan_over_budget() -> Report:
    """A whole instance blocked by a budget, with the way to accept it."""
    over = said(
        "removals-limit", Severity.ERROR, "31 of 120 people would lose all access; 5 are allowed",
        at=Span("access.yaml", 22, 3), hint='if this is intended: --accept removals=<digest> --reason "…"',
    )  # fmt: skip
    gone = tuple(
        step(at, grant(f"u{at:02}", site("media.example.org"), "team-member"), None, cause="silence", person=f"u{at:02}",
             powers=(Power.EDIT, Power.NONE), risk="medium")
        for at in range(31)
    )  # fmt: skip
    return Report(command="plan", plan=plan(instance(*gone, diagnostics=(over,))), files=3)


def apply_partial() -> Report:
    """Steps done, one failed, what depends on it skipped, one answer lost, one blocked from the start."""
    steps = {step.id: step for step in everything_steps()}
    failed = Outcome(
        instance="stats", step=steps["s1"], status="failed", message="HTTP 400: email already in use",
        hint="an account with that address exists under login li.wei: previously: [li.wei]",
    )  # fmt: skip
    outcomes = (
        failed,
        *(
            Outcome(instance="stats", step=steps[step_id], status="skipped", message="depends on s1")
            for step_id in ("s2", "s3")
        ),
        Outcome(instance="stats", step=steps["s4"], status="done"),
        Outcome(instance="stats", step=steps["s5"], status="unknown", message="the answer was lost"),
        Outcome(instance="stats", step=steps["s8"], status="already"),
        Outcome(instance="stats", step=steps["s9"], status="blocked", message='root is protected by "root"'),
    )
    return Report(
        command="apply", plan=plan(instance(*everything_steps())), outcomes=outcomes, applied=True,
        journal=".siteward/journal/2026-11-22T0931Z.jsonl", journal_head="9f1c", accounts={"stats": {"li.wei": None}},
    )  # fmt: skip


def apply_stale() -> Report:
    steps = {step.id: step for step in everything_steps()}
    now = grant("e.berg", site("shop.example.org"), "team-member")
    outcome = Outcome(
        instance="stats", step=steps["s4"], status="refused", message="changed since the plan was made",
        reviewed=steps["s4"].change.before, now=now, wanted=steps["s4"].change.after,
    )  # fmt: skip
    return Report(command="apply", plan=plan(instance(steps["s4"])), outcomes=(outcome,), stale=True)


def apply_vetoed() -> Report:
    """Steps that a guard refused after they were looked at: what is there is what was reviewed."""
    gone = step(1, Account("old-ed"), None, cause="unmanaged", risk="high")
    made = step(2, None, Account("li", "li@example.org"), at=origin(12), person="li")
    given = step(3, None, grant("li", site("shop.example.org"), "team-member"), at=origin(14), person="li",
                 depends_on=("s2",))  # fmt: skip
    why = "blocked since it was reviewed, delete-account: accounts are deleted only with --allow-delete"
    outcomes = (
        *(Outcome(instance="stats", step=step, status="refused", message=why) for step in (gone, made)),
        Outcome(instance="stats", step=given, status="skipped", message="depends on s2, which is refused"),
    )
    return Report(command="apply", plan=plan(instance(gone, made, given)), outcomes=outcomes, stale=True)


def drift() -> Report:
    shop, docs, blog = map(site, ("shop.example.org", "docs.example.org", "blog.example.org"))
    away = step(2, grant("paul@example.org", shop, "team-manager"), None, cause="silence", person="pj")
    late = step(1, None, grant("li", blog, "team-view-only"), at=origin(14), person="li")
    return Report(
        command="drift",
        drift=(
            DriftItem(instance="stats", kind="unapplied", declared=grant("li", blog, "team-view-only"), step=late),
            DriftItem(instance="stats", kind="undeclared", live=grant("paul@example.org", shop, "team-manager"),
                      note="by eva, 2026-11-21 17:02Z", step=away),
            DriftItem(instance="stats", kind="changed-since", declared=grant("anna", docs, "team-view-only"),
                      journalled=grant("anna", docs, "team-view-only")),
        ),
    )  # fmt: skip


def hostile() -> Report:
    """Every hostile name in every place where a name can stand."""
    steps, unmanaged, outcomes, pieces, spoken = [], [], [], [], []
    for at, name in enumerate(HOSTILE):
        where = site(name[::-1] + "x")
        note = said("effect", Severity.NOTE, f"sends a mail to {name}", effect="mail", who=name)
        bad = said(
            "rule", Severity.ERROR, f"{name} is not allowed", hint=f"try {name}", suggestion=name, allowed=(name,)
        )
        since = Origin(Span(f"{name}.yaml", 3, 2, 3, 9), via=(f"group {name}",), ticket=name, reason=name)
        old, new = grant(name, where, name), grant(name, where, name + "2", name)
        for more, (before, after, powers) in enumerate((
            (None, Account(name, name), (Power.NONE, Power.NONE)),
            (old, None, (Power.VIEW, Power.NONE)),
            (old, new, (Power.VIEW, Power.ADMIN)),
            (None, grant(name, where, "view"), (Power.NONE, Power.VIEW)),
        )):  # fmt: skip
            made = step(
                10 * at + more, before, after, at=since, person=name if at % 2 else None, powers=powers,
                raises=more == 2, risk="high" if more == 2 else "low", said=(note, bad) if more == 1 else (note,),
            )  # fmt: skip
            steps.append(made)
            outcomes.append(Outcome(instance="stats", step=made, status="failed", message=name, hint=name, now=old))
        unmanaged.append(UnmanagedAccount(name=name, email=name, power=Power.ADMIN, grants=1, facts={"last": name}))
        pieces.append(DriftItem(instance="stats", kind="undeclared", live=old, note=name))
        spoken.append(replace(bad, at=Span(f"{name}.yaml", 1, 2, 1, 5)))
    whole = instance(
        *steps, unmanaged=tuple(unmanaged), diagnostics=tuple(spoken), unreadable=HOSTILE, blind_spots=HOSTILE
    )
    texts = {f"{name}.yaml": (f"to: {name}",) for name in HOSTILE}
    return Report(
        command="plan", plan=plan(whole), diagnostics=tuple(spoken), drift=tuple(pieces), outcomes=tuple(outcomes),
        texts=texts, next=HOSTILE[0], journal=HOSTILE[8],
    )  # fmt: skip


def five_thousand() -> Report:
    """A change of the size of a whole company: 5,000 steps, of which 600 take or raise."""
    from_line = origin(31, "group analysts", "tag acme")

    def numbered(at: int) -> Step:
        who, where = f"user{at % 500:03}", site(f"site{at // 500}-{at % 7}.example.org")
        if at % 20 == 0:
            return step(at, grant(who, where, "team-member"), None, cause="silence", person=who, risk="medium",
                        powers=(Power.EDIT, Power.NONE))  # fmt: skip
        if at % 14 == 1:
            return step(at, grant(who, where, "team-view-only"), grant(who, where, "team-manager"), at=from_line,
                        person=who, risk="high", raises=True, powers=(Power.VIEW, Power.MANAGE))  # fmt: skip
        return step(at, None, grant(who, where, "team-view-only"), at=from_line, person=who)

    return Report(
        command="plan", plan=plan(instance(*(numbered(at) for at in range(5000)))), next="siteward apply plan.json"
    )


REPORTS = {
    "validate-errors": validate_errors,
    "validate-clean": validate_clean,
    "plan-everything": plan_everything,
    "plan-empty": plan_empty,
    "plan-unread": plan_unread,
    "plan-unreachable": plan_unreachable,
    "plan-observed": plan_observed,
    "plan-over-budget": plan_over_budget,
    "apply-partial": apply_partial,
    "apply-stale": apply_stale,
    "apply-vetoed": apply_vetoed,
    "drift": drift,
}
