"""Promises 2 and 13 below a path: two servers of one host are two servers, in plans, journals and credentials."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from msgspec.structs import replace

from platforms.every import RELEASES, instance_of, lived_in, read
from promises.small import ADMINS, Small, codes, document, edit, fake, made, rig, role, view
from rig import reseal
from siteward.platforms.fakery import Fake, in_process
from siteward.transport.errors import OriginMismatchError
from siteward.transport.link import Link

if TYPE_CHECKING:
    from pathlib import Path

    from siteward.access.report import Report
    from siteward.platforms.umami.fake import UmamiFake

HOST = "http://127.0.0.1:1"
USERS: dict[str, Any] = {"users": {"eva": {}}, "grants": [ADMINS, view(["carla", "eva"]), edit("dora")]}


@dataclass
class Host(httpx.BaseTransport):
    """One host with a server below each of some paths; `seen` are the paths that were asked for."""

    below: dict[str, Fake]
    seen: list[str] = field(default_factory=list)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        path = request.url.raw_path.decode()
        self.seen.append(path)
        for base, server in self.below.items():
            if path.startswith(f"{base}/"):
                inner = httpx.Request(
                    request.method,
                    request.url.copy_with(raw_path=path.removeprefix(base).encode()),
                    headers=request.headers,
                    stream=request.stream,
                )
                return in_process(server).handle_request(inner)
        return httpx.Response(404, content=b"<!DOCTYPE html><title>nothing here</title>")


@dataclass
class Two:
    """A rig at `/stats` of a host that has another server, just like it, at `/stats2`."""

    small: Small
    first: UmamiFake
    second: UmamiFake
    changed: dict[str, Any]

    def move(self, path: str, **env: str) -> None:
        """Let the file name another path of the host."""
        self.small.declare(document(instance={"url": HOST + path}, **self.changed))
        host = Host({"/stats": self.first, "/stats2": self.second})
        at = Link(url=HOST + path, transport=host, sleep=lambda _: None, tries=3)
        self.small.instance = replace(self.small.instance, link=at, env={**self.small.instance.env, **env})


def two(folder: Path, path: str = "/stats", **changed: Any) -> Two:
    """Return such a host, and a file that asks for something new there."""
    first, second = fake(), fake()
    found = Two(rig(folder, first, **changed), first, second, changed)
    found.move(path)
    return found


def told(report: Report) -> set[str]:
    """Return the ids of all that a report says."""
    parts = report.plan.instances if report.plan else ()
    return {said.code for said in (*report.diagnostics, *(found for part in parts for found in part.diagnostics))}


def test_a_plan_for_one_path_is_not_applied_to_another(tmp_path: Path) -> None:
    """What was reviewed for `/stats` does not happen at `/stats2`."""
    host = two(tmp_path, users={"dora": {}}, grants=[{**ADMINS, "to": ["anna", "ben", "dora"]}, view("carla")])
    plan = made(host.small)
    assert plan.instances[0].origin == f"{HOST}/stats"
    host.move("/stats2")
    report = host.small.apply(plan)
    assert "plan-other-origin" in told(report)
    (found,) = (said for said in report.diagnostics if said.code == "plan-other-origin")
    assert f"{HOST}/stats and it is {HOST}/stats2 here" in found.message
    assert (role(host.first, "dora"), role(host.second, "dora")) == ("view-only", "view-only")
    assert host.second.writes == 0


def test_the_journal_of_one_path_is_anothers_at_the_next(tmp_path: Path) -> None:
    """`journal-other-origin`, as for another host."""
    host = two(tmp_path, **USERS)
    assert host.small.apply(made(host.small)).outcomes
    assert "journal-other-origin" not in told(host.small.plan())
    host.move("/stats2")
    assert "journal-other-origin" in told(host.small.plan())


def without_paths(small: Small) -> None:
    """Write the journal anew as it was written before: origins without a path."""
    reseal(small.journals.folder / "it.jsonl", lambda entry: {**entry, "origin": HOST} if "origin" in entry else entry)


def test_a_journal_of_before_paths_is_taken_with_a_remark(tmp_path: Path) -> None:
    """Whoever was there before is not stopped, and the next run writes the path down."""
    host = two(tmp_path, **USERS)
    host.small.apply(made(host.small))
    without_paths(host.small)
    report = host.small.plan()
    assert "journal-without-path" in told(report)
    assert "journal-other-origin" not in told(report)
    assert not codes(report.plan.instances[0]) if report.plan else False
    host.changed["grants"] = [ADMINS, view(["carla"]), edit(["dora", "eva"])]
    host.move("/stats")
    assert host.small.apply(made(host.small)).outcomes
    assert "journal-without-path" not in told(host.small.plan())


@pytest.mark.parametrize("path", ["", "/stats2"])
def test_a_branch_cannot_send_credentials_to_another_path(path: str, tmp_path: Path) -> None:
    """The bond names `/stats`, and nothing is sent anywhere else on that host."""
    host = two(tmp_path)
    host.move(path, SITEWARD_IT_URL=f"{HOST}/stats")
    with pytest.raises(OriginMismatchError, match=r"/stats; nothing was sent"):
        host.small.access()
    assert host.second.calls == []


def test_an_address_without_a_path_binds_all_with_a_warning(tmp_path: Path) -> None:
    """In this release; the warning names the value to set, and where there is no path there is none."""
    host = two(tmp_path)
    host.move("/stats", SITEWARD_IT_URL=HOST)
    report = host.small.plan()
    assert report.plan is not None
    (found,) = (said for said in report.plan.instances[0].diagnostics if said.code == "path-not-bound")
    assert found.hint == f"set SITEWARD_IT_URL={HOST}/stats"
    assert not found.blocks
    host.move("/stats", SITEWARD_IT_URL=f"{HOST}/stats/")
    assert "path-not-bound" not in told(host.small.plan())


@pytest.mark.parametrize(("platform", "release"), RELEASES)
@pytest.mark.parametrize("path", ["/stats", "/matomo/index.php"])
def test_every_platform_is_read_below_its_path(platform: str, release: str, path: str) -> None:
    """All requests stay there, the login's included."""
    server = lived_in(platform, release)
    host = Host({path: server})
    instance = instance_of(server, HOST + path, host)
    assert instance.origin == HOST + path
    assert read(instance).sites
    assert host.seen
    assert all(seen.startswith(f"{path}/") for seen in host.seen)
