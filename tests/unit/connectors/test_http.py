"""The way out: who may be spoken to, and what no answer of theirs may do to us."""

import socket
import ssl
import threading

import pytest
from tests.support.receiver import Reply, receiver

from tallystick_stream_jobs.connectors.errors import AddressRefused, Refused, Retry
from tallystick_stream_jobs.connectors.guard import check_address
from tallystick_stream_jobs.connectors.http import Answer, Http

QUICK_S = 0.3
OTHER_METADATA = (
    *("2002:a9fe:a9fe::1", "2001:0:5db8:d70e::5601:5601", "64:ff9b:1::a9fe:a9fe", "64:ff9b:1:a9fe:a9:fe00::", "::ffff:0:a9fe:a9fe"),
    *("169.254.170.23", "fd00:ec2::23", "fd20:ce::254", "168.63.129.16"),
)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.9.9.9",
        "0.0.0.0",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.10.10",
        "100.64.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1",
        "fe80::1%eth0",
        "fd12::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "2002:7f00:1::",
        "64:ff9b::7f00:1",
        "64:ff9b:1::a00:1",
        "2001:0:5db8:d70e::80ff:fffe",
        "192.88.99.1",
        "198.18.0.1",
        "fec0::1",
        "4000::1",
    ],
)
def test_addresses_that_are_not_the_internet_are_refused_unless_allowed(address):
    with pytest.raises(AddressRefused, match="allow_private"):
        check_address("hook.example", address, allow_private=False)
    check_address("hook.example", address, allow_private=True)


@pytest.mark.parametrize(
    "address", ["169.254.169.254", "::ffff:169.254.169.254", "fd00:ec2::254", "100.100.100.200", "64:ff9b::a9fe:a9fe", *OTHER_METADATA]
)
def test_metadata_is_refused_in_any_case(address):
    for allowed in (False, True):
        with pytest.raises(AddressRefused, match="metadata"):
            check_address("hook.example", address, allow_private=allowed)


@pytest.mark.parametrize("address", ["93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c", "64:ff9b::5db8:d70e"])
def test_the_internet_may_be_spoken_to(address):
    check_address("hook.example", address, allow_private=False)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://hook.example/x", "plain http"),
        ("ftp://hook.example/x", "not an https address"),
        ("https:///x", "not an https address"),
        ("https://bob:s3cret@hook.example/", "user or password"),
    ],
)
def test_addresses_in_a_form_that_is_not_safe_are_refused(url, says):
    with pytest.raises(Refused, match=says) as refused:
        Http().send("GET", url)
    assert "s3cret" not in str(refused.value)


def test_a_name_that_leads_to_loopback_gets_nothing():
    with receiver() as one:
        with pytest.raises(AddressRefused):
            Http(resolve=lambda host, port: ["127.0.0.1"]).send("GET", f"https://hook.example:{one.port}/")
        assert one.requests == []


def test_one_bad_address_among_good_ones_refuses_the_name():
    with pytest.raises(AddressRefused):
        Http(resolve=lambda host, port: ["93.184.215.14", "10.0.0.1"]).send("GET", "https://hook.example/")


def test_a_name_that_turns_to_another_address_later_is_caught_when_it_is_used():
    """DNS rebinding: the address that is connected to is the one that was checked, and every request asks anew."""
    answers = iter([["93.184.215.14"], ["127.0.0.1"]])
    check_address("hook.example", next(answers)[0], allow_private=False)
    with receiver() as one:
        with pytest.raises(AddressRefused):
            Http(resolve=lambda host, port: next(answers)).send("GET", f"https://hook.example:{one.port}/")
        assert one.requests == []


def test_the_checked_address_is_the_one_that_is_connected_to():
    with receiver() as one:
        answer = Http(allow_private=True, resolve=lambda host, port: ["127.0.0.1"]).send("GET", f"http://no-such-name.invalid:{one.port}/x")
        assert (answer.status, one.requests[0].headers["host"]) == (200, f"no-such-name.invalid:{one.port}")


def test_the_next_address_is_tried_when_one_does_not_answer():
    with receiver() as one, socket.socket() as closed:
        closed.bind(("127.0.0.2", one.port))  # bound and not listening: a connection is refused at once
        assert Http(allow_private=True, resolve=lambda host, port: ["127.0.0.2", "127.0.0.1"]).send("GET", one.url).status == 200


@pytest.mark.parametrize("location", ["https://elsewhere.example/", "/login", "//elsewhere.example/x"])
def test_redirects_are_refused_and_nothing_is_sent_after_them(location):
    with receiver(lambda _: Reply(307, headers={"location": location})) as one:
        with pytest.raises(Refused, match="redirects to another"):
            Http(allow_private=True).send("POST", one.url, content=b"secret")
        assert len(one.requests) == 1


def test_a_receiver_that_hangs_costs_its_time_out():
    with receiver(lambda _: Reply(hang=True)) as one, pytest.raises(Retry, match="no answer in time"):
        Http(allow_private=True, timeout_s=QUICK_S).send("GET", one.url)


def test_a_receiver_that_drips_is_left_after_the_whole_time():
    with receiver(lambda _: Reply(drip=True)) as one, pytest.raises(Retry, match="no answer in time"):
        Http(allow_private=True, timeout_s=QUICK_S).send("GET", one.url)


def test_an_answer_without_end_is_cut():
    with receiver(lambda _: Reply(body=b"x" * 5000)) as one, pytest.raises(Refused, match="more than 4096 bytes"):
        Http(allow_private=True, max_bytes=4096).send("GET", one.url)


def test_nobody_there_is_a_matter_of_time():
    with receiver() as one:
        url = one.url
    with pytest.raises(Retry):
        Http(allow_private=True).send("GET", url)


def test_a_name_without_an_address_is_a_matter_of_time():
    with pytest.raises(Retry, match="cannot be resolved"):
        Http().send("GET", "https://no-such-name.invalid/")


def test_a_certificate_that_nobody_vouches_for_is_not_spoken_to(tmp_path):
    """The server holds a self-signed certificate; with it among the roots the same request goes through."""
    import subprocess

    key, cert = tmp_path / "k.pem", tmp_path / "c.pem"
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", str(key), "-out", str(cert), "-days", "2"]
    subprocess.run([*made, "-subj", "/CN=hook.example", "-addext", "subjectAltName=DNS:hook.example"], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    with receiver() as one:
        one.server.socket = context.wrap_socket(one.server.socket, server_side=True, do_handshake_on_connect=False)
        url = f"https://hook.example:{one.port}/"
        with pytest.raises(Retry):
            Http(allow_private=True, resolve=lambda h, p: ["127.0.0.1"]).send("GET", url)
        assert one.requests == []
        assert Http(allow_private=True, resolve=lambda h, p: ["127.0.0.1"], cafile=str(cert)).send("GET", url).status == 200


@pytest.mark.parametrize(
    ("status", "kind"), [(500, Retry), (503, Retry), (429, Retry), (408, Retry), (400, Refused), (401, Refused), (404, Refused)]
)
def test_what_a_status_means(status, kind):
    with pytest.raises(kind, match=str(status)):
        Answer("h", status, {}, b"").check()


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "120"}, 120.0),
        ({"retry-after": "99999999"}, 3600.0),
        ({"retry-after": "Tue, 24 Nov 2026 22:01:00 GMT", "date": "Tue, 24 Nov 2026 22:00:00 GMT"}, 60.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "٣"}, None),
        ({}, None),
    ],
)
def test_how_long_the_other_side_asks_us_to_wait(headers, seconds):
    with pytest.raises(Retry) as later:
        Answer("h", 503, headers, b"").check()
    assert later.value.after_s == seconds


def test_one_client_serves_many_threads():
    with receiver() as one:
        http = Http(allow_private=True)
        threads = [threading.Thread(target=http.send, args=("GET", one.url)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        assert len(one.requests) == 8
