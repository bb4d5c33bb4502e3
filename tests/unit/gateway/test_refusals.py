"""A refusal's sentence may hold a person's reason or a file's name: clients print it."""

import asyncio
import json
from http import HTTPStatus
from typing import Any

import pytest
from tests.support.hostile import ALL, acts

from tallystick_producers.gateway.errors import Refusal
from tallystick_producers.gateway.exchange import Exchange
from tallystick_schemas.shown import shown


@pytest.mark.parametrize("text", [ALL, "Locked: seen twice at Zoë’s desk."])
def test_it_is_shown_in_the_body_and_is_one_plain_header(text: str) -> None:
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    async def receive() -> dict[str, Any]:
        return {"type": "http.request"}

    scope = {"method": "GET", "path": "/", "headers": []}
    refusal = Refusal(HTTPStatus.FORBIDDEN, "Locked", text, facts={"lock": "c-1"})
    asyncio.run(Exchange(scope, receive, send, "r-1").refuse(refusal))
    start, body = sent
    said = body["body"].decode()
    assert acts(said) == []
    assert json.loads(said)["error"] == f"{shown(text)} (request r-1)"
    headers = dict(start["headers"])
    assert acts(headers[b"x-error-message"].decode("ascii")) == []
    assert shown(text)[:7].encode() in headers[b"x-error-message"]
