"""What may be published, over random worlds: no format of any verb names whom it may not.

Every account name and address of these worlds has a mark in it that nothing else has, and no handle has it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct
from msgspec.structs import replace

from siteward.access.api_key import ApiKey, HeldKey, LiveKey
from siteward.access.certification import Horizon, review
from siteward.access.change import Change
from siteward.access.codec import seal
from siteward.access.diagnostic import Accepted, Diagnostic, Severity
from siteward.access.diff import Comparison, Revision, compare
from siteward.access.effective import Ledger, effective, ledger
from siteward.access.event import Event, Ran
from siteward.access.explanation import Checkup, Explanation, Grantee, with_beside
from siteward.access.guards import judge
from siteward.access.key_inventory import hold_keys, judge_keys
from siteward.access.known_names import account_names
from siteward.access.model import Resource, account_of
from siteward.access.plan import InstancePlan, Plan, compose
from siteward.access.proposal import manage
from siteward.access.report import Missing, Outcome, OutcomeStatus, Report
from siteward.access.state import Desired, Live, Memory
from siteward.access.waivers import silenced
from siteward.reconcile.drift import drift as drifted
from siteward.reconcile.waivers import list_waived
from siteward.render import FORMATS, SERVES, Options, render
from siteward.render.answers import checkups, explanations, holdings
from siteward.render.certification import render as rendered_review
from siteward.render.diff import render as rendered_diff
from siteward.render.history import FORMATS as HISTORY
from siteward.render.history import render as rendered_history
from siteward.render.matrix import Matrix
from siteward.render.matrix import render as rendered_matrix
from siteward.render.privacy import errors_of, redact_text
from strategies import NOW, desires, lives, memories, policies, spans, traits

if TYPE_CHECKING:
    from siteward.access.traits import Traits
    from siteward.render.context import Privacy

MARK = "zzq"
CAST = (
    "zzq.ada", "Zzq-Ben", "zzq_cem@example.org", "zzq dora", "[zzq/x]", "zzqe\u0301va", "zzqeva", "ZZQEVA",
    "o'zzq@partner.test", "zzq-", "zzq.ada.jr",
)  # fmt: skip
HANDLES = {**{name: f"person-{at}" for at, name in enumerate(CAST)}, "newcomer": "newcomer"}
PRIVACIES: tuple[Privacy, ...] = ("handles", "counts")
OUTCOMES: tuple[OutcomeStatus, ...] = ("done", "already", "refused", "failed", "unknown", "skipped", "blocked")


class World(NamedTuple):
    """One instance, what is declared for it, and everything that follows; `texts` name some of its people."""

    table: Traits
    live: Live
    desired: Desired
    memory: Memory | None
    plan: InstancePlan
    texts: tuple[str, ...]
    keys: tuple[HeldKey, ...]

    @property
    def accounts(self) -> dict[str, dict[str, str | None]]:
        return {"stats": account_names(self.live, self.desired, self.memory)}


@st.composite
def sentences(draw: st.DrawFn, names: list[str]) -> str:
    """Draw a sentence in which an account or an address stands as platforms and files write it."""
    form = draw(
        st.sampled_from(
            (
                "{} is not what it was", 'the account "{}" is gone', "taken from {}.", "({})", "`{}` and nobody else",
                "sends a mail to {}@zzq.example.org", "[{}], 'zzq@example.org'", "ask {}: <o'zzq@example.org>",
                "GET /guests/zzq%40example.org of {}", "{}'s own",
            )
        )
    )  # fmt: skip
    return form.format(draw(st.sampled_from(names)))


def names_within(value: object) -> Iterator[str]:
    """Yield whatever names one of the cast, wherever a world has it."""
    match value:
        case str():
            if MARK in value.casefold():
                yield value
        case Mapping():
            yield from names_within((*value, *value.values()))
        case list() | tuple() | set() | frozenset():
            yield from (name for inner in value for name in names_within(inner))
        case Struct():
            yield from names_within([getattr(value, name) for name in value.__struct_fields__])
        case _:
            pass


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Draw a world in which everything that can be said of people is said, with their names in it."""
    table = draw(traits())
    live = draw(lives(table, names=CAST))
    live = replace(live, ids={key: str(number) for number, key in enumerate(live.ids)})  # which name nobody
    desired = draw(desires(table, live, names=CAST, handles=HANDLES))
    memory = draw(memories(CAST, HANDLES))
    everybody = sorted({*names_within((live, desired, memory))})
    texts = tuple(draw(st.lists(sentences(everybody or ["siteward"]), min_size=4, max_size=4)))
    origins = {key: replace(origin, reason=texts[0], ticket=texts[1]) for key, origin in desired.origins.items()}
    desired = replace(desired, origins=origins)
    live = replace(live, unreadable=(texts[3],) if draw(st.booleans()) else ())
    live, desired = _with_keys(live, desired, texts)
    policy = replace(
        draw(policies()), protect=draw(st.sampled_from(((), ("zz*",), ("ZZQ.ADA", "zzq DORA")))), ignore=()
    )
    proposal = manage(live, desired, table, policy, memory)
    remarks = tuple(_remark(texts, draw, key) for key in (None, *(proposed.key for proposed in proposal.proposed[:2])))
    judged = judge(proposal, as_of=NOW, allow_delete=draw(st.booleans()), remarks=remarks)
    keys = hold_keys(replace(proposal, traits=replace(table, keys_unseen="")), NOW, "stats")
    remarks = (*remarks, *silenced(judge_keys(keys, ""), "stats", (), NOW))
    plan = compose(proposal, (*remarks, *judged), instance="stats", origin="https://stats.example.org")
    touched = {name for step in (*plan.steps, *plan.held_back) if (name := account_of(step.change.key))}
    plan = replace(plan, diagnostics=(*plan.diagnostics, *_waivable(texts)))
    plan = replace(plan, emptied=plan.emptied or tuple(sorted(touched)))  # rare in a world that is drawn
    return World(table, live, desired, memory, plan, texts, keys)


def _with_keys(live: Live, desired: Desired, texts: tuple[str, ...]) -> tuple[Live, Desired]:
    """Return live keys that people called by names, of somebody who is there or not, and keys of the file used by somebody."""
    keys = tuple(LiveKey(account=CAST[at], name=text, made=NOW) for at, text in enumerate(texts))
    listed = ApiKey(name=texts[0], on="stats", rotates=1, since=NOW, used_by=texts[1])
    users = {name: replace(user, keys=(listed,)) for name, user in desired.declared_users.items()}
    return replace(live, keys=keys), replace(desired, declared_users=users)


def _remark(texts: tuple[str, ...], draw: st.DrawFn, about: tuple[str, ...] | None) -> Diagnostic:
    return Diagnostic(
        code="platform-says",
        severity=draw(
            st.sampled_from((Severity.NOTE, Severity.WARNING, Severity.ERROR) if about else (Severity.NOTE,))
        ),
        message=texts[0],
        hint=texts[1],
        suggestion=texts[2],
        allowed=texts[2:],
        who=texts[3],
        about=about,
        at=draw(spans()),
        effect=draw(st.sampled_from((None, "mail", "destroys"))),
    )


def _waivable(texts: tuple[str, ...]) -> tuple[Diagnostic, Diagnostic]:
    """Return a finding that may be waived and one that is, about a team that has somebody's name."""
    found = Diagnostic(
        code="ghost-member", severity=Severity.WARNING, message=texts[0], hint=texts[1], thing=texts[2], seen="a" * 16
    )
    return found, replace(found, thing=texts[3], seen="b" * 16, waived=Accepted(texts[0], "2027-01-31"))


def told(world: World) -> Diagnostic:
    return Diagnostic(
        code="says", severity=Severity.ERROR, message=world.texts[0], hint=world.texts[1], instance="stats"
    )


def plan_of(world: World) -> Plan:
    gone = replace(told(world), instance="web")
    waived = list_waived((world.plan,))
    said = (gone, told(world))
    return seal(Plan(tool="0.1.0", created=NOW, as_of=NOW, instances=(world.plan,), diagnostics=said, waived=waived))


def planned(world: World, command: str) -> Report:
    accounts = {**world.accounts, "web": dict.fromkeys(world.accounts["stats"])}
    loose = replace(told(world), instance=None)
    return Report(
        command=command, plan=plan_of(world), diagnostics=(told(world), loose), next=world.texts[0], accounts=accounts,
        texts={"access.yaml": world.texts}, journal="zzq@example.org/stats.jsonl",
    )  # fmt: skip


def shown(world: World) -> Report:
    """A saved plan: nobody has looked who is there."""
    return Report(command="show", plan=plan_of(world))


def drifting(world: World) -> Report:
    items = drifted(world.plan, world.live, world.desired, world.memory)
    noted = tuple(replace(item, note=world.texts[at % 4]) for at, item in enumerate(items))
    return replace(planned(world, "drift"), drift=noted)


def applied(world: World) -> Report:
    outcomes = tuple(
        Outcome(
            instance="stats", step=step, status=OUTCOMES[at % len(OUTCOMES)], message=world.texts[0],
            hint=world.texts[1], reviewed=step.change.before, now=_other(world, step.change.before), wanted=step.change.after,
        )
        for at, step in enumerate(world.plan.steps)
    )  # fmt: skip
    return replace(planned(world, "apply"), outcomes=outcomes, applied=True)


def _other(world: World, side: Resource | None) -> Resource | None:
    return next(iter(world.live.access.values()), None) if side is None else side


def validated(world: World) -> Report:
    return replace(planned(world, "validate"), plan=None, next=None)


REPORTS = {
    "plan": lambda world: planned(world, "plan"), "show": shown, "drift": drifting, "apply": applied,
    "validate": validated,
}  # fmt: skip


def names_nobody(text: str) -> None:
    at = text.casefold().find(MARK)
    assert at < 0, text[max(0, at - 200) : at + 80]


@pytest.mark.parametrize("verb", REPORTS)
@given(world=worlds())
def test_no_format_of_a_report_names_whom_it_may_not(verb: str, world: World) -> None:
    report = REPORTS[verb](world)
    for privacy in PRIVACIES:
        for form in FORMATS:
            if verb in SERVES[form]:
                names_nobody(render(form, report, Options(privacy=privacy, verbose=True)))
        for diagnostic in errors_of(report, privacy) if report.accounts else ():
            names_nobody(f"{diagnostic.message} {diagnostic.hint} {diagnostic.about}")


@given(world=worlds())
def test_no_line_of_an_edit_names_whom_it_may_not(world: World) -> None:
    """What `baseline` shows is lines of the file, with what stands around them."""
    lines = (f"+    - {{about: {world.texts[2]}, reason: {world.texts[0]}}}", *(f"   {text}" for text in world.texts))
    for privacy in PRIVACIES:
        names_nobody(redact_text("\n".join(lines), world.accounts, privacy))
    assert redact_text("+    - {about: blog}\n", world.accounts, "handles") == "+    - {about: blog}\n"


def ledger_of(world: World) -> Ledger:
    return ledger("stats", "https://stats.example.org", world.desired, world.live, world.table)


@given(world=worlds())
def test_no_format_of_a_matrix_or_a_review_names_whom_it_may_not(world: World) -> None:
    gone = (Missing(instance="web", why=world.texts[0]),)
    accounts = {**world.accounts, "web": dict.fromkeys(world.accounts["stats"])}
    matrix = Matrix(ledgers=(ledger_of(world),), as_of=NOW, missing=gone, accounts=accounts)
    found = review((ledger_of(world),), Horizon(as_of=NOW), missing=gone)
    found = replace(found, accounts=accounts, keys=world.keys)
    for privacy in PRIVACIES:
        for form in ("text", "html", "csv", "json"):
            options = Options(privacy=privacy, verbose=True)
            names_nobody(rendered_matrix(matrix, form, options))
            names_nobody(rendered_review(found, form, options))


@given(before=worlds(), text=st.data())
def test_no_format_of_a_diff_names_whom_it_may_not(before: World, text: st.DataObject) -> None:
    table = before.table
    after = text.draw(desires(table, before.live, names=CAST, handles=HANDLES))
    wished = [Revision(traits=table, wished={NOW: desired}) for desired in (before.desired, after)]
    accounts = {"stats": {**before.accounts["stats"], **account_names(before.live, after, None)}}
    comparison = Comparison(
        base="main", head="HEAD", as_of=NOW, movements=compare("stats", *wished), accounts=accounts,
        notices=(told(before), replace(told(before), instance=None, allowed=before.texts)), instances=("stats",),
    )  # fmt: skip
    for privacy in PRIVACIES:
        for form in ("text", "markdown", "json"):
            names_nobody(rendered_diff(comparison, form, Options(privacy=privacy, verbose=True)))


@given(world=worlds())
def test_no_answer_to_a_question_names_whom_it_may_not(world: World) -> None:
    gaps = (Missing(instance="stats", why=world.texts[0]),)
    accounts, live = world.accounts, world.live.access
    steps = {step.change.key: step for step in world.plan.steps}
    why: list[Explanation] = []
    who: list[Grantee] = []
    for grant in (*live.grants(), *world.desired.access.grants()):
        if grant.subject.kind == "account":
            name = grant.subject.name
            person = world.desired.declared_users[name].handle if name in world.desired.declared_users else None
            way = effective(live, world.table, name, grant.scope)
            origin = world.desired.origins.get(grant.key)
            explanation = Explanation(
                instance="stats", account=name, scope=grant.scope, person=person, wished=grant, origin=origin, live=way,
                step=steps.get(grant.key), also=((grant, origin),), why_not=world.texts[0], why_kept=world.texts[1],
                keys=tuple(key for key in world.keys if key.account == name),
            )  # fmt: skip
            why.append(with_beside(explanation, world.plan))
            who.append(
                Grantee(instance="stats", account=name, scope=grant.scope, person=person, live="view", origin=origin)
            )
    doctor = Checkup(
        instance="stats", platform="umami", origin="https://stats.example.org", version="3", account=CAST[2],
        may=world.texts, may_not=world.texts, notes=world.texts, journal=world.texts[0], problem=told(world),
        keys=world.keys, warnings=(told(world),),
    )  # fmt: skip
    for privacy in PRIVACIES:
        options = Options(privacy=privacy, verbose=True)
        for form in ("text", "json", "csv"):
            names_nobody(explanations(why, form, options, gaps, accounts))
            names_nobody(explanations(why, form, options, gaps, accounts, brief=True))
            if form != "csv":
                names_nobody(checkups((doctor,), form, options, accounts))
            names_nobody(holdings(who, form, options, gaps, accounts))


@given(world=worlds())
def test_no_format_of_a_history_names_whom_it_may_not(world: World) -> None:
    """The texts of events name whomever the journals know."""
    names = dict.fromkeys(names_within((world.live, world.desired, world.memory)))
    ran = Ran(run="r", plan="sha256:0", actor=CAST[0], how="GITHUB_ACTOR", approvers=CAST[:2])
    events = [
        Event(
            at=NOW, instance="stats", number=at, is_sealed=False, kind="gained", account=side.name, change=Change(None, side),
            status="failed", message=world.texts[0], ran=ran, person=CAST[1],
        )
        for at, side in enumerate(world.live.access.accounts())
    ]  # fmt: skip
    for privacy in PRIVACIES:
        for form in HISTORY:
            names_nobody(rendered_history(events, form, Options(privacy=privacy), [told(world)], {"stats": names}))


@given(world=worlds())
def test_the_handles_stay(world: World) -> None:
    """Hiding everything would pass the others: who is declared is named where something of theirs changes."""
    people = {step.person for step in world.plan.steps if step.person}
    data = json.loads(render("json", planned(world, "plan"), Options(privacy="handles")))
    text = json.dumps(data["plan"]["instances"][0]["steps"])
    assert all(person in text for person in people)
    emptied = data["plan"]["instances"][0].get("emptied", [])
    assert len(emptied) == len(world.plan.emptied)
