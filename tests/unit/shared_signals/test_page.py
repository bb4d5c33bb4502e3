"""docs/shared-signals.md says what the code does: example tokens, settings, endpoints, limits."""

import dataclasses
import json
import re
import tomllib

import pytest
from tests.support.pages import ROOT, Page
from tests.support.signals import NOW, Door, decision, settings_in

from tallystick_stream_jobs.connectors.registry import KINDS
from tallystick_stream_jobs.connectors.ssf_push import SsfSettings
from tallystick_stream_jobs.shared_signals.events import happenings
from tallystick_stream_jobs.shared_signals.sets import claims_of
from tallystick_stream_jobs.shared_signals.settings import SignalsSettings, build_signals

PAGE = Page(ROOT / "docs" / "shared-signals.md")
PROFILES = ("ssf", "okta", "google")
_BLOCKS = [
    tomllib.loads(re.sub(r"^    ", "", block, flags=re.MULTILINE))
    for block in re.findall(r"(?:^    .*\n|^\n(?=    ))+", PAGE.text, re.MULTILINE)
    if re.search(r"^    \[", block, re.MULTILINE)
]


def test_the_example_tokens_are_what_we_make():
    examples = [json.loads(block) for block in PAGE.fenced("json")]
    assert len(examples) == len(PROFILES)
    one = decision("auto-3f0c", reason="40 distinct objects in 60 min")
    for profile, example in zip(PROFILES, examples, strict=True):
        iss = example["iss"]
        made = claims_of(happenings(one, iss)[0], iss=iss, aud=example["aud"], stream=profile, profile=profile)
        assert example == made
        assert made["iat"] == int(NOW)


def test_the_settings_on_the_page_can_be_used(tmp_path):
    agent = settings_in(tmp_path, command_agents=("console", "cli", "signals")).agent
    given = {"agent": agent, "state_dir": "s", "keys_file": "k", "tokens_file": "t"}
    whole, hand, polled, locks = _BLOCKS
    settings = build_signals(whole["signals"], {}, given)
    assert (settings.enabled, settings.receivers[0].profile, settings.issuers[0].iss) == (True, "okta", "https://idp.example.org")
    assert build_signals(polled["signals"], {}, given).issuers[0].poll_url
    base = whole["signals"]["issuers"]["idp"]
    both = build_signals({"issuers": {"idp": {**base, **locks["signals"]["issuers"]["idp"]}}}, {}, given)
    assert both.issuers[0].lock
    assert tuple(locks["log"]["command_agents"]) == agent.log.command_agents
    table = hand["okta"]
    assert table["kind"] in KINDS
    assert set(table) <= {field.name for field in dataclasses.fields(SsfSettings)}


def test_the_limits_are_the_defaults():
    defaults = {field.name: field.default for field in dataclasses.fields(SignalsSettings)}
    rows = [row for row in PAGE.table("setting") if row[0].startswith("`")]
    assert {row[0] for row in rows} == {"`max_streams`", "`max_pending`", "`max_subjects`"}
    for name, default, _ in rows:
        assert int(default.replace(",", "")) == defaults[name.strip("`")]


def test_every_endpoint_is_on_the_page(tmp_path):
    routes = {route.path for route in Door(settings_in(tmp_path)).app.routes} - {"/healthz"}
    listed = " ".join(row[0] for row in PAGE.table("endpoint"))
    names = {re.sub(r"\{.*\}", lambda found: "STREAM" if "stream" in found[0] else "ISSUER", path) for path in routes}
    assert {name for name in names if f"`{name}" not in listed} == set()


@pytest.mark.parametrize("name", ["public_url", "jwks_max_age_s", "min_verification_interval", "key_lead_s", "key_grace_s", "max_age_s"])
def test_settings_that_the_text_names_exist(name):
    assert f"`{name}" in PAGE.text or f"{name} =" in PAGE.text
    assert name in {field.name for field in dataclasses.fields(SignalsSettings)}
