"""Files of settings on disk: read with one open, and refused while other users can get at a password in them."""

import os
import re
import stat
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from tallystick_producers.toml_text import MAX_BYTES, parse_toml
from tallystick_schemas.errors import SettingsError

_SECRET: Final = re.compile(r"(^|_)(password|passphrase|secret|token)$")
"""What a setting with a secret as its value is called; those that name a file end in `_file`."""


def read_tables(path: Path) -> dict[str, Any]:
    """The file's tables. FileNotFoundError when there is none; SettingsError when it is no TOML, or holds passwords and is not its owner's alone."""
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            tables = parse_toml(file.read(MAX_BYTES + 1))
        folder_mode = stat.S_IMODE(path.parent.stat().st_mode)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise SettingsError([f"{path} cannot be read: {error.strerror}"]) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError([f"{path}: {error}"]) from error
    if wrong := _exposures(path, tables, mode, folder_mode):
        raise SettingsError(wrong)
    return tables


def _exposures(path: Path, tables: Mapping[str, Any], mode: int, folder_mode: int) -> list[str]:
    """Why others can get at the passwords in these tables; nothing where there are none, since the rest is no secret."""
    held = ", ".join(secrets_in(tables))
    if not held:
        return []
    elsewhere, wrong = _elsewhere(held), []
    if mode & 0o077:
        wrong.append(f"{path} holds {held} and is open to other users (mode {mode:04o}); run: chmod 600 {path}; {elsewhere}")
    if folder_mode & 0o077:
        # Who may write there can put another file in this one's place, and who may read there finds an editor's copies.
        wrong.append(
            f"{path} holds {held} and lies in a directory that is open to other users (mode {folder_mode:04o}); "
            f"run: chmod 700 {path.parent}; {elsewhere}"
        )
    return wrong


def _elsewhere(held: str) -> str:
    """Where a password may stand instead: Kafka's alone has a setting that names a file."""
    own = "in a file of its own (sasl_password_file), or " if "sasl_password" in held else ""
    return f"or keep the password out of it: {own}in the environment (TALLYSTICK_<SECTION>_<NAME>)"


def secrets_in(table: Mapping[str, Any], place: str = "") -> Iterator[str]:
    """Names of the settings whose value is a secret, with their sections; never the values."""
    for name, value in table.items():
        if isinstance(value, Mapping):
            yield from secrets_in(value, f"{place}.{name}" if place else name)
        elif value and isinstance(value, str) and _SECRET.search(name):
            yield f"[{place}] {name}" if place else name
