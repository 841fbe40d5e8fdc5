import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.quantum.parsing.hostile import HOSTILE

_ROOT = Path(__file__).parents[3]

# All of them together, in one process, as in a web process that meets them all.
_MAX_GROWN_BYTES = 64 << 20

# The largest honest program takes two; a busy machine makes CPU time longer as well.
_MAX_CPU_SECONDS = 10.0


def read_all_of_them() -> dict[str, dict[str, Any]]:
    """Say what came of every hostile program, by its name."""
    command = [sys.executable, "-m", "tests.quantum.parsing.hostile"]
    ran = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, (ran.stdout[-300:], ran.stderr[-2_000:])
    lines = [json.loads(line) for line in ran.stdout.splitlines()]
    return {line["name"]: line for line in lines}


def test_every_hostile_program_is_refused_in_words_soon_and_leaves_the_process_small() -> None:
    # One test, as they take a while and no process of the suite knows what another has read.
    reports = read_all_of_them()
    assert reports.keys() == HOSTILE.keys()
    for report in reports.values():
        assert report["outcome"].startswith(("invalid_program: ", "program_too_large: ")), report
        assert len(report["outcome"]) < 500
        assert "root:" not in report["outcome"]
    assert max(report["cpu_seconds"] for report in reports.values()) <= _MAX_CPU_SECONDS
    assert sum(report["grown_bytes"] for report in reports.values()) <= _MAX_GROWN_BYTES
    # By default the collector would go through everything twice for the half of them, and hold up every other thread.
    assert sum(report["full_collections"] for report in reports.values()) <= 3
    # What was read is freed at once without it: a parser that held itself was hundreds of thousands of objects.
    assert max(report["held_by_themselves"] for report in reports.values()) < 200
