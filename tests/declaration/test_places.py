"""Where a finding points that only a look at the server can bring, and what a plain name may mean there."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from declaration.tables import HEAD, declared
from siteward.access.model import Access, Account, Scope
from siteward.access.state import Live, Site
from siteward.declaration.resolve import resolve
from siteward.declaration.unmatched import nowhere
from strategies import MATOMO, NOW, PIWIKPRO, UMAMI

if TYPE_CHECKING:
    from siteward.access.diagnostic import Diagnostic
    from siteward.access.state import Desired
    from siteward.access.traits import Traits

USERS = "users:\n  anna: {email: anna@example.org}\n  ben: {email: ben@example.org}\n"
PP = 'version: 1\ninstances:\n  pp: {platform: piwik-pro, url: "https://acme.piwik.pro"}\n'
EU = '  eu: {platform: matomo, url: "https://matomo.example.org", self: root}\n'


def live(*names: str, kind: str = "site", foreign: str | None = None) -> Live:
    """Return an instance with these sites; the `foreign` one belongs to Petra and is matched by its id alone."""
    sites = {Scope(kind, name): Site(id=name, label=name, domains=(name,)) for name in names}
    if foreign is not None:
        label = f"{foreign}#f1"
        sites[Scope(kind, label)] = Site(id="f1", label=label, domains=(foreign,), by_id_only=True, owner="petra")
    return Live(access=Access(), sites=sites, me="siteward")


def of(folder: Path, text: str, seen: Live, instance: str = "stats", traits: Traits = UMAMI) -> Desired:
    """Return what a text means for one instance."""
    return resolve(declared(folder, text), instance, traits, seen, as_of=NOW)


def pointed_at(folder: Path, found: Diagnostic) -> str:
    """Return the text of the file from the place of a finding up to the next comma or bracket."""
    assert found.at is not None, found
    line = (folder / "access.yaml").read_text().splitlines()[found.at.line - 1]
    rest = line[found.at.column - 1 :]
    return rest[: min(rest.find(mark) for mark in ",]}: " if mark in rest)]


def places(folder: Path, desired: Desired) -> list[tuple[str, str]]:
    """Return the code of each finding, and what it points at."""
    return [(found.code, pointed_at(folder, found)) for found in desired.diagnostics]


def held(desired: Desired) -> set[tuple[str, str]]:
    return {(grant.subject.name, grant.scope.name) for grant in desired.access.grants()}


def grants(sites: str, more: str = "") -> str:
    """Return a grant to Anna on a list of sites, which stands in one line."""
    return f"grants:\n  - {{to: anna, role: view, sites: [{sites}]{more}}}\n"


# -- names that nothing bears


def test_a_name_that_no_site_bears_is_pointed_at(tmp_path: Path) -> None:
    """Of several names in a list, each that means nothing is shown itself, and no other."""
    text = HEAD + USERS + grants("gone.example.org, shop.example.org, nowhere.example.org")
    desired = of(tmp_path, text, live("shop.example.org"))
    assert places(tmp_path, desired) == [("unknown-site", "gone.example.org"), ("unknown-site", "nowhere.example.org")]
    assert desired.diagnostics[0].message == "no site of stats is called `gone.example.org`"
    assert desired.diagnostics[0].hint == "name a live site by its domain, or declare it under `sites`"


def test_a_declared_site_that_is_not_there_is_told_by_its_domain(tmp_path: Path) -> None:
    """Its handle is right; what is likely meant is a live domain, never the handle itself."""
    text = (
        HEAD
        + "sites: {shop: {domain: shpo.example.org}, lost: {domain: lost.example.net}}\n"
        + USERS
        + grants("shop, lost")
    )
    shop, lost = of(tmp_path, text, live("shop.example.org")).diagnostics
    assert shop.message == "`shop` is shpo.example.org by its row, and no site of stats has that domain"
    assert shop.hint == 'did you mean "shop.example.org"?'
    assert lost.hint == "correct its `domain` under `sites`, or pin its id (`on: {INSTANCE: ID}`)"


def test_a_pattern_that_matches_nothing_is_pointed_at(tmp_path: Path) -> None:
    """The pattern itself, and nothing is suggested to pin."""
    text = HEAD + USERS + grants('shop.example.org, "*.gone.example.org"')
    desired = of(tmp_path, text, live("shop.example.org"))
    assert places(tmp_path, desired) == [("matches-nothing", '"*.gone.example.org"')]
    assert desired.diagnostics[0].message == "`*.gone.example.org` matches no site of stats"
    assert desired.diagnostics[0].hint is None


def test_a_name_that_only_a_site_of_somebody_else_bears_says_whose_it_is(tmp_path: Path) -> None:
    """The name is pointed at, the owner is told, and how to pin the site."""
    text = HEAD + USERS + grants("shop.example.org, lab.example.org")
    desired = of(tmp_path, text, live("shop.example.org", foreign="lab.example.org"))
    assert places(tmp_path, desired) == [("unknown-site", "lab.example.org")]
    (found,) = desired.diagnostics
    assert found.message == "`lab.example.org` means lab.example.org#f1 (belongs to petra), matched by id alone"
    assert found.hint is not None
    assert found.hint.startswith("declare it under `sites` with its id")


def test_a_pattern_that_only_a_site_of_somebody_else_matches_says_so(tmp_path: Path) -> None:
    """A warning at the pattern, with the way to pin what it would have matched; not the same twice."""
    text = HEAD + USERS + grants('shop.example.org, "lab.*"')
    desired = of(tmp_path, text, live("shop.example.org", foreign="lab.example.org"))
    assert places(tmp_path, desired) == [("matches-nothing", '"lab.*"')]
    (found,) = desired.diagnostics
    assert found.message == (
        "`lab.*` matches no site of stats but lab.example.org#f1 (belongs to petra), matched by id alone"
    )
    assert found.hint is not None
    assert found.hint.startswith("declare it under `sites` with its id")


def test_a_pattern_that_skips_a_site_of_somebody_else_is_pointed_at(tmp_path: Path) -> None:
    """A note, since the pattern means sites of ours too."""
    text = HEAD + USERS + grants('blog.example.org, "*.example.org"')
    desired = of(tmp_path, text, live("shop.example.org", "blog.example.org", foreign="lab.example.org"))
    assert places(tmp_path, desired) == [("skips-sites", '"*.example.org"')]
    (found,) = desired.diagnostics
    assert found.message == "`*.example.org` skips lab.example.org#f1 (belongs to petra), matched by id alone"


def test_many_sites_of_others_are_counted_and_ten_are_named(tmp_path: Path) -> None:
    """A message stays readable however many sites a pattern skips, and nobody's are called so."""
    sites = {
        Scope("site", f"s{number}.example.org#{number}"): Site(
            id=str(number),
            label=f"s{number}.example.org#{number}",
            domains=(f"s{number}.example.org",),
            by_id_only=True,
        )
        for number in range(1, 13)
    }
    seen = Live(access=Access(), sites=sites, me="siteward")
    (found,) = of(tmp_path, HEAD + USERS + grants('"*.example.org"'), seen).diagnostics
    first = sorted(f"s{number}.example.org#{number} (belongs to nobody)" for number in range(1, 13))[:10]
    named = ", ".join(first)
    assert found.message == (
        f"`*.example.org` matches no site of stats but 12 sites: {named} and 2 more, matched by id alone"
    )


def test_a_metasite_that_is_not_there_is_pointed_at(tmp_path: Path) -> None:
    """It is called a metasite, and the advice for sites is not given."""
    text = f"{PP}{USERS}grants:\n  - {{to: anna, role: view, metasites: [Europe, Asia]}}\n"
    desired = of(tmp_path, text, live("Europe", kind="metasite"), "pp", PIWIKPRO)
    assert places(tmp_path, desired) == [("unknown-site", "Asia")]
    assert desired.diagnostics[0].message == "no metasite of pp is called `Asia`"
    assert desired.diagnostics[0].hint is None


def test_what_is_nowhere_on_several_instances_is_pointed_at(tmp_path: Path) -> None:
    """A name that none of the instances has stands at its own place, with all of them named."""
    text = HEAD + EU + USERS + grants('shop.example.org, gone.example.org, "*.gone.example.org", blog.example.org')
    declaration = declared(tmp_path, text)
    found = nowhere(declaration, {"stats": live("shop.example.org"), "eu": live("blog.example.org")})
    assert [(told.code, pointed_at(tmp_path, told)) for told in found] == [
        ("unknown-site", "gone.example.org"),
        ("matches-nothing", '"*.gone.example.org"'),
    ]
    assert found[0].message == "no site of stats, eu is called `gone.example.org`"


def test_what_a_grant_reaches_on_one_of_its_instances_is_there(tmp_path: Path) -> None:
    """A grant on both instances looks at both; one on a single instance is judged with that instance."""
    text = HEAD + EU + USERS + grants("shop.example.org", ", on: eu") + grants("shop.example.org").partition("\n")[2]
    declaration = declared(tmp_path, text)
    lives = {"stats": live("shop.example.org"), "eu": live("blog.example.org")}
    assert nowhere(declaration, lives) == ()
    (found,) = resolve(declaration, "eu", MATOMO, lives["eu"], as_of=NOW).diagnostics
    assert (found.code, pointed_at(tmp_path, found)) == ("unknown-site", "shop.example.org")


def test_a_name_of_several_sites_is_pointed_at(tmp_path: Path) -> None:
    """The ambiguous one of the list, with the way to choose."""
    sites = {
        Scope("site", f"shop.example.org#{number}"): Site(
            id=number, label=f"shop.example.org#{number}", domains=("shop.example.org",)
        )
        for number in ("7", "8")
    }
    blog = Scope("site", "blog.example.org")
    sites[blog] = Site(id="b", label=blog.name, domains=(blog.name,))
    desired = of(
        tmp_path,
        HEAD + USERS + grants("blog.example.org, shop.example.org"),
        Live(access=Access(), sites=sites, me="siteward"),
    )
    assert places(tmp_path, desired) == [("ambiguous-site", "shop.example.org")] * 2
    assert desired.diagnostics[0].hint == "declare it under `sites` with its id: `on: {stats: ID}`"


def test_a_site_that_manages_leaves_out_is_pointed_at(tmp_path: Path) -> None:
    """A warning where the grant can only mean this instance, and a note where it may mean another."""
    narrow = HEAD.replace("layout: per-site", 'layout: per-site, manages: ["*", "!blog.example.org"]')
    seen = live("shop.example.org", "blog.example.org")
    desired = of(tmp_path, narrow + USERS + grants("blog.example.org"), seen)
    assert held(desired) == set()
    (found,) = desired.diagnostics
    assert (found.code, found.severity.word) == ("not-managed", "warning")
    assert pointed_at(tmp_path, found) == "[blog.example.org"
    assert found.message == "blog.example.org is out of scope: `manages` does not cover it on stats"
    both = of(tmp_path, narrow + EU + USERS + grants("blog.example.org"), seen)
    assert [told.severity.word for told in both.diagnostics] == ["note"]
    meant = of(tmp_path, narrow + EU + USERS + grants("blog.example.org", ", on: [stats, eu]"), seen)
    assert [told.severity.word for told in meant.diagnostics] == ["warning"]


# -- words in a list


def test_a_name_with_an_exclamation_mark_gives_nothing(tmp_path: Path) -> None:
    """Beside plain names alone it leaves its site out, as beside a pattern."""
    seen = live("shop.example.org", "blog.example.org")
    text = HEAD + USERS + grants('shop.example.org, "!blog.example.org"')
    assert held(of(tmp_path, text, seen)) == {("anna", "shop.example.org")}
    both = HEAD + USERS + grants('shop.example.org, blog.example.org, "!blog.example.org"')
    assert held(of(tmp_path, both, seen)) == {("anna", "shop.example.org")}


@pytest.mark.parametrize(
    ("selector", "via", "wildcard"),
    [
        ('"*"', ("pattern *",), "*"),
        ('"tag:acme"', ("tag acme",), None),
        ("shop.example.org", (), None),
        ("till", (), None),
    ],
)
def test_one_site_that_a_pattern_reaches_is_still_reached_by_a_pattern(
    tmp_path: Path, selector: str, via: tuple[str, ...], wildcard: str | None
) -> None:
    """Patterns may give little, however few sites there are: what led to a site is told even if it is the only one."""
    text = f"{HEAD}sites: {{till: {{domain: shop.example.org, tags: [acme]}}}}\n{USERS}{grants(selector)}"
    desired = of(tmp_path, text, live("shop.example.org"))
    assert held(desired) == {("anna", "shop.example.org")}
    (origin,) = (origin for key, origin in desired.origins.items() if key[0] == "grant")
    assert (origin.via, origin.wildcard) == (via, wildcard)


# -- people and groups


def test_a_group_of_a_directory_is_pointed_at_where_nobody_can_ask_it(tmp_path: Path) -> None:
    """The group's line in the file is shown, since its members are known nowhere else."""
    text = f"{HEAD}{USERS}groups:\n  staff: [ben]\n  board: {{native: Board, members: external}}\n"
    text += "grants:\n  - {to: [anna, board], role: view, sites: shop.example.org}\n"
    desired = of(tmp_path, text, live("shop.example.org"))
    assert places(tmp_path, desired) == [("external-group", "board")]
    (found,) = desired.diagnostics
    assert found.message == "the members of `board` are known to a directory only, and stats cannot ask it"
    assert found.hint == "grant to users, or narrow the grant with `on`"
    assert held(desired) == set()
    assert "anna" in desired.held.accounts


def test_a_user_without_the_e_mail_that_is_the_login_is_pointed_at(tmp_path: Path) -> None:
    """Where logins are e-mails, whoever is granted something needs one."""
    text = f"{PP}  other: {{platform: piwik-pro, url: 'https://b.piwik.pro'}}\n"
    text += "users:\n  anna: {email: anna@example.org}\n  ben: {logins: {other: b@example.org}}\n"
    text += "grants:\n  - {to: [anna, ben], role: view, sites: shop.example.org}\n"
    desired = of(tmp_path, text, live("shop.example.org"), "pp", PIWIKPRO)
    assert [(found.code, pointed_at(tmp_path, found)) for found in desired.diagnostics] == [("email-needed", "ben")]


def test_the_account_in_use_is_pointed_at_where_a_user_turns_out_to_be_it(tmp_path: Path) -> None:
    """Only the server knows who we are, and the user who is declared so is refused at the user's line."""
    text = f"{HEAD.replace('self: siteward, ', '')}{USERS}  robot: {{logins: {{stats: SiteWard}}}}\n{grants('shop.example.org')}"
    seen = Live(
        access=Access((Account("siteward"),)),
        sites=live("shop.example.org").sites,
        me="siteward",
    )
    desired = of(tmp_path, text, seen)
    assert places(tmp_path, desired) == [("self-declared", "robot")]
