import subprocess
import sys
from pathlib import Path

_ROOT = Path(__file__).parents[2]

_ROOM = (
    "import webapp.quantum.backends, webapp.quantum.circuits, webapp.quantum.engines, webapp.quantum.openqasm, "
    "webapp.quantum.pricing, webapp.quantum.router, webapp.quantum.templates, sys; "
)


def _print(statement: str) -> str:
    """Run a statement in a fresh interpreter and return what it prints."""
    command = [sys.executable, "-c", _ROOM + statement]
    return subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=True).stdout.strip()


def test_no_simulator_is_loaded_before_its_engine_is_asked_for() -> None:
    assert _print("print('qulacs' in sys.modules, 'numpy' in sys.modules)") == "False False"


def test_running_a_circuit_on_qulacs_loads_no_numpy() -> None:
    run = (
        "from webapp.quantum.templates import get_template; from webapp.quantum.engines import RunRequest, get_engine; "
        "result = get_engine('qulacs').run(get_template('bell-state').create_circuit({}), RunRequest(10, 1)); "
        "print(sum(result.counts.values()), 'qulacs' in sys.modules, 'numpy' in sys.modules)"
    )
    assert _print(run) == "10 True False"
