"""What `tallystick doctor` asks the store: its tables, what is sealed in it, and what agents were shown of it."""

import time
from contextlib import closing

import clickhouse_connect

from tallystick_schemas.words import counted

from ..deployment import Deployment
from .doctor_check import Check

_STALE_S = 30.0


def clickhouse(deployment: Deployment) -> list[Check]:
    from ..clickhouse.migrate import migrations, unlike_migrations

    settings = deployment.clickhouse()
    client = clickhouse_connect.get_client(**settings.client_kwargs())
    wrong = unlike_migrations(client)
    seen = f"{settings.host}:{settings.port}, version {client.server_version}, {counted(len(migrations()), 'migration')}"
    return [
        Check(
            "clickhouse", not wrong, f"{seen}{''.join(f'; {one}' for one in wrong)}", "`tallystick migrate`; then `tallystick audit verify`"
        )
    ]


def definitions(deployment: Deployment) -> list[Check]:
    """Tables and views are what the migrations make. Whether their rows are, is what `audit verify` looks at."""
    from tallystick_audit.verify.clickhouse import open_source
    from tallystick_audit.verify.definitions import compare_definitions
    from tallystick_audit.verify.report import Findings

    from ..clickhouse.migrate import definitions

    wanted, found = definitions(), Findings()
    with closing(open_source(deployment.clickhouse())) as source:
        notes = compare_definitions(source.definitions(wanted), wanted, found)
    mend = "somebody altered the store: `tallystick audit verify` says what its rows are worth; make the table anew, or alter it back"
    told = "; ".join([f"{counted(len(wanted), 'definition')} compared with the migrations", *notes])
    return [Check("tables", False, one.reason, mend) for one in found.kept] or [Check("tables", True, told)]


def sealed(deployment: Deployment) -> list[Check]:
    """By what the sealer signed: a row's own time is whatever who has the store's password writes."""
    from ..sealed import last_sealed, newest_root

    log = deployment.log()
    with closing(clickhouse_connect.get_client(**deployment.clickhouse().client_kwargs())) as client:
        size, at = newest_root(client, log), last_sealed(client, log)
    if size is None or at is None:
        return [Check("sealer", False, "no checkpoint yet" if size is None else "a shard without a seal yet", "see logs/sealer.log")]
    age, limit = time.time() - at, _STALE_S + 10 * log.seal_interval_s
    seen = f"root checkpoint of size {size}; every shard was sealed {age:.1f} s ago or later"
    return [Check("sealer", -_STALE_S < age < limit, seen, "see logs/sealer.log")]


def refusal(deployment: Deployment) -> list[Check]:
    """Why the sealer of this machine signs nothing, if it does not."""
    from tallystick_stream_jobs.sealer.refusal import read_refusal

    if refusal := read_refusal(deployment.path / "sealer"):
        return [Check("sealer", False, refusal, "see docs/operator.md, restores; the sealer looks again by itself")]
    return []


def shown(deployment: Deployment) -> list[Check]:
    """Root checkpoints that agents were shown lately, against those that the store has. One that is missing a moment after a restore comes back."""
    from tallystick_stream_jobs.responder.history import asking
    from tallystick_stream_jobs.responder.shown_roots import BEFORE_S, contradicts, read_roots, read_shown

    from ..enrolment import read_directives

    log = deployment.log()
    with closing(clickhouse_connect.get_client(**deployment.clickhouse().client_kwargs())) as client:
        said = read_shown(asking(client), log.shards, {}, time.time() - BEFORE_S).said
        sizes = sorted({one.seen.size for one in said})
        roots = read_roots(asking(client), log, sizes) if sizes else set()
        keyring = read_directives(client, log).keyring
    if wrong := [one for one in said if contradicts(one.seen, roots, log, keyring)]:
        first = f"{wrong[0].agent} was shown one of {counted(wrong[0].seen.size, 'leaf', 'leaves')} (shard {wrong[0].shard}, index {wrong[0].place})"
        seen = f"the store lacks {counted(len(wrong), 'root checkpoint')} that the sealer's key signed for agents: {first}"
        mend = "`tallystick audit verify` tells whether the store was set back, or somebody else has the sealer's key"
        return [Check("shown roots", False, seen, mend)]
    return [
        Check("shown roots", True, f"{counted(len(sizes), 'root checkpoint')} shown to agents in the last hour; no signed one is missing")
    ]
