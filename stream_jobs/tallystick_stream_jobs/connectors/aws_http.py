"""boto3 over our own way out: botocore asks a `before-send` handler first, and takes its answer instead of connecting itself."""

from collections.abc import Iterator
from io import BytesIO
from typing import Any

from .errors import Retry
from .http import Http


class _Raw(BytesIO):
    """What botocore reads a body from."""

    def stream(self, **_: Any) -> Iterator[bytes]:
        yield self.read()


class Guarded:
    """Registered as `before-send`: every request of the client goes through the guard."""

    def __init__(self, http: Http) -> None:
        self._http = http

    def __call__(self, request: Any, **_: Any) -> Any:
        from botocore.awsrequest import AWSResponse

        body = request.body.read() if hasattr(request.body, "read") else request.body
        content = body.encode() if isinstance(body, str) else body
        headers = {name: value.decode() if isinstance(value, bytes) else str(value) for name, value in request.headers.items()}
        headers.pop("Content-Length", None)  # httpx counts for itself
        answer = self._http.send(request.method, request.url, headers=headers, content=content)
        if not answer.body.lstrip().startswith(b"<"):
            # IAM speaks XML; whoever says something else stands in between, and botocore could not read it.
            answer.check()
            raise Retry(f"{answer.host} answered {answer.status} with something that is not XML")
        return AWSResponse(request.url, answer.status, answer.headers, _Raw(answer.body))


def iam_client(http: Http, region: str, key: str, secret: str, endpoint: str | None) -> Any:
    """An IAM client that retries nothing by itself: that is the outbox's work."""
    import boto3
    from botocore.config import Config

    session = boto3.Session(aws_access_key_id=key, aws_secret_access_key=secret, region_name=region)
    client = session.client("iam", endpoint_url=endpoint, config=Config(retries={"total_max_attempts": 1}))
    client.meta.events.register("before-send.iam", Guarded(http))
    return client
