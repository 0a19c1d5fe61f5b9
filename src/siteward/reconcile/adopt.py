"""The adoption of what is live and not declared: accounts become users of the file, and what they hold its grants.

The edit is proven against the same reading: what was chosen is declared as it is live, everything else stays as it was,
and no account is declared that was not chosen.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from msgspec import Struct

from siteward.access.diagnostic import error, join_some, problem
from siteward.access.model import account_of
from siteward.access.patterns import fold, matching
from siteward.access.proposal import manage
from siteward.access.traits import declarable, fold_login, is_site
from siteward.declaration.checks.names import name_fault
from siteward.declaration.checks.users import is_address
from siteward.declaration.edited import Edit, EditedFiles
from siteward.declaration.inventory import take_site_handle
from siteward.declaration.rewrite import choose_handle
from siteward.declaration.roles import PORTABLE
from siteward.declaration.selectors import Scopes
from siteward.reconcile.amend import (
    Amendment,
    CannotAmendError,
    edit_of,
    load_checked,
    new_findings,
    refuse_first_grant,
)
from siteward.reconcile.certify import words_of
from siteward.reconcile.offline import rights_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from siteward.access.certification import Item
    from siteward.access.effective import Ledger
    from siteward.access.model import Grant, Scope
    from siteward.access.traits import Traits
    from siteward.declaration.load import Declaration
    from siteward.reconcile.offline import Rights
    from siteward.reconcile.project import Project
    from siteward.reconcile.survey import Survey

ALL = "all"
_FACT = "a fact that no file can declare; it stays"
_NO_SITES = "it has no sites, so it opens nothing, and no file can declare it"
_OVER = "the file says that it is over"
SYNTAX = "user:LOGIN, site:SITE or all"


class Chosen(Struct, frozen=True, kw_only=True):
    """What is to be adopted: rights that no line declares, and accounts without any, as (instance, account).

    `left` says whom the words would take, and the policy keeps apart.
    """

    items: tuple[Item, ...]
    bare: tuple[tuple[str, str], ...] = ()
    left: tuple[str, ...] = ()

    @property
    def accounts(self) -> frozenset[tuple[str, str]]:
        """The accounts that are concerned."""
        return frozenset((*((item.instance, item.account) for item in self.items), *self.bare))


def choose(items: Iterable[Item], ledgers: Iterable[Ledger], words: Sequence[str], declaration: Declaration) -> Chosen:
    """Return what is live and undeclared, as far as words select it; raises `CannotAmendError` for those that name nothing."""
    open_items = tuple(item for item in items if is_undeclared(item))
    bare = tuple(
        (ledger.instance, entry.account)
        for ledger in ledgers
        for entry in ledger.entries
        if not entry.holdings and entry.kind not in {"self", "public"} and entry.handle not in declaration.users
    )
    known = {f"user:{fold(name)}" for item in open_items for name in (item.account, item.handle, item.email) if name}
    known |= {f"user:{fold(account)}" for _, account in bare}
    known |= {f"site:{item.scope.name.partition('#')[0]}" for item in open_items if item.scope.kind == "site"}
    hosts = {handle: site.domain.casefold() for handle, site in declaration.sites.items()}
    wanted = {word: _normal(word, hosts) for word in words}
    faults = [
        problem("no-answer", f"nothing undeclared is live for `{word}`", None, word=normal, known=known)
        for word, normal in wanted.items()
        if normal != ALL and normal not in known
    ]
    if faults:
        raise CannotAmendError(*faults)
    chosen = set(wanted.values())
    taken = [item for item in open_items if chosen & _names(item)]
    lone = [place for place in bare if chosen & {ALL, f"user:{fold(place[1])}"}]
    apart = {
        place: why
        for place in sorted({*((item.instance, item.account) for item in taken), *lone})
        if (why := kept_apart(declaration, *place)) is not None and not chosen & {f"user:{fold(place[1])}"}
    }
    return Chosen(
        items=tuple(item for item in taken if (item.instance, item.account) not in apart),
        bare=tuple(place for place in lone if place not in apart),
        left=tuple(
            f"{account} on {instance} is left out: {why}; name it with user:"
            for (instance, account), why in apart.items()
        ),
    )


def kept_apart(declaration: Declaration, instance: str, account: str) -> str | None:
    """Return which word of the policy keeps an account apart from what the file manages, if one does."""
    policy = declaration.instances[instance].policy
    for word, patterns in (("ignore", policy.ignore), ("protect", policy.protect)):
        if matching(patterns, account):
            return f"`{word}` names it"
    return None


def is_undeclared(item: Item) -> bool:
    """Return whether a right is live, and nothing in the files says so."""
    return item.live is not None and item.declared is None and item.kind not in {"self", "public"}


def _normal(word: str, hosts: Mapping[str, str]) -> str:
    kind, _, name = word.partition(":")
    return f"user:{fold(name)}" if kind == "user" else f"site:{hosts.get(name, name.casefold())}" if name else word


def _names(item: Item) -> set[str]:
    people = {f"user:{fold(name)}" for name in (item.account, item.handle, item.email) if name}
    return people | {ALL, f"site:{item.scope.name.partition('#')[0]}"}


def adopt(
    project: Project, surveys: Sequence[Survey], chosen: Chosen, row: Mapping[str, str], as_of: datetime
) -> Amendment:
    """Return the edit that declares what was chosen; `row` has more keys of the new rows, such as a reason.

    A site gets no row of its own for its owner where a grant would reach it by that. Raises `CannotAmendError`.
    """
    if project.loaded.declaration is None:
        raise CannotAmendError(*(said for said in project.loaded.diagnostics if said.blocks))
    refuse_first_grant(project)
    by_name = {survey.name: survey for survey in surveys}
    try:
        return _adopt(_Adoption(project, by_name, chosen), row, as_of)
    except CannotAmendError:
        return _adopt(_Adoption(project, by_name, chosen, adds_sites=False), row, as_of)


def _adopt(work: _Adoption, row: Mapping[str, str], as_of: datetime) -> Amendment:
    project, chosen = work.project, work.chosen
    items, undone = work.sort()
    if not items and not work.bare and not work.owned:
        return Amendment(edit=Edit(texts={}), said=(*work.facts, *chosen.left), undone=undone)
    edit = work.edit(items, row)
    after = load_checked(project, edit, as_of)
    if after.declaration is None:
        raise CannotAmendError(*after.diagnostics)
    left = work.prove(after.declaration, items)
    said = tuple(_tell_gain(item, work.handles) for item in sorted(items, key=lambda item: (-item.power, item.account)))
    return Amendment(
        edit=edit,
        said=(*said, *work.tell_owners(), *work.facts, *left, *chosen.left),
        undone=undone,
        findings=new_findings(project, after, as_of),
        loaded=after,
    )


def _tell_gain(item: Item, handles: Mapping[tuple[str, str], str]) -> str:
    handle = handles.get((item.instance, item.account)) or item.handle
    role = item.live.role if item.live is not None else ""
    return f"{item.power.name.lower()}: {handle} is given {role} on {words_of(item.scope)} of {item.instance} by the file now"


class _Adoption:
    """The work of one adoption: `handles` are the users of the accounts that become users, or are added to one.

    `owned` are the accounts that own a site, by instance and site; `adds_sites` lets a site get a row for that.
    """

    def __init__(
        self, project: Project, surveys: Mapping[str, Survey], chosen: Chosen, *, adds_sites: bool = True
    ) -> None:
        self.project = project
        self.adds_sites = adds_sites
        self.declaration = project.declaration
        self.surveys = surveys
        self.chosen = chosen
        self.handles: dict[tuple[str, str], str] = {}
        self.bare: list[tuple[str, str]] = list(chosen.bare)
        self.facts: list[str] = []
        self.owned: dict[tuple[str, Scope], list[str]] = {}
        self._rows_of = {
            name: Scopes(self.declaration.sites, name, survey.live, "site").rows() for name, survey in surveys.items()
        }

    def sort(self) -> tuple[tuple[Item, ...], tuple[str, ...]]:
        """Return the rights that a file can declare, and why it cannot declare the others."""
        items: list[Item] = []
        undone: list[str] = []
        indirect: list[Item] = []
        refused: dict[tuple[str, str], str] = {}
        for instance, account in sorted(self.chosen.accounts):
            fault = name_fault(account)
            if fault is not None:
                refused[instance, account] = fault[1]
                undone.append(f"{account} on {instance}: {fault[1]}")
        for item in self.chosen.items:
            survey = self.surveys[item.instance]
            why = self._why_not(item, survey)
            if (item.instance, item.account) in refused:
                continue
            if item.scope.kind == "module" or (item.live is not None and item.live.subject.kind != "account"):
                indirect.append(item)
            elif why is None:
                items.append(item)
            elif why == _FACT and is_site(item.scope) and owns(item, survey.traits):
                self._take_owner(item, undone)
            else:
                self.facts.append(
                    f"{item.account} is {item.live.role if item.live else ''} of {words_of(item.scope)} on {item.instance}: {why}"
                )
        self._tell_indirect(indirect, undone)
        new = {(item.instance, item.account) for item in self.chosen.items if self._is_new(item)}
        without = new - {(item.instance, item.account) for item in items}
        self.bare = sorted({*self.bare, *without} - refused.keys())
        return tuple(items), tuple(undone)

    def _tell_indirect(self, items: Iterable[Item], undone: list[str]) -> None:
        """Tell of rights through groups of the platform, and of modules: once for each group, and for each account."""
        groups: dict[tuple[str, str], set[str]] = defaultdict(set)
        modules: dict[tuple[str, str, bool], set[str]] = defaultdict(set)
        for item in items:
            if item.live is not None and item.live.subject.kind != "account":
                groups[item.instance, item.live.subject.name].add(item.account)
            else:
                modules[item.instance, item.account, item.agreement == "same"].add(item.scope.name)
        for (instance, group), accounts in sorted(groups.items()):
            undone.append(
                f"{join_some(sorted(accounts))} on {instance}: by the platform's group {group}; declare the group"
            )
        for (instance, account, stands), names in sorted(modules.items()):
            line = f"{account} on {instance}, modules {join_some(sorted(names))}"
            if stands:
                self.facts.append(f"{line}: nothing takes them while the file has no `modules` of theirs")
            else:
                undone.append(f"{line}: add them to `modules` of the user")

    def _take_owner(self, item: Item, undone: list[str]) -> None:
        """Take an owner of a site for the row of the site, where the files do not say yet who answers for it."""
        rows = self._rows_of[item.instance]
        here = rows.get(item.scope, ())
        where = f"{words_of(item.scope)} on {item.instance}"
        known = sorted({name for row in here for name in row.owner})
        if known:
            self.facts.append(f"{item.account} owns {where}: the file names {join_some(known)} as `owner` already")
        elif len(here) > 1 or any(
            row in others for row in here for scope, others in rows.items() if scope != item.scope
        ):
            undone.append(
                f"{item.account} owns {where}: its row in the file means several sites; give each its id (`on`)"
            )
        elif not here and not self.adds_sites:
            undone.append(f"{item.account} owns {where}: by a row of its own a grant would reach it; write it by hand")
        else:
            self.owned.setdefault((item.instance, item.scope), []).append(item.account)

    def _is_new(self, item: Item) -> bool:
        """Return whether a right is of nobody whom the files declare; the journal may know them from before."""
        return item.handle not in self.declaration.users

    def _why_not(self, item: Item, survey: Survey) -> str | None:
        """Return why a right of the account itself cannot be declared, if it cannot."""
        live, traits = item.live, survey.traits
        if live is None or live.key in survey.desired.ended:
            return _OVER
        if item.scope.kind == "team":
            return _NO_SITES
        if traits.role(item.scope.kind, live.role) is None or not declarable(live, traits):
            return _FACT
        return None

    # -- the edit

    def edit(self, items: Sequence[Item], row: Mapping[str, str]) -> Edit:
        """Return the edit of the root file that declares these rights, and the accounts without any."""
        files = EditedFiles(self.declaration)
        file = files.root()
        users = file.data.setdefault("users", {})
        accounts = dict.fromkeys((item.instance, item.account) for item in items if self._is_new(item)) | dict.fromkeys(
            self.bare
        )
        for instance, account in accounts:
            self._add_user(users, instance, account)
        for instance, account in self.bare:
            user = users[self.handles[instance, account]]
            user["accounts"] = [*_listed(user.get("accounts")), instance]
        file.append(list(self._rows(items, row)))
        self._add_owners(files)
        return edit_of(files)

    def _add_owners(self, files: EditedFiles) -> None:
        """Write into the row of each owned site who owns it; a site without a row gets one."""
        taken = set(self.declaration.sites)
        for (instance, scope), accounts in sorted(self.owned.items()):
            survey = self.surveys[instance]
            known = survey.desired.declared_users
            names = sorted({self.handles.get((instance, name)) or known[name].handle for name in accounts})
            owner = names[0] if len(names) == 1 else names
            rows = self._rows_of[instance].get(scope, ())
            if rows:
                files.row(rows[0].location)["owner"] = owner
                continue
            site = survey.live.sites[scope]
            host = next(iter(site.domains), "")
            handle = take_site_handle(host or site.name or site.id, taken)
            by_id = site.by_id_only or "#" in scope.name or not host
            pin = {"on": {instance: site.id}} if by_id else {}
            files.root().data.setdefault("sites", {})[handle] = {"domain": host or handle, **pin, "owner": owner}

    def _add_user(self, users: dict[str, dict[str, object]], instance: str, account: str) -> None:
        """Make a user for an account, or add it as a login to the user who has its address."""
        survey = self.surveys[instance]
        email = self._address(instance, account)
        same = self._find_same(users, email, instance)
        if same is not None:
            self.handles[instance, account] = same
            known = users[same]
            wanted = known.get("email") if survey.traits.login == "email" else same
            if fold_login(str(wanted), survey.traits) != fold_login(account, survey.traits):
                known["logins"] = {**_table(known.get("logins")), instance: account}
            return
        others = (*self.declaration.users, *self.declaration.groups, *users)
        handle = choose_handle(account, (*others, *self._others(instance, account, email)))
        if email is not None and email.casefold() in self._addresses(users):
            email = None  # two accounts of one person here: no user can have both
        user: dict[str, object] = {"email": email} if email is not None else {}
        login = email if survey.traits.login == "email" else handle
        if login is None or fold_login(login, survey.traits) != fold_login(account, survey.traits):
            user["logins"] = {instance: account}
        users[handle] = user
        self.handles[instance, account] = handle

    def _address(self, instance: str, account: str) -> str | None:
        """Return the address of an account, where it is one that a file can have."""
        survey = self.surveys[instance]
        found = next((known.email for known in survey.live.access.accounts() if known.name == account), None)
        email = account if survey.traits.login == "email" else found if survey.traits.keeps_email else None
        return email if email and is_address(email) and name_fault(email) is None else None

    def _addresses(self, users: Mapping[str, Mapping[str, object]]) -> set[str]:
        """Return the addresses that users of the files, or new ones, have."""
        known = (user.email for user in self.declaration.users.values())
        new = (str(user.get("email", "")) for user in users.values())
        return {address.casefold() for address in (*known, *new) if address}

    def _find_same(self, users: Mapping[str, Mapping[str, object]], email: str | None, instance: str) -> str | None:
        """Return the user of the root file who has an address, and no account on the instance yet."""
        if email is None:
            return None
        taken = {
            user.handle
            for account, user in self.surveys[instance].desired.declared_users.items()
            if any(known.name == account for known in self.surveys[instance].live.access.accounts())
        }
        by_mail = {str(user.get("email", "")).casefold(): handle for handle, user in users.items()}
        handle = by_mail.get(email.casefold())
        return handle if handle not in taken else None

    def _others(self, instance: str, account: str, email: str | None) -> Iterator[str]:
        """Yield the other logins that are live, so that a new handle claims no account of somebody else."""
        for name, survey in self.surveys.items():
            for known in survey.live.access.accounts():
                same = email is not None and self._address(name, known.name) == email
                if (name, known.name) != (instance, account) and not same:
                    yield known.name

    def _rows(self, items: Iterable[Item], more: Mapping[str, str]) -> Iterator[dict[str, object]]:
        """Yield the rows of `grants`: one for each role of a user on an instance, with all its sites."""
        rows: dict[tuple[str, str, str, str, tuple[str, ...]], list[str]] = defaultdict(list)
        for item in items:
            live, survey = item.live, self.surveys[item.instance]
            if live is None:
                continue
            handle = self.handles.get((item.instance, item.account)) or item.handle or ""
            key = (
                handle,
                _role_of(live, survey.traits),
                item.instance,
                item.scope.kind,
                tuple(sorted(live.extras or ())),
            )
            site = survey.live.sites.get(item.scope)
            by_id = site is not None and (site.by_id_only or "#" in item.scope.name)
            rows[key].append(f"id:{site.id}" if site is not None and by_id else item.scope.name)
        for (handle, role, instance, kind, extras), sites in rows.items():
            row: dict[str, object] = {"to": handle, "role": role}
            if kind != "instance":
                row[f"{kind}s"] = sites[0] if len(sites) == 1 else sorted(sites)
            if kind == "instance" or len(self.declaration.instances) > 1:
                row["on"] = instance
            yield {**row, **({"extras": list(extras)} if extras else {}), **more}

    def tell_owners(self) -> Iterator[str]:
        """Yield, for each site that gets an owner, what that gives them."""
        for (instance, scope), accounts in sorted(self.owned.items()):
            names = (self.handles.get((instance, name)) or name for name in accounts)
            yield (
                f"{join_some(sorted(names))} is named as `owner` of {words_of(scope)} of {instance}: asked for approvals and"
                " reviews of it; who owns it there is changed on the platform alone"
            )

    # -- the proof

    def prove(self, after: Declaration, items: Sequence[Item]) -> tuple[str, ...]:
        """Prove that the files declare what was chosen and nothing else; return what the next plan would take of it.

        Raises `CannotAmendError`.
        """
        chosen = {(item.instance, item.account, item.scope): item.live for item in items}
        left: list[str] = []
        for name, survey in self.surveys.items():
            desired = survey.desired_by(after)
            new_accounts = desired.declared_users.keys() - survey.desired.declared_users.keys()
            live_now = {known.name for known in survey.live.access.accounts()}
            beside = {account for account in new_accounts & live_now if (name, account) not in self.chosen.accounts}
            if beside:
                raise _not_proven(f"{min(beside)} on {name} would be declared too; adopt it as well")
            self._prove_rights(name, rights_of(survey.desired), rights_of(desired), chosen)
            self._prove_owners(name, after)
            proposal = manage(survey.live, desired, survey.traits, survey.proposal.policy, survey.memory)
            accounts = {account for instance, account in self.chosen.accounts if instance == name}
            left += [
                f"not adopted, so the next plan changes it: {change.action} {change.key[-1]} of {account_of(change.key)} on {name}"
                for change in proposal.changes
                if account_of(change.key) in accounts and change.before is not None
            ]
        return tuple(left)

    def _prove_rights(
        self, name: str, old: Rights, new: Rights, chosen: Mapping[tuple[str, str, Scope], Grant | None]
    ) -> None:
        """Prove that the rights of an instance are as they are live where they were chosen, and else as they were."""
        asked = {(account, scope) for instance, account, scope in chosen if instance == name}
        for account, scope in old.keys() | new.keys() | asked:
            live, now = chosen.get((name, account, scope)), new.get((account, scope))
            if live is None:
                proven = now == old.get((account, scope))
            else:
                proven = now is not None and now[0] == live.role and now[1] in {None, live.extras}
            if not proven:
                raise _not_proven(f"{account} on {words_of(scope)} of {name} would not be as it is live")

    def _prove_owners(self, name: str, after: Declaration) -> None:
        """Prove that the files name owners of what was chosen, and of nothing else."""
        old, new = (_owners_of(files, self.surveys[name]) for files in (self.declaration, after))
        asked = {scope for instance, scope in self.owned if instance == name}
        changed = {scope for scope in old.keys() | new.keys() if old.get(scope) != new.get(scope)}
        if changed != asked:
            raise _not_proven(f"others would answer for {words_of(min(changed ^ asked))} of {name}")


def owns(item: Item, traits: Traits) -> bool:
    """Return whether a right is that of who owns what it is on."""
    role = traits.role(item.scope.kind, item.live.role) if item.live is not None else None
    return role is not None and role.owns


def _owners_of(declaration: Declaration, survey: Survey) -> Mapping[Scope, tuple[str, ...]]:
    return Scopes(declaration.sites, survey.name, survey.live, "site").owners()


def _listed(value: object) -> list[object]:
    return value if isinstance(value, list) else [value] if value is not None else []


def _table(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def _role_of(grant: Grant, traits: Traits) -> str:
    """Return the portable name of a role where it means this role and no other, else the platform's own."""
    role = traits.role(grant.scope.kind, grant.role)
    portable = role.portable if role is not None else None
    if portable in PORTABLE and portable is not None and traits.native(grant.scope.kind, portable) == role:
        return portable
    return f"{traits.platform}:{grant.role}"


def _not_proven(why: str) -> CannotAmendError:
    return CannotAmendError(error("cannot-edit", f"this cannot be adopted surely: {why}", hint="edit the file by hand"))
