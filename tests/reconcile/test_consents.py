"""Consents of an interrupted run: sealed lines give them, all others only say what to ask for again."""

from __future__ import annotations

import tempfile
from dataclasses import replace as with_fields
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconcile.small_world import (
    NOW,
    ROBOT,
    Crash,
    Guard,
    Server,
    SmallRig,
    by_key,
    codes,
    delete_only_if_allowed,
    few_removals,
    grant,
    statuses,
    world,
)
from reconcile.test_resume import crashed
from rig import reseal
from siteward.access.diagnostic import error
from siteward.access.model import Account, account_key
from siteward.reconcile.apply.admission import remarks_on
from siteward.reconcile.apply.target import Acceptance
from siteward.reconcile.journal import journal, plans, reading
from siteward.reconcile.journal.chain import follow, link
from siteward.transport.secrets import Secret

FORMER = Path(__file__).parents[1] / "access" / "plan-1.json"

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from siteward.access.change import Change
    from siteward.access.diagnostic import Diagnostic
    from siteward.access.model import Resource
    from siteward.access.report import Report
    from siteward.access.state import Live

KEY = Secret("a key that is long enough")
GRANTS = [grant("ann", site, "view") for site in ("a.test", "b.test", "c.test")]
PEOPLE: list[Resource] = [Account("ann"), Account("bob"), Account("eve")]
Sealing = Literal["sealed", "unsealed", "half", "no key"]


def not_empty(
    live: Live, changes: Sequence[Change], *, allow_delete: bool, accept: Mapping[str, str]
) -> Iterable[Diagnostic]:
    """Block everything where grants go, unless that is accepted."""
    if any(change.after is None for change in changes) and "empty" not in accept:
        yield error("empty-grants", "everything would go")


class Kind(NamedTuple):
    """One consent: what it takes to ask for it, how it is given, and how the command line says it."""

    live: list[Resource]
    wanted: list[Resource]
    guard: Guard
    accept: str | None
    words: str


KINDS = {
    "waiver": Kind([*PEOPLE, *GRANTS], PEOPLE, few_removals, "removals", "--accept removals="),
    "empty": Kind([*PEOPLE, *GRANTS[:2]], PEOPLE, not_empty, "empty", "--accept empty="),
    "deletion": Kind(PEOPLE, [], delete_only_if_allowed, None, "--allow-delete"),
}


def interrupted(folder: Path, kind: Kind, sealing: Sealing) -> tuple[SmallRig, Server]:
    """Return a rig at which a run with that consent was cut off, under the key of whoever resumes."""
    given: dict[str, Any] = {"accept": kind.accept} if kind.accept else {"allow_delete": True}
    key = KEY if sealing == "sealed" else None
    rig, server, _ = crashed(folder, kind.live, kind.wanted, kind.guard, key=key, **given)
    rig = rig if sealing == "no key" else with_fields(rig, key=KEY)
    if sealing == "half":
        run = reading.recall(rig.journal(), KEY).unfinished
        assert run is not None
        with journal.opened(rig.journals.folder, "stats", key=KEY, clock=rig.clock) as journals:
            journals.go_on(run, plans.kept_plan(rig.journals.folder, run.began.plan))
    return rig, server


def digest_of(rig: SmallRig) -> str:
    run = reading.recall(rig.journal(), rig.key).unfinished
    assert run is not None
    return run.began.plan


def again(rig: SmallRig, kind: Kind) -> dict[str, Any]:
    """Return the options that say a consent once more."""
    if kind.accept is None:
        return {"allow_delete": True}
    return {"accept": {kind.accept: Acceptance(digest=digest_of(rig), reason="asked again")}}


def hints(report: Report) -> str:
    return " ".join(diagnostic.hint or "" for diagnostic in report.diagnostics if diagnostic.blocks)


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("sealing", ["unsealed", "half", "no key"])
def test_an_unsealed_line_gives_no_consent(tmp_path: Path, name: str, sealing: Sealing) -> None:
    """Nothing is sent, what is missing is named with the command to type, and typing it goes on."""
    kind = KINDS[name]
    rig, server = interrupted(tmp_path, kind, sealing)
    sent, lines = len(server.told), rig.journal().read_bytes()
    report = rig.resume()
    expected = {"resume-needs-consents"} | (set() if sealing == "no key" else {"resume-not-sealed"})
    assert {diagnostic.code for diagnostic in report.diagnostics if diagnostic.blocks} == expected
    assert (len(server.told), rig.journal().read_bytes()) == (sent, lines)
    assert f"siteward apply --resume {'' if sealing == 'no key' else '--expect '}" in hints(report)
    assert kind.words in hints(report)
    expect = None if sealing == "no key" else digest_of(rig)
    report = rig.resume(expect=expect, **again(rig, kind))
    assert set(statuses(report)) == {"done"}
    assert server.access == world(ROBOT, *kind.wanted)


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("sealing", ["unsealed", "half"])
def test_naming_the_plan_alone_takes_no_consent_over(tmp_path: Path, name: str, sealing: Sealing) -> None:
    """With a key, the plan's digest proves which plan it is, and not what was allowed."""
    rig, server = interrupted(tmp_path, KINDS[name], sealing)
    sent = len(server.told)
    assert "resume-needs-consents" in codes(rig.resume(expect=digest_of(rig)))
    assert len(server.told) == sent


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("sealing", ["unsealed", "half"])
def test_saying_the_consent_alone_proves_no_plan(tmp_path: Path, name: str, sealing: Sealing) -> None:
    """With a key, not even the plan of an unsealed run is believed."""
    rig, server = interrupted(tmp_path, KINDS[name], sealing)
    sent = len(server.told)
    report = rig.resume(**again(rig, KINDS[name]))
    assert {diagnostic.code for diagnostic in report.diagnostics if diagnostic.blocks} == {"resume-not-sealed"}
    assert len(server.told) == sent


@pytest.mark.parametrize("name", KINDS)
def test_a_sealed_line_gives_its_consent_and_that_is_said(tmp_path: Path, name: str) -> None:
    """Resume says which consents it takes over."""
    rig, server = interrupted(tmp_path, KINDS[name], "sealed")
    report = rig.resume()
    assert set(statuses(report)) == {"done"}
    assert server.access == world(ROBOT, *KINDS[name].wanted)
    (told,) = [diagnostic.message for diagnostic in report.diagnostics if diagnostic.code == "run-resumed"]
    assert (KINDS[name].accept or "deletions") in told


def test_a_run_without_consents_says_that_it_takes_none_over(tmp_path: Path) -> None:
    """Also where there is nothing to take over, that is said."""
    rig, _, _ = crashed(tmp_path, [], PEOPLE)
    (told,) = [diagnostic.message for diagnostic in rig.resume().diagnostics if diagnostic.code == "run-resumed"]
    assert told.endswith("none")


@pytest.mark.parametrize("name", KINDS)
def test_what_was_said_again_under_a_key_is_sealed_from_then_on(tmp_path: Path, name: str) -> None:
    """A second crash does not make it be said a third time; the plan is named all the same."""
    rig, server = interrupted(tmp_path, KINDS[name], "unsealed")
    given, digest = again(rig, KINDS[name]), digest_of(rig)
    server.faults = {len(server.told): "crash-before"}
    with pytest.raises(Crash):
        rig.resume(expect=digest, **given)
    server.faults = {}
    assert codes(rig.resume()) >= {"resume-not-sealed"}
    assert "resume-needs-consents" not in codes(rig.resume())
    assert set(statuses(rig.resume(expect=digest))) == {"done"}
    assert server.access == world(ROBOT, *KINDS[name].wanted)


def forged(rig: SmallRig, **members: object) -> None:
    """Write members into the line that begins the run and seal all anew without a key, as anybody can."""
    reseal(rig.journal(), lambda entry: {**entry, **members} if entry["kind"] == "run" else entry)


def test_steps_that_a_line_calls_lifted_stay_blocked(tmp_path: Path) -> None:
    """A block that is gone since the review is lifted by no unsealed line, and not by a consent to something else."""

    def nobody_touches_ann(
        live: Live, changes: Sequence[Change], *, allow_delete: bool, accept: Mapping[str, str]
    ) -> Iterable[Diagnostic]:
        return (
            error("too-few-admins", "no", about=change.key) for change in changes if change.key == account_key("ann")
        )

    wanted: list[Resource] = [Account("ann", "ann@a.test"), Account("bob", "bob@a.test")]
    rig, server, file = crashed(tmp_path, [Account("ann"), Account("bob")], wanted, nobody_touches_ann)
    run = reading.recall(rig.journal()).unfinished
    assert run is not None
    plan = plans.kept_plan(rig.journals.folder, run.began.plan)
    forged(rig, lifted=[step.id for step in plan.instances[0].steps], allow_delete=True)
    file.guards = ()
    report = rig.resume(allow_delete=True)
    assert by_key(report)[account_key("ann")].status == "refused"
    assert server.state[account_key("ann")] == Account("ann")


def test_the_moment_of_an_unsealed_run_is_said_again(tmp_path: Path) -> None:
    """An `as_of` can bring back what has expired, so it is a consent as well."""
    moment = NOW + timedelta(days=90)
    rig, server, _ = crashed(tmp_path, [], PEOPLE, as_of=moment)
    sent = len(server.told)
    assert codes(rig.resume()) == {"plan-as-of"}
    assert len(server.told) == sent
    assert set(statuses(rig.resume(as_of=moment))) == {"done"}


def test_resume_is_confined_by_what_is_said_now_too(tmp_path: Path) -> None:
    """`only` given with `--resume` was passed over in silence."""
    rig, server, _ = crashed(tmp_path, [], PEOPLE)
    report = rig.resume(only=lambda _name, step: "bob" in step.change.key)
    assert {key[1] for key in by_key(report)} == {"bob"}
    assert account_key("eve") not in server.state


def test_expect_ties_a_resumed_run_to_its_plan(tmp_path: Path) -> None:
    """`expect` given with `--resume` was overwritten by what the journal says."""
    rig, server, _ = crashed(tmp_path, [], PEOPLE)
    sent = len(server.told)
    assert codes(rig.resume(expect="sha256:" + "0" * 64)) == {"plan-unexpected"}
    assert len(server.told) == sent


def test_another_plan_under_the_name_of_this_one_is_refused(tmp_path: Path) -> None:
    """A stored plan that is sound in itself and not the one of the run is no plan of it."""
    rig, _, _ = crashed(tmp_path, [], PEOPLE)
    (stored,) = rig.journals.folder.glob("*.plan.json")
    other = rig.plan(as_of=NOW)
    plans.keep_plan(rig.journals.folder, other)
    (mine,) = [path for path in rig.journals.folder.glob("*.plan.json") if path != stored]
    stored.write_bytes(mine.read_bytes())
    assert codes(rig.resume()) == {"plan-lost"}


def test_a_stored_plan_of_the_former_format_is_not_gone_on_with(tmp_path: Path) -> None:
    """The run began under another release: nothing is sent, and a new plan is the way out."""
    rig, server, _ = crashed(tmp_path, [], PEOPLE)
    (stored,) = rig.journals.folder.glob("*.plan.json")
    stored.write_bytes(FORMER.read_bytes())
    sent = len(server.told)
    (lost,) = rig.resume().diagnostics
    assert (lost.code, lost.hint, len(server.told)) == ("plan-lost", "siteward plan", sent)


def test_a_chain_that_goes_on_sealed_tells_how_it_began(tmp_path: Path) -> None:
    """Lines from before the key stay unproven for good, also for who reads long after."""
    rig, _, _ = crashed(tmp_path, [], PEOPLE)
    rig.resume()
    keyed = with_fields(rig, key=KEY)
    keyed.apply()
    keyed.apply()
    standing = reading.recall(rig.journal(), KEY).standing
    (told,) = remarks_on(standing, "small", "https://stats.test", KEY)
    assert (told.code, told.blocks) == ("journal-partly-sealed", False)
    assert f"first {standing.sealed_since - 1} lines" in told.message


def test_a_new_plan_is_the_other_way_out(tmp_path: Path) -> None:
    """Whoever does not want to say it again is not stuck: a plan made anew gives the run up."""
    rig, server = interrupted(tmp_path, KINDS["deletion"], "unsealed")
    report = rig.apply(allow_delete=True)
    assert "run-given-up" in codes(report)
    assert server.access == world(ROBOT)


@given(
    sealed_from=st.integers(0, 9), names=st.sets(st.sampled_from(["removals", "empty", "mails"])), delete=st.booleans()
)
def test_sealed_consents_are_those_of_sealed_lines(*, sealed_from: int, names: set[str], delete: bool) -> None:
    """Law: whatever line the key begins at, a run's sealed consents are what the lines from there on say."""
    with tempfile.TemporaryDirectory() as name:
        rig, _, _ = crashed(Path(name), [], PEOPLE, allow_delete=delete)
        path = rig.journal()
        entries = [(dict(record.header), list(record.read_parts())) for record in follow(path, None).records]
        began = entries[0][0]
        waivers = [
            (
                {"kind": "waiver", "at": began["at"], "run": began["run"], "name": name, "digest": "d"},
                [{"part": "", "waiver": {"name": name, "reason": name}}],
            )
            for name in sorted(names)
        ]
        head, lines = "", []
        rows = [*entries, *waivers]
        for number, (header, parts) in enumerate(rows, start=1):
            line, head = link(header, parts, number=number, head=head, key=KEY if 0 < sealed_from <= number else None)
            lines.append(line)
        path.write_bytes(b"".join(lines))
        run = reading.recall(path, KEY).unfinished
    assert run is not None
    seen = rows[sealed_from - 1 :] if sealed_from else []
    assert set(run.sealed.accept) == {header["name"] for header, _ in seen if header["kind"] == "waiver"}
    assert run.sealed.allow_delete == (delete and sealed_from == 1)
    assert run.is_sealed == (sealed_from == 1)
    assert set(run.claimed.accept) == names
