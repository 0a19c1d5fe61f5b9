"""The token and the password, and what happens when one is refused.

One refusal closes the door for good: twenty-one failures lock the address out for an hour, good tokens included
(API.md section 1.7).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from siteward.platforms.matomo.rpc import MOST
from siteward.transport._httpx import httpx
from siteward.transport.errors import UnauthenticatedError

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from siteward.transport.secrets import Secret


class Token(httpx.Auth):
    """Holds the credentials of one pair of doors; lets nothing out any more once the token was refused.

    `most` is how many calls a bulk may carry, as far as this server has let us know, and `most_mailing` how many changes
    may share a request in which mails are sent.
    """

    def __init__(self, token: Secret, password: Secret | None) -> None:
        self._token = token
        self._password = password
        self.refused: str | None = None
        self.password_refused = False
        self.most = self.most_mailing = MOST

    @property
    def has_password(self) -> bool:
        """Tell whether the password of the token's owner is at hand."""
        return self._password is not None

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Send the request as it is; raises `UnauthenticatedError`, sending nothing, after a refusal."""
        if self.refused is not None:
            raise UnauthenticatedError(self.refused)
        yield request

    def form(self, fields: Mapping[str, str], *, confirmed: bool = False) -> dict[str, str]:
        """Return a form body with the credentials in it.

        The token comes first: PHP drops fields after the thousandth, and in the URL it would be logged. The password
        stands outside a bulk's entries, which inherit it: inside, releases up to 4.x damage some characters.
        """
        confirmation = {"passwordConfirmation": self._password.reveal()} if confirmed and self._password else {}
        return {"token_auth": self._token.reveal(), **fields, **confirmation}

    def close(self, why: str) -> UnauthenticatedError:
        """Let nothing more out, and return the error that says why."""
        self.refused = why
        return UnauthenticatedError(why)
