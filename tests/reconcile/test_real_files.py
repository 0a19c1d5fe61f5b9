"""Access files in the shapes of three projects, converted by `benchmarks/real`: each becomes a declaration without a bend.

The samples are invented; the projects' own files are converted by hand (`benchmarks/real/README.md`).
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from rig import NOW, Rig
from siteward import platforms
from siteward.declaration.groups import expand
from siteward.platforms.fakery import World, WorldAccount, WorldGrant

if TYPE_CHECKING:
    from collections.abc import Callable

    from siteward.access.plan import InstancePlan

CONVERTERS = Path(__file__).parents[2] / "benchmarks" / "real"
RESTRICTIONS = """\
restrictions:
- {path: kubernetes/org.yaml, allowedRepos: ["^atlas"]}
- {path: kubernetes/sig-moon/teams.yaml, allowedRepos: ["^moon", "^tide$"]}
"""
ORG = """\
admins: [Ada, tide-robot]
members: [berta, CLARA, dmitri, "249043822"]
default_repository_permission: read
teams:
  keepers: {description: Keep the atlas., members: [berta, clara], privacy: closed, previously: [atlas-keepers], repos: {atlas: admin}}
"""
MOON = """\
teams:
  moon:
    description: ""
    maintainers: [dmitri]
    members: [Berta]
    privacy: closed
    repos: {moon: triage, tide: read}
    teams:
      moon-leads: {description: "", members: [Clara], privacy: closed, repos: {moon-base: maintain, star: write}}
"""
TEAMS = {
    "all": 'name = "all"\nkind = "marker-team"\n[people]\nleads = []\nmembers = []\ninclude-all-team-members = true\n'
    '[[zulip-streams]]\nname = "all/sky"\nexcluded-people = ["Bo"]\nextra-people = ["fay"]\n',
    "alumni": 'name = "alumni"\nkind = "marker-team"\n[people]\nleads = []\nmembers = []\ninclude-all-alumni = true\n',
    "leads": 'name = "leads"\nkind = "marker-team"\n[people]\nleads = []\nmembers = []\ninclude-team-leads = true\n',
    "infra": 'name = "infra"\n[people]\nleads = ["ann"]\nmembers = ["ann"]\nalumni = ["eve"]\n[permissions]\nperf = true\nbors.sky.try = true\n',
    "sky": 'name = "sky"\nsubteam-of = "infra"\n[people]\nleads = []\nincluded-teams = ["leads"]\n'
    'members = ["Bo", { github = "cy", roles = ["host"] }]\nalumni = [{ github = "ann", roles = ["host"] }, "dee"]\n[website]\ndescription = "The sky"\n',
}
REPO = """\
org = "rust-lang"
name = "sky.rs"
description = "Skies"
bots = ["bors"]
[access.teams]
sky = "write"
leads = "triage"
[access.individuals]
fay = "maintain"
[[rulesets]]
merge-queue = {
    enabled = true,
}
"""
PERMISSIONS = {
    "plugin-fog": "name: fog\npaths: [org/fog]\ndevelopers: ['@core', Gil]\ncd: {enabled: true}\n",
    "plugin-ice": "name: ice\npaths: [org/ice]\ndevelopers: [gil]\ncd: {enabled: true, exclusive: true}\n",
    "plugin-old": "name: old\npaths: [org/old]\ndevelopers: []\n",
}


def kubernetes(folder: Path) -> None:
    put(folder, {"config/restrictions.yaml": RESTRICTIONS, "config/kubernetes/org.yaml": ORG})
    put(folder, {"config/kubernetes/sig-moon/teams.yaml": MOON})


def rust(folder: Path) -> None:
    for number, name in enumerate(("ann", "Bo", "cy", "dee", "fay")):
        mail = "email = false" if name == "cy" else f'email = "{name}@example.org"'
        put(folder, {f"people/{name}.toml": f"name = '{name}'\ngithub = '{name}'\ngithub-id = {number}\n{mail}\n"})
    put(folder, {f"teams/{name}.toml": text for name, text in TEAMS.items()} | {"repos/rust-lang/sky.rs.toml": REPO})


def jenkins(folder: Path) -> None:
    put(folder, {f"permissions/{name}.yml": text for name, text in PERMISSIONS.items()})
    put(folder, {"teams/core.yml": "name: core\ndevelopers: [hal]\n"})


def put(folder: Path, files: dict[str, str]) -> None:
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")


SAMPLES: tuple[Callable[[Path], None], ...] = (kubernetes, rust, jenkins)


def convert(sample: Callable[[Path], None], folder: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return what a converter makes of a sample."""
    monkeypatch.syspath_prepend(CONVERTERS)
    sample(folder)
    return importlib.import_module(sample.__name__).convert(folder, "it")


def on(platform: str, made: Any, folder: Path, **world: Any) -> Rig:
    """Return a rig of a sandbox with the sites, and the files beside it."""
    made.write(folder, platform, "http://127.0.0.1:1", "it")
    found: World = made.world(platform)
    fake = platforms.fake(platform)
    server = fake.of(
        World(accounts=(*found.accounts, *world.get("accounts", ())), sites=found.sites, grants=world.get("grants", ())),
        fake.releases[0], clock=lambda: NOW,
    )  # fmt: skip
    rig = Rig(folder, server, made.root(platform, "http://127.0.0.1:1", "it"))
    me = made.root(platform, "", "it")["instances"]["it"]["self"]
    rig.instance = replace(rig.instance, env={**rig.instance.env, "SITEWARD_IT_SELF": me})
    return rig


def planned(rig: Rig) -> InstancePlan:
    plan = rig.plan().plan
    assert plan is not None
    (part,) = plan.instances
    return part


@pytest.mark.parametrize("sample", SAMPLES)
@pytest.mark.parametrize("platform", ["umami", "matomo"])
def test_it_is_valid_planned_applied_and_planned_again_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, platform: str, sample: Callable[[Path], None]
) -> None:
    made = convert(sample, tmp_path / "source", monkeypatch)
    rig = on(platform, made, tmp_path / "files")
    assert not [found for found in rig.project.loaded.diagnostics if found.blocks]
    plan = rig.plan().plan
    assert plan is not None
    report = rig.apply(plan)
    assert {outcome.status for outcome in report.outcomes} == {"done"}, [
        (outcome.step.change.key, outcome.message) for outcome in report.outcomes if outcome.status != "done"
    ][:3]
    assert not planned(rig).steps


def test_groups_of_an_organisation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every member, one person in two spellings, teams in teams, former names, owners, bounded files, and what is beyond."""
    made = convert(kubernetes, tmp_path / "source", monkeypatch)
    assert made.notes == [
        "kubernetes/sig-moon/teams.yaml names 1 times a repository beyond its bounds: star.kubernetes.test"
    ]
    declaration = on("umami", made, tmp_path / "files").project.declaration
    groups = expand(declaration.groups)
    assert len(declaration.users) == len(groups["everybody"]) == 6
    assert groups["moon"].keys() > groups["moon-leads"].keys()
    assert len(groups["moon"]) == 3
    assert declaration.groups["keepers"].previously == ("atlas-keepers",)
    assert declaration.groups["moon"].owner == tuple(groups["moon"].keys() & set(declaration.groups["moon"].owner))
    robot = next(user for user in declaration.users.values() if user.kind == "service")
    assert robot.owner in declaration.users
    bounds = [grant.bound for grant in declaration.grants or () if grant.bound is not None]
    assert {bound.sites is not None for bound in bounds} == {True}


def test_teams_of_a_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ids, who left, all leads and all members as groups that compute, exclusions, roles in a team, and bots."""
    made = convert(rust, tmp_path / "source", monkeypatch)
    declaration = on("matomo", made, tmp_path / "files").project.declaration
    groups, hashed = expand(declaration.groups), importlib.import_module("converted").hashed
    ann, bo, cy, dee, eve, fay = map(hashed, ("ann", "Bo", "cy", "dee", "eve", "fay"))
    assert {handle for handle, user in declaration.users.items() if user.left} == {dee, eve}
    assert {declaration.users[handle].id for handle in (ann, bo)} & {None} == set()
    assert groups["leads"].keys() == {ann}
    assert groups["all"].keys() == {ann, bo, cy, fay}
    assert groups["all-channel-0"].keys() == {ann, cy, fay}
    assert [way.reason for way in groups["sky"][cy]] == ["host"]
    assert declaration.groups["sky"].owner == ("infra",)
    assert declaration.users["bot-bors"].kind == "service"
    assert declaration.users[cy].managed_by


def test_components_and_their_robots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Owners of sites, keys of robots, and a site that nobody may: whoever is found there loses it."""
    made = convert(jenkins, tmp_path / "source", monkeypatch)
    closed = WorldGrant(account="zed", site="plugin-old.jenkins.test", role="view")
    rig = on(
        "matomo",
        made,
        tmp_path / "files",
        accounts=(WorldAccount(login="zed", email="zed@other.test"),),
        grants=(closed,),
    )
    declaration = rig.project.declaration
    (key,) = declaration.users["cd-plugin-ice"].keys
    assert (key.name, key.on) == ("publish", "it")
    assert declaration.sites["plugin-fog"].owner[0] in declaration.users
    taken = [step.change.key for step in planned(rig).steps if step.change.after is None]
    assert taken == [("grant", "account", "zed", "site", "plugin-old.jenkins.test")]
