"""An instance that cannot be reached, beside the one that can."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cli.conftest import Program


def unreachable(checkout: Program) -> dict[str, str]:
    """Declare a second instance, where nothing listens; return its credentials."""
    path = checkout.folder / "access.yaml"
    text = path.read_text(encoding="utf-8")
    eu = "  eu: {platform: umami, url: 'http://127.0.0.1:9', self: siteward, layout: per-site}\n"
    path.write_text(text.replace("instances:\n", f"instances:\n{eu}", 1), encoding="utf-8")
    return {"SITEWARD_EU_USERNAME": "siteward", "SITEWARD_EU_PASSWORD": "secret"}
