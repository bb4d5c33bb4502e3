"""`tallystick signals`: streams, keys and tokens of shared signals. Works on the deployment's files, whether the part runs or not."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from tallystick_schemas.signing import wire_time
from tallystick_schemas.words import counted
from tallystick_stream_jobs.shared_signals.settings import SignalsSettings

from ..terminal import echo, joined, styled
from .common import data_option, emit_json, expiry, json_option, open_deployment, out
from .groups import Group
from .tables import Listing


def _settings(data: Path) -> SignalsSettings:
    from ..signals import signals_settings

    return signals_settings(open_deployment(data))


@contextmanager
def _store(settings: SignalsSettings) -> Iterator[Any]:
    from tallystick_stream_jobs.shared_signals.store import Store

    store = Store(Path(settings.state_dir) / "signals.db")
    try:
        yield store
    finally:
        store.close()


@click.group(cls=Group)
def signals() -> None:
    """Shared signals: who is told of locks, with which keys, and whom we hear."""


@signals.command()
@data_option
@json_option
def streams(data: Path, as_json: bool) -> None:
    """Who has streams, what is delivered, how much waits, and what was wrong last."""
    from tallystick_stream_jobs.shared_signals.api import encode_stream

    with _store(_settings(data)) as store:
        rows = [{**encode_stream(one), "waiting": store.count_waiting(one.id), **store.tally(one.id)} for one in store.streams()]
    if as_json:
        emit_json({"streams": rows})
        return
    table = Listing(
        "stream", "receiver", "status", "delivery", "waiting", "taken", "refused", "lost", "last error", whole=("stream", "receiver")
    )
    for row in rows:
        delivery = row["endpoint_url"] or "polled"
        counts = [str(row[name]) for name in ("waiting", "taken", "refused", "lost")]
        table.add_row(row["id"], row["receiver"], row["status"], delivery, *counts, row["last_error"] or row["reason"])
    out().print(
        table if rows else "No receiver has a stream. They make them at /ssf/streams, with a token of `tallystick signals token NAME`."
    )


@signals.command()
@data_option
@json_option
def status(data: Path, as_json: bool) -> None:
    """Whether the part is on, what it is called, its keys, whom it tells and whom it hears. Exit code 1: something needs a person."""
    from tallystick_stream_jobs.shared_signals.keyfile import read_keyring

    settings, now = _settings(data), time.time()
    keys = Path(settings.keys_file)
    signer = read_keyring(keys).signer(now).kid if keys.exists() else None
    with _store(settings) as store:
        wrong = [one.id for one in store.streams() if one.troubled]
        counts = {"streams": len(store.streams()), "waiting": sum(store.count_waiting(one.id) for one in store.streams())}
        heard = {issuer.name: store.count_heard(issuer.iss) for issuer in settings.issuers}
    found = {"enabled": settings.enabled, "issuer": settings.issuer, "signer": signer, **counts, "heard": heard, "wrong": wrong}
    if as_json:
        emit_json(found)
    else:
        out().print(f"{'on' if settings.enabled else 'off'}, as {settings.issuer}; signs with {signer or 'no key yet'}")
        out().print(
            f"{counted(counts['streams'], 'stream')}, {counted(counts['waiting'], 'token waits', 'tokens wait')}; heard: {heard or 'nobody is pinned'}"
        )
        for stream_id in wrong:
            out().print(joined(styled(f"stream {stream_id} needs a look", "red"), ": tallystick signals streams"))
    raise SystemExit(1 if wrong else 0)


@signals.command()
@data_option
@json_option
@click.argument("stream")
@click.option("--timeout", default=30.0, show_default=True, help="Seconds to wait until the receiver has taken it.")
def verify(data: Path, as_json: bool, stream: str, timeout: float) -> None:
    """Send a verification over STREAM and wait until its receiver has taken it. Exit code 1: it was not taken in time."""
    from tallystick_stream_jobs.shared_signals.errors import StreamRefused
    from tallystick_stream_jobs.shared_signals.transmitter import Transmitter

    settings = _settings(data)
    with _store(settings) as store:
        found = store.stream(stream)
        receiver = settings.receiver(found.receiver) if found else None
        if found is None or receiver is None:
            raise click.ClickException(f"there is no stream {stream}; `tallystick signals streams` shows them")
        try:
            jti = Transmitter(settings, store).verify(found, receiver, None, time.time())
        except StreamRefused as error:
            raise click.ClickException(error.text) from error
        outcome = _outcome(store, stream, jti, timeout)
        wrong = (store.stream(stream) or found).last_error
    if as_json:
        emit_json({"stream": stream, "jti": jti, "taken": outcome == "", "error": outcome or wrong or None})
    else:
        out().print(
            joined(styled("taken", "green"), f" ({jti})")
            if outcome == ""
            else joined(styled("not taken", "red"), f" within {timeout:.0f} s: {outcome or wrong or 'not fetched'}")
        )
    raise SystemExit(0 if outcome == "" else 1)


def _outcome(store: Any, stream: str, jti: str, timeout: float) -> str | None:
    deadline = time.monotonic() + timeout
    while True:
        outcome: str | None = store.outcome(stream, jti)
        if outcome is not None or time.monotonic() > deadline:
            return outcome
        time.sleep(0.1)


@signals.command()
@data_option
@json_option
@click.argument("name")
@click.option("--days", type=float, default=365.0, show_default=True, help="Days until it expires.")
def token(data: Path, as_json: bool, name: str, days: float) -> None:
    """Make a bearer token for NAME, a receiver or an issuer of [signals], and print it, once."""
    from tallystick_producers.gateway.tokens import add_token

    settings = _settings(data)
    known = [one.name for one in settings.receivers] + [one.name for one in settings.issuers]
    if name not in known:
        raise click.ClickException(f"{name} is neither a receiver nor an issuer of [signals]; there are: {', '.join(known) or 'none'}")
    made = add_token(Path(settings.tokens_file), name, "service", expires=expiry(days, time.time()))
    if as_json:
        emit_json({"token": made, "name": name})
        return
    out().print(joined("Token of ", styled(name, "bold"), ". It is shown this once:"))
    echo(made)


@signals.group()
def keys() -> None:
    """The keys that sign tokens."""


@keys.command(name="list")
@data_option
@json_option
def list_keys(data: Path, as_json: bool) -> None:
    """Which key signs, which comes, which is still shown; makes the first one."""
    from tallystick_stream_jobs.shared_signals.keyfile import ensure_keyring

    _show(ensure_keyring(Path(_settings(data).keys_file), time.time()), as_json)


@keys.command()
@data_option
@json_option
@click.option("--compromised", is_flag=True, help="The current key is in wrong hands: sign with a new one at once, and show no other.")
def rotate(data: Path, as_json: bool, compromised: bool) -> None:
    """Announce a new key. It signs after [signals] key_lead_s; the old one is shown for key_grace_s after that. Exit code 2: one is coming already."""
    from tallystick_stream_jobs.shared_signals.keyfile import change_keyring, ensure_keyring
    from tallystick_stream_jobs.shared_signals.keyring import new_key

    settings, now = _settings(data), time.time()
    path = Path(settings.keys_file)
    ensure_keyring(path, now)
    fresh = new_key(now)
    if compromised:
        ring = change_keyring(path, lambda ring: ring.compromised(fresh, now))
    else:
        ring = change_keyring(path, lambda ring: ring.rotated(fresh, now, settings.key_lead_s, settings.key_grace_s))
    _show(ring, as_json)


def _show(ring: Any, as_json: bool) -> None:
    now = time.time()
    signer = ring.signer(now)
    rows = [
        {
            "kid": key.kid,
            "state": "signs" if key == signer else "comes" if key.signs_from > now else "shown",
            "signs_from": wire_time(key.signs_from),
            "shown_until": wire_time(key.shown_until) if key.shown_until else None,
        }
        for key in ring.shown(now)
    ]
    if as_json:
        emit_json({"keys": rows})
        return
    table = Listing("key", "state", "signs from", "shown until", whole=("key",))
    for row in rows:
        table.add_row(row["kid"], row["state"], str(row["signs_from"])[:19], str(row["shown_until"] or "rotated")[:19])
    out().print(table)
