"""Settings of the console: section `[console]` of a deployment's file, validated by `tallystick_schemas.settings.build`."""

from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True)
class ConsoleSettings:
    """Where the console listens, who may stay signed in for how long, and how much it remembers."""

    secret_file: str
    """At least 32 random bytes; signs sign-in links and CSRF tokens."""
    state_dir: str
    """Remembers which sign-in links were used."""
    host: str = "127.0.0.1"
    port: int = 47050
    """0 takes a free one."""
    public_url: str = ""
    """Where browsers reach the console when a proxy stands before it, e.g. `https://console.example.org`. Empty: loopback alone."""
    session_hours: float = 8.0
    idle_minutes: float = 60.0
    tail_events: int = 2_000
    findings: int = 5_000
    act_timeout_s: float = 15.0

    @property
    def secure(self) -> bool:
        """Browsers speak TLS to us: cookies say so, and HSTS is sent."""
        return urlsplit(self.public_url).scheme == "https"

    @property
    def host_names(self) -> frozenset[str]:
        """Names that a request's Host may hold. Anything else is a rebound DNS name or a mistake."""
        public = urlsplit(self.public_url).hostname
        return frozenset({"127.0.0.1", "localhost", "::1"} if not public else {"127.0.0.1", "localhost", "::1", public})
