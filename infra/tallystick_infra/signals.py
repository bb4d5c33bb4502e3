"""The part `signals` of a deployment: its settings, and where its keys, tokens and queue lie."""

from tallystick_stream_jobs.shared_signals.settings import AGENT, SignalsSettings, build_signals

from .deployment import Deployment


def signals_settings(deployment: Deployment) -> SignalsSettings:
    """Section [signals], checked; SettingsError with every mistake."""
    given = {
        "agent": deployment.agent(AGENT),
        "state_dir": str(deployment.path / "signals"),
        "keys_file": str(deployment.keys / "signals.json"),
        "tokens_file": str(deployment.path / "signals" / "tokens.jsonl"),
    }
    return build_signals(deployment.signals_table(), deployment.env, given)
