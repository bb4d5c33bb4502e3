"""Errors of the gateway, in families by whose fault it is.

TallystickError
└── GatewayError
    ├── GatewaySetupError       what the operator gave cannot be served: root folder, address
    │   └── TokenFileError      the token file: unreadable, open to others, a line that is no token record
    ├── RepoMetaError           a repository's tallystick.json: unreadable, or not what may stand there
    ├── TokenRefused            a token that may not be written into the token file
    ├── StoreChanged            a file is not what the listing said a moment ago: list again
    ├── RangeRefused            (in ranges) the asked-for bytes of a file do not exist, or in too many pieces
    ├── AuditUnavailable        a decision could not be recorded durably, so nothing is served
    └── Refusal                 a request gets a sentence instead of what it asked for
"""

from collections.abc import Mapping, Sequence
from http import HTTPStatus

from tallystick_schemas.errors import TallystickError
from tallystick_schemas.vocabulary import Outcome


class GatewayError(TallystickError):
    """Base of what the gateway raises on purpose."""


class GatewaySetupError(GatewayError):
    """The gateway cannot start with what it was given."""


class TokenFileError(GatewaySetupError):
    """The token file cannot be used; the sentence names the file, the line and the mend."""


class RepoMetaError(GatewayError):
    """The owner's words about a repository cannot be used; until they can, it is closed for everybody.

    `hides`: whether they may say that it is hidden, which what cannot be read may.
    """

    hides = True


class TokenRefused(GatewayError):
    """What was asked to be written is no token record; nothing was written."""


class StoreChanged(GatewayError):
    """A file changed, or left its folder, between listing and opening. `hidden`: of a repository whose owner hides it."""

    def __init__(self, text: str, *, hidden: bool = False) -> None:
        self.hidden = hidden
        super().__init__(text)


class AuditUnavailable(GatewayError):
    """The decision could not be recorded durably."""


class Refusal(GatewayError):
    """A request that is not granted: the HTTP status, a code for programs and a sentence for people.

    `code` is what `X-Error-Code` carries, which Hub clients turn into their own exceptions. `outcome` goes into the event: `denied` where a policy
    said no, `error` where the request asked for what isn't there or can't be had now.
    """

    def __init__(
        self,
        status: HTTPStatus,
        code: str,
        text: str,
        *,
        outcome: Outcome = "error",
        policies: Sequence[str] = (),
        facts: Mapping[str, str] | None = None,
        told: "Refusal | None" = None,
    ) -> None:
        self.status, self.code, self.text, self.outcome = status, code, text, outcome
        self.policies = tuple(policies)
        self.facts: Mapping[str, str] = facts or {}
        """`retry_after` (seconds), `allow` (methods), `content_range`, `commit` (revision), `challenge` (of a 401) become headers;
        `lock` is the command id."""
        self.told = told or self
        """What the client gets. The history has this refusal as it is; of what an owner hides, the client gets what it would of nothing."""
        super().__init__(text)


def not_found(code: str, text: str, **facts: str) -> Refusal:
    """404: nothing of that name."""
    return Refusal(HTTPStatus.NOT_FOUND, code, text, policies=["resource.exists"], facts=facts)


def bad_request(text: str) -> Refusal:
    """400: a path or header that no honest client sends; a denial, so that probing counts."""
    return Refusal(HTTPStatus.BAD_REQUEST, "BadRequest", text, outcome="denied", policies=["request.wellformed"])


def try_later(code: str, text: str, seconds: int, **facts: str) -> Refusal:
    """503 with the time after which a client may try again."""
    return Refusal(HTTPStatus.SERVICE_UNAVAILABLE, code, text, facts={"retry_after": str(seconds), **facts})
