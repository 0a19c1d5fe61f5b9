"""Bundles of evidence: what they hold, what proves it, and that every kind of forgery is told."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import warnings
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from cli.test_history import company, months, reviewed, sandbox

if TYPE_CHECKING:
    from collections.abc import Callable

    from cli.conftest import Program

__all__ = ["company", "months", "reviewed", "sandbox"]
VERIFIER = Path(__file__).parents[2] / "docs" / "verify-journal.mjs"


@pytest.fixture
def bundle(months: Program) -> Path:
    """The bundle about ticket OPS-7."""
    said = months("evidence", "make", "--ticket", "OPS-7", "--to", "bundle")
    assert said.code == 0, said.out + said.err
    return months.folder / "bundle"


def read(bundle: Path, name: str) -> Any:
    return json.loads((bundle / name).read_text())


def test_a_bundle_answers_its_question_and_nothing_else(bundle: Path) -> None:
    """What ben had before and after, why, by which commit and run, who approved it; of others not even a name."""
    (event,) = read(bundle, "history.json")["items"]
    assert (event["account"], event["ticket"], event["kind"]) == ("ben", "OPS-7", "gained")
    access = read(bundle, "access-stats.json")
    assert [resource["type"] for resource in access["before"]] == ["account"]
    assert [resource["role"] for resource in access["after"] if resource["type"] == "grant"] == ["team-member"]
    (told,) = read(bundle, "approvals.json")
    assert (told["actor"], told["triggered_by"]) == ("ben-cole", "anna-berg")
    assert told["approvals"]["approvals"][0]["by"] == "cleo"
    (commit,) = read(bundle, "commits.json")
    assert (commit["subject"], commit["signature"]) == ("Give anna and ben access", "not checked")
    extract = (bundle / "journal-stats.jsonl").read_text()
    assert "ben" in extract
    assert not [name for name in ("eve", '"part":"anna"') if name in extract]


def test_a_bundle_is_verified_with_what_everybody_has(bundle: Path) -> None:
    """By `sha256sum`, by the verifier in JavaScript, and by us."""
    manifest = read(bundle, "manifest.json")
    for name, digest in manifest["files"].items():
        assert hashlib.sha256((bundle / name).read_bytes()).hexdigest() == digest
    assert manifest["query"] == {"ticket": "OPS-7"}
    assert {"cut-end", "approvals-as-told"} <= set(manifest["cannot_prove"])
    if node := shutil.which("node"):
        extract = bundle / "journal-stats.jsonl"
        done = subprocess.run([node, VERIFIER, extract], capture_output=True, text=True, check=False, timeout=60)
        assert done.stdout.endswith(f"head {manifest['instances']['stats']['head']}\n"), done.stderr


def test_consistent_sealed_and_signed_are_said_apart(months: Program, bundle: Path) -> None:
    """Without a key nothing is sealed, and without a signature nothing signed; neither is called wrong."""
    said = months("evidence", "verify", "bundle")
    assert said.code == 4, said.out
    for code in (
        "evidence-consistent",
        "journal-verified",
        "evidence-not-sealed",
        "evidence-not-signed",
        "cannot-prove",
    ):
        assert code in said.out


def test_a_sealed_bundle_is_proven_by_the_key(company: Program) -> None:
    """With it; with another one it is refused, and without it that is said."""
    company.env["SITEWARD_JOURNAL_KEY"] = "a key that is long enough"
    assert company("apply", "--yes").code == 0
    assert company("evidence", "make", "--user", "anna", "--to", "bundle.zip").code == 0
    said = company("evidence", "verify", "bundle.zip")
    assert (said.code, "evidence-sealed" in said.out) == (0, True), said.out
    other = company("evidence", "verify", "bundle.zip", SITEWARD_JOURNAL_KEY="another key that is long")
    assert (other.code, "the seal does not match" in other.out) == (1, True)
    del company.env["SITEWARD_JOURNAL_KEY"]
    said = company("evidence", "verify", "bundle.zip")
    assert (said.code, "seals-not-checked" in said.out) == (4, True)


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="there is no ssh-keygen here")
def test_a_signature_holds_for_who_may_sign_and_for_nobody_else(months: Program) -> None:
    """The signers come from whoever verifies."""
    for name in ("key", "other"):
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(months.folder / name)], check=True, capture_output=True
        )  # fmt: skip
        public = (months.folder / f"{name}.pub").read_text()
        (months.folder / f"{name}.signers").write_text(f"auditor@example.org {public}")
    assert months("evidence", "make", "--user", "anna", "--to", "signed", "--sign", "key").code == 0
    said = months("evidence", "verify", "signed", "--signers", "key.signers")
    assert "signed by auditor@example.org" in said.out, said.out
    said = months("evidence", "verify", "signed", "--signers", "other.signers")
    assert (said.code, "the signature does not hold" in said.out) == (1, True)
    assert "signature-not-checked" in months("evidence", "verify", "signed").out
    (months.folder / "signed" / "manifest.json.sig").unlink()
    assert months("evidence", "verify", "signed", "--signers", "key.signers").code == 1


def test_nothing_is_written_where_something_is(months: Program, bundle: Path) -> None:
    """Neither over a folder nor over a zip; and a question without an answer makes no bundle."""
    before = {file.name: file.read_bytes() for file in bundle.iterdir()}
    assert months("evidence", "make", "--user", "anna", "--to", "bundle").code == 1
    assert {file.name: file.read_bytes() for file in bundle.iterdir()} == before
    (months.folder / "there.zip").write_text("x")
    assert months("evidence", "make", "--user", "anna", "--to", "there.zip").code == 1
    said = months("evidence", "make", "--user", "nobody", "--to", "empty")
    assert (said.code, (months.folder / "empty").exists()) == (1, False)
    assert "say what it is about" in months("evidence", "make", "--to", "empty").err


def _edit(name: str, old: bytes, new: bytes) -> Callable[[Path], None]:
    def edited(bundle: Path) -> None:
        content = (bundle / name).read_bytes()
        assert old in content
        (bundle / name).write_bytes(content.replace(old, new, 1))

    return edited


def _resealed(name: str, old: bytes, new: bytes) -> Callable[[Path], None]:
    """Return a forgery that makes the manifest fit too, as anybody can."""

    def forged(bundle: Path) -> None:
        _edit(name, old, new)(bundle)
        manifest = read(bundle, "manifest.json")
        manifest["files"][name] = hashlib.sha256((bundle / name).read_bytes()).hexdigest()
        (bundle / "manifest.json").write_text(json.dumps(manifest))

    return forged


def _manifest(**members: Any) -> Callable[[Path], None]:
    def forged(bundle: Path) -> None:
        manifest = read(bundle, "manifest.json")
        (bundle / "manifest.json").write_text(json.dumps({**manifest, **members}))

    return forged


def _cut(bundle: Path) -> None:
    name = "journal-stats.jsonl"
    lines = (bundle / name).read_bytes().splitlines(keepends=True)
    (bundle / name).write_bytes(b"".join(lines[:-1]))
    manifest = read(bundle, "manifest.json")
    manifest["files"][name] = hashlib.sha256((bundle / name).read_bytes()).hexdigest()
    (bundle / "manifest.json").write_text(json.dumps(manifest))


FORGERIES: dict[str, Callable[[Path], object]] = {
    "a file edited": _edit("history.json", b"OPS-7", b"OPS-8"),
    "a file edited to fit the manifest": _resealed("journal-stats.jsonl", b'"kind":"end"', b'"kind":"enD"'),
    "a part edited to fit the manifest": _resealed("journal-stats.jsonl", b"team-member", b"team-viewer"),
    "a file taken away": lambda bundle: (bundle / "commits.json").unlink(),
    "a file more": lambda bundle: (bundle / "more.json").write_text("{}"),
    "no manifest": lambda bundle: (bundle / "manifest.json").unlink(),
    "a manifest that is no JSON": lambda bundle: (bundle / "manifest.json").write_text("{"),
    "a manifest of another format": _manifest(format="siteward.evidence/2"),
    "a manifest with more": _manifest(mood="good"),
    "a manifest without its files": _manifest(files={}),
    "a path in the manifest": _manifest(files={"../manifest.json": "0" * 64}),
    "another head": _manifest(instances={"stats": {"first": 1, "last": 2, "head": "0" * 64, "sealed": True, "unread": []}}),
    "an instance without its journal": _manifest(instances={"web": {"first": 1, "last": 1, "head": "", "sealed": True, "unread": []}}),
    "a folder inside": lambda bundle: (bundle / "inner").mkdir(),
    "a link": lambda bundle: (bundle / "passwd.json").symlink_to("/etc/hostname"),
    "a hidden file": lambda bundle: (bundle / ".hidden").write_text("x"),
    "a name with a blank": lambda bundle: (bundle / "a b.json").write_text("x"),
    "the end of the journal cut off": _cut,
    "two files exchanged": lambda bundle: (
        (bundle / "history.csv").rename(bundle / "x"),
        (bundle / "history.html").rename(bundle / "history.csv"),
        (bundle / "x").rename(bundle / "history.html"),
    ),
    "another answer": _resealed("history.json", b'"account": "ben"', b'"account": "eve"'),
    "another actor": _resealed("history.json", b'"actor": "anna-berg"', b'"actor": "somebody"'),
    "another access": _resealed("access-stats.json", b"team-member", b"team-viewer"),
    "nothing to prove": _manifest(instances={}),
    "a line nested too deep": lambda bundle: (bundle / "journal-stats.jsonl").write_bytes(b"[" * 5000),
    "an empty journal": lambda bundle: (bundle / "journal-stats.jsonl").write_bytes(b""),
}  # fmt: skip


def test_every_forgery_is_told(months: Program, bundle: Path) -> None:
    """Two dozen kinds, each an error in words."""
    for name, forge in FORGERIES.items():
        copy = months.folder / "copy"
        shutil.copytree(bundle, copy)
        forge(copy)
        said = months("evidence", "verify", "copy")
        assert (said.code, "bad-bundle" in said.out) == (1, True), (name, said.out)
        shutil.rmtree(copy)


def test_a_zip_is_read_in_place_and_no_further_than_it_may_be(months: Program, bundle: Path) -> None:
    """Names that lead elsewhere or stand twice are refused, and nothing is unpacked."""
    for names in (["../outside.json"], ["/etc/x"], ["a/b.json"], ["manifest.json", "manifest.json"], []):
        path = months.folder / "evil.zip"
        with zipfile.ZipFile(path, "w") as archive, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a name that is there twice
            for name in names:
                archive.writestr(name, "{}")
        said = months("evidence", "verify", "evil.zip")
        assert (said.code, "bad-bundle" in said.out) == (1, True), said.out
    (months.folder / "no.zip").write_text("no zip")
    assert "cannot be read as a zip" in months("evidence", "verify", "no.zip").out
    assert not (months.folder.parent / "outside.json").exists()


def test_a_bundle_names_people_and_says_so(months: Program) -> None:
    """Where names are to be hidden it is refused, and not written with them."""
    for privacy in ("handles", "counts"):
        said = months("evidence", "make", "--user", "anna", "--to", "hidden", "--privacy", privacy)
        assert (said.code, "a bundle names people" in said.err) == (1, True)
    assert not (months.folder / "hidden").exists()


def test_a_broken_journal_is_an_error_in_words_and_nothing_is_written(months: Program) -> None:
    journal = months.folder / ".siteward" / "stats.jsonl"
    journal.write_bytes(journal.read_bytes().replace(b"OPS", b"ops", 1).replace(b"ben", b"bob", 1))
    said = months("evidence", "make", "--ticket", "OPS-7", "--to", "bundle")
    assert (said.code, "Traceback" in said.err) == (1, False)
    assert "journal-broken" in said.out + said.err
    assert not (months.folder / "bundle").exists()


def test_a_bundle_has_the_reviews_that_concern_its_question(reviewed: Program) -> None:
    """Of a person, and of the right that a ticket gave; nobody else's decisions, and a changed decision is told."""
    assert reviewed("evidence", "make", "--ticket", "OPS-7", "--to", "by-ticket").code == 0
    told = [item for item in read(reviewed.folder / "by-ticket", "history.json")["items"] if item["review"]]
    assert [(item["account"], item["review"]["decision"], item["review"]["by"]) for item in told] == [
        ("ben", "change until 2026-08-31", "dora")
    ]
    assert "still writes the reports" not in (reviewed.folder / "by-ticket" / "journal-stats.jsonl").read_text()
    assert reviewed("evidence", "make", "--user", "anna", "--to", "by-person").code == 0
    assert reviewed("evidence", "verify", "by-person").code == 4  # nothing is sealed here
    for old, new in ((b'"decision": "keep"', b'"decision": "revoke"'), (b'"by": "cleo"', b'"by": "dora"')):
        shutil.copytree(reviewed.folder / "by-person", reviewed.folder / "forged", dirs_exist_ok=True)
        _edit("history.json", old, new)(reviewed.folder / "forged")
        _resealed("history.json", b"{", b"{")(reviewed.folder / "forged")
        said = reviewed("evidence", "verify", "forged")
        assert (said.code, "does not have" in said.out) == (1, True), said.out
