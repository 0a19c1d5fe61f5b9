"""The input of every renderer: the report with names redacted as asked, its numbers, and the display options."""

from __future__ import annotations

import re
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from msgspec import Struct
from msgspec.structs import replace

from siteward.access.report import Report, Summary, exit_code, summarize
from siteward.render import words

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from siteward.access.diagnostic import Diagnostic
    from siteward.access.plan import InstancePlan, Step


GroupBy = Literal["person", "site"]
Privacy = Literal["full", "handles", "counts"]
_NEEDS_BLOCKED = "depends-on-blocked"
"""The rule id of the message on a step that names others by their ids."""
_DEPENDS = "depends on "
"""How the message of an outcome begins that does."""


class Options(Struct, frozen=True, kw_only=True):
    """Display options of a report.

    `width` is the terminal's, in columns, or `None` where lines may be of any length. `plain` uses words and ASCII
    instead of symbols. `goes_on` is set where the command continues after this report, which then shows neither an exit
    code nor a next step. `top` is the folder of the repository and `below` the path from there to the working directory;
    forges look for files from the top. `blob` is the address of the files at their commit on the forge, and `run` that of
    the job; both are empty outside of a job. `moment` is that of the run, for the formats that must name one.
    """

    color: bool = False
    quiet: bool = False
    verbose: bool = False
    plain: bool = False
    group_by: GroupBy = "person"
    width: int | None = None
    privacy: Privacy = "full"
    goes_on: bool = False
    top: str = ""
    below: str = ""
    blob: str = ""
    run: str = ""
    moment: datetime | None = None


class RenderContext(Struct, frozen=True, kw_only=True, dict=True):
    """A report prepared for rendering.

    `report` has names redacted as `options.privacy` asks, and no persons or places where only counts may be shown.
    `summary`, the exit code `code` and the summary of each instance in `parts` are always those of the whole report.
    """

    report: Report
    summary: Summary
    code: int
    parts: Mapping[str, Summary] = MappingProxyType({})
    options: Options

    @cached_property
    def instances(self) -> tuple[InstancePlan, ...]:
        """The instances of the plan, if there is one, without the findings that are waived."""
        return tuple(map(_without_waived, self.report.plan.instances)) if self.report.plan else ()

    @cached_property
    def waived(self) -> tuple[tuple[str, Diagnostic], ...]:
        """The findings that are waived, each with its instance."""
        parts = self.report.plan.instances if self.report.plan else ()
        return tuple((part.instance, said) for part in parts for said in part.diagnostics if said.waived is not None)

    def told_day(self, day: str) -> str:
        """Return the last day of something, with the word UTC where the policy has no time zone of its own."""
        return f"{day} UTC" if self.report.timezone == "UTC" else day

    @property
    def verdict(self) -> str:
        """The meaning of the exit code in a few words."""
        partial = self.report.confined or words.partial(self.report.plan) != ""
        return words.verdict(self.code, confined=partial, left_out=self.summary.left_out)

    @property
    def digest(self) -> str:
        """The digest of the plan; empty if there is none."""
        return self.report.plan.digest if self.report.plan else ""

    @property
    def diagnostics(self) -> tuple[Diagnostic, ...]:
        """The diagnostics about the files and about the plan as a whole, without those of instances and steps."""
        return (*self.report.diagnostics, *(self.report.plan.diagnostics if self.report.plan else ()))


def prepare(report: Report, options: Options) -> RenderContext:
    """Return the context of `report`: redacted as `options.privacy` asks, with the numbers of the whole."""
    plan = report.plan
    return RenderContext(
        report=_redact(_without_secrets(report), options.privacy),
        summary=summarize(report),
        code=exit_code(report),
        parts={instance.instance: _summarize_instance(report, instance) for instance in plan.instances} if plan else {},
        options=options,
    )


def _without_secrets(report: Report) -> Report:
    """Return a report whose excerpts leave out the lines in which a secret was found: logs are read by many."""
    found = [said.at for said in report.diagnostics if said.code == "secret-in-file" and said.at is not None]
    if not found:
        return report
    texts = dict(report.texts)
    for at in found:
        hidden = range(at.line, max(at.line, at.end_line) + 1)
        lines = enumerate(texts.get(at.file, ()), 1)
        texts[at.file] = tuple("(not shown: it holds a secret)" if number in hidden else line for number, line in lines)
    return replace(report, texts=texts)


def _without_waived(part: InstancePlan) -> InstancePlan:
    if all(said.waived is None for said in part.diagnostics):
        return part
    return replace(part, diagnostics=tuple(said for said in part.diagnostics if said.waived is None))


def in_words(report: Report) -> Report:
    """Return `report` with the ids of steps in messages about dependencies replaced by what those steps do.

    For formats that do not show the ids of steps.
    """
    if report.plan is None:
        return report
    spelled = tuple(map(_spell_out, report.plan.instances))
    needed = {outcome.instance for outcome in report.outcomes if outcome.message.startswith(_DEPENDS)}
    phrases = {part.instance: _phrases(part.steps) for part in report.plan.instances if part.instance in needed}
    outcomes = (
        replace(outcome, message=_replace_ids(outcome.message, outcome.step, phrases.get(outcome.instance, {})))
        if outcome.message.startswith(_DEPENDS)
        else outcome
        for outcome in report.outcomes
    )
    return replace(report, plan=replace(report.plan, instances=spelled), outcomes=tuple(outcomes))


def _spell_out(part: InstancePlan) -> InstancePlan:
    """Return the plan of an instance with the ids in its messages spelled out; the very same where there are none."""
    if not any(step.diagnostics and _names_ids(step) for step in part.steps):
        return part
    phrases = _phrases(part.steps)
    return replace(part, steps=tuple(_spell_out_ids(step, phrases) for step in part.steps))


def _names_ids(step: Step) -> bool:
    """Return whether a message on a step names the steps that it depends on by their ids."""
    return any(diagnostic.code == _NEEDS_BLOCKED for diagnostic in step.diagnostics)


def _phrases(steps: Iterable[Step]) -> Mapping[str, str]:
    """Return a phrase for each step that another depends on, by id."""
    every = tuple(steps)
    needed = {step_id for step in every for step_id in step.depends_on}
    return {step.id: f'"{words.sentence(step.change)}"' for step in every if step.id in needed}


def _spell_out_ids(step: Step, phrases: Mapping[str, str]) -> Step:
    if not _names_ids(step):
        return step
    diagnostics = (
        replace(diagnostic, message=_replace_ids(diagnostic.message, step, phrases))
        if diagnostic.code == _NEEDS_BLOCKED
        else diagnostic
        for diagnostic in step.diagnostics
    )
    return replace(step, diagnostics=tuple(diagnostics))


def _replace_ids(message: str, step: Step, phrases: Mapping[str, str]) -> str:
    known = {step_id: phrases[step_id] for step_id in step.depends_on if step_id in phrases}
    return re.sub(r"\bs\d+\b", lambda match: known.get(match.group(), match.group()), message)


def _redact(report: Report, privacy: Privacy) -> Report:
    if privacy == "full":
        return report
    from siteward.render.privacy import redact  # noqa: PLC0415 — most reports hide nothing, and need not know how

    return redact(report, privacy)


def _summarize_instance(report: Report, instance: InstancePlan) -> Summary:
    """Return the summary of one instance, counted by the same function as the whole."""
    plan = replace(report.plan, instances=(instance,), diagnostics=()) if report.plan else None
    name = instance.instance
    return summarize(
        replace(
            report,
            plan=plan,
            diagnostics=(),
            outcomes=tuple(outcome for outcome in report.outcomes if outcome.instance == name),
            drift=tuple(item for item in report.drift if item.instance == name),
        )
    )
