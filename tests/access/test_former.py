"""A plan of the former format, which an earlier release wrote: it is read whole, and refused where it was changed."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from documents import document
from siteward.access import codec, former
from siteward.access.canonical import canonical
from siteward.access.codec import CodecError
from siteward.access.model import Account

PLAN: Any = json.loads((Path(__file__).parent / "plan-1.json").read_text(encoding="utf-8"))
STATS = PLAN["instances"][0]


def resealed(data: dict[str, Any]) -> dict[str, Any]:
    """Return a plan of the former format with the digest that fits it."""
    rest = {name: value for name, value in data.items() if name != "digest"}
    return rest | {"digest": f"sha256:{hashlib.sha256(canonical(rest)).hexdigest()}"}


def test_it_is_read_whole() -> None:
    """With its own digest, and under the names of now."""
    plan = former.decode(PLAN)
    (part,) = plan.instances
    assert (plan.digest, plan.as_of_given, part.platform) == (PLAN["digest"], True, "umami")
    assert [step.id for step in part.steps] == [step["id"] for step in STATS["steps"]]
    assert [account.name for account in part.unmanaged] == [account["name"] for account in STATS["strangers"]]
    assert {step.person for step in part.steps if step.external} == {"jonas"}
    assert {"external"} == {risk for step in part.steps for risk in step.risks} & {"external", "outsider"}
    assert any(isinstance(step.change.before, Account) and step.change.after is None for step in part.steps)


def test_it_has_a_document_of_now() -> None:
    """Nothing in it is lost on the way."""
    plan = former.decode(PLAN)
    assert codec.decode(document(plan)) == codec.seal(plan)


def test_a_changed_one_is_refused() -> None:
    """The digest covers its canonical form."""
    for name, value in (("tool", "9.9.9"), ("digest", "sha256:" + "0" * 64), ("only", ["dates"])):
        with pytest.raises(CodecError, match="its digest does not fit"):
            former.decode({**PLAN, name: value})


@pytest.mark.parametrize(
    ("instances", "path"),
    [
        ("stats", "/instances"),
        (["stats"], "/instances/0"),
        ([{**STATS, "steps": {}}], "/instances/0/steps"),
        ([{**STATS, "strangers": 1}], "/instances/0/unmanaged"),
        ([{**STATS, "steps": [{**STATS["steps"][0], "change": {"before": None, "after": None}}]}], "/instances/0/steps/0/change"),
    ],
)  # fmt: skip
def test_what_is_wrong_in_it_is_refused_with_its_place(instances: object, path: str) -> None:
    """Also where the digest fits."""
    with pytest.raises(CodecError) as problem:
        former.decode(resealed({**PLAN, "instances": instances}))
    assert problem.value.path == path
