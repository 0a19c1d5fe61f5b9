"""What people are told of the journal: how well it is sealed, whose it is, and what an apply left."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cli.test_main_job import ALLOWED, AS_OF, applied
from rig import reseal

if TYPE_CHECKING:
    import httpx

    from cli.conftest import Program

KEY = {"SITEWARD_JOURNAL_KEY": "a key that is long enough"}


def test_doctor_tells_how_well_the_journal_is_sealed(checkout: Program) -> None:
    """A key that is set proves nothing of lines without its seal."""
    applied(checkout)
    assert "not sealed: SITEWARD_JOURNAL_KEY is not set" in checkout("doctor").out
    said = checkout("doctor", **KEY)
    assert said.code == 0
    assert "not sealed" in said.out
    assert "journal-not-sealed" in said.out
    assert "journal-not-sealed" in checkout("plan", *ALLOWED, **KEY).out
    checkout("plan", *ALLOWED, "--out", "plan.json")
    checkout("apply", "plan.json", *ALLOWED, "--yes", **KEY)
    said = checkout("doctor", **KEY)
    assert "sealed with SITEWARD_JOURNAL_KEY (HMAC) since entry" in said.out
    assert "journal-partly-sealed" in said.out
    assert "journal-partly-sealed" in checkout("plan", *ALLOWED, **KEY).out
    assert "journal-not-sealed" not in said.out
    reseal(checkout.folder / ".siteward" / "stats.jsonl")
    assert "journal-not-sealed" in checkout("doctor", **KEY).out


def test_doctor_knows_a_journal_under_another_name(checkout: Program) -> None:
    """Every reading verb says that this is the journal of another instance."""
    applied(checkout)
    text = (checkout.folder / "access.yaml").read_text()
    path = checkout.write(re.sub(r"\bstats\b(?!\.)", "other", text))
    folder = path.parent / ".siteward"
    for suffix in (".jsonl", ".last.json"):
        (folder / f"stats{suffix}").rename(folder / f"other{suffix}")
    environment = {name.replace("_STATS_", "_OTHER_"): value for name, value in checkout.env.items()}
    for verb in ("doctor", "plan", "drift"):
        said = checkout(verb, **environment)
        assert said.code == 1, said.out
        assert "this is the journal of stats, not of other" in said.out


def test_a_nightly_apply_hides_nothing(checkout: Program, admin: httpx.Client) -> None:
    """An admin whom nobody declared is told as before after an apply of what has expired."""
    applied(checkout)
    body = {"username": "eve", "password": "somebody-else", "role": "admin"}
    admin.post("/api/users", json=body).raise_for_status()
    assert checkout("drift", *AS_OF).code == 2
    checkout("plan", *ALLOWED, "--out", "plan.json")
    checkout("apply", "plan.json", *ALLOWED, "--only", "expiries", "--yes")
    said = checkout("drift", *AS_OF)
    assert said.code == 2, said.out
    assert "eve" in said.out


def interrupted(checkout: Program) -> None:
    """Leave the journal as a machine that went down right before the run ended would."""
    checkout("plan", *ALLOWED, "--out", "plan.json")
    checkout("apply", "plan.json", *ALLOWED, "--yes")
    folder = checkout.folder / ".siteward"
    path = folder / "stats.jsonl"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))
    (folder / "stats.last.json").unlink()


def test_resume_asks_for_consents_again_and_shows_what_to_type(checkout: Program) -> None:
    """The command that is shown goes on, and says which consents it takes over."""
    interrupted(checkout)
    said = checkout("apply", "--resume", "--passwords-out", "passwords.txt")
    assert said.code == 1, said.out
    assert "resume-needs-consents" in said.out
    (command,) = set(re.findall(r"siteward (apply --resume --as-of \S+ --allow-delete);", said.out))
    said = checkout(*command.split(), "--passwords-out", "passwords.txt")
    assert said.code == 0, said.out
    assert "run-resumed" in said.out
    assert "its sealed lines: none" in said.out
