"""Shared signals over real HTTP on loopback: two deployments of ours, receivers that misbehave, bodies that do not end."""

import json
import socket
import time
from base64 import urlsafe_b64decode
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import replace
from pathlib import Path

import pytest
from msgspec.structs import replace as changed
from tests.support.gateway import KeptEvents
from tests.support.receiver import Reply, json_reply, receiver
from tests.support.signals import NOW, Door, Liar, decision, free_port, issuer_in, served, settings_in, until

from tallystick_producers.serving import Limits
from tallystick_schemas.signing import wire_time
from tallystick_stream_jobs.shared_signals import requests
from tallystick_stream_jobs.shared_signals.keyfile import change_keyring
from tallystick_stream_jobs.shared_signals.keyring import new_key
from tallystick_stream_jobs.shared_signals.push import Pusher
from tallystick_stream_jobs.shared_signals.settings import IssuerSettings, ReceiverSettings
from tallystick_stream_jobs.shared_signals.vocabulary import ACCOUNT_DISABLED, PUSH, SESSION_REVOKED


def now_decided(name="cmd-1", **changes):
    """Decided just now: the receiver's clock is real."""
    one = decision(name, **changes)
    lock = one.lock
    assert lock is not None
    return changed(one, lock=changed(lock, at=wire_time(time.time())))


def pair(folder, *, lock=True, poll=False):
    """Settings of A, which tells, and B, which hears."""
    ours, theirs = free_port(), free_port()
    a = settings_in(folder / "a", port=ours, receivers=(ReceiverSettings("b", allow_private=True),))
    heard = IssuerSettings(
        "a",
        iss=a.issuer,
        aud="b",
        jwks_uri=f"{a.issuer}/ssf/jwks.json",
        allow_private=True,
        lock=lock,
        lock_domains=("example.org",),
        poll_url="set later" if poll else "",
    )
    return a, settings_in(folder / "b", port=theirs, issuers=(heard,), receivers=(ReceiverSettings("a"),))


@pytest.mark.parametrize("lock", [True, False])
def test_a_lock_here_is_pushed_there(tmp_path, lock):
    a, b = pair(tmp_path, lock=lock)
    with served(a) as here, served(b) as there:
        delivery = {"method": PUSH, "endpoint_url": f"{there.url}/ssf/receive/a", "authorization_header": "Bearer for-b"}
        made = here.ask("POST", "/ssf/streams", here.token("b"), json={"delivery": delivery}).json()
        here.decide(now_decided())
        until(lambda: here.signals.store.tally(made["stream_id"]) == {"taken": 2, "refused": 0}, "both are taken")
        heard = there.events("incident.open")
        assert [event.attrs["event"] for event in heard] == [SESSION_REVOKED, ACCOUNT_DISABLED]
        assert {event.attrs["txn"] for event in heard} == {"cmd-1"}
        orders = there.events("credential.suspend")
        assert [order.resource.id for order in orders] == (["mallory@example.org"] * 2 if lock else [])
        # And what the order locks there is not told back.
        there.ask("POST", "/ssf/streams", there.token("a"), json={})
        assert there.decide(now_decided(orders[0].attrs["command"] if lock else "set-x")) == []


def test_a_lock_here_is_fetched_there(tmp_path):
    a, b = pair(tmp_path, poll=True)
    with served(a) as here:
        token = here.token("b")
        made = here.ask("POST", "/ssf/streams", token, json={}).json()
        (tmp_path / "token").write_text(token)
        issuer = replace(b.issuers[0], poll_url=made["delivery"]["endpoint_url"], poll_token_file=str(tmp_path / "token"))
        with served(replace(b, issuers=(issuer,))) as there:
            here.decide(now_decided("cmd-1"))
            there.sink.wait(lambda event: event.action == "credential.suspend", 2)
            here.decide(now_decided("cmd-2"), 2)
            there.sink.wait(lambda event: event.action == "credential.suspend", 4)
            until(lambda: here.signals.store.tally(made["stream_id"])["taken"] == 4, "all are acknowledged")
            assert len(there.events("incident.open")) == 4


def test_tokens_around_a_rotation_are_taken_by_a_receiver_that_caches(tmp_path):
    a, b = pair(tmp_path)
    with served(a) as here, served(b) as there:
        delivery = {"method": PUSH, "endpoint_url": f"{there.url}/ssf/receive/a"}
        here.ask("POST", "/ssf/streams", here.token("b"), json={"delivery": delivery, "events_requested": [SESSION_REVOKED]})
        here.decide(now_decided("before-it-is-known"))
        there.sink.wait(lambda event: event.action == "incident.open", 1)
        cache = there.signals.inboxes["a"]._key_of.__self__
        old = here.signals.keys.ring().signer(time.time()).kid
        # The next key is shown; a receiver whose cache runs out reads both.
        change_keyring(Path(a.keys_file), lambda ring: ring.rotated(new_key(time.time()), time.time(), 1e6, 1e6))
        cache._fetched_at = cache._tried_at = None
        here.decide(now_decided("right-before"), 2)
        there.sink.wait(lambda event: event.action == "incident.open", 2)
        assert set(cache._keys) == {key["kid"] for key in here.ask("GET", "/ssf/jwks.json").json()["keys"]}
        fetched = cache._fetched_at
        # Its time comes.
        change_keyring(Path(a.keys_file), lambda ring: type(ring)((ring.keys[0], new_signs_now(ring.keys[1]))))
        assert here.signals.keys.ring().signer(time.time()).kid != old
        here.decide(now_decided("right-after"), 3)
        heard = there.sink.wait(lambda event: event.action == "incident.open", 3)
        assert [event.attrs["txn"] for event in heard] == ["before-it-is-known", "right-before", "right-after"]
        assert cache._fetched_at == fetched, "the receiver had to look again"


def new_signs_now(key):
    return changed(key, signs_from=time.time() - 1)


def push_stream(here, url, **delivery):
    made = here.ask("POST", "/ssf/streams", here.token("okta"), json={"delivery": {"method": PUSH, "endpoint_url": url, **delivery}})
    assert made.status_code == 201, made.text
    return made.json()["stream_id"]


def test_a_receiver_that_is_away_gets_everything_later_in_order(tmp_path):
    port = free_port()
    with served(settings_in(tmp_path)) as here:
        stream = push_stream(here, f"http://127.0.0.1:{port}/events")
        for number in range(3):
            here.decide(decision(f"cmd-{number}"), number)
        until(lambda: here.signals.store.waiting(stream, 1)[0].attempts >= 1, "it was tried")
        assert "did not answer" in here.signals.store.stream(stream).last_error
        wanted = [one.jti for one in here.signals.store.waiting(stream, 10)]
        with receiver(lambda _: Reply(202, b"")) as there:
            moved = {"stream_id": stream, "delivery": {"method": PUSH, "endpoint_url": f"{there.url}/events"}}
            assert here.ask("PATCH", "/ssf/streams", here.token("okta"), json=moved).status_code == 200
            until(lambda: len(there.requests) == 6, "everything arrives")
        bodies = [json.loads(_claims(request.body)) for request in there.requests]
        assert [claims["jti"] for claims in bodies] == wanted
        until(lambda: here.signals.store.stream(stream).last_error == "", "the error is forgotten")


def _claims(token):
    part = token.split(b".")[1]
    return urlsafe_b64decode(part + b"=" * (-len(part) % 4))


def test_what_a_push_looks_like(tmp_path):
    with receiver(lambda _: Reply(202, b"")) as there, served(settings_in(tmp_path)) as here:
        push_stream(here, f"{there.url}/events", authorization_header="Bearer s3cret")
        here.decide(decision())
        until(lambda: len(there.requests) == 2, "it is pushed")
        request = there.requests[0]
        assert (request.method, request.path) == ("POST", "/events")
        assert request.headers["content-type"] == "application/secevent+jwt"
        assert request.headers["accept"] == "application/json"
        assert request.headers["authorization"] == "Bearer s3cret"


def test_a_refused_token_is_shown_with_the_receivers_words_and_the_next_one_goes(tmp_path):
    with served(settings_in(tmp_path)) as here:
        answers = iter([json_reply({"err": "invalid_audience", "description": "who is okta?"}, 400)])
        with receiver(lambda _: next(answers, Reply(202, b""))) as there:
            stream = push_stream(here, there.url)
            here.decide(decision())
            until(lambda: here.signals.store.tally(stream) == {"taken": 1, "refused": 1}, "one is refused, one taken")
        (event,) = here.events("incident.update")
        assert "invalid_audience (who is okta?)" in event.why.text


@pytest.mark.parametrize(
    ("reply", "says"),
    [
        (Reply(500), "answered 500"),
        (Reply(401), "answered 401"),
        (Reply(404), "answered 404"),
        (json_reply({"err": "invalid_key"}, 400), "invalid_key"),
        (Reply(307, headers={"location": "http://127.0.0.1:1/"}), "redirects"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_can_be_mended_is_kept_and_tried_again(tmp_path, reply, says):
    broken = [True]
    with served(settings_in(tmp_path)) as here, receiver(lambda _: reply if broken else Reply(202, b"")) as there:
        stream = push_stream(here, there.url)
        here.decide(decision())
        until(lambda: says in here.signals.store.stream(stream).last_error, "it is said")
        assert here.signals.store.count_waiting(stream) == 2
        broken.clear()
        until(lambda: here.signals.store.tally(stream)["taken"] == 2, "it is taken in the end")


def test_a_paused_stream_is_not_pushed(tmp_path):
    with receiver(lambda _: Reply(202, b"")) as there, served(settings_in(tmp_path)) as here:
        paused, other = push_stream(here, f"{there.url}/paused"), push_stream(here, f"{there.url}/other")
        token = here.token("okta")
        here.ask("POST", "/ssf/status", token, json={"stream_id": paused, "status": "paused"})
        here.decide(decision())
        until(lambda: here.signals.store.tally(other)["taken"] == 2, "the other one is served")
        assert {request.path for request in there.requests} == {"/other"}
        here.ask("POST", "/ssf/status", token, json={"stream_id": paused, "status": "enabled"})
        until(lambda: here.signals.store.tally(paused)["taken"] == 2, "what was held is pushed")


def test_a_stream_that_is_paused_while_it_is_pushed_stops_after_the_token(tmp_path):
    door = Door(settings_in(tmp_path))

    def pause_then_take(_):
        door.ask("POST", "/ssf/status", {"stream_id": stream, "status": "paused"})
        return Reply(202, b"")

    with receiver(pause_then_take) as there:
        stream = door.stream(delivery={"method": PUSH, "endpoint_url": there.url})["stream_id"]
        door.decide(decision())
        signals = door.signals
        Pusher(signals.settings, signals.store, signals.keys, signals.transmitter, signals._told, lambda: NOW).push_due(stream)
        assert (len(there.requests), signals.store.count_waiting(stream)) == (1, 1)


def test_a_receiver_that_hangs_holds_up_nobody_else(tmp_path):
    settings = settings_in(tmp_path)
    with receiver(lambda _: Reply(hang=True)) as stuck, receiver(lambda _: Reply(202, b"")) as well, served(settings) as here:
        push_stream(here, stuck.url)
        push_stream(here, well.url)
        here.decide(decision())
        until(lambda: len(stuck.requests) == 1 and len(well.requests) == 2, "the other is served")
        stuck.close()


def test_addresses_that_a_receiver_may_not_name_get_nothing(tmp_path):
    settings = settings_in(tmp_path, receivers=(ReceiverSettings("okta"),))
    with receiver() as there, served(settings) as here:
        stream = push_stream(here, f"https://localhost:{there.port}/events")
        here.decide(decision())
        until(lambda: "private" in here.signals.store.stream(stream).last_error, "it is refused")
        assert there.requests == []


def test_a_held_poll_is_answered_when_something_comes(tmp_path):
    with served(settings_in(tmp_path)) as here:
        token = here.token("okta")
        stream = here.ask("POST", "/ssf/streams", token, json={}).json()["stream_id"]
        ask = {"method": "POST", "path": f"/ssf/poll/{stream}", "token": token, "json": {"maxEvents": 5}}
        with ThreadPoolExecutor(2) as pool:
            # One of them is held, and then the other is answered at once: held ones stay few.
            done, held = wait([pool.submit(lambda: here.ask(**ask)) for _ in range(2)], return_when=FIRST_COMPLETED)
            assert [one.result().json()["sets"] for one in done] == [{}]
            here.decide(decision())
            assert [len(one.result(60).json()["sets"]) for one in held] == [2]


def test_bodies_that_do_not_end_are_cut(tmp_path, monkeypatch):
    monkeypatch.setattr(requests, "BODY_S", 1.0)
    liar = Liar.new()
    settings = settings_in(tmp_path, issuers=(issuer_in(tmp_path, liar.key),))
    with served(settings, Limits(head_s=1.0)) as here:
        port = int(here.url.rpartition(":")[2])
        head = b"POST /ssf/receive/idp HTTP/1.1\r\nhost: x\r\ncontent-type: application/secevent+jwt\r\n"
        for sent, status in (
            (head + b"content-length: 100000000\r\n\r\n" + b"a" * 100_000, b"413"),
            (head + b"content-length: 100\r\n\r\nslow", b"408"),
            (head + b"transfer-encoding: chunked\r\n\r\n" + b"ffff\r\n" + b"a" * 65_535 + b"\r\nffff\r\n" + b"a" * 65_535, b"413"),
        ):
            with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
                connection.sendall(sent)
                assert connection.recv(100).startswith(b"HTTP/1.1 " + status)
        # A head that does not end is cut without an answer.
        with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
            connection.sendall(head)
            assert connection.recv(100) == b""
        assert here.sink.events == []
        assert here.push(liar.token(Liar.claims(time.time()))).status_code == 202


def test_what_waits_and_what_was_heard_outlives_a_restart(tmp_path):
    liar, sink = Liar.new(), KeptEvents()
    settings = settings_in(tmp_path, issuers=(issuer_in(tmp_path, liar.key),))
    token = liar.token(Liar.claims(time.time()))
    with served(settings, sink=sink) as here:
        stream = push_stream(here, f"http://127.0.0.1:{free_port()}/")
        here.decide(decision())
        assert here.push(token).status_code == 202
    with receiver(lambda _: Reply(202, b"")) as there, served(settings, sink=sink) as again:
        assert again.push(token).status_code == 202
        assert len(again.events("incident.open")) == 1
        moved = {"stream_id": stream, "delivery": {"method": PUSH, "endpoint_url": there.url}}
        again.ask("PATCH", "/ssf/streams", again.token("okta"), json=moved)
        until(lambda: len(there.requests) == 2, "what waited is pushed")
