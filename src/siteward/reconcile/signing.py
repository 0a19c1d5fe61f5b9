"""Signatures of a manifest by SSH keys, made and verified by `ssh-keygen`, which is found once and run alone."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

NAMESPACE: Final = "siteward-evidence"
_SECONDS: Final = 60


class SigningError(Exception):
    """`ssh-keygen` is missing, or refuses; the message says why."""

    code = "not-signed"
    hint = "ssh-keygen of OpenSSH 8.2 or later, with the key's file or its agent"


def sign(content: bytes, key: Path) -> bytes:
    """Return the signature (SSHSIG) of some bytes by the key in a file. Raises `SigningError`."""
    with TemporaryDirectory(prefix="siteward-") as folder:
        place = Path(folder) / "content"
        place.write_bytes(content)
        _run("-Y", "sign", "-n", NAMESPACE, "-f", str(key), str(place))
        return place.with_name("content.sig").read_bytes()


def signer_of(content: bytes, signature: bytes, signers: Path) -> str:
    """Return who of the allowed `signers` (a file as `ssh-keygen` takes it) signed some bytes. Raises `SigningError`."""
    with TemporaryDirectory(prefix="siteward-") as folder:
        place = Path(folder) / "content.sig"
        place.write_bytes(signature)
        found = (
            _run("-Y", "find-principals", "-s", str(place), "-f", str(signers)).decode(errors="replace").split("\n")[0]
        )
        _run("-Y", "verify", "-n", NAMESPACE, "-I", found, "-s", str(place), "-f", str(signers), given=content)
    return found


def _run(*arguments: str, given: bytes = b"") -> bytes:
    program = shutil.which("ssh-keygen")
    if program is None:
        raise SigningError("there is no ssh-keygen here")
    try:
        done = subprocess.run(
            [program, *arguments],
            input=given,
            capture_output=True,
            check=False,
            timeout=_SECONDS,
            env={"PATH": "/usr/bin:/bin"},
        )
    except (OSError, subprocess.TimeoutExpired) as problem:
        raise SigningError(f"ssh-keygen did not answer: {problem}") from None
    if done.returncode:
        raise SigningError(f"ssh-keygen refuses: {done.stderr.decode(errors='replace').strip() or 'without a word'}")
    return done.stdout
