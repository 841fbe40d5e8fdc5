"""The servers that are compared: ours, ours without admission, bare Flask, and what people would use instead."""

import json
import re
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.places import Place, make_raw_key, shard_tag
from config import ROOT

FOLDER = Path(__file__).parent
PEERS = FOLDER / "peers"
BETTER_AUTH = PEERS / "better_auth"
REQUIREMENTS = FOLDER / "requirements.txt"
VENV = FOLDER / ".venv-bench"
INSTALL_SECONDS = 600

# Every key may call so often in a minute, here and at the peers; there are so many keys that the load stays below it.
QUOTA = 600
KEYS = 1000

# As many as the web process of the Procfile has.
THREADS = re.findall(r"^web:.*--blocking-threads (\d+)", (ROOT / "Procfile").read_text(), re.MULTILINE)[0]
GRANIAN = ["granian", "--interface", "wsgi", "--host", "127.0.0.1", "--workers", "1", "--http", "1", "--no-ws"]
GRANIAN += ["--blocking-threads", THREADS, "--backpressure", THREADS, "--log-level", "error"]


@dataclass(frozen=True)
class System:
    """A server: how it is started, and the keys that it knows."""

    name: str
    command: Sequence[str]
    environ: Mapping[str, str]
    cwd: Path = ROOT
    # KEYS keys, one more to go over the limit with, and one that is unknown. A peer writes them when it starts.
    headers: Sequence[str] | None = None
    # What an unknown key is answered, or none where anybody is let in.
    refused_status: int | None = None


def granian(python: str | Path, app: str, port: int) -> list[str]:
    """Give the command that serves an application in the same way for all."""
    return [str(python), "-m", *GRANIAN, "--port", str(port), app]


def list_our_systems(place: Place, ports: Sequence[int]) -> list[System]:
    """Give bare Flask, our application without parts of admission, and our application, which is last."""
    environ = {
        "DATA_DIR": str(place.settings.data_dir),
        "REDIS_URL": place.settings.redis_url,
        "SECRET_KEY": place.settings.secret_key,
        **rate_limits(),
    }
    headers = [f"Authorization: Bearer {raw}" for raw in [*place.raw_keys, make_raw_key(10**9, shard_tag(0))]]
    apps = {
        "bare Flask": "bench.apps.bare:app",
        "no admission": "bench.apps.without_admission:app",
        "no round trip": "bench.apps.without_redis:app",
        "ours": "wsgi:app",
    }
    return [
        System(
            *(name, granian(sys.executable, app, port), environ),
            headers=headers,
            refused_status=401 if name == "ours" else None,
        )
        for (name, app), port in zip(apps.items(), ports, strict=True)
    ]


def rate_limits() -> dict[str, str]:
    """Give the settings of our limits: the peers have none for an account."""
    return {"KEY_RATE_LIMITS": f"{QUOTA}/60", "ACCOUNT_RATE_LIMITS": "1000000/60"}


def list_peers(folder: Path, redis_url: str, ports: Sequence[int]) -> list[System]:
    """Give the peers, each to work in a folder of its own."""
    python = VENV / "bin" / "python"
    commands = {
        "Flask-Limiter": granian(python, "flask_limiter_app:app", ports[0]),
        "Django REST": granian(python, "rest_framework_app:app", ports[1]),
        "better-auth": ["node", "server.mjs"],
    }
    systems = []
    for (name, command), port in zip(commands.items(), ports, strict=True):
        environ = {
            "BENCH_FOLDER": str(folder / name),
            "BENCH_KEYS": str(KEYS),
            "BENCH_QUOTA": str(QUOTA),
            "BENCH_REDIS_URL": redis_url,
            "BENCH_PORT": str(port),
            "NODE_ENV": "production",
        }
        cwd = BETTER_AUTH if name == "better-auth" else PEERS
        # Without an authentication class the framework answers 403, as the documentation of its key package says.
        systems.append(System(name, command, environ, cwd, refused_status=403 if name == "Django REST" else 401))
    return systems


def install_peers() -> dict[str, str]:
    """Install what the peers need, once; give a sentence for each that is not to be had."""
    python, node = try_install(install_python), try_install(install_node)
    return {"Flask-Limiter": python, "Django REST": python, "better-auth": node}


def try_install(install: Callable[[], None]) -> str:
    """Run an installer; give one sentence if it fails."""
    try:
        install()
    except subprocess.CalledProcessError as error:
        return " ".join((error.stderr or b"").decode(errors="replace").split())[-200:] or str(error)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return ""


def install_python() -> None:
    """Make the peers' environment, anew when its list has changed."""
    marker = VENV / "installed.txt"
    if marker.exists() and marker.read_bytes() == REQUIREMENTS.read_bytes():
        return
    venv.create(VENV, with_pip=True, clear=True)
    pip = [str(VENV / "bin" / "python"), "-m", "pip", "install", "-qq", "--require-hashes", "-r", str(REQUIREMENTS)]
    run(pip, FOLDER)
    shutil.copyfile(REQUIREMENTS, marker)


def install_node() -> None:
    """Install the Node peer's modules, anew when their list has changed."""
    lock, marker = BETTER_AUTH / "package-lock.json", BETTER_AUTH / "node_modules" / "installed.json"
    if marker.exists() and marker.read_bytes() == lock.read_bytes():
        return
    run(["npm", "ci", "--no-audit", "--no-fund", "--loglevel", "error"], BETTER_AUTH)
    shutil.copyfile(lock, marker)


def run(command: Sequence[str], folder: Path) -> None:
    """Run an installer."""
    subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=INSTALL_SECONDS)


def read_headers(system: System, folder: Path) -> list[str]:
    """Give the keys of a system that has started."""
    if system.headers is not None:
        return list(system.headers)
    headers: list[str] = json.loads((folder / "headers.json").read_text())
    return headers
