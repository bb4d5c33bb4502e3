"""The console's cookies: which there are, what they are called, and how they are set.

Browsers keep cookies by host and not by port, so two consoles on one machine would overwrite each other's: the names hold a number that is made of
the console's secret. No cookie has a Domain, so none goes to another host; over TLS the prefix `__Host-` has the browser see to that (RFC 6265bis,
4.1.3.2), also against a neighbour that sets one for a whole domain.
"""

from dataclasses import dataclass
from typing import Final

from starlette.responses import Response

from .tokens import cookie_number

_CROSSING_S: Final = 60


@dataclass(frozen=True)
class Cookies:
    """Names for one console. `crossing`: says at a sign-in that cookies came along, so that a missing `session` means that there is none."""

    session: str
    csrf: str
    crossing: str
    secure: bool

    @classmethod
    def of(cls, secret: bytes, *, secure: bool) -> "Cookies":
        """Those of the console with this secret; `secure`: browsers speak TLS to it."""
        prefix, number = "__Host-" if secure else "", cookie_number(secret)
        session, csrf, crossing = (f"{prefix}tallystick_{name}_{number}" for name in ("session", "csrf", "crossing"))
        return cls(session, csrf, crossing, secure)

    def sign_in(self, answer: Response, session: str, csrf: str) -> None:
        """Scripts read the CSRF token, which they send back, and not the session."""
        self._set(answer, self.session, session)
        answer.set_cookie(self.csrf, csrf, samesite="strict", secure=self.secure, path="/")

    def cross(self, answer: Response) -> None:
        """Set the one that comes back with the next request, unless another site begins that one."""
        self._set(answer, self.crossing, "1", _CROSSING_S)

    def sign_out(self, answer: Response) -> None:
        """Delete what a sign-in set."""
        for name in (self.session, self.csrf):
            answer.delete_cookie(name, path="/", samesite="strict", httponly=name == self.session, secure=self.secure)

    def _set(self, answer: Response, name: str, value: str, max_age: int | None = None) -> None:
        answer.set_cookie(name, value, max_age=max_age, httponly=True, samesite="strict", secure=self.secure, path="/")
