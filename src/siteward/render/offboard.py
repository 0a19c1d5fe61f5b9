"""Renders an offboarding: the edit, what the next apply does, and the checklist, as Markdown for a ticket or as JSON."""

from __future__ import annotations

import re
from itertools import groupby
from typing import TYPE_CHECKING, Literal

from msgspec import Struct
from msgspec.structs import asdict, replace

from siteward.access.api_key import UNLISTED
from siteward.access.diagnostic import plural
from siteward.render import words
from siteward.render.local_time import localized
from siteward.render.markdown_escape import code, prose
from siteward.render.privacy import HIDDEN_KEY, SOMEONE, Pseudonyms
from siteward.render.safe import as_json, show

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from siteward.access.model import Accounts
    from siteward.access.plan import InstancePlan
    from siteward.access.report import Missing
    from siteward.render.context import Options
    from siteward.render.privacy import Names

FORMATS = ("markdown", "json")
FORMAT = "siteward.offboarding/1"
_QUOTED = re.compile(r"`.*`", re.DOTALL)


class Check(Struct, frozen=True, kw_only=True):
    """One line of the checklist (see `siteward.reconcile.offboard.Item`)."""

    id: str
    what: str
    ends: str
    instance: str | None
    is_read: bool
    state: Literal["open", "done", "unknown"]
    by: str
    how: str
    reason: str


class Offboarding(Struct, frozen=True, kw_only=True):
    """Somebody's leaving, as it is shown: the patch of the files, the plan that follows, the checklist, and what was not read."""

    user: str
    as_of: datetime
    patch: str
    written: bool
    plans: tuple[InstancePlan, ...]
    checks: tuple[Check, ...]
    missing: tuple[Missing, ...]
    accounts: Accounts

    @property
    def left(self) -> int:
        """The number of things that are not done."""
        return sum(check.state != "done" for check in self.checks)


def render(leaving: Offboarding, form: str, options: Options, timezone: str = "UTC") -> str:
    """Return an offboarding in one of `FORMATS`, redacted as the options ask; people read moments in the `timezone`."""
    shown = _redact(leaving, options)
    if form == "json":
        return as_json(_data(shown, options), 1)
    return "\n".join(_page(localized(shown, timezone), options)) + "\n"


def _redact(leaving: Offboarding, options: Options) -> Offboarding:
    """Return an offboarding without names but declared handles, and without the patch, which quotes the file."""
    if options.privacy == "full":
        return leaving
    names = Pseudonyms(leaving.accounts)
    checks = tuple(_redact_check(check, names.of(check.instance)) for check in leaving.checks)
    return replace(leaving, patch="", checks=checks if options.privacy == "handles" else ())


def _redact_check(check: Check, names: Names) -> Check:
    """Return a line without names; what people called a key that no file lists is not told."""
    unlisted = check.id.startswith(f"key/{UNLISTED}")
    what = _QUOTED.sub(f"`{HIDDEN_KEY}`", check.what, count=1) if unlisted else check.what
    return replace(
        check, id=names.text(check.id), what=names.text(what), reason=names.text(check.reason),
        by=SOMEONE if check.by else "",
    )  # fmt: skip


def _data(leaving: Offboarding, options: Options) -> dict[str, object]:
    return {
        "format": FORMAT, "privacy": options.privacy, "user": leaving.user if options.privacy != "counts" else None,
        "as_of": words.moment(leaving.as_of), "patch": leaving.patch or None, "written": leaving.written,
        "next": [
            {"instance": part.instance, "steps": _list_steps(part, options), "blocked": list(_blocks(part, options))}
            for part in leaving.plans
        ],
        "open": leaving.left, "items": [asdict(check) for check in leaving.checks],
        "incomplete": [words.gap_data(gap) for gap in leaving.missing],
    }  # fmt: skip


def _list_steps(part: InstancePlan, options: Options) -> list[str]:
    """Return what each step changes, in words; nobody is named in them but by the sites."""
    if options.privacy == "counts":
        return []
    return [f"{words.where(step.change.key)}: {words.movement(step.change)}" for step in part.steps]


def _blocks(part: InstancePlan, options: Options) -> Iterator[str]:
    """Yield why steps, or all of an instance, are blocked."""
    told = [found for step in part.steps for found in step.diagnostics if found.blocks]
    for found in dict.fromkeys((*told, *(found for found in part.diagnostics if found.blocks))):
        yield f"{found.code}: {found.message}" if options.privacy == "full" else found.code


def _page(leaving: Offboarding, options: Options) -> Iterator[str]:
    who = code(leaving.user) if options.privacy != "counts" else "one person"
    yield f"## Offboarding of {who}, {words.moment(leaving.as_of)}"
    yield ""
    yield from _edit_lines(leaving, options)
    yield "### What the next apply does"
    yield ""
    for part in leaving.plans:
        count = plural(len(part.steps), "step") if part.steps else "nothing left to end"
        yield f"- {code(part.instance)}: {count}"
        for step in _list_steps(part, options):
            yield f"  - {code(step)}"
        for said in _blocks(part, options):
            yield f"  - **blocked** {prose(said)}"
    for gap in leaving.missing:
        yield f"- {code(gap.instance)}: **not read** {prose(gap.why)}".rstrip()
    yield ""
    yield "### What no edit ends"
    yield ""
    yield from _check_lines(leaving.checks)
    done = len(leaving.checks) - leaving.left
    count = f"{leaving.left} open, {done} done" if options.privacy != "counts" else f"{leaving.left} open"
    yield f"{count}. What is read is ticked by reading; all else by `siteward offboard USER --done ITEM --reason TEXT`."


def _edit_lines(leaving: Offboarding, options: Options) -> Iterator[str]:
    if options.privacy != "full":
        yield f"The edit of the file is not shown: `--privacy {options.privacy}`."
    elif not leaving.patch:
        yield "The file has it already: there is nothing to edit."
    else:
        yield (
            "The edit of the file, written:"
            if leaving.written
            else "The edit of the file, not written yet (`--write`):"
        )
        lines = [show(line) for line in leaving.patch.splitlines()]
        longest = max((len(run) for line in lines for run in re.findall("`+", line)), default=0)
        fence = "`" * max(3, longest + 1)
        yield ""
        yield f"{fence}diff"
        yield from lines
        yield fence
    yield ""


def _check_lines(checks: Sequence[Check]) -> Iterator[str]:
    ordered = sorted(checks, key=lambda check: (check.instance is None, check.instance or ""))
    for instance, group in groupby(ordered, key=lambda check: check.instance):
        yield f"**{prose(instance)}**" if instance else "**In the file, and elsewhere**"
        yield ""
        for check in group:
            mark = "x" if check.state == "done" else " "
            yield f"- [{mark}] {code(check.id)}: {prose(check.what)}{_tell_state(check)}"
        yield ""


def _tell_state(check: Check) -> str:
    if check.state == "unknown":
        return " · not read, so not known"
    if check.state == "done":
        why = f": {prose(check.reason)}" if check.reason else ""
        return f" · done, by {prose(check.by or check.how)}{why}"
    return f" · {prose(check.ends)}" if check.ends else ""
