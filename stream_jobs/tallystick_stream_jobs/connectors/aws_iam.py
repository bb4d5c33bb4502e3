"""AWS IAM: a deny policy for every session token issued before the lock, and a locked user's access keys switched off. An unlock takes both back.

The inline policy `TallystickLock` denies everything to tokens with `aws:TokenIssueTime` before the lock, as the console's "revoke active sessions" does
(IAM user guide, "Revoking IAM role temporary security credentials"). Requests with long-lived keys carry no such time, so those keys are set Inactive.
Which ones were ours is noted in the policy itself, one statement a key, so that a crash in between loses nothing and an unlock switches
on what we switched off and nothing else. Needs iam:GetUser, GetUserPolicy, PutUserPolicy, DeleteUserPolicy, the same four of roles, ListAccessKeys,
UpdateAccessKey and GetAccessKeyLastUsed. IAM takes some seconds until it holds everywhere.
"""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, NamedTuple
from urllib.parse import unquote

from tallystick_schemas.messages import Delivery
from tallystick_schemas.words import counted

from .aws_http import iam_client
from .base import Act, Connector, act_of, subject_of, whose
from .errors import Refused, Retry
from .quoting import checked, must_be
from .setup import Common, Setup
from .whom import Names

POLICY: Final = "TallystickLock"
_KEY: Final = re.compile(r"AKIA[A-Z0-9]{12,}", re.ASCII)
_ARN: Final = re.compile(r"arn:aws[a-z-]*:(?:iam|sts)::(\d{12}):(user|role|assumed-role)/(.+)", re.ASCII)
_SID: Final = "Key"
_LATER: Final = frozenset(
    {"Throttling", "ThrottlingException", "RequestLimitExceeded", "ConcurrentModification", "EntityTemporarilyUnmodifiable"}
)


@dataclass(frozen=True, kw_only=True)
class AwsSettings(Common):
    """`secret_file` holds the secret of `access_key_id`. `endpoint_url` for a private endpoint."""

    access_key_id: str
    secret_file: str
    region: str = "us-east-1"
    endpoint_url: str | None = None


class Identity(NamedTuple):
    """`kind` is `user` or `role`."""

    kind: str
    name: str


class AwsIam:
    """A policy stands or does not: only the newest order counts."""

    supersedes = True

    def __init__(self, client: Any, names: Names) -> None:
        self._iam, self._names = client, names

    def deliver(self, delivery: Delivery, now: float) -> str:  # noqa: ARG002 - the port's
        """step-up denies what was issued before; suspend and revoke switch the keys off as well; unlock takes back what we did."""
        lock = delivery.decision.lock
        assert lock is not None
        with _translated():
            who = self._identity(delivery)
            if who is None:
                return "nothing to do: no AWS identity is known for this subject"
            act = act_of(delivery)
            return self._unlock(who) if act == "unlock" else self._lock(who, lock.at, act)

    def still_works(self, delivery: Delivery, now: float) -> str | None:  # noqa: ARG002 - the port's
        """Asked of IAM: whether the policy stands and no key of a locked user is active."""
        lock = delivery.decision.lock
        assert lock is not None
        with _translated():
            who = self._identity(delivery)
            if who is None:
                return None
            if not _denies_before(self._policy(who), lock.at):
                return "no policy denies the tokens from before the lock"
            active = self._keys(who, "Active") if act_of(delivery) != "step-up" else []
            return f"access key {active[0]} is active" if active else None

    def _identity(self, delivery: Delivery) -> Identity | None:
        """From an access key's id, or from the principal. Refused when AWS has somebody else under that key or name."""
        kind, name = subject_of(delivery)
        principal = whose(delivery)
        who = self._named(principal) if principal else None
        if kind == "credential" and _KEY.fullmatch(name):
            owner = self._iam.get_access_key_last_used(AccessKeyId=name).get("UserName")
            if not owner:
                return None
            if who is not None and who != Identity("user", owner):
                raise Refused(f"access key {name} is that of the user {owner!r}, and {principal!r} is another; nothing was done to either")
            who = Identity("user", owner)
        if who is not None:
            arn = self._arn(who)
            if principal and self._names.there(principal) is None:
                _must_be_theirs(principal, arn)
            self._names.guard(delivery, [who.name, arn], lambda one: self._named(one) == who)
        return who

    def _named(self, principal: str) -> Identity | None:
        """By the table [….principals] with `user/NAME` or `role/NAME`, else by the principal's own ARN."""
        given = self._names.there(principal)
        if given:
            part, _, rest = given.partition("/")
            if part not in ("user", "role") or not rest:
                raise Refused(f"{given!r} in [….principals] is neither user/NAME nor role/NAME")
            return Identity(part, checked(rest))
        found = _ARN.fullmatch(principal)
        if found is None:
            return None
        path = found.group(3).split("/")
        # An assumed role's ARN ends in the session's name; users and roles end in their own, after their path.
        return Identity("role", checked(path[0])) if found.group(2) == "assumed-role" else Identity(found.group(2), checked(path[-1]))

    def _arn(self, who: Identity) -> str:
        """The ARN that AWS has for the identity: it tells the account and the path, which a name alone leaves out."""
        kind = who.kind.title()
        found = getattr(self._iam, f"get_{who.kind}")(**_name(who))[kind]
        must_be(who.name, [found.get(f"{kind}Name")], "AWS")
        return str(found["Arn"])

    def _lock(self, who: Identity, at: str, act: Act) -> str:
        keys = sorted({*_noted(self._policy(who)), *(self._keys(who, "Active") if act != "step-up" else [])})
        # The note before the act: if we crash here, the repeat finds the keys in it.
        self._put(who, _document(at, keys))
        for key in keys if act != "step-up" else []:
            self._iam.update_access_key(UserName=who.name, AccessKeyId=key, Status="Inactive")
        return f"{who.kind} {who.name}: tokens issued before {at} are denied; {counted(len(keys), 'access key')} switched off"

    def _unlock(self, who: Identity) -> str:
        policy = self._policy(who)
        if policy is None:
            return f"nothing to undo: {who.kind} {who.name} has no policy of ours"
        existing = self._keys(who, "Inactive")
        again = [key for key in _noted(policy) if key in existing]
        for key in again:
            self._iam.update_access_key(UserName=who.name, AccessKeyId=key, Status="Active")
        # Last, since it says what is to be undone: if we crash before, the repeat undoes it again.
        getattr(self._iam, f"delete_{who.kind}_policy")(**_name(who), PolicyName=POLICY)
        return f"{who.kind} {who.name}: the deny policy is gone; {counted(len(again), 'access key')} switched on"

    def _keys(self, who: Identity, status: str) -> list[str]:
        if who.kind == "role":
            return []
        found = self._iam.list_access_keys(UserName=who.name)["AccessKeyMetadata"]
        return [one["AccessKeyId"] for one in found if one["Status"] == status]

    def _policy(self, who: Identity) -> dict[str, Any] | None:
        try:
            found = getattr(self._iam, f"get_{who.kind}_policy")(**_name(who), PolicyName=POLICY)["PolicyDocument"]
        except self._iam.exceptions.NoSuchEntityException:
            # Either has no policy of ours, or is not there; the next call tells which.
            return None
        # botocore decodes it; a string is what older endpoints leave.
        return dict(found) if isinstance(found, dict) else dict(json.loads(unquote(found)))

    def _put(self, who: Identity, document: dict[str, Any]) -> None:
        getattr(self._iam, f"put_{who.kind}_policy")(
            **_name(who), PolicyName=POLICY, PolicyDocument=json.dumps(document, separators=(",", ":"))
        )


def _must_be_theirs(principal: str, arn: str) -> None:
    """Refused when a principal's ARN is another one than that of the user or role that its name led to."""
    asked = _ARN.fullmatch(principal)
    if asked is None:
        return
    if asked.group(2) != "assumed-role":
        must_be(principal, [arn], "AWS")
        return
    # A session's ARN tells the account and the role's name, and not its path.
    there = _ARN.fullmatch(arn)
    role = there.group(3).rpartition("/")[2] if there else ""
    must_be(f"{asked.group(1)} {asked.group(3).split('/')[0]}", [f"{there.group(1)} {role}" if there else None], "AWS")


def _name(who: Identity) -> dict[str, str]:
    return {"UserName" if who.kind == "user" else "RoleName": who.name}


def _document(at: str, keys: list[str]) -> dict[str, Any]:
    deny = {"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": {"DateLessThan": {"aws:TokenIssueTime": at[:19] + "Z"}}}
    return {"Version": "2012-10-17", "Statement": [deny, *({"Sid": _SID + key, **deny} for key in keys)]}


def _denies_before(policy: dict[str, Any] | None, at: str) -> bool:
    """Whether tokens issued before the lock are denied: by this lock's policy, or a later one's."""
    statements = (policy or {}).get("Statement", [])
    return any(one.get("Condition", {}).get("DateLessThan", {}).get("aws:TokenIssueTime", "") >= at[:19] + "Z" for one in statements)


def _noted(policy: dict[str, Any] | None) -> list[str]:
    """The keys that a policy of ours says we switched off."""
    statements = (policy or {}).get("Statement", [])
    return [sid.removeprefix(_SID) for one in statements if (sid := one.get("Sid", "")).startswith(_SID)]


@contextmanager
def _translated() -> Iterator[None]:
    """What boto3 raises becomes Retry or Refused, with AWS's code and never its text, which may hold the request."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", "unknown"))[:60]
        status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        kind = Retry if status >= 500 or status == 429 or code in _LATER else Refused
        raise kind(f"AWS answered {status} {code}") from None
    except BotoCoreError as error:
        raise Retry(f"AWS could not be asked: {type(error).__name__}") from None


def build(setup: Setup) -> Connector:
    names = setup.names("principals")
    settings = setup.without("principals").settings(AwsSettings)
    client = iam_client(
        setup.http(settings), settings.region, settings.access_key_id, setup.secret(settings.secret_file), settings.endpoint_url
    )
    return AwsIam(client, names)
