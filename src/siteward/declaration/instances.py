"""The instances of the root file: their common keys, and their own ones by the platform's settings.

Instances and directories share one space of names, since both give prefixes of environment variables.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, cast

from msgspec import Struct
from msgspec.structs import replace

from siteward.access.diagnostic import problem
from siteward.access.hosts import AddressError, address_of
from siteward.declaration.build import listed
from siteward.declaration.declared import Directory, Instance, Location
from siteward.declaration.document import InstanceRow
from siteward.declaration.grammar import fitted, keys_of, misfits, said, unknown_key
from siteward.declaration.policies import Policies
from siteward.declaration.selector import parse, takes_none_in
from siteward.declaration.source import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from siteward.access.diagnostic import Diagnostic, Span
    from siteward.access.policy import Policy
    from siteward.declaration.build import Builder
    from siteward.declaration.document import PolicyRow
    from siteward.declaration.policies import Known
    from siteward.declaration.source import Path, Source

_INSTANCE_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,62}")
NAME_HINT = "begin with a letter, then letters, digits, - and _: it names environment variables too"
COMMON = keys_of(InstanceRow)
CREDENTIALS = frozenset(
    {"api_key", "client_id", "client_secret", "database_url", "headers", "password", "secret", "token", "token_auth",
     "totp_secret", "username"}
)  # fmt: skip
"""The names of credentials: as keys of an instance they are no misspelling of another key."""


class Instances(Struct):
    """A builder of the instances of the root file, which collects diagnostics with the file's other ones.

    `builder` is that of the root file. `settings_of` returns the struct of a platform's own keys, `None` for a platform that does not exist; `platforms`
    are the names of those that do.
    """

    builder: Builder
    settings_of: Callable[[str], type[Struct] | None]
    platforms: Sequence[str]

    @property
    def source(self) -> Source:
        """The root file."""
        return self.builder.source

    def build(self, rows: Mapping[str, InstanceRow], file_policy: PolicyRow, known: Known) -> dict[str, Instance]:
        """Return the instances by name; `known` are the names that policies may speak of."""
        policies = Policies(self.builder, known)
        base = policies.laid_whole(file_policy, Location(self.source, ("policy",)))
        built = {}
        for name, row in rows.items():
            location = Location(self.source, ("instances", name))
            self._check(name, row, location)
            policy = base
            if row.policy is not None:
                policy = policies.laid(base, row.policy, Location(self.source, (*location.path, "policy")))
            built[name] = Instance(
                name=name,
                platform=row.platform,
                url=row.url,
                self_account=row.self,
                settings=self._build_settings(name, row, location),
                policy=_add_modes(policy, row),
                manages=None if row.manages is None else tuple(map(parse, listed(row.manages))),
                ca_file=row.ca_file,
                onboarding=row.onboarding,
                managed_by=row.managed_by,
                native=row.native,
                closed=row.public is False,
                at=location.key(),
                location=location,
            )
        return built

    def _check(self, name: str, row: InstanceRow, location: Location) -> None:
        """Check the name, the address and `manages` of an instance."""
        if not can_name(name):
            self._report("instance-name", f"`{name}` cannot name an instance", location.key(), hint=NAME_HINT)
        fault = _find_address_fault(row.url, name)
        if fault is not None:
            code, message, hint = fault
            self._report(code, message, location.at("url"), hint=hint)
        if row.public:
            message = "`public` of an instance is `false` or left out: a site is opened by itself"
            self._report("wrong-value", message, location.at("public"), hint="say `public: true` of the site")
        if row.manages is not None and takes_none_in(listed(row.manages)):
            message = "`manages` leaves sites out and takes none in"
            self._report("only-exclusions", message, location.at("manages"), hint='begin it with "*"')

    def _report_credentials(self, name: str, table: Table) -> None:
        """Report the credentials that stand in the file, each with the variable that should hold it."""
        for key in table:
            if key in CREDENTIALS:
                hint = f"take it out, revoke it, and give it as {variable(name)}_{key.upper()}, or by a file or command"
                at = self.source.pair_at(("instances", name, key))
                self._report("secret-in-file", f"credentials never stand in a file, and `{key}` is one", at, hint=hint)

    def _build_settings(self, name: str, row: InstanceRow, location: Location) -> Struct | None:
        """Return an instance's own keys as its platform's struct; `None`, with diagnostics, where they are refused."""
        written = cast("dict[str, Table]", self.source.data["instances"])[name]
        self._report_credentials(name, written)
        model = self.settings_of(row.platform)
        if model is None:
            message = f"there is no platform `{row.platform}`"
            at = location.at("platform")
            self.builder.diagnostics.append(
                problem("unknown-platform", message, at, allowed=self.platforms, word=row.platform)
            )
            self._report_unknown_keys(written, location.path)
            return None
        settings = fitted(_select_own_keys(written, model), model, self.source, location.path, also=COMMON)
        if not isinstance(settings, tuple):
            return settings
        self.builder.diagnostics += said(settings)
        return None

    def judge_the_rest(self, built: Mapping[str, Instance]) -> None:
        """Report the other misfits of the instances that could not be built, key by key."""
        tables = self.source.data.get("instances")
        for name, table in tables.items() if isinstance(tables, Table) else ():
            if not isinstance(table, Table) or name in built:
                continue
            self._report_credentials(name, table)
            path, platform = ("instances", name), table.get("platform")
            model = self.settings_of(platform) if isinstance(platform, str) else None
            if model is None:
                self._report_unknown_keys(table, path)
            else:
                self.builder.diagnostics += said(
                    misfits(_select_own_keys(table, model), model, self.source, path, also=COMMON)
                )

    def _report_unknown_keys(self, table: Table, path: Path) -> None:
        """Report the keys of an instance that no platform knows, where its platform is not known."""
        models = [model for platform in self.platforms if (model := self.settings_of(platform)) is not None]
        known = {*COMMON, *(key for model in models for key in keys_of(model))}
        self.builder.diagnostics += [
            unknown_key(self.source, (*path, key), COMMON, known) for key in table if key not in known | CREDENTIALS
        ]

    def _report(self, code: str, message: str, at: Span, *, hint: str | None = None) -> None:
        self.builder.diagnostics.append(problem(code, message, at, hint=hint))


def _select_own_keys(table: Table, model: type[Struct]) -> dict[str, object]:
    """Return the part of an instance that is the platform's to check: its own keys, and unknown ones."""
    own = keys_of(model)
    return {key: value for key, value in table.items() if key in own or key not in {*COMMON, *CREDENTIALS}}


def _add_modes(policy: Policy, row: InstanceRow) -> Policy:
    """Return the policy with those keys that stand on the instance itself: its mode, and its unmanaged accounts."""
    return replace(
        policy,
        mode=row.mode,
        unmanaged=row.unmanaged,
        ignore=listed(row.ignore),
        accept_blind=frozenset(listed(row.accept_blind)),
    )


def _find_address_fault(text: str, instance: str) -> tuple[str, str, str] | None:
    """Return the code, message and hint for an address that cannot be used; `None` for a good one."""
    try:
        address_of(text)
    except AddressError as fault:
        hint = f"give them as {variable(instance)}_…; a file is no place for secrets"
        return fault.code, str(fault), hint if fault.code == "secret-in-file" else fault.hint
    if "?" in text or "#" in text:
        return "bad-url", "an address ends with its path", "take away `?…` and `#…`"
    return None


def can_name(name: str) -> bool:
    """Return whether a name can be an instance's: its environment variables are derived from it."""
    return _INSTANCE_NAME.fullmatch(name) is not None


def variable(name: str) -> str:
    """Return the prefix of the environment variables of an instance: `SITEWARD_STATS` for `stats`."""
    return "SITEWARD_" + name.upper().replace("-", "_")


def collisions(rows: Iterable[Instance | Directory]) -> Iterator[Diagnostic]:
    """Yield an error about each instance or directory whose name gives the same environment variables as another's."""
    seen: dict[str, Instance | Directory] = {}
    for row in rows:
        first = seen.setdefault(variable(row.name), row)
        if first is not row:
            message = f"{_describe(first)} and {_describe(row)} read the same credentials, {variable(row.name)}_…"
            at, related = row.location.key(), (first.location.key(),)
            yield problem("instance-collision", message, at, related=related)


def _describe(row: Instance | Directory) -> str:
    return f"the directory `{row.name}`" if isinstance(row, Directory) else f"`{row.name}`"
