"""``python -m siteward``, and where the command begins."""

from __future__ import annotations

from siteward.cli.startup import trim_startup


def main() -> None:
    """Run the command line and leave with its exit code."""
    trim_startup()
    from siteward.cli.app import run  # noqa: PLC0415 — after what makes its imports cheap

    run()


if __name__ == "__main__":
    main()
