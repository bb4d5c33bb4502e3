"""Who is signed in: a state machine that is given `now`. Lives in memory: a console that starts again asks everybody to sign in again."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import sha256
from threading import Lock
from typing import Final

MAX_SESSIONS: Final = 200


@dataclass(frozen=True)
class Session:
    """One signed-in browser. `id` names it without opening it; times are seconds since 1970."""

    id: str
    who: str
    opened: float
    seen: float


class SessionTable:
    """Opens, checks and ends sessions. Only a hash of the cookie is kept, so that a memory dump or a log signs nobody in."""

    def __init__(self, absolute_s: float, idle_s: float, random: Callable[[int], str] = secrets.token_urlsafe) -> None:
        self._absolute, self._idle, self._random = absolute_s, idle_s, random
        self._open: dict[str, Session] = {}
        self._lock = Lock()

    def open(self, who: str, now: float) -> tuple[str, Session]:
        """(cookie value, session). The longest unseen session makes room when there are too many."""
        cookie = self._random(32)
        key = _key(cookie)
        session = Session(key[:16], who, now, now)
        with self._lock:
            for old in [k for k, s in self._open.items() if self._over(s, now)]:
                del self._open[old]
            if len(self._open) >= MAX_SESSIONS:
                del self._open[min(self._open, key=lambda k: self._open[k].seen)]
            self._open[key] = session
        return cookie, session

    def check(self, cookie: str, now: float, touch: bool = True) -> Session | None:
        """The session, or None when there is none or it is over. `touch`: a person did something, so idling starts again."""
        key = _key(cookie)
        with self._lock:
            session = self._open.get(key)
            if session is None:
                return None
            if self._over(session, now):
                del self._open[key]
                return None
            if touch:
                session = self._open[key] = replace(session, seen=max(now, session.seen))
            return session

    def close(self, cookie: str) -> None:
        """Sign out; nothing happens when the session is over already."""
        with self._lock:
            self._open.pop(_key(cookie), None)

    def _over(self, session: Session, now: float) -> bool:
        return now - session.opened >= self._absolute or now - session.seen >= self._idle


def _key(cookie: str) -> str:
    return sha256(cookie.encode("utf-8", "surrogatepass")).hexdigest()
