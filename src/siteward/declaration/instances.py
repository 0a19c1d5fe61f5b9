"""The instances of the file: common keys, the platform's own settings, and the policy that holds on each."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, cast

from msgspec import Struct
from msgspec.structs import replace

from siteward.access.hosts import AddressError, origin_of
from siteward.access.policy import Policy
from siteward.declaration.build import listed
from siteward.declaration.complain import problem
from siteward.declaration.declared import Instance, Spot
from siteward.declaration.document import InstanceRow
from siteward.declaration.grammar import fitted, keys_of, misfits, said, unknown_key
from siteward.declaration.policies import Policies
from siteward.declaration.selector import parse
from siteward.declaration.source import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from siteward.access.diagnostic import Diagnostic, Span
    from siteward.declaration.document import PolicyRow
    from siteward.declaration.source import Path, Source

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,62}")
NAME_HINT = "begin with a letter, then letters, digits, - and _: it names environment variables too"
COMMON = keys_of(InstanceRow)


class Instances(Struct):
    """Builds the instances of the root file."""

    source: Source
    settings_of: Callable[[str], type[Struct] | None]
    platforms: Sequence[str]
    diagnostics: list[Diagnostic] = []

    def build(self, rows: Mapping[str, InstanceRow], file_policy: PolicyRow) -> dict[str, Instance]:
        """Return the instances by name."""
        policies = Policies(self.diagnostics)
        base = policies.laid(Policy(), file_policy, Spot(self.source, ("policy",)))
        built = {}
        for name, row in rows.items():
            spot = Spot(self.source, ("instances", name))
            self._judge(name, row, spot)
            policy = base
            if row.policy is not None:
                policy = policies.laid(base, row.policy, Spot(self.source, (*spot.path, "policy")))
            built[name] = Instance(
                name=name,
                platform=row.platform,
                url=row.url,
                self_account=row.self,
                settings=self._settings(name, row, spot),
                policy=_with_modes(policy, row),
                manages=None if row.manages is None else tuple(map(parse, listed(row.manages))),
                ca_file=row.ca_file,
                onboarding=row.onboarding,
                native=row.native,
                at=spot.key(),
                spot=spot,
            )
        self._collisions(built)
        return built

    def _judge(self, name: str, row: InstanceRow, spot: Spot) -> None:
        if not can_name(name):
            self._say("instance-name", f"`{name}` cannot name an instance", spot.key(), hint=NAME_HINT)
        flaw = _address_flaw(row.url, name)
        if flaw is not None:
            code, message, hint = flaw
            self._say(code, message, spot.at("url"), hint=hint)
        if row.manages is not None and all(each.startswith("!") for each in listed(row.manages)):
            message = "`manages` leaves sites out and takes none in"
            self._say("only-exclusions", message, spot.at("manages"), hint='begin it with "*"')

    def _settings(self, name: str, row: InstanceRow, spot: Spot) -> Struct | None:
        written = cast("dict[str, Table]", self.source.data["instances"])[name]
        model = self.settings_of(row.platform)
        if model is None:
            message = f"there is no platform `{row.platform}`"
            at = spot.at("platform")
            self.diagnostics.append(problem("unknown-platform", message, at, allowed=self.platforms, word=row.platform))
            self._unknown_keys(written, spot.path)
            return None
        own = keys_of(model)
        written = cast("dict[str, Table]", self.source.data["instances"])[name]
        given = {key: each for key, each in written.items() if key in own or key not in COMMON}
        settings = fitted(given, model, self.source, spot.path, also=COMMON)
        if not isinstance(settings, tuple):
            return settings
        self.diagnostics += said(settings)
        return None

    def judge_the_rest(self, built: Mapping[str, Instance]) -> None:
        """Tell what else is wrong with the instances that could not be built, key by key."""
        tables = self.source.data.get("instances")
        for name, table in tables.items() if isinstance(tables, Table) else ():
            if not isinstance(table, Table) or name in built:
                continue
            path, platform = ("instances", name), table.get("platform")
            model = self.settings_of(platform) if isinstance(platform, str) else None
            if model is None:
                self._unknown_keys(table, path)
            else:
                self.diagnostics += said(misfits(_own(table, model), model, self.source, path, also=COMMON))

    def _unknown_keys(self, table: Table, path: Path) -> None:
        """Tell the keys of an instance that no platform knows, where it does not say which platform it is."""
        models = [model for each in self.platforms if (model := self.settings_of(each)) is not None]
        known = {*COMMON, *(key for model in models for key in keys_of(model))}
        self.diagnostics += [
            unknown_key(self.source, (*path, name), COMMON, known) for name in table if name not in known
        ]

    def _collisions(self, built: Mapping[str, Instance]) -> None:
        seen: dict[str, Instance] = {}
        for each in built.values():
            first = seen.setdefault(variable(each.name), each)
            if first is not each:
                message = f"`{first.name}` and `{each.name}` read the same credentials, {variable(each.name)}_…"
                at, related = each.spot.key(), (first.spot.key(),)
                self.diagnostics.append(problem("instance-collision", message, at, related=related))

    def _say(self, code: str, message: str, at: Span, *, hint: str | None = None) -> None:
        self.diagnostics.append(problem(code, message, at, hint=hint))


def _own(table: Table, model: type[Struct]) -> dict[str, object]:
    """Return what an instance says to its platform: the platform's own keys, and those that nobody knows."""
    own = keys_of(model)
    return {key: each for key, each in table.items() if key in own or key not in COMMON}


def _with_modes(policy: Policy, row: InstanceRow) -> Policy:
    return replace(
        policy,
        mode=row.mode,
        unmanaged=row.unmanaged,
        ignore=tuple(listed(row.ignore)),
        accept_blind=frozenset(listed(row.accept_blind)),
    )


def _address_flaw(text: str, instance: str) -> tuple[str, str, str] | None:
    """Return code, message and hint for an address that cannot be used; `None` for a good one."""
    try:
        origin_of(text)
    except AddressError as flaw:
        hint = f"give them as {variable(instance)}_…; a file is no place for secrets"
        return flaw.code, str(flaw), hint if flaw.code == "secret-in-file" else flaw.hint
    if "?" in text or "#" in text:
        return "bad-url", "an address ends with its path", "take away `?…` and `#…`"
    return None


def can_name(name: str) -> bool:
    """Tell whether an instance may be called so."""
    return _NAME.fullmatch(name) is not None


def variable(name: str) -> str:
    """Return the prefix of the environment variables that belong to an instance."""
    return "SITEWARD_" + name.upper().replace("-", "_")
