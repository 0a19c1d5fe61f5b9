"""Rights as the owners' rules judge them: those that the steps of a proposal give, and those that stand.

What goes through one of the platform's groups is judged for each of its members. Where several lines of the file ask
for the same right, each is judged by itself, as `validate` does, and so is what they give together.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from functools import cached_property

from msgspec import Struct
from msgspec.structs import replace

from siteward.access.change import direction, patch
from siteward.access.diagnostic import Diagnostic, Severity, Span, diagnostic, plural, warning
from siteward.access.effective import Index
from siteward.access.model import Account, ByKey, Grant, Key, Member, Scope, account_key
from siteward.access.ownership import Proposed, Series
from siteward.access.policy import (
    APPROVAL,
    Breach,
    Gain,
    Person,
    Rule,
    RulesByKind,
    Times,
    about_right,
    concerning,
    judge,
    person_of,
    role_names,
    site_names,
)
from siteward.access.proposal import Proposal
from siteward.access.state import Claim, Origin
from siteward.access.traits import is_site
from siteward.access.window import ALWAYS, Window

_NOTHING: frozenset[str] = frozenset()
NAMED = 10
"""The number of unmanaged accounts that one warning names."""


class Judged(Struct, frozen=True):
    """One right of one person, with the line that asks for it, if one does, and what it is on where a step gives it."""

    gain: Gain
    origin: Origin | None = None
    scope: Scope | None = None


class Gains(Struct, frozen=True, dict=True):
    """The rights in a proposal, and what its policy's rules say to them at a moment."""

    proposal: Proposal
    as_of: datetime
    _people: dict[str, Person] = {}
    _concerning: dict[str | tuple[str, ...], tuple[Rule, ...]] = {}
    _ids: dict[str, frozenset[str]] = {}
    _rule_ids: dict[tuple[Scope, str, frozenset[str] | None], frozenset[str]] = {}
    _site_names: dict[Scope, frozenset[str]] = {}
    _role_names: dict[tuple[str, str], frozenset[str]] = {}

    def objections(self) -> Iterator[Diagnostic]:
        """Yield an error on each step that gives what a rule refuses, and a warning for what stands all the same."""
        proposal = self.proposal
        for series in proposal.series if proposal.policy.rules else filter(_may_be_too_wide, proposal.series):
            gives = direction(series[0].change, proposal.traits) != "close"
            severity = Severity.ERROR if gives else Severity.WARNING
            concerned = proposal.policy.rules or any(self._too_wide(series[0], severity))
            for proposed in series if concerned else ():
                yield from self._refused(proposed, proposal.projected_index, severity)
                yield from self._too_wide(proposed, severity)
        if proposal.policy.rules:
            for proposed in proposal.held_back:
                yield from self._refused(proposed, self._wanted, Severity.WARNING)
            yield from self._standing()
        yield from self._standing_patterns()

    # -- what steps give

    def wanting_approval(self, proposed: Proposed) -> Iterator[tuple[Rule, Scope, str | None]]:
        """Yield the rules that want what a step gives approved: each with what that is on, and the handle of who gains it."""
        if direction(proposed.change, self.proposal.traits) == "close":
            return
        for judged in self._rights_given_by(proposed, self.proposal.projected_index):
            for rule in self._rules(judged.gain.person):
                if APPROVAL in rule.require and judged.scope is not None and about_right(rule, judged.gain):
                    yield rule, judged.scope, judged.gain.person.handle

    def _refused(self, proposed: Proposed, then: Index, severity: Severity) -> Iterator[Diagnostic]:
        """Yield what the rules say to each right that a step gives, once for each message, about that step."""
        told: set[str] = set()
        for judged in self._rights_given_by(proposed, then) if self.proposal.policy.rules else ():
            for breach in self._breaches(judged.gain):
                if breach.message not in told:
                    told.add(breach.message)
                    yield breach.told(self._place_of(judged), severity=severity, about=proposed.key)

    def _rights_given_by(self, proposed: Proposed, then: Index) -> Iterator[Judged]:
        """Yield every right that somebody has once a step is done, as each line asks for it; `then` indexes the grants afterwards."""
        match proposed.change.after:
            case Grant(subject=subject) as after if subject.kind == "group":
                sides = (self.proposal.index, then)
                members = sorted({account for side in sides for account in side.members.get(subject.name, ())})
                for account in members:
                    yield from self._rights(after, self._person_of(account), Member(subject.name, account).key)
                if not members:
                    yield from self._rights(after, Person(f"group {subject.name}"))
            case Grant() as after:
                yield from self._rights(after, self._person_of(after.subject.name))
            case Member(group=group, account=account) as after:
                for grant in then.shared.get(group, ()):
                    yield from self._rights(grant, self._person_of(account), after.key)
            case _:
                pass

    @cached_property
    def _wanted(self) -> Index:
        """The grants by holder if the mode held nothing back from being given."""
        held = [proposed.change for proposed in self.proposal.held_back if proposed.change.after is not None]
        return Index(patch(self.proposal.projected, held)) if held else self.proposal.projected_index

    def _too_wide(self, proposed: Proposed, severity: Severity) -> Iterator[Diagnostic]:
        """Yield a diagnostic where a step gives more through a pattern than patterns may."""
        match proposed.change.after:
            case Grant() as after:
                yield from self._beyond_patterns(after, proposed.origin, severity, proposed.key)
            case Member(group=group):
                for grant in self.proposal.projected_index.shared.get(group, ()):
                    origin = self.proposal.desired.origins.get(grant.key)
                    yield from self._beyond_patterns(grant, origin, severity, proposed.key)
            case _:
                pass

    def _beyond_patterns(
        self, grant: Grant, origin: Origin | None, severity: Severity, about: Key | None = None
    ) -> Iterator[Diagnostic]:
        power, most = self.proposal.traits.power(grant), self.proposal.policy.wildcards_at_most
        if origin is not None and origin.wildcard is not None and power > most:
            message = f"the pattern {origin.wildcard} gives {power.word}; patterns may give {most.word} at most"
            hint = "name the sites one by one, or give less"
            yield diagnostic(severity, "wildcard-too-powerful", message, at=origin.at, about=about, hint=hint)

    # -- what stands

    def _standing(self) -> Iterator[Diagnostic]:
        """Yield a warning for each rule and person, where a right that no step gives breaks the rule."""
        told: set[tuple[str, str, str | None]] = set()
        undeclared: dict[str, tuple[Breach, list[str]]] = {}
        for judged in self._unchanged():
            person = judged.gain.person
            for breach in self._breaches(judged.gain):
                mark = (breach.rule.id, person.name, breach.lacks)
                if mark in told:
                    continue
                told.add(mark)
                if person.handle is not None:
                    yield breach.told(self._place_of(judged), severity=Severity.WARNING)
                else:
                    undeclared.setdefault(breach.rule.id, (breach, []))[1].append(person.name)
        for breach, names in undeclared.values():
            yield _warn_of_unmanaged(breach, sorted(set(names)))

    def _unchanged(self) -> Iterator[Judged]:
        """Yield the rights that are there, or asked for, and that no step gives or takes."""
        desired, live = self.proposal.desired, self.proposal.live
        shared: dict[str, list[Grant]] = defaultdict(list)
        for grant in self._unchanged_grants():
            if grant.subject.kind == "group":
                shared[grant.subject.name].append(grant)
            elif not live.is_self(grant.subject.name):
                yield from self._rights(grant, self._person_of(grant.subject.name))
        for member in self._unchanged_members():
            joined = member.key in self.proposal.projected
            grants = shared.get(member.group, ()) if joined else self._wanted.shared.get(member.group, ())
            for grant in grants if not live.is_self(member.account) else ():
                if self._interests(grant.key, grant, member.account):
                    yield from self._rights(grant, self._person_of(member.account), member.key)
        for key in desired.claims.keys() - desired.access.keys():
            for claim in desired.claims[key]:
                if isinstance(claim.wish, Grant) and claim.wish.subject.kind == "account":
                    person = self._person_of(claim.wish.subject.name)
                    gain = self._gain(claim.wish, person, _fields_given(claim), _window((claim,)))
                    yield Judged(gain, claim.origin)

    @cached_property
    def _moved(self) -> frozenset[Key]:
        """The keys that the steps change."""
        return frozenset(proposed.key for proposed in self.proposal.proposed)

    @cached_property
    def _waiting(self) -> frozenset[Key]:
        """The keys that the steps change, and those that the mode holds back from being given."""
        held = (proposed.key for proposed in self.proposal.held_back if proposed.change.after is not None)
        return self._moved.union(held)

    def _unchanged_grants(self) -> Iterator[Grant]:
        """Yield the grants of groups, and those of accounts that a rule is about, that no step gives or takes."""
        wished, traits, moved = self.proposal.desired.access.find, self.proposal.traits, self._moved
        lingering = traits.lingering
        asked_otherwise, missing = self._wishes_apart
        kinds = {account: user.kind for account, user in self.proposal.desired.declared_users.items()}
        rules, power = RulesByKind(self.proposal.policy.rules), traits.power
        for key, grant in self.proposal.projected.items():
            if not isinstance(grant, Grant):
                continue
            kind, name = grant.subject.kind, grant.subject.name
            if kind == "account" and key not in asked_otherwise and not rules.about(kinds.get(name), power(grant)):
                continue  # as nearly all: these three questions are the price of a grant
            if key in moved or ((grant.scope.kind, grant.role) in lingering and wished(key) is None):
                continue
            if kind == "group" or self._interests(key, grant, name):
                yield grant
        for key, grant in missing.items():
            if grant.subject.kind == "group" or self._interests(key, grant, grant.subject.name):
                yield grant

    @cached_property
    def _wishes_apart(self) -> tuple[frozenset[Key], Mapping[Key, Grant]]:
        """The keys of grants that a line asks for with another role, and the wishes for what is not there at all."""
        desired, there, waiting = self.proposal.desired, self.proposal.projected.find, self._waiting
        other, missing = set(desired.claims), {}
        for key, wish in desired.access.items():
            if isinstance(wish, Grant):
                grant = there(key)
                if isinstance(grant, Grant) and grant.role != wish.role:
                    other.add(key)
                elif grant is None and key not in waiting:
                    missing[key] = wish
        return frozenset(other), missing

    def _unchanged_members(self) -> Iterator[Member]:
        projected = self.proposal.projected
        yield from (member for member in projected.members() if member.key not in self._moved)
        for member in self.proposal.desired.access.members():
            if member.key not in projected and member.key not in self._waiting:
                yield member

    def _interests(self, key: Key, grant: Grant, account: str) -> bool:
        """Return whether any rule is about a grant that an account has, or about what lines ask for in its place."""
        concerned = self._concerned(account)
        if not concerned or not concerned.isdisjoint(self._about(grant)):
            return bool(concerned)
        if key not in self._wishes_apart[0]:
            return False
        desired = self.proposal.desired
        wishes = (desired.access.find(key), *(claim.wish for claim in desired.claims.get(key, ())))
        return any(isinstance(wish, Grant) and not concerned.isdisjoint(self._about(wish)) for wish in wishes)

    def _standing_patterns(self) -> Iterator[Diagnostic]:
        """Yield a warning for each person and pattern that gives more than patterns may, and has given it already."""
        told: set[tuple[str, str | None]] = set()
        live, desired = self.proposal.live.access, self.proposal.desired
        for key, origin in desired.origins.items() if self._any_beyond_patterns() else ():
            if origin.wildcard is None or key in self._waiting:
                continue
            grant = live.find(key) or desired.access.find(key)  # no step changes what is there
            if isinstance(grant, Grant) and (grant.subject.name, origin.wildcard) not in told:
                for found in self._beyond_patterns(grant, origin, Severity.WARNING):
                    told.add((grant.subject.name, origin.wildcard))
                    yield found

    def _any_beyond_patterns(self) -> bool:
        """Return whether a pattern leads to any grant, live or wished, of more than patterns may give."""
        proposal, patterned = self.proposal, dict[int, list[Scope]]()  # many people share one table of origins
        roles, most = proposal.traits.roles.values(), proposal.policy.wildcards_at_most
        greater = {role.name for kind in roles for role in kind if role.power > most}
        for subject, origins in ByKey.of(proposal.desired.origins).by_subject():
            scopes = patterned.get(id(origins))
            if scopes is None:
                scopes = [scope for scope, origin in origins.items() if origin.wildcard is not None]
                patterned[id(origins)] = scopes
            for access in (proposal.live.access, proposal.desired.access) if scopes else ():
                held = filter(None, map(access.rights(subject).get, scopes))
                if any(grant.role in greater or grant.extras for grant in held):
                    return True
        return False

    # -- one right

    def _rights(self, grant: Grant, person: Person, member: Key | None = None) -> Iterator[Judged]:
        """Yield a right as it is, and as each line asks for it where that is something else.

        `member` is the membership it comes through, whose end is an end of the right.
        """
        claims = self._claims(grant.key)
        memberships = self._claims(member) if member is not None else ()
        through = frozenset({"until"}) if memberships and all(claim.ends for claim in memberships) else _NOTHING
        given = through.union(*map(_fields_given, claims)) if claims else through
        together = self._gain(grant, person, given, _window((*claims, *memberships)))
        yield Judged(together, claims[0].origin if claims else None, grant.scope)
        for claim in claims:
            wish = claim.wish
            if isinstance(wish, Grant) and (len(claims) > 1 or wish.role != grant.role):
                given, window = through | _fields_given(claim), _window((claim, *memberships))
                yield Judged(self._gain(wish, person, given, window), claim.origin, wish.scope)

    def _claims(self, key: Key) -> tuple[Claim, ...]:
        """Return what lines of the file ask for under a key."""
        desired = self.proposal.desired
        claims = desired.claims.get(key)
        if claims is not None:
            return claims
        wish, origin = desired.access.find(key), desired.origins.get(key)
        if origin is None or not isinstance(wish, Grant | Member):
            return ()
        return (Claim(wish, origin, origin.until is not None),)

    def _gain(self, grant: Grant, person: Person, given: frozenset[str], window: Window) -> Gain:
        traits, scope = self.proposal.traits, grant.scope
        sites = self._site_names_of(scope) if is_site(scope) else None
        return Gain(
            person, scope.kind, traits.power(grant), grant.role, self._role_names_of(grant), sites, given, window
        )

    def _breaches(self, gain: Gain) -> Iterator[Breach]:
        yield from judge(self._rules(gain.person), gain, self._times)

    @cached_property
    def _times(self) -> Times:
        return Times(self.as_of, self.proposal.desired.memberships)

    def _place_of(self, judged: Judged) -> Span | None:
        if judged.origin is not None:
            return judged.origin.at
        declared_user = self.proposal.desired.declared_users.get(next(iter(judged.gain.person.logins), ""))
        return declared_user.at if declared_user is not None else None

    # -- found once

    def _person_of(self, account: str) -> Person:
        person = self._people.get(account)
        if person is None:
            desired, key = self.proposal.desired, account_key(account)
            wish, have = desired.access.find(key), self.proposal.live.access.find(key)
            renamed = wish.renamed if isinstance(wish, Account) else None
            person = person_of(account, desired.declared_users.get(account), renamed)
            if person.handle is None and isinstance(have, Account) and have.email:
                person = replace(person, given=frozenset({"email"}))
            self._people[account] = person
        return person

    def _rules(self, person: Person) -> tuple[Rule, ...]:
        """Return the rules that are about a person."""
        rules = self._concerning.get(person.logins or person.name)
        if rules is None:
            rules = concerning(self.proposal.policy.rules, person)
            self._concerning[person.logins or person.name] = rules
        return rules

    def _concerned(self, account: str) -> frozenset[str]:
        """Return the ids of the rules that are about the person behind an account."""
        ids = self._ids.get(account)
        if ids is None:
            ids = self._ids[account] = frozenset(rule.id for rule in self._rules(self._person_of(account)))
        return ids

    def _about(self, grant: Grant) -> frozenset[str]:
        """Return the ids of the rules that are about what a grant gives, whoever has it."""
        key = (grant.scope, grant.role, grant.extras)
        ids = self._rule_ids.get(key)
        if ids is None:
            gain = self._gain(grant, Person(""), _NOTHING, ALWAYS)
            ids = frozenset(rule.id for rule in self.proposal.policy.rules if about_right(rule, gain))
            self._rule_ids[key] = ids
        return ids

    def _site_names_of(self, scope: Scope) -> frozenset[str]:
        names = self._site_names.get(scope)
        if names is None:
            site, declared = self.proposal.live.sites.get(scope), self.proposal.desired.names.get(scope, ())
            names = self._site_names[scope] = site_names(scope, site, declared)
        return names

    def _role_names_of(self, grant: Grant) -> frozenset[str]:
        key = (grant.scope.kind, grant.role)
        names = self._role_names.get(key)
        if names is None:
            names = self._role_names[key] = role_names(grant, self.proposal.traits)
        return names


def _may_be_too_wide(series: Series) -> bool:
    """Return whether a series may give something through a pattern: by its line, or through a group."""
    first = series[0]
    return not isinstance(first.change.after, Grant) or (first.origin is not None and first.origin.wildcard is not None)


def _window(claims: Iterable[Claim]) -> Window:
    """Return the time in which a right holds that all of these lines ask for, as far as it is not over."""
    return Window(None, min((claim.origin.until for claim in claims if claim.origin.until is not None), default=None))


def _fields_given(claim: Claim) -> frozenset[str]:
    """Return the fields that stand on the line behind a claim."""
    told: Mapping[str, object] = {"ticket": claim.origin.ticket, "reason": claim.origin.reason, "until": claim.ends}
    return frozenset(name for name, value in told.items() if value)


def _warn_of_unmanaged(breach: Breach, names: list[str]) -> Diagnostic:
    """Return the one warning about all accounts that nobody declared and whose rights break a rule."""
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    accounts = plural(len(names), "account that nobody declared breaks", "accounts that nobody declared break")
    message = f"{accounts} the rule {breach.rule}: {', '.join(names[:NAMED])}{more}"
    return warning(
        breach.rule.id,
        message,
        hint="declare them with what the rule asks for, or take the access away",
        related=(breach.rule.at,) if breach.rule.at is not None else (),
        count=len(names),
    )
