"""A second `import` into the same file: who and what is the same, what is kept apart, and what stays as it was."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest
from ruamel.yaml import YAML

from cli.conftest import start
from siteward import platforms
from siteward.platforms.fakery import World, WorldAccount, WorldGrant, WorldSite, serve

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cli.conftest import Program

SETTINGS = {
    "umami": ("--set", "layout=per-site"),
    "matomo": ("--self", "root"),
    "piwik-pro": ("--set", "native=true"),
    "plausible": ("--self", "siteward@example.org", "--set", "requests_per_hour=700", "--set", "edition=cloud"),
}


class Place:
    """Servers beside each other, and one file."""

    def __init__(self, program: Program, stack: ExitStack) -> None:
        self.program = program
        self.stack = stack

    def serve(self, name: str, platform: str, world: World | None = None) -> str:
        from datetime import UTC, datetime

        factory = platforms.fake(platform)
        fake = factory.of(world, factory.releases[0], clock=lambda: datetime.now(UTC)) if world else start(platform)
        sandbox = self.stack.enter_context(serve(fake))
        prefix = f"SITEWARD_{name.upper()}_"
        self.program.env |= {f"{prefix}{field.upper()}": value for field, value in fake.credentials.items()}
        return sandbox.url

    def take_in(self, name: str, platform: str, world: World | None = None, *more: str, code: int = 0) -> str:
        url = self.serve(name, platform, world)
        result = self.program(
            "import", "--instance", name, "--platform", platform, "--url", url, *SETTINGS[platform], *more
        )
        assert result.code == code, result.err
        return result.err

    @property
    def text(self) -> str:
        return (self.program.folder / "access.yaml").read_text()

    @property
    def data(self) -> Any:
        return YAML(typ="safe").load(self.text)  # as YAML 1.2, for which `on` is a word

    def steps(self) -> list[int]:
        planned = self.program("plan", "-f", "json")
        assert planned.code == 0, planned.out
        return [len(instance["steps"]) for instance in planned.json()["plan"]["instances"]]


@pytest.fixture
def place(program: Program) -> Iterator[Place]:
    with ExitStack() as stack:
        yield Place(program, stack)


def matomo(*people: tuple[str, str], sites: tuple[str, ...] = ("shop", "blog")) -> World:
    """A Matomo whose people see its first site."""
    return World(
        accounts=tuple(WorldAccount(login=login, email=email) for login, email in people),
        sites=tuple(WorldSite(name=name.title(), domain=f"{name}.example.org") for name in sites),
        grants=tuple(WorldGrant(account=login, site=f"{sites[0]}.example.org", role="view") for login, _ in people),
    )


def declare(place: Place, users: str, grants: str, more: str = "") -> None:
    """Declare an Umami by hand."""
    world = World(
        accounts=tuple(WorldAccount(login=login, role="user") for login in ("anna", "ben")),
        sites=(WorldSite(name="Shop", domain="shop.example.org"), WorldSite(name="Docs", domain="docs.example.org")),
        grants=(WorldGrant(account="anna", site="shop.example.org", role="team-view-only"),),
    )
    url = place.serve("stats", "umami", world)
    place.program.write(
        f"""# The people of the shop.
version: 1
instances:
  stats: {{platform: umami, url: "{url}", self: siteward, layout: per-site, accept_blind: [board-links]}}
{more}users:
  # Runs it all.
  anna: {users}
grants:
  - {grants}   # since the beginning
  - {{to: anna, role: view, sites: docs.example.org, on: stats, until: 2020-01-01}}
"""
    )


PAIRS = (
    ("umami", "matomo"), ("matomo", "umami"), ("umami", "piwik-pro"), ("piwik-pro", "plausible"), ("plausible", "matomo"),
)  # fmt: skip


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_both_plans_are_empty_afterwards(first: str, second: str, place: Place) -> None:
    """Whatever comes beside whatever, the file stays valid and says of both what is there."""
    place.take_in("one", first)
    before = place.data
    place.take_in("two", second)
    assert place.program("validate").code == 0
    assert place.steps() == [0, 0]
    assert [*before["users"]] == [*place.data["users"]][: len(before["users"])]
    assert (place.program.folder / ".siteward" / "two.jsonl").exists()


def test_people_are_the_same_by_their_address(place: Place) -> None:
    """Whatever the login there is, which then stands in the row of the person."""
    declare(place, "{email: Anna@example.org}", "{to: anna, role: view, sites: shop.example.org}")
    told = place.take_in("eu", "matomo", matomo(("aberg", "anna@example.org")))
    assert "1 person found, 0 new" in told
    assert place.data["users"] == {"anna": {"email": "Anna@example.org", "logins": {"eu": "aberg"}}}
    assert {"to": "anna", "role": "view", "sites": "shop.example.org", "on": "stats"} in place.data["grants"]
    assert place.steps() == [0, 0]


def test_people_are_the_same_by_the_id_of_their_directory(place: Place) -> None:
    """Where it is what they sign in with there; the id comes before the e-mail."""
    declare(place, "{id: u1234, email: anna@example.org}", "{to: anna, role: view, sites: shop.example.org}")
    place.take_in("eu", "matomo", matomo(("u1234", "anna@example.org"), ("other", "other@example.org")))
    assert place.data["users"]["anna"]["logins"] == {"eu": "u1234"}
    assert [*place.data["users"]] == ["anna", "other"]
    assert place.steps() == [0, 0]


def test_an_equal_login_alone_is_told_and_kept_apart(place: Place) -> None:
    """Two people may be called anna; nobody gets the access of the other, and the file stays valid."""
    declare(place, "{}", "{to: anna, role: view, sites: shop.example.org}")
    told = place.take_in("eu", "matomo", matomo(("anna", "anna@elsewhere.test")))
    assert "kept apart: anna-2 beside anna" in told
    assert "--same anna" in told
    users = place.data["users"]
    assert users["anna-2"] == {"email": "anna@elsewhere.test", "logins": {"eu": "anna"}}
    assert users["anna"] == {"logins": {"eu": "anna-2"}}
    assert place.steps() == [0, 0]


@pytest.mark.parametrize("who", ["anna", "all"])
def test_whoever_knows_better_says_so(who: str, place: Place) -> None:
    """`--same` makes one person of two with an equal login."""
    declare(place, "{}", "{to: anna, role: view, sites: shop.example.org}")
    told = place.take_in("eu", "matomo", matomo(("anna", "anna@elsewhere.test")), "--same", who)
    assert "kept apart" not in told
    assert place.data["users"] == {"anna": {"email": "anna@elsewhere.test"}}  # where there was none
    assert place.steps() == [0, 0]


def test_an_address_is_taken_over_only_where_it_counts_for_nobody_else(place: Place) -> None:
    """On a second platform that keeps addresses it would be a change there, or a login: it is told, and left."""
    declare(place, "{}", "{to: anna, role: view, sites: shop.example.org, on: stats}")
    place.take_in("us", "matomo", matomo(("carl", "carl@example.org")))
    told = place.take_in("eu", "matomo", matomo(("anna", "anna@elsewhere.test")), "--same", "anna")
    assert "anna has the e-mail anna@elsewhere.test on eu: it would count on us too" in told
    assert place.data["users"]["anna"] == {}
    assert place.steps() == [0, 0, 0]


def test_same_is_about_users_of_the_file(place: Place) -> None:
    """A name that is none is an error, and nothing is written."""
    declare(place, "{}", "{to: anna, role: view, sites: shop.example.org}")
    before = place.text
    told = place.take_in("eu", "matomo", matomo(("anna", "a@x.test")), "--same", "nobody", code=1)
    assert "--same nobody: there is no such user" in told
    assert place.text == before


def test_an_account_of_our_own_there_is_nobodys_login(place: Place) -> None:
    """A user who is called as `self` there gets another login, so that the file stays valid."""
    declare(place, "{}\n  root: {email: root@example.org}", "{to: anna, role: view, sites: shop.example.org}")
    place.take_in("eu", "matomo", matomo(("carl", "carl@example.org")))
    assert place.data["users"]["root"]["logins"] == {"eu": "root-2"}


def test_comments_and_order_stay_and_grants_stay_where_they_were(place: Place) -> None:
    """What was written is still there; a grant that would reach the new instance is kept to the old one, no other."""
    grants = '{to: anna, role: view, sites: ["shop*.org", "!docs.example.org"]}'
    declare(place, "{email: anna@example.org}", grants)
    place.take_in("eu", "matomo", matomo(("anna", "anna@example.org"), sites=("blog",)))
    for comment in ("# The people of the shop.", "# Runs it all.", "# since the beginning"):
        assert comment in place.text
    first, second, *_ = place.data["grants"]
    assert first["on"] == "stats"
    assert second["on"] == "stats"


def test_a_grant_on_a_site_that_is_not_there_stays_as_it_is(place: Place) -> None:
    """`on` is added only where it is needed."""
    declare(place, "{email: anna@example.org}", "{to: anna, role: view, sites: shop.example.org}")
    place.take_in("eu", "matomo", matomo(("anna", "anna@example.org"), sites=("blog",)))
    assert "on" not in place.data["grants"][0]


def test_sites_are_the_same_by_their_domain(place: Place) -> None:
    """A declared one is used, whatever it is called; what it says of everybody it goes on to say of the old instance."""
    sites = "sites:\n  store: {domain: shop.example.org, public: true}\n"
    declare(place, "{email: anna@example.org}", "{to: anna, role: view, sites: shop.example.org}", sites)
    place.take_in("eu", "matomo", matomo(("anna", "anna@example.org")), code=0)
    assert place.data["sites"]["store"] == {"domain": "shop.example.org", "public": {"stats": True, "eu": False}}
    assert [*place.data["sites"]] == ["store", "blog"]
    assert place.data["grants"][-1]["sites"] == "store"


def test_groups_of_an_equal_name_are_renamed(place: Place) -> None:
    """The members of the old one are not those of the new one."""
    groups = "groups: {shop-viewers: [anna]}\n"
    declare(place, "{email: anna@example.org}", "{to: shop-viewers, role: view, sites: shop.example.org}", groups)
    place.take_in("eu", "matomo", matomo(("carl", "carl@example.org"), ("dora", "dora@example.org")))
    assert place.data["groups"] == {"shop-viewers": ["anna"], "shop-viewers-eu": ["carl", "dora"]}
    assert place.steps() == [0, 0]


def test_what_would_change_another_instance_is_not_written(place: Place) -> None:
    """A group that takes in everybody would give the newcomers the old instance: told, and the file is as it was."""
    groups = "groups: {everyone: {from: {all: people}}}\n"
    declare(place, "{email: anna@example.org}", "{to: everyone, role: view, sites: shop.example.org}", groups)
    before = place.text
    told = place.take_in("eu", "matomo", matomo(("carl", "carl@example.org")), code=1)
    assert "nothing was written: carl would have more on stats" in told
    assert place.text == before


def test_a_rule_that_the_newcomers_break_is_told_and_nothing_is_written(place: Place) -> None:
    """The file is never left invalid."""
    policy = "policy: {rules: [{id: asked, match: {power: view}, require: [ticket]}]}\n"
    declare(place, "{email: anna@example.org}", "{to: anna, role: view, sites: shop.example.org, ticket: T}", policy)
    place.program.write(place.text.replace("on: stats, until", "on: stats, ticket: T, until"))
    before = place.text
    told = place.take_in("eu", "matomo", matomo(("carl", "carl@example.org")), code=1)
    assert "nothing was written" in told
    assert "ticket" in told
    assert place.text == before


def test_who_is_suspended_in_the_file_is_named(place: Place) -> None:
    """The plan that follows takes the access, so the exit code is no zero."""
    declare(place, "{email: anna@example.org, state: suspended}", "{to: anna, role: view, sites: shop.example.org}")
    told = place.take_in("eu", "matomo", matomo(("anna", "anna@example.org")), code=2)
    assert "anna is suspended in the file and has access on eu as anna" in told
    assert "the plan of eu is not empty: 1 step" in told


def test_a_person_without_an_e_mail_stands_in_no_way_of_an_instance_whose_logins_are_e_mails(place: Place) -> None:
    """Grants on sites that the new instance lacks are no error there, and a third instance does not make them one."""
    place.take_in("stats", "umami")  # its accounts have no e-mail
    owner = WorldAccount(login="boss@example.org", email="boss@example.org", role="owner")
    sites = (WorldSite(name="Other", domain="other.example.org"),)
    place.take_in("pro", "piwik-pro", World(accounts=(owner,), sites=sites))
    place.take_in("eu", "matomo", matomo(("zoe", "zoe@example.org")))
    assert place.steps() == [0, 0, 0]
    assert not any("pro" in grant.get("on", ()) for grant in place.data["grants"] if "zoe" not in grant["to"])
