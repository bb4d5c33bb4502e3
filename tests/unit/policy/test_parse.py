"""The policy file: what it says, and all that can be wrong with it, told at once."""

from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.policies import DAY, NOW, finding

from tallystick_stream_jobs.errors import PolicyRefused
from tallystick_stream_jobs.policy import Bar, DetectionPolicy, Noise, load, parse

WHOLE = """\
version: 1
mode: recommend
detectors:
  D01:
    mode: auto
    parameters: {alert: 30, step_up: 55.5}
    bar: {precision: 0.8, verdicts: 10}
  my-rule: {mode: observe}
protected:
  - {principal: root@example.org, reason: break glass}
exemptions:
  - {principal: backup@example.org, detectors: [D01, D03], until: 2026-12-01, reason: nightly copy, owner: ann}
  - {role: release, detectors: D03, until: "2026-12-01T06:00:00Z", reason: release day, owner: ann}
suppressions:
  - {detectors: D12, resource: "acme/*", until: 2026-12-01, reason: known clock, owner: ben}
grants:
  - {id: G-1, principals: eve@example.org, resources: ["acme/atlas-*"], detectors: "*", until: 2026-12-01, objects: 500, reason: export, owner: ann}
jobs:
  - {id: train-7, principals: [svc-train], resources: acme/data, detectors: [D01], since: 2026-11-01, until: 2026-12-01, reason: run 7, owner: ann}
noise: {dedup_minutes: 30, storm_findings: 5, storm_minutes: 2}
bar: {verdicts: 40}
"""


def test_everything_is_read() -> None:
    policy = parse(WHOLE)
    assert policy.parameters == {"D01": {"alert": 30.0, "step_up": 55.5}}
    assert [policy.mode(name) for name in ("D01", "D03", "my-rule")] == ["auto", "recommend", "observe"]
    assert (policy.bar("D01"), policy.bar("D03")) == (Bar(0.8, 10), Bar(0.5, 40))
    assert policy.protected == {"root@example.org"}
    assert policy.noise == Noise(30, 5, 2)
    assert [(grant.kind, grant.id, grant.objects) for grant in policy.grants] == [("grant", "G-1", 500), ("job", "train-7", None)]
    assert len(policy.sha256) == 64


def test_no_file_is_the_defaults(tmp_path: Path) -> None:
    assert load(tmp_path / "detection.yaml") == DetectionPolicy()
    assert DetectionPolicy().mode("D13") == "auto"
    assert replace(parse(""), sha256="") == DetectionPolicy()


def test_every_mistake_is_told_at_once_with_line_path_and_mend(tmp_path: Path) -> None:
    path = tmp_path / "detection.yaml"
    path.write_text(
        "version: 2\n"
        "modes: auto\n"
        "detectors:\n"
        "  D99: {mode: auto}\n"
        "  d03: {mode: observe}\n"
        "  D01: {mode: on, parameters: {alarm: 3, alert: -1}, colour: red}\n"
        "protected:\n"
        "  - {principal: 'root '}\n"
        "exemptions:\n"
        "  - {principal: a, role: b, detectors: D01, until: soon, reason: x, owner: y}\n"
        "suppressions:\n"
        "  - {detectors: '*', resource: '*', until: 2026-13-01, reason: x}\n"
        "grants:\n"
        "  - {id: g, principals: 'a*', resources: '^x', detectors: [D01], until: 2026-12-01, reason: r, owner: o, objects: 0}\n"
        "noise: {storm_findings: 1}\n"
    )
    with pytest.raises(PolicyRefused) as caught:
        load(path)
    told = caught.value.mistakes
    for line, part in [
        (1, "version: is 2"),
        (2, "modes: is not known here; there are bar, detectors"),
        (4, "detectors.D99: there is no detector D99; there are D01"),
        (5, "detectors.d03: there is no detector d03; did you mean D03?"),
        (6, "detectors.D01.mode: is 'on'; it can be observe, recommend, auto"),
        (6, "detectors.D01.parameters.alarm: D01 has no such parameter; it has alert, peers_share, step_up"),
        (6, "detectors.D01.parameters.alert: D01.alert is -1 distinct objects"),
        (6, "detectors.D01.colour: is not known"),
        (8, "protected[1].principal: the name 'root ' begins or ends with a space"),
        (8, "protected[1].reason: is missing"),
        (10, "exemptions[1]: needs either a principal or a role"),
        (10, "exemptions[1].until: is 'soon'; write a day (2026-12-31)"),
        (12, "suppressions[1]: would silence everything"),
        (12, "suppressions[1].until: is '2026-13-01'"),
        (12, "suppressions[1].owner: is missing"),
        (14, "grants[1].principals: the name 'a*' contains * or ?; names are exact here"),
        (14, "grants[1].resources: the pattern '^x' contains '^'; a pattern knows only * and ?, regular expressions"),
        (14, "grants[1].objects: is 0"),
        (15, "noise.storm_findings: is 1"),
    ]:
        assert any(one.startswith(f"detection.yaml line {line}, {part}") for one in told), (part, told)
    assert len(told) == 19, told


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("- a\n", "the file: is not a mapping"),
        ("protected: {a: b}\n", "is not a list"),
        ("detectors: [D01]\n", "is not a mapping"),
        (
            "grants:\n" + "  - {id: g, principals: a, resources: r, detectors: D01, until: 2026-12-01, reason: r, owner: o}\n" * 2,
            "given twice",
        ),
        (
            "grants:\n  - {id: g, principals: a, resources: '*', detectors: D01, until: 2026-12-01, reason: r, owner: o}\n",
            "cover everything",
        ),
        (
            "jobs:\n  - {id: g, principals: a, resources: r, detectors: D01, since: 2026-12-02, until: 2026-12-01, reason: r, owner: o}\n",
            "not after since",
        ),
        ("protected:\n  - {principal: Ann, reason: r}\n  - {principal: ann, reason: r}\n", "differ in case alone"),
        ("protected:\n  - {principal: r\u043eot@example.org, reason: r}\n", "mixes letters"),
        ("protected:\n  - {principal: 7, reason: r}\n", "put it in quotes"),
        ("exemptions:\n" + "  - {}\n" * 501, "at most 500"),
    ],
)
def test_each_is_refused(text: str, reason: str) -> None:
    with pytest.raises(PolicyRefused, match=reason):
        parse(text)


def test_bytes_that_are_no_text_and_files_without_end(tmp_path: Path) -> None:
    path = tmp_path / "detection.yaml"
    path.write_bytes(b"mode: \xff\n")
    with pytest.raises(PolicyRefused, match="not UTF-8"):
        load(path)
    path.write_bytes(b"#" * 200_000)
    with pytest.raises(PolicyRefused, match="128 KiB"):
        load(path)
    path.unlink()
    path.mkdir()
    with pytest.raises(PolicyRefused, match="cannot be read"):
        load(path)


@pytest.mark.parametrize(
    "imitation",
    ["R00t@example.org", "root@example.org ", " root@example.org", "r\u043eot@example.org", "root@example.org\u200b", "ｒoot@example.org"],
)
def test_who_imitates_a_protected_principal_is_not_protected(imitation: str) -> None:
    policy = parse("protected:\n  - {principal: root@example.org, reason: break glass}\n")
    assert policy.is_protected("root@example.org")
    assert not policy.is_protected(imitation)


def test_every_spelling_of_a_principal_is_protected_exempt_and_suppressed() -> None:
    policy = parse("protected:\n  - {principal: Root@Example.org, reason: break glass}\n  - {principal: root@example.org, reason: twice}\n")
    assert policy.protected == {"root@example.org"}
    assert policy.is_protected("ROOT@example.ORG")
    policy = parse(WHOLE)
    assert "nightly copy" in (policy.exemption(finding(principal="Backup@Example.org"), NOW) or "")


@pytest.mark.parametrize(
    ("pattern", "name", "covered"),
    [
        ("*@Example.org", "svc@example.org", True),
        ("SVC-*@ex?mple.ORG", "svc-7@Example.org", True),
        ("*@example.org", "Svc@EXAMPLE.org", True),
        ("SVC-*", "svc-7", False),
        ("*", "\ue000", True),
    ],
)
def test_a_pattern_covers_every_spelling(pattern: str, name: str, covered: bool) -> None:
    text = f"suppressions:\n  - {{detectors: [D01], principal: '{pattern}', until: 2099-01-01T00:00Z, reason: quiet, owner: bob}}\n"
    assert (parse(text).suppression(finding("D01", principal=name), NOW) is not None) is covered


def test_exemptions_end_and_are_exact() -> None:
    policy = parse(WHOLE)
    backup = finding(principal="backup@example.org")
    assert "nightly copy" in (policy.exemption(backup, NOW) or "")
    assert policy.exemption(backup, NOW + 30 * DAY) is None
    assert policy.exemption(finding(principal="b\u0430ckup@example.org"), NOW) is None
    assert policy.exemption(finding("D12", principal="backup@example.org"), NOW) is None
    assert policy.exemption(finding("D03"), NOW) is None
    assert "role release" in (policy.exemption(finding("D03"), NOW, ["release"]) or "")


def test_suppressions_end_and_match_by_glob() -> None:
    policy = parse(WHOLE)
    assert "ben: known clock" in (policy.suppression(finding("D12", resource="acme/atlas-7b"), NOW) or "")
    assert policy.suppression(finding("D12", resource="other/atlas"), NOW) is None
    assert policy.suppression(finding("D12", resource=None), NOW) is None
    assert policy.suppression(finding("D01", resource="acme/atlas-7b"), NOW) is None
    assert policy.suppression(finding("D12", resource="acme/atlas-7b"), NOW + 30 * DAY) is None


def test_a_demoted_detector_recommends_at_most() -> None:
    policy = replace(parse(WHOLE), demoted={"D01": "0.2", "my-rule": "0.1"})
    assert (policy.mode("D01"), policy.mode("my-rule")) == ("recommend", "observe")
