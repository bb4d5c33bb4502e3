"""Security event tokens pushed (RFC 8935) to a receiver that is set up by hand at both sides, as Okta's and Google's are; no stream of ours."""

from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from tallystick_schemas.errors import SettingsError
from tallystick_schemas.messages import Delivery

from ..shared_signals.events import happenings
from ..shared_signals.keyring import Keyring
from ..shared_signals.push import push_set
from ..shared_signals.sets import claims_of, sign
from ..shared_signals.vocabulary import SUPPORTED, Profile
from .base import Connector
from .errors import Refused
from .http import Http
from .setup import Common, Setup

_KEYS = "signals.json"


@dataclass(frozen=True, kw_only=True)
class SsfSettings(Common):
    """`iss`: our issuer name as the receiver has it, the [signals] public_url. `authorization_file`: in keys/, the whole Authorization header."""

    url: str
    iss: str
    aud: str
    profile: Profile = "ssf"
    events: tuple[str, ...] = SUPPORTED
    authorization_file: str = ""


class SsfPush:
    """Each token counts: a receiver that hears of an unlock must have heard of the lock."""

    supersedes = False

    def __init__(self, name: str, http: Http, settings: SsfSettings, authorization: str, keys: Callable[[], bytes]) -> None:
        self._name, self._http, self._settings, self._authorization, self._keys = name, http, settings, authorization, keys

    def deliver(self, delivery: Delivery, now: float) -> str:
        """One token an event, in order, each with the same jti in every repeat. The receiver's error code stands in what is raised."""
        told = [one for one in happenings(delivery.decision, self._settings.iss) if one.event in self._settings.events]
        if not told:
            return "nothing that this receiver is told of"
        key = _keyring(self._keys()).signer(now)
        for one in told:
            claims = claims_of(one, iss=self._settings.iss, aud=self._settings.aud, stream=self._name, profile=self._settings.profile)
            # If we crash between two, both come again: the first is a repeat that the receiver knows by its jti.
            push_set(self._http, self._settings.url, self._authorization, sign(claims, key))
        return "told: " + ", ".join(one.event.rpartition("/")[2] for one in told)


def _keyring(raw: bytes) -> Keyring:
    try:
        ring = msgspec.json.decode(raw, type=Keyring)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        raise Refused(f"keys/{_KEYS} is not a keyring; restore it from a copy") from None
    if not ring.keys:
        raise Refused(f"keys/{_KEYS} holds no key; restore it from a copy")
    return ring


def build(setup: Setup) -> Connector:
    """The signing keys are read at each delivery: they rotate."""
    settings = setup.settings(SsfSettings)
    unknown = sorted(set(settings.events) - set(SUPPORTED))
    if unknown:
        raise SettingsError([f"[{setup.name}] events has {', '.join(unknown)}; it must be some of {', '.join(SUPPORTED)}"])
    authorization = setup.secret(settings.authorization_file) if settings.authorization_file else ""
    _keyring(setup.read_secret(_KEYS))
    return SsfPush(setup.name, setup.http(settings), settings, authorization, lambda: setup.read_secret(_KEYS))
