"""Real Hugging Face clients, each in an environment of its own as at a user's: Tallystick's pins and theirs do not go together."""

import fcntl
import hashlib
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def client_python(name: str) -> Path:
    """The interpreter of `tests/clients/<name>.lock`'s environment, built from hash-checked packages when the lock file is new."""
    lock = ROOT / "tests" / "clients" / f"{name}.lock"
    mark = hashlib.sha256(lock.read_bytes() + sys.version.encode()).hexdigest()
    folder = ROOT / ".cache" / "clients" / name
    folder.parent.mkdir(parents=True, exist_ok=True)
    python = folder / "bin" / "python"
    with (folder.parent / f"{name}.guard").open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        built = folder / "built"
        if not built.exists() or built.read_text() != mark:
            _run([sys.executable, "-m", "venv", "--clear", str(folder)])
            # pip, as `make` uses it: where a machine keeps its own index, pip's settings are where it says so.
            pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
            _run([*pip, "--require-hashes", "--no-deps", "-r", str(lock)])
            # Last: if we crash before this, the next run builds it again.
            built.write_text(mark)
    return python


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True, timeout=280)


def run_client(python: Path, program: str, endpoint: str, token: str, home: Path) -> subprocess.CompletedProcess[str]:
    """Run a program that uses huggingface_hub, with no setting but the endpoint and the token that a user would set."""
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "HF_HOME": str(home / "hf"),
        "HF_ENDPOINT": endpoint,
        "HF_TOKEN": token,
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    }
    return subprocess.run([str(python), "-c", program], env=env, capture_output=True, text=True, timeout=120, check=False)
