"""What every renderer writes for every kind of report, as it was last looked at and found good."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from render.reports import REPORTS
from siteward.render import FORMATS, SERVES, Options, render

if TYPE_CHECKING:
    from conftest import Golden

SUFFIX = {
    "text": "txt",
    "markdown": "md",
    "sarif": "sarif",
    "github": "log",
    "junit": "xml",
    "csv": "csv",
    "html": "html",
}
TEXTS = {
    "quiet": Options(quiet=True),
    "verbose": Options(verbose=True),
    "plain": Options(plain=True),
    "by-site": Options(group_by="site"),
    "narrow": Options(width=60),
    "color": Options(color=True),
    "handles": Options(privacy="handles"),
    "counts": Options(privacy="counts"),
}
PAIRS = [
    (form, name) for form in FORMATS for name, build in REPORTS.items() if build().command in SERVES[form]
]  # fmt: skip


@pytest.mark.parametrize(("form", "name"), PAIRS)
def test_every_format_of_every_report(form: str, name: str, golden: Golden) -> None:
    golden(f"render/{name}/{form}.{SUFFIX.get(form, 'json')}", render(form, REPORTS[name]()))


@pytest.mark.parametrize("variant", TEXTS)
@pytest.mark.parametrize("name", ["plan-everything", "apply-partial", "validate-errors", "drift"])
def test_every_way_to_read_the_text(name: str, variant: str, golden: Golden) -> None:
    golden(f"render/{name}/text-{variant}.txt", render("text", REPORTS[name](), TEXTS[variant]))
