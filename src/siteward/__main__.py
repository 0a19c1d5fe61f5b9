"""``python -m siteward``, and where the command begins."""

from __future__ import annotations

import signal

from siteward.cli.startup import trim_startup


def main() -> None:
    """Run the command line and leave with its exit code."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # until there is a verb to end: Python's own way is a traceback
    trim_startup()
    from siteward.cli.app import run  # noqa: PLC0415 — after what makes its imports cheap

    run()


if __name__ == "__main__":
    main()
