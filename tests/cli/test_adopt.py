"""`adopt` on a server with people that nobody declared: by words, by a review's sheet, and what may follow."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from cli.conftest import AS_OF

if TYPE_CHECKING:
    from cli.conftest import Program

MOMENT = "2026-12-01T00:00:00+00:00"


@pytest.fixture
def dated(checkout: Program) -> Program:
    """The example at the moment of its reviews."""
    checkout.moment = MOMENT
    return checkout


def steps_of(program: Program, *people: str) -> list[str]:
    """Return the steps of a plan that are about some people."""
    plan = program(
        "plan", "--instance", "stats", "--allow-delete", "--passwords-out", "p.txt", "--format", "json"
    ).json()["plan"]
    return [name for name in people if f'"account": "{name}"' in json.dumps(plan["instances"][0].get("steps", []))]


def test_somebody_is_adopted_by_name(dated: Program) -> None:
    """Shown first; once written, nobody's rights differ, and a second time there is nothing to adopt."""
    path = dated.folder / "access.yaml"
    before = path.read_text()
    shown = dated("adopt", "user:sven", "--instance", "stats", "--ticket", "OPS-7")
    assert shown.code == 0, shown.out + shown.err
    assert path.read_text() == before
    said = shown.err.splitlines()
    assert said[0].startswith(
        ("edit: sven is given", "view: sven is given", "manage: sven is given", "admin: sven is given")
    )
    assert "  sven:" in shown.out
    assert "ticket: OPS-7" in shown.out
    assert "reason: was live on 2026-12-01" in shown.out
    assert "stay undeclared" in shown.err
    assert dated("adopt", "user:sven", "--instance", "stats", "--write").code == 0
    assert set(before.splitlines()) <= set(path.read_text().splitlines())
    assert steps_of(dated, "sven") == []
    again = dated("adopt", "user:sven", "--instance", "stats")
    assert (again.code, "no-answer" in again.out) == (1, True)


def test_all_are_adopted_and_unmanaged_may_revoke(dated: Program) -> None:
    """Then nobody is undeclared, which is said, and the files stay valid."""
    done = dated("adopt", "all", "--instance", "stats", "--ticket", "OPS-8", "--write")
    assert done.code == 0, done.out + done.err
    assert "breakglass-1 on stats is left out: `protect` names it" in done.err
    assert "`unmanaged: revoke` is safe" in done.err
    assert dated("validate").code == 0
    data = dated("review", "--instance", "stats", "--format", "json").json()
    left = {row["account"] for row in data["items"] if "undeclared" in row["flags"].split()}
    assert left <= {"admin", "breakglass-1"}


def test_what_a_rule_forbids_is_not_adopted(dated: Program) -> None:
    """As with any other row: the rule is told with the row, and nothing is written."""
    before = (dated.folder / "access.yaml").read_text()
    done = dated("adopt", "user:admin", "--instance", "stats", "--write")
    assert (done.code, "admin-needs-ticket" in done.out) == (1, True)
    assert (dated.folder / "access.yaml").read_text() == before


def test_a_sheet_says_whom_to_adopt(dated: Program) -> None:
    """What it keeps of what is undeclared, and nothing else; one of another review is refused."""
    data = dated("review", *AS_OF, "--instance", "stats", "--format", "json").json()
    for row in data["items"]:
        row["decision"] = "keep" if row["account"] in {"sven", "anna"} else ""
    dated.write(json.dumps(data), "review.json")
    done = dated("adopt", "--decisions", "review.json", "--instance", "stats")
    assert done.code == 0, done.out + done.err
    assert "sven" in done.out
    assert "tess" not in "".join(line for line in done.out.splitlines() if line.startswith("+"))
    dated.write(json.dumps({**data, "digest": "sha256:0"}), "review.json")
    refused = dated("adopt", "--decisions", "review.json", "--instance", "stats")
    assert (refused.code, "review-changed" in refused.out) == (4, True)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "say what to adopt"),
        (("sven",), "write user:LOGIN"),
        (("user:",), "write user:LOGIN"),
        (("user:svenn",), "user:sven"),
    ],
)
def test_what_is_wrong_is_said_in_words(dated: Program, words: tuple[str, ...], said: str) -> None:
    done = dated("adopt", *words, "--instance", "stats")
    assert done.code == 1
    assert said in done.out + done.err
