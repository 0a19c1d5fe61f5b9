"""An instance that was read and planned, to be asked about: who has what, why, and what reviewers decide of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct
from ruamel.yaml import YAML

from promises.small import Small, rig, world
from rig import NOW, Rig
from siteward.platforms.umami.fake import FAKE, UmamiFake
from siteward.reconcile.apply.revalidate import Allowance
from siteward.reconcile.plan import Run, plan_and_survey
from siteward.reconcile.project import Project, open_project
from siteward.reconcile.survey import Survey

if TYPE_CHECKING:
    from pathlib import Path

    from siteward.access.plan import InstancePlan
    from siteward.declaration.load import Declaration
    from siteward.platforms.fakery import World


class Asked(Struct, frozen=True):
    """One instance: the rig around it, what was seen there, and what is planned."""

    rig: Rig
    survey: Survey
    plan: InstancePlan

    @property
    def declaration(self) -> Declaration:
        """What the file declares."""
        return self.rig.project.declaration


def looked_at(small: Rig) -> Asked:
    """Read and plan the instance of a rig."""
    run = Run(created=NOW, as_of=NOW, allowance=Allowance(accept={}, allow_delete=True, passwords=small.passwords))
    report, (survey,) = plan_and_survey(small.project, [small.instance], small.journals, run)
    assert report.plan is not None, report.diagnostics
    return Asked(small, survey, report.plan.instances[0])


def asked(folder: Path, start: World | None = None, **changed: Any) -> Asked:
    """Return the small Umami of the promises (or another world), with a declaration that is changed so."""
    server = FAKE.of(start or world(), "3.2", clock=lambda: NOW)
    assert isinstance(server, UmamiFake)
    return looked_at(rig(folder, server, **changed))


def reopened(small: Rig) -> Rig:
    """Read the file of a rig again, whatever wrote it."""
    opened = open_project(small.project.path, "test")
    assert isinstance(opened, Project), opened
    small.project = opened
    return small


def in_blocks(small: Small) -> Small:
    """Write the file of a rig anew as people do: a line for each grant, and no brackets around the list."""
    with small.project.path.open("w", encoding="utf-8") as file:
        YAML().dump(small.document, file)
    reopened(small)
    return small
