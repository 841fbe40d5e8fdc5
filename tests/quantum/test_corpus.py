"""Programs that exporters of others wrote: they are read, and mean what their makers mean."""

import json
from pathlib import Path
from typing import Any

import pytest

from webapp.quantum.circuits import check_circuit
from webapp.quantum.engines import RunRequest, get_engine
from webapp.quantum.programs import Program, read_program

_PROGRAMS: list[dict[str, Any]] = json.loads((Path(__file__).parent / "corpus" / "programs.json").read_text())


@pytest.mark.parametrize("program", _PROGRAMS, ids=lambda program: f"{program['name']} {program['format']}")
def test_a_program_of_others_has_the_distribution_that_its_makers_give_it(program: dict[str, Any]) -> None:
    circuit = read_program(Program(program["format"], program["source"]))
    check_circuit(circuit)
    probabilities = get_engine("qulacs").run(circuit, RunRequest(1, 1)).probabilities
    assert probabilities is not None
    for bits in probabilities.keys() | program["distribution"].keys():
        # The corpus keeps nine digits, and Cirq's states have seven.
        assert probabilities.get(bits, 0.0) == pytest.approx(program["distribution"].get(bits, 0.0), abs=2e-6), bits


def test_the_corpus_is_of_three_makers_in_both_languages() -> None:
    found = {(program["name"].split()[0], program["format"]) for program in _PROGRAMS}
    assert found >= {(maker, f"openqasm{v}") for maker in ("mqt.bench", "qiskit", "cirq") for v in (2, 3)}
