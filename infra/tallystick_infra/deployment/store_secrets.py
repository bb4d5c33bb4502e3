"""keys/clickhouse/: a password for each user of the embedded store, and the store's certificate."""

from pathlib import Path
from typing import Any, Final

from ..clickhouse.grants import AUDITOR, ROLES, Role, user_of
from .certificate import make_certificate
from .keyfiles import make_secret, read_secret, write_secret

FOLDER: Final = "clickhouse"
_OLD_OWNER: Final = "clickhouse.password"
_OLD_AUDITOR: Final = "clickhouse-auditor.password"


def make_store_secrets(keys: Path) -> Path:
    """The folder, with what was missing in it. An auditor who has the password of an earlier version keeps it; the owner's is new, since every
    process had the old one."""
    folder = keys / FOLDER
    if (keys / _OLD_AUDITOR).exists() and not password_file(keys, AUDITOR).exists():
        write_secret(password_file(keys, AUDITOR), read_secret(keys / _OLD_AUDITOR))
    for role in ROLES:
        make_secret(password_file(keys, role))
    make_certificate(folder)
    return folder


def retire_old_passwords(keys: Path) -> None:
    """Take away those of an earlier version: nobody asks for them any more."""
    for name in (_OLD_OWNER, _OLD_AUDITOR):
        (keys / name).unlink(missing_ok=True)


def password_file(keys: Path, role: Role) -> Path:
    return keys / FOLDER / f"{role}.password"


def store_settings(keys: Path, role: Role) -> dict[str, Any]:
    """How a role signs in to the embedded store: settings of [clickhouse]. UnsafeKeyFile without its password."""
    password = read_secret(password_file(keys, role)).decode().strip()
    return {"username": user_of(role), "password": password, "secure": True, "ca_cert": str(keys / FOLDER / "server.crt")}
