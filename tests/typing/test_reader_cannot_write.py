"""The type of a reader is what keeps planning from writing; here the type is put to the test."""

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def test_a_reader_has_no_method_that_writes(tmp_path: Path) -> None:
    """The checker refuses a command through a reader, and finds nothing else to say."""
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--show-error-codes"]
    command += ["--config-file", str(HERE.parents[1] / "pyproject.toml"), "--cache-dir", str(tmp_path)]
    done = subprocess.run(
        [*command, str(HERE / "reader_cannot_write.py")],
        cwd=HERE.parents[1],
        capture_output=True,
        text=True,
        check=False,
    )
    lines = done.stdout.strip().splitlines()
    assert done.returncode == 1, done.stdout + done.stderr
    assert len(lines) == 1, lines
    assert lines[0].endswith('error: "Reader" has no attribute "command"  [attr-defined]'), lines
