"""Shell: remembers used sign-in links, one empty file a nonce, so that a link stays used when the console starts again."""

import secrets
from pathlib import Path
from urllib.parse import quote

from tallystick_producers.errors import KeyFileError
from tallystick_producers.keyfile import read_private

from .errors import LinkRefused, SecretMissing
from .tokens import LINK_SECONDS, NONCE_BYTES, Link, make_link_token, open_link_token

MIN_SECRET_BYTES = 32


def read_secret(path: str) -> bytes:
    """The console's secret, or SecretMissing with what to do: also where others could read it, and sign themselves in."""
    try:
        secret = read_private(Path(path))
    except KeyFileError as error:
        if isinstance(error.__cause__, OSError):
            why = f"cannot read the console's secret {path}: {error.__cause__.strerror}; put {MIN_SECRET_BYTES} random bytes or more there, mode 0600"
            raise SecretMissing(why) from error
        raise SecretMissing(f"the console's secret cannot be used: {error}") from error
    if len(secret) < MIN_SECRET_BYTES:
        raise SecretMissing(f"the console's secret {path} has {len(secret)} bytes, at least {MIN_SECRET_BYTES} are needed")
    return secret


def sign_in_link(secret: bytes, base_url: str, now: float, who: str) -> str:
    """A link that signs `who` in once, within ten minutes of `now` (seconds since 1970)."""
    token = make_link_token(secret, who, now, secrets.token_bytes(NONCE_BYTES))
    return f"{base_url.rstrip('/')}/sign-in?t={quote(token)}"


class UsedLinks:
    """Redeems links. The file is made with O_EXCL: of two browsers that follow one link at once, one is signed in."""

    def __init__(self, secret: bytes, folder: Path) -> None:
        self._secret, self._folder = secret, folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def redeem(self, token: str, now: float) -> Link:
        """The link, used up by this call; LinkRefused when it is forged, expired or used."""
        link = open_link_token(self._secret, token, now)
        self._forget(now)
        try:
            self._mark(link).touch(mode=0o600, exist_ok=False)
        except FileExistsError as error:
            raise LinkRefused("This link has been used.") from error
        # If we crash here, the link is used and nobody is signed in: the next one costs a command.
        return link

    def look(self, token: str, now: float) -> Link:
        """What `redeem` would give now, or the LinkRefused that it would raise; the link stays as it is."""
        link = open_link_token(self._secret, token, now)
        if self._mark(link).exists():
            raise LinkRefused("This link has been used.")
        return link

    def _mark(self, link: Link) -> Path:
        return self._folder / f"{link.expires}-{link.nonce}"

    def _forget(self, now: float) -> None:
        for path in self._folder.iterdir():
            expires = path.name.partition("-")[0]
            # A minute more than needed: a clock that is set back must not open an old link.
            if expires.isdigit() and int(expires) + LINK_SECONDS < now:
                path.unlink(missing_ok=True)
