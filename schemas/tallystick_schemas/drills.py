"""How an exercise is told from the real thing: by the names of those who play in it. Everything about them is treated like everybody else's.

    drill-<run>-<name>@drill.invalid      a synthetic principal or agent (RFC 2606, section 2: `.invalid` never belongs to anybody)
    drill-<run>-<name>-<number>           one of its credentials

A name cannot be taken by somebody who wants to look harmless: principals are named by the operator's token file and by enrolled agents, and the mark
spares nobody anything.
"""

import re
from typing import Final

DRILL_ATTR: Final = "drill"
"""The key in an event's attrs whose value is the run."""
_RUN: Final = r"[a-z0-9]{1,16}"
_PRINCIPAL: Final = re.compile(rf"drill-({_RUN})-[A-Za-z0-9._-]{{1,64}}@drill\.invalid", re.ASCII)
_CREDENTIAL: Final = re.compile(rf"drill-({_RUN})-[A-Za-z0-9._-]{{1,64}}-\d{{1,4}}", re.ASCII)


def drill_principal(run: str, name: str) -> str:
    """The name of somebody, or of an agent, who plays in `run`."""
    return f"drill-{run}-{name}@drill.invalid"


def drill_credential(run: str, name: str, number: int) -> str:
    """The id of the `number`th credential of `name`, from 1."""
    return f"drill-{run}-{name}-{number}"


def drill_of(principal: str) -> str | None:
    """The run that a principal or an agent plays in, or None."""
    match = _PRINCIPAL.fullmatch(principal)
    return match.group(1) if match else None


def drill_of_subject(subject: str) -> str | None:
    """The run that a lock's subject (`principal:…` or `credential:…`) belongs to, or None."""
    kind, _, name = subject.partition(":")
    match = (_CREDENTIAL if kind == "credential" else _PRINCIPAL).fullmatch(name)
    return match.group(1) if match else None
