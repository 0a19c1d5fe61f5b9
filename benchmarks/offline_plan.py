"""One whole process: read the file and the recorded answers of an instance, and print the plan as text.

    python benchmarks/offline_plan.py FOLDER [--phases]

These are the product's own functions in the product's own order; only the transport is left out.
"""

from __future__ import annotations

import sys
import time

from siteward.cli.startup import keep, trim_startup

BEGIN = time.process_time()
trim_startup()

from datetime import UTC, datetime  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import TYPE_CHECKING  # noqa: E402

from siteward.access.state import Listing  # noqa: E402
from siteward.platforms.decode import decoded  # noqa: E402
from siteward.platforms.umami.native_state import Rows  # noqa: E402
from siteward.platforms.umami.read import live_of  # noqa: E402
from siteward.platforms.umami.roles import traits_of  # noqa: E402
from siteward.platforms.umami.rows import Page, SiteRow, TeamRow, UserRow  # noqa: E402
from siteward.reconcile.apply.passwords import Passwords  # noqa: E402
from siteward.reconcile.apply.revalidate import Allowance  # noqa: E402
from siteward.reconcile.apply.target import Journals  # noqa: E402
from siteward.reconcile.plan import Run, plan_and_survey  # noqa: E402
from siteward.reconcile.project import Project, Surroundings, instances, open_project  # noqa: E402
from siteward.render import Options, render  # noqa: E402

if TYPE_CHECKING:
    from siteward.access.state import Live
    from siteward.access.traits import Traits

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)


def recorded(folder: Path, traits: Traits) -> Live:
    """Return the live state that recorded listings show."""
    users = decoded(Page[UserRow], (folder / "users.json").read_bytes())
    teams = decoded(Page[TeamRow], (folder / "teams.json").read_bytes())
    sites = decoded(Page[SiteRow], (folder / "websites.json").read_bytes())
    rows = Rows(
        {user.id: user for user in users.data},
        {team.id: team for team in teams.data},
        {site.id: site for site in sites.data},
    )
    me = next(user.id for user in users.data if user.username == "siteward")
    listings = tuple(
        Listing(name=name, rows=listing.count, complete=True, proof="recorded whole")
        for name, listing in (("accounts", users), ("teams", teams), ("sites", sites))
    )
    return live_of(rows, "per-site", traits, me=me, listings=listings)


def main(folder: Path, *, phases: bool) -> None:
    """Print the plan for the data set in `folder`, and leave as a verb does."""
    marks = [("imports", time.process_time())]
    project = open_project(folder / "access.yaml", "plan")
    if not isinstance(project, Project):
        sys.exit(render("text", project, Options()))
    marks.append(("file", time.process_time()))
    traits = traits_of("3.2")
    live = recorded(folder, traits)
    marks.append(("live", time.process_time()))
    allowance = Allowance(accept={}, allow_delete=False, passwords=Passwords(folder=folder, out=folder / "passwords"))
    run = Run(created=NOW, as_of=NOW, allowance=allowance, snapshots={"stats": (traits, live)})
    journals = Journals(folder=folder / "journal")
    report, surveys = plan_and_survey(project, instances(project, (), Surroundings(env={})), journals, run)
    marks.append(("plan", time.process_time()))
    print(render("text", report, Options()))
    keep(project, surveys, report)
    marks.append(("text", time.process_time()))
    if phases:
        _tell(marks)


def _tell(marks: list[tuple[str, float]]) -> None:
    before = BEGIN
    for name, at in marks:
        print(f"{name:8} {1000 * (at - before):8.1f} ms", file=sys.stderr)
        before = at


if __name__ == "__main__":
    main(Path(sys.argv[1]), phases="--phases" in sys.argv)
