"""A policy as people read it: each thing that it says, and no JSON."""

from io import StringIO

from rich.console import Console

from tallystick_infra.cli.policy_view import show_policy
from tallystick_stream_jobs.policy.model import Bar, DetectionPolicy, DetectorPolicy, Exemption, Grant, Noise, Suppression

END = 1_795_406_400.0


def shown(policy: DetectionPolicy) -> str:
    console = Console(file=StringIO(), width=160, color_system=None)
    show_policy(console, policy)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    return " ".join(str(text).split())


def test_without_a_file_the_defaults_are_told() -> None:
    text = shown(DetectionPolicy())
    assert "not named below: mode auto, bar 50% of 20 verdicts" in text
    assert "protected (two people): nobody" in text
    assert text.count(": nothing") == 3


def test_everything_that_the_file_says_is_told() -> None:
    policy = DetectionPolicy(
        default_mode="recommend",
        detectors={"D01": DetectorPolicy("observe", {"alert": 20.0}, Bar(0.75, 40)), "D03": DetectorPolicy("auto")},
        protected=frozenset({"root@acme.test"}),
        exemptions=(Exemption(None, "sre", ("D08",), END, "on call", "ann"),),
        suppressions=(Suppression(("*",), "bot-*", "models/a*", END, "a migration", "ben"),),
        grants=(Grant("job", "train-7", ("trainer",), ("datasets/*",), ("D04",), None, END, 500, "training", "cleo"),),
        noise=Noise(30.0, 10, 5.0),
        demoted={"D03": "precision 20 % of 40 verdicts"},
    )
    text = shown(policy)
    for said in (
        "mode recommend",
        "alert 20",
        "75% of 40 verdicts",
        "recommend: precision 20 % of 40 verdicts",
        "within 30 min updates the open one; more than 10 of a detector within 5 min",
        "root@acme.test",
        "exempt: role sre from D08 until 2026-11-23T04:00Z, by ann: on call",
        "suppressed: all detectors about principal bot-* resource models/a* until 2026-11-23T04:00Z, by ben: a migration",
        "granted: job train-7: trainer on datasets/*, at most 500 objects each, until 2026-11-23T04:00Z; D04 stay silent; by cleo: training",
    ):
        assert said in text, said
