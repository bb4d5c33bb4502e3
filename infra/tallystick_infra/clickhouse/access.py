"""The engine's own access control: chDB takes ClickHouse's roles and grants from a configuration file, and from nowhere else (docs/adr/0025).

Every connection signs in as the engine's user `default`, which has no right but to take a role; `Engine` takes one for good on each connection.
"""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final
from xml.sax.saxutils import escape

from .grants import ROLES, grant_lines

ACCESS_FILE: Final = "access.xml"


def access_xml(database: str) -> str:
    """The configuration: its users are those in the file itself, the roles are those of the table of grants."""
    roles = "\n".join(f"  <{role}><grants>{_queries(grant_lines(role, database))}</grants></{role}>" for role in ROLES)
    return f"""<clickhouse>
 <user_directories><users_xml><path>{ACCESS_FILE}</path></users_xml></user_directories>
 <profiles><default/></profiles>
 <quotas><default/></quotas>
 <roles>
{roles}
 </roles>
 <users>
  <default>
   <password></password><profile>default</profile><quota>default</quota><networks><ip>127.0.0.1</ip></networks>
   <grants>{_queries([f"GRANT {role}" for role in ROLES])}</grants>
  </default>
 </users>
</clickhouse>
"""


def _queries(lines: Iterable[str]) -> str:
    return "".join(f"<query>{escape(line)}</query>" for line in lines)


def write_access(folder: Path, database: str) -> None:
    """Put the configuration in its place: mode 0600, whole or not at all."""
    temporary = folder / f".{ACCESS_FILE}.new"
    temporary.unlink(missing_ok=True)
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(access_xml(database))
    temporary.replace(folder / ACCESS_FILE)
