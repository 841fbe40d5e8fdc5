import gc
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.quantum.parsing.hostile import HOSTILE
from webapp.core.errors import UpcubeError
from webapp.quantum.programs import Program, read_program

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


CYCLES = ["a mebibyte of modifiers", "a mebibyte of wide operands", "loops in loops", "a mebibyte of JSON members"]


@pytest.mark.parametrize("name", CYCLES)
def test_what_was_read_is_freed_at_once_without_the_collector(name: str) -> None:
    # Other tests' applications let go of one another one after the other.
    while gc.collect():
        pass
    gc.disable()
    try:
        with pytest.raises(UpcubeError):
            read_program(Program(*HOSTILE[name]))  # type: ignore[arg-type]
        held_by_themselves = gc.collect()
    finally:
        gc.enable()
    # pytest's own note of the exception is a few; a parser that held itself was hundreds of thousands.
    assert held_by_themselves < 200
