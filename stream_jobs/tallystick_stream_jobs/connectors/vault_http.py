"""hvac over our own way out: it asks a session of the requests library, and this one has the guard under it."""

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from .http import Http

if TYPE_CHECKING:
    from requests import Response


class VaultSession:
    """As much of `requests.Session` as hvac uses."""

    def __init__(self, http: Http) -> None:
        self._http = http
        # hvac reads these; certificates are the way out's affair.
        self.cert: None = None
        self.proxies: dict[str, str] = {}
        self.verify = True

    def request(self, method: str, url: str, headers: dict[str, str] | None = None, **given: Any) -> "Response":
        """One exchange. Retry and Refused of the way out pass through hvac as they are."""
        from requests import Response
        from requests.structures import CaseInsensitiveDict

        query = f"?{urlencode(given['params'])}" if given.get("params") else ""
        body = json.dumps(given["json"]).encode() if given.get("json") is not None else given.get("data")
        kind = {"content-type": "application/json"} if body is not None else {}
        answer = self._http.send(method.upper(), url + query, headers={**(headers or {}), **kind}, content=body)
        response = Response()
        response.status_code, response._content, response.url = answer.status, answer.body, url
        response.headers = CaseInsensitiveDict(answer.headers)
        response.encoding = "utf-8"
        return response

    def close(self) -> None:
        """There is nothing that stays open."""
