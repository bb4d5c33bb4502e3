"""An issuer's keys: fetched with limits, cached, fetched again for a key id that is new, but seldom. `now` is given."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey

from tallystick_schemas.errors import ParseError
from tallystick_schemas.strict_json import check_json

from .errors import KeysUnavailable, SetRefused
from .settings import IssuerSettings

log: Final = logging.getLogger(__name__)
Key = RSAKey | ECKey | OKPKey
MAX_BYTES: Final = 64 * 1024
MAX_KEYS: Final = 20
_FRESH_S: Final = 3_600.0
_AGAIN_S: Final = 60.0
"""Between two fetches: tokens with made-up key ids must not make us hammer the issuer."""
_MIN_RSA_BITS: Final = 2048
_KINDS: Final[dict[str, type[Any]]] = {"RSA": RSAKey, "EC": ECKey, "OKP": OKPKey}


def parse_jwks(raw: bytes) -> dict[str, Key]:
    """Public signing keys by id; ParseError when it is no key set. Keys that we could not use anyway are left out."""
    if len(raw) > MAX_BYTES:
        raise ParseError(f"a key set of {len(raw)} bytes; at most {MAX_BYTES} are read")
    keys = check_json(raw.replace(b"\n", b" ").replace(b"\r", b" ")).get("keys")
    if not isinstance(keys, list) or len(keys) > MAX_KEYS:
        raise ParseError(f"not a key set of at most {MAX_KEYS} keys")
    return {key["kid"]: parsed for key in keys if isinstance(key, dict) and (parsed := _key(key)) is not None}


def _key(value: dict[str, Any]) -> Key | None:
    kind = _KINDS.get(str(value.get("kty")))
    if kind is None or not isinstance(value.get("kid"), str) or value.get("use", "sig") != "sig":
        return None
    public = {name: item for name, item in value.items() if name in ("kty", "kid", "n", "e", "crv", "x", "y", "alg", "use")}
    try:
        key: Key = kind.import_key(public)
        weak = isinstance(key, RSAKey) and key.public_key.key_size < _MIN_RSA_BITS
    except (JoseError, ValueError, TypeError, KeyError) as error:
        log.warning("key %.60r of a key set cannot be used: %s", value["kid"], error)
        return None
    return None if weak else key


class KeyCache:
    """One issuer's keys. `fetch` gives the bytes of the key set, and raises what it likes."""

    def __init__(self, issuer: IssuerSettings, fetch: Callable[[], bytes]) -> None:
        self._issuer, self._fetch = issuer, fetch
        self._keys: dict[str, Key] = {}
        self._fetched_at: float | None = None
        self._tried_at: float | None = None

    def key(self, kid: str, now: float) -> Key:
        """The key; SetRefused (invalid_key) when the issuer has none of that id, KeysUnavailable when nobody can tell."""
        if kid in self._keys and self._fetched_within(_FRESH_S, now):
            return self._keys[kid]
        looked = self._tried_at is None or now - self._tried_at >= _AGAIN_S
        if looked:
            self._refresh(now)
        if kid in self._keys and self._fetched_within(24 * _FRESH_S, now):
            return self._keys[kid]
        if not looked or self._tried_at != self._fetched_at:
            # Whether the key is new or made up nobody can tell before the next look: whoever sent the token shall come again.
            raise KeysUnavailable(self._issuer.iss, "its key set was read a moment ago, or could not be read")
        raise SetRefused("invalid_key", "the key that signed this is not in the issuer's key set")

    def _fetched_within(self, seconds: float, now: float) -> bool:
        return self._fetched_at is not None and now - self._fetched_at < seconds

    def _refresh(self, now: float) -> None:
        self._tried_at = now
        try:
            self._keys = parse_jwks(self._fetch())
            self._fetched_at = now
        except Exception as error:  # noqa: BLE001 - whatever it is, what was known stays for a day, and it is said
            log.warning("the keys of %s cannot be fetched (%s: %s)", self._issuer.iss, type(error).__name__, error)


def file_fetch(path: str) -> Callable[[], bytes]:
    """A key set on disk: for issuers without an address of their own."""

    def fetch() -> bytes:
        with Path(path).open("rb") as file:
            return file.read(MAX_BYTES + 1)

    return fetch
