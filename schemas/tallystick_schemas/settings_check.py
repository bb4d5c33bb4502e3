"""Settings that a program made itself, held against their types and bounds: what `settings.build` sees to for those from files. Pure."""

from dataclasses import fields, is_dataclass
from typing import Any, Final, Literal, get_args, get_origin, get_type_hints

from .settings import AgentSettings, LogSettings

KEY_BYTES: Final = 32
_AT_LEAST: Final[dict[tuple[type, str], float]] = {
    (AgentSettings, "linger_ms"): 0,
    (AgentSettings, "send_after_ms"): 0,
    (AgentSettings, "spool_max_bytes"): 1,
    (LogSettings, "shards"): 1,
}
_ABOVE_ZERO: Final = {
    (AgentSettings, "heartbeat_s"),
    (AgentSettings, "resend_s"),
    (AgentSettings, "lock_stale_s"),
    (LogSettings, "seal_interval_s"),
}
_KEYS: Final = {(LogSettings, "operator_keys"), (LogSettings, "sealer_keys")}


def mistakes_of(settings: Any, place: str = "") -> list[str]:
    """What is wrong with a settings dataclass and those inside it, each field named; empty when all is well."""
    if not is_dataclass(settings) or isinstance(settings, type):
        return [f"{place or 'the settings'} are {settings!r}, not settings"]
    hints, found = get_type_hints(type(settings)), []
    for one in fields(settings):
        name, value = f"{place}{one.name}", getattr(settings, one.name)
        hint = hints[one.name]
        if isinstance(hint, type) and is_dataclass(hint):
            wrong = not isinstance(value, hint)
            found += [f"{name} is {value!r}, not {hint.__name__}"] if wrong else mistakes_of(value, f"{name}.")
        elif not _fits(value, hint):
            found.append(f"{name} is {value!r}, not {_wanted(hint)}{_hint(type(settings), one.name)}")
        else:
            found += [f"{name} {wrong}" for wrong in _out_of_bounds(type(settings), one.name, value)]
    return found


def key_mistakes(keys: tuple[bytes, ...]) -> list[str]:
    """Keys that are no Ed25519 public keys (RFC 8032, 5.1.5)."""
    return [f"has a key of {len(key)} bytes ({key.hex()[:16]}…), and a key has {KEY_BYTES}" for key in keys if len(key) != KEY_BYTES]


def _out_of_bounds(kind: type, name: str, value: Any) -> list[str]:
    if (kind, name) in _KEYS:
        return key_mistakes(value)
    if (kind, name) in _AT_LEAST and value < _AT_LEAST[kind, name]:
        return [f"is {value}, and must be at least {_AT_LEAST[kind, name]:g}"]
    # Written so that NaN is refused too.
    return [f"is {value}, and must be more than 0"] if (kind, name) in _ABOVE_ZERO and not value > 0 else []


def _fits(value: Any, hint: Any) -> bool:
    options = get_args(hint)
    if get_origin(hint) is Literal:
        return value in options
    if type(None) in options:
        return value is None or any(_fits(value, option) for option in options if option is not type(None))
    if get_origin(hint) is tuple:
        return isinstance(value, tuple) and all(_fits(item, options[0]) for item in value)
    if hint in (int, float):
        return isinstance(value, (int, float) if hint is float else int) and not isinstance(value, bool)
    return isinstance(value, hint)


def _wanted(hint: Any) -> str:
    if get_origin(hint) is Literal:
        return "one of " + ", ".join(map(repr, get_args(hint)))
    if get_origin(hint) is tuple:
        return f"a tuple of {get_args(hint)[0].__name__}"
    return getattr(hint, "__name__", str(hint))


def _hint(kind: type, name: str) -> str:
    """The mend of the likeliest slip: tallystick.toml has keys as hexadecimal text."""
    return ": bytes.fromhex makes them of the text in tallystick.toml" if (kind, name) in _KEYS else ""
