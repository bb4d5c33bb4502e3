"""The bill of materials and the scan of `make audit`. What was not asked is never taken for "none known"."""

import json
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version

from tallystick_infra.kafka.jars import locked_jars
from tallystick_infra.supply import __main__ as command
from tallystick_infra.supply import asking
from tallystick_infra.supply.advisories import Advisory, Affected, Event, Package, Range, match
from tallystick_infra.supply.parts import Part, jar_parts, parse_requirements
from tallystick_schemas.errors import ParseError

ROOT = Path(__file__).parents[3]
LOCK = (ROOT / "requirements.lock").read_text()
SMALL = f"""\
a-b==1.5 \\
    --hash=sha256:{"1" * 64} \\
    --hash=sha256:{"0" * 64}
twin==1.0 ; python_full_version < '3.12' \\
    --hash=sha256:{"2" * 64}
twin==2.0 ; python_full_version >= '3.12' \\
    --hash=sha256:{"3" * 64}
"""
A_B, TWIN_1, TWIN_2 = parse_requirements(SMALL)
JAR = Part("Maven", "org.x:y", "3.1", ("4" * 64,))


def record(name: str, events: list[dict[str, str]], ecosystem: str = "PyPI", **more: Any) -> dict[str, Any]:
    affected = {"package": {"ecosystem": ecosystem, "name": name}, "ranges": [{"type": "ECOSYSTEM", "events": events}]}
    return {"id": "GHSA-1", "modified": "2026-11-02T00:00:00Z", "affected": [affected | more.pop("affected", {})], **more}


QUIET = [record("nobody", [{"introduced": "0"}]), record("no:body", [{"introduced": "0"}], "Maven", affected={"versions": ["9"]})]
BAD = record("A_b", [{"introduced": "0"}, {"fixed": "1.6"}], aliases=["CVE-2026-1"], summary="reads \x1b[2J all")


def test_every_line_of_the_lock_file_is_a_part_with_hashes() -> None:
    parts = parse_requirements(LOCK)
    assert len(parts) == sum("==" in line and not line.startswith(" ") for line in LOCK.splitlines())
    assert sum(len(part.sha256) for part in parts) == LOCK.count("--hash=sha256:")
    assert all(part.sha256 for part in parts)
    assert {"cyclonedx-python-lib", "pip-audit", "msgspec"} <= {part.name for part in parts}


@pytest.mark.parametrize("line", ["x @ file:///y", "-e .", "x>=1", "x==1 --hash=md5:00", f"    --hash=sha256:{'g' * 64}"])
def test_a_line_that_is_none_is_named_and_not_left_out(line: str) -> None:
    with pytest.raises(ParseError, match="line 9"):
        parse_requirements(f"{SMALL}\n{line}\n")


def test_the_bill_has_every_part_with_its_hashes_and_the_licences_that_are_known() -> None:
    from tallystick_infra.supply.sbom import bill_of_materials

    bill = json.loads(bill_of_materials([A_B, TWIN_1, JAR], "0.1.0", {A_B: "MIT", TWIN_1: "A licence of ours"}.get))
    assert (bill["bomFormat"], bill["specVersion"], bill["metadata"]["component"]["version"]) == ("CycloneDX", "1.6", "0.1.0")
    one, twin, jar = (
        next(c for c in bill["components"] if c["purl"] == url)
        for url in ("pkg:pypi/a-b@1.5", "pkg:pypi/twin@1.0", "pkg:maven/org.x/y@3.1")
    )
    assert one["licenses"] == [{"license": {"id": "MIT"}}]
    assert {h["content"] for h in one["externalReferences"][0]["hashes"]} == set(A_B.sha256)
    assert twin["licenses"] == [{"license": {"name": "A licence of ours"}}]
    assert twin["hashes"] == [{"alg": "SHA-256", "content": "2" * 64}]
    assert (jar["group"], "licenses" in jar) == ("org.x", False)


def test_the_bill_is_the_same_for_the_same_locks() -> None:
    from tallystick_infra.supply.sbom import bill_of_materials

    parts = [*parse_requirements(LOCK), *jar_parts(locked_jars())]
    first, again = (bill_of_materials(parts, "0.1.0", lambda _: None) for _ in range(2))
    assert first == again
    assert len(json.loads(first)["components"]) == len(parts)
    assert first != bill_of_materials(parts[1:], "0.1.0", lambda _: None)


def test_a_licence_is_believed_for_the_installed_version_alone() -> None:
    from importlib.metadata import version

    from tallystick_infra.supply.sbom import installed_licence

    assert "BSD" in (installed_licence(Part("PyPI", "click", version("click"), ())) or "")
    assert installed_licence(Part("PyPI", "click", "0.0.1", ())) is None
    assert installed_licence(Part("PyPI", "nobody-has-this", "1", ())) is None
    assert installed_licence(Part("Maven", "click", version("click"), ())) is None


@pytest.mark.parametrize(
    ("events", "hit"),
    [
        ([{"introduced": "0"}], True),
        ([{"introduced": "0"}, {"fixed": "1.5"}], False),
        ([{"introduced": "0"}, {"fixed": "1.5.post1"}], True),
        ([{"introduced": "1.5"}], True),
        ([{"introduced": "1.5.0"}, {"last_affected": "1.5"}], True),
        ([{"introduced": "0"}, {"last_affected": "1.5rc1"}], False),
        ([{"introduced": "0"}, {"fixed": "1.2"}, {"introduced": "1.4"}, {"fixed": "2"}], True),
        ([{"introduced": "1.4"}, {"fixed": "2"}, {"introduced": "0"}, {"fixed": "1.2"}], True),
        ([{"introduced": "0"}, {"fixed": "1.2"}, {"introduced": "1.10"}], False),
        ([], False),
    ],
)
def test_ranges_are_read_as_their_format_says(events: list[dict[str, str]], hit: bool) -> None:
    affected = Affected(Package("PyPI", "a.b"), [Range("ECOSYSTEM", [Event(**one) for one in events])])
    assert bool(match([A_B, TWIN_1], [Advisory("X", "", affected=[affected])]).found) is hit


_VERSIONS = st.integers(0, 30).map(lambda n: f"{n // 10}.{n % 10}")


@given(st.lists(_VERSIONS, min_size=1, max_size=6, unique=True), _VERSIONS)
def test_ranges_agree_with_counting(bounds: list[str], version: str) -> None:
    """Introduced and fixed in turn: a version is inside when an odd number of bounds are at or below it."""
    bounds.sort(key=Version)
    events = [Event(introduced=one) if n % 2 == 0 else Event(fixed=one) for n, one in enumerate(bounds)]
    affected = Affected(Package("PyPI", "p"), [Range("ECOSYSTEM", events)])
    found = match([Part("PyPI", "p", version, ())], [Advisory("X", "", affected=[affected])]).found
    assert bool(found) is (sum(Version(one) <= Version(version) for one in bounds) % 2 == 1)


def test_what_cannot_be_ordered_is_left_to_a_person_and_lists_decide_where_there_are_any() -> None:
    ranged = Affected(Package("Maven", "org.x:y"), [Range("ECOSYSTEM", [Event(introduced="0")])])
    assert match([JAR], [Advisory("X", "", affected=[ranged])]).unjudged == ("X about org.x:y 3.1",)
    listed = Affected(Package("Maven", "org.x:y"), [Range("ECOSYSTEM", [Event(introduced="0")])], ["3.0", "3.1"])
    assert match([JAR], [Advisory("X", "", affected=[listed])]).found
    other = Affected(Package("Maven", "org.x:y"), versions=["3.0"])
    assert match([JAR], [Advisory("X", "", affected=[other])]) == match([], [])
    odd = Affected(Package("PyPI", "a-b"), [Range("ECOSYSTEM", [Event(introduced="no version")])])
    assert match([A_B], [Advisory("X", "", affected=[odd])]).unjudged
    assert not match([A_B], [Advisory("X", "", withdrawn="2026", affected=[Affected(Package("PyPI", "a-b"), versions=["1.5"])])]).found


def run(tmp_path: Path, *options: str) -> tuple[Result, dict[str, Any]]:
    (tmp_path / "requirements.lock").write_text(SMALL)
    given = ["--lock", str(tmp_path / "requirements.lock"), "--sbom", str(tmp_path / "out/bill.json"), "--json", *options]
    done = CliRunner().invoke(command.audit, given)
    assert json.loads((tmp_path / "out/bill.json").read_text())["bomFormat"] == "CycloneDX"
    return done, json.loads(done.stdout.splitlines()[-1])


def written(folder: Path, records: list[dict[str, Any]]) -> str:
    folder.mkdir()
    for number, one in enumerate(records):
        (folder / f"{number}.json").write_text(json.dumps(one))
    return str(folder)


def test_advisories_on_disk_need_no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking.subprocess, "run", lambda *_, **__: pytest.fail("somebody was asked"))
    done, said = run(tmp_path, "--advisories", written(tmp_path / "osv", [BAD, *QUIET]))
    assert (done.exit_code, said["verdict"]) == (1, "known")
    assert [(one["name"], one["version"], one["id"], one["fixed"]) for one in said["found"]] == [("a-b", "1.5", "GHSA-1", ["1.6"])]
    shown = [" ".join(line.split()) for line in done.stderr.splitlines()]
    assert "a-b 1.5 GHSA-1 (CVE-2026-1) 1.6 reads \\x1b[2J all" in shown, "what it is stands beside its name, as in the JSON"
    assert shown[-1].endswith(": 1 known vulnerability")
    assert "\x1b" not in done.output
    monkeypatch.setattr(asking, "_MAX_RECORD", 1000)
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as packed:
        packed.writestr("PYSEC-1.json", json.dumps(BAD))
        packed.writestr("PYSEC-2.json", " " * 1001)
        packed.writestr("README", "no advisory")
    done, said = run(tmp_path, "--advisories", str(tmp_path / "all.zip"))
    assert (done.exit_code, len(said["found"])) == (1, 1)
    assert "1 file that is no advisory" in said["doubts"][0]
    assert "Kafka's jars were not asked about" in said["beside"][0]


def test_none_known_is_said_of_what_was_asked_and_of_what_date(tmp_path: Path) -> None:
    done, said = run(tmp_path, "--advisories", written(tmp_path / "osv", QUIET))
    assert (done.exit_code, said["verdict"], said["asked"]) == (0, "none known", 3 + len(locked_jars()))
    assert "2 advisories" in done.stderr
    assert "the newest of 2026-11-02): no known vulnerability" in done.stderr


@pytest.mark.parametrize(
    ("records", "doubt"),
    [
        ([*QUIET, {"id": 7}], "1 file that is no advisory"),
        (QUIET[1:], "no package of Python was asked about"),
        ([*QUIET, record("twin", [{"introduced": "some day"}])], "a person must see"),
    ],
)
def test_what_is_not_whole_is_no_all_clear(tmp_path: Path, records: list[dict[str, Any]], doubt: str) -> None:
    done, said = run(tmp_path, "--advisories", written(tmp_path / "osv", records))
    assert (done.exit_code, said["verdict"]) == (2, "incomplete")
    assert doubt in said["doubts"][0]
    assert "none known, and not all was asked about" in done.stderr


@pytest.mark.parametrize("records", [[], [record("crate", [], "crates.io")], [{"id": 7}]])
def test_a_folder_that_says_nothing_about_us_was_not_asked(tmp_path: Path, records: list[dict[str, Any]]) -> None:
    done, said = run(tmp_path, "--advisories", written(tmp_path / "osv", records))
    assert (done.exit_code, said["verdict"]) == (3, "not asked")
    assert "no known vulnerability" not in done.output


def test_a_file_that_is_no_zip_was_not_asked(tmp_path: Path) -> None:
    (tmp_path / "all.zip").write_text("<html>404</html>")
    done, said = run(tmp_path, "--advisories", str(tmp_path / "all.zip"))
    assert (done.exit_code, said["verdict"]) == (3, "not asked")


STAND_IN = """
import json, sys
lines = open(sys.argv[sys.argv.index("-r") + 1]).read().split()
assert len({line.split("==")[0] for line in lines}) == len(lines)
rows = [{"name": n, "version": v, "vulns": []} for n, v in (line.split("==") for line in lines)]
"""


@pytest.fixture
def pip_audit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """A stand-in for pip-audit, which ends as the given lines say."""

    def put(then: str) -> None:
        (tmp_path / "pip_audit.py").write_text(STAND_IN + then)
        monkeypatch.setattr(command, "ask_online", lambda parts: asking.ask_online(parts, (sys.executable, str(tmp_path / "pip_audit.py"))))

    return put


def test_pip_audit_is_asked_about_every_version_on_every_platform(tmp_path: Path, pip_audit: Callable[[str], None]) -> None:
    pip_audit('print(json.dumps({"dependencies": rows, "fixes": []}))')
    done, said = run(tmp_path)
    assert (done.exit_code, said["verdict"], said["asked"], said["doubts"]) == (0, "none known", 3, [])
    assert said["beside"] == [f"Kafka's {len(locked_jars())} jars were not asked about: pip-audit knows Python alone"]


def test_what_pip_audit_finds_is_told(tmp_path: Path, pip_audit: Callable[[str], None]) -> None:
    pip_audit(
        'rows[-1]["vulns"] = [{"id": "PYSEC-1", "fix_versions": ["9"], "aliases": [], "description": "x"}]\n'
        'print(json.dumps({"dependencies": rows})); sys.exit(1)'
    )
    done, said = run(tmp_path)
    assert (done.exit_code, said["verdict"]) == (1, "known")
    assert {one["id"] for one in said["found"]} == {"PYSEC-1"}


def test_what_pip_audit_skips_is_a_doubt(tmp_path: Path, pip_audit: Callable[[str], None]) -> None:
    pip_audit('rows[0] = {"name": rows[0]["name"], "skip_reason": "not found"}\nprint(json.dumps({"dependencies": rows}))')
    done, said = run(tmp_path)
    assert (done.exit_code, said["verdict"]) == (2, "incomplete")
    assert "not found" in said["doubts"][0]


@pytest.mark.parametrize(
    "then",
    [
        'sys.exit("ConnectionError: no such host")',  # with 1, as when something is found
        "pass",
        'print("[]")',
        'print(json.dumps({"dependencies": []}))',
        'print(json.dumps({"dependencies": rows[1:]}))',
        'print(json.dumps({"dependencies": [{"name": "twin", "skip_reason": "not found"}] * ("twin==1.0" in lines)}))',
    ],
)
def test_no_whole_answer_is_none_and_ends_with_a_code_of_its_own(tmp_path: Path, pip_audit: Callable[[str], None], then: str) -> None:
    pip_audit(then)
    done, said = run(tmp_path)
    assert (done.exit_code, said["verdict"]) == (3, "not asked")
    assert "nothing was asked, so nothing is said about vulnerabilities" in done.stderr
    assert "no known vulnerability" not in done.output
    assert "ADVISORIES=PATH" in said["reason"]
