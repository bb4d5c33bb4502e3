"""A detection policy in words, for people; `--json` has it as data."""

from collections.abc import Iterator, Sequence

from tallystick_stream_jobs.policy.model import Bar, DetectionPolicy, Exemption, Grant, Suppression, to_minutes

from ..terminal import Terminal, joined, styled
from .tables import Listing


def show_policy(console: Terminal, known: DetectionPolicy) -> None:
    """What the file says, and the defaults that matter where it is silent."""
    mode = styled(known.default_mode, "bold")
    console.print(joined("Detectors that are not named below: mode ", mode, f", bar {_bar(known.bar_default)}."))
    named = sorted({*known.detectors, *known.demoted})
    if named:
        console.print(_detectors(known, named))
    noise = known.noise
    console.print(
        f"A finding told again within {noise.dedup_minutes:g} min updates the open one; more than {noise.storm_findings} of a detector within "
        f"{noise.storm_minutes:g} min become one."
    )
    protected = ", ".join(sorted(known.protected)) or "nobody"
    console.print(joined(styled("protected", "bold"), f" (two people): {protected}"), soft_wrap=True)
    lists = (
        ("exempt", [_exemption(one) for one in known.exemptions]),
        ("suppressed", [_suppression(one) for one in known.suppressions]),
        ("granted", [_grant(one) for one in known.grants]),
    )
    for title, lines in lists:
        for line in lines or ["nothing"]:
            console.print(joined(styled(title, "bold"), f": {line}"), soft_wrap=True)


def _detectors(known: DetectionPolicy, named: Sequence[str]) -> Listing:
    table = Listing("detector", "mode", "bar", "thresholds of the file", whole=("detector", "mode"))
    for name in named:
        thresholds = known.parameters.get(name, {})
        mode = known.mode(name) + (f": {known.demoted[name]}" if name in known.demoted else "")
        shown = ", ".join(f"{key} {value:g}" for key, value in sorted(thresholds.items())) or "as shipped"
        table.add_row(name, mode, _bar(known.bar(name)), shown)
    return table


def _bar(bar: Bar) -> str:
    return f"{bar.precision:.0%} of {bar.verdicts} verdicts"


def _exemption(one: Exemption) -> str:
    whom = one.principal if one.principal is not None else f"role {one.role}"
    return f"{whom} from {_all(one.detectors)} until {to_minutes(one.until)}, by {one.owner}: {one.reason}"


def _suppression(one: Suppression) -> str:
    about = " ".join(_about(("principal", one.principal), ("resource", one.resource)))
    return f"{_all(one.detectors)}{' about ' + about if about else ''} until {to_minutes(one.until)}, by {one.owner}: {one.reason}"


def _about(*pairs: tuple[str, str | None]) -> Iterator[str]:
    return (f"{name} {value}" for name, value in pairs if value is not None)


def _grant(one: Grant) -> str:
    since = f"from {to_minutes(one.since)} " if one.since is not None else ""
    objects = f", at most {one.objects} objects each" if one.objects is not None else ""
    return (
        f"{one.kind} {one.id}: {', '.join(one.principals)} on {', '.join(one.resources)}{objects}, {since}until {to_minutes(one.until)}; "
        f"{_all(one.detectors)} stay silent; by {one.owner}: {one.reason}"
    )


def _all(detectors: Sequence[str]) -> str:
    return "all detectors" if "*" in detectors else ", ".join(detectors)
