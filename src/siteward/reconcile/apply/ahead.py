"""The changes that are still to come in a run, which a call may have to know (`Bundle.ahead`)."""

from __future__ import annotations

from collections import defaultdict
from functools import cached_property
from typing import TYPE_CHECKING

from msgspec import Struct

from siteward.access.model import account_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Container, Iterator, Mapping

    from siteward.access.change import Change
    from siteward.access.plan import Step


class Ahead(Struct, frozen=True, kw_only=True, dict=True):
    """The steps that a run does (`go`), of which those whose ids are in `over` are over; that grows with each write."""

    go: tuple[Step, ...]
    over: Container[str]

    @cached_property
    def _by_login(self) -> Mapping[str, list[Step]]:
        steps: defaultdict[str, list[Step]] = defaultdict(list)
        for step in self.go:
            if (login := account_of(step.change.key)) is not None:
                steps[login.lower()].append(step)
        return steps

    def after(self, steps: Collection[Step]) -> Callable[[str | None], Iterator[Change]]:
        """Return the function that yields the changes to come after `steps`: all, or those about a login in any case."""

        def find(login: str | None) -> Iterator[Change]:
            now = {step.id for step in steps}
            for step in self.go if login is None else self._by_login.get(login.lower(), ()):
                if step.id not in now and step.id not in self.over:
                    yield step.change

        return find
