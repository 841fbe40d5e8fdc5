import math
from collections.abc import Mapping

import pytest

from webapp.quantum.circuits import check_circuit
from webapp.quantum.engines import RunRequest, check_runnable, get_capabilities, get_engine
from webapp.quantum.templates import Template, TemplateNotFoundError, get_template, list_templates
from webapp.quantum.templates.optimization import count_cut, list_edges

from .reference import exact_distribution
from .statistics import assert_counts_fit, assert_same_distribution

_MAX_TEMPLATE_QUBITS = 20

# Beside the defaults, which every template is tested with.
_EXAMPLES: list[tuple[str, Mapping[str, object]]] = [
    ("quantum-random-number", {"bits": 1}),
    ("bell-state", {"state": "phi_minus"}),
    ("bell-state", {"state": "psi_plus"}),
    ("bell-state", {"state": "psi_minus"}),
    ("ghz-state", {"qubits": 2}),
    ("ghz-state", {"qubits": 12}),
    ("w-state", {"qubits": 2}),
    ("w-state", {"qubits": 7}),
    *(("chsh-game", {"alice": alice, "bob": bob}) for alice in (0, 1) for bob in (0, 1)),
    *(("superdense-coding", {"message": message}) for message in ("00", "01", "10", "11")),
    ("quantum-teleportation", {"theta": 0}),
    ("quantum-teleportation", {"theta": 2.5}),
    ("swap-test", {"first": 1.0, "second": 1.0}),
    ("swap-test", {"first": 0.2, "second": 3.3}),
    ("deutsch-jozsa", {"function": "constant_zero", "bits": 1}),
    ("deutsch-jozsa", {"function": "constant_one", "bits": 5}),
    ("deutsch-jozsa", {"function": "balanced", "bits": 7}),
    ("bernstein-vazirani", {"secret": "1"}),
    ("bernstein-vazirani", {"secret": "0000"}),
    ("bernstein-vazirani", {"secret": "0010111"}),
    ("simon", {"secret": "000"}),
    ("simon", {"secret": "100"}),
    ("simon", {"secret": "1011"}),
    *(("grover-search", {"marked": f"{marked:03b}"}) for marked in range(8)),
    *(("grover-search", {"iterations": iterations}) for iterations in (0, 1, 3, 10)),
    *(("quantum-fourier-transform", {"qubits": 5, "period": period}) for period in (1, 2, 4, 8)),
    ("quantum-fourier-transform", {"qubits": 3, "period": 8}),
    ("phase-estimation", {"counting": 1, "phase": 0.25}),
    ("phase-estimation", {"counting": 5, "phase": 0.3}),
    ("phase-estimation", {"counting": 3, "phase": 1}),
    ("phase-estimation", {"counting": 6, "phase": 1 / 3}),
    *(("qaoa-optimization", {"graph": graph, "nodes": 5}) for graph in ("ring", "path", "star", "complete")),
    ("qaoa-optimization", {"nodes": 3, "gamma": 2.1, "beta": 3.0}),
    ("vqe-ansatz", {"theta": 1.2}),
    ("vqe-ansatz", {"theta": 1.2, "basis": "x"}),
    ("vqe-ansatz", {"theta": 4.0, "basis": "x"}),
    *(("bit-flip-code", {"error": error}) for error in ("none", "qubit_0", "qubit_1", "qubit_2")),
    *((template.id, {}) for template in list_templates()),
]


@pytest.mark.parametrize(("template_id", "parameters"), _EXAMPLES)
def test_the_engine_gives_what_the_textbook_says(template_id: str, parameters: Mapping[str, object]) -> None:
    template = get_template(template_id)
    circuit = template.create_circuit(parameters)
    expected = template.expected_distribution(parameters) or exact_distribution(circuit)
    assert sum(expected.values()) == pytest.approx(1.0)
    result = get_engine("qulacs").run(circuit, RunRequest(4_000, 11))
    assert result.probabilities is not None
    assert_same_distribution(result.probabilities, expected)
    assert_counts_fit(result.counts, expected)


def test_only_the_ansatz_that_has_no_formula_comes_without_one() -> None:
    without = [template.id for template in list_templates() if template.distribution is None]
    assert without == ["two-local-ansatz"]


def test_the_promised_templates_exist_and_have_the_promised_sizes() -> None:
    sizes = {"quantum-coin-flip": 1, "bell-state": 2, "grover-search": 3, "qaoa-optimization": 4}
    for template_id, qubits in sizes.items():
        assert get_template(template_id).create_circuit({}).qubits == qubits


def test_ids_are_unique_and_an_unknown_one_is_not_found() -> None:
    ids = [template.id for template in list_templates()]
    assert len(ids) == len(set(ids))
    with pytest.raises(TemplateNotFoundError, match="bell-state") as caught:
        get_template("bell")
    assert caught.value.status == 404


@pytest.mark.parametrize("template", list_templates(), ids=lambda template: template.id)
def test_every_template_has_texts_for_a_learner(template: Template) -> None:
    assert template.description.count(".") == 1
    assert template.description.endswith(".")
    assert len(template.explanation) > len(template.description)
    assert template.expect.endswith(".")
    assert all(parameter.description and parameter.allowed for parameter in template.parameters)


@pytest.mark.parametrize("template", list_templates(), ids=lambda template: template.id)
def test_the_declared_qubits_are_those_of_the_circuits(template: Template) -> None:
    assert template.create_circuit({}).qubits == template.qubits.default
    assert template.create_circuit(_extreme(template, largest=False)).qubits == template.qubits.minimum
    assert template.create_circuit(_extreme(template, largest=True)).qubits == template.qubits.maximum


@pytest.mark.parametrize("template", list_templates(), ids=lambda template: template.id)
def test_the_largest_circuit_of_every_template_is_small_and_can_run(template: Template) -> None:
    circuit = template.create_circuit(_extreme(template, largest=True))
    assert circuit.qubits <= _MAX_TEMPLATE_QUBITS
    assert len(circuit.operations) <= 1_000
    check_circuit(circuit)
    check_runnable(circuit, get_capabilities("qulacs"))


@pytest.mark.parametrize("template", list_templates(), ids=lambda template: template.id)
def test_the_defaults_are_right_values_of_their_own_parameters(template: Template) -> None:
    for parameter in template.parameters:
        assert parameter.find_problem(parameter.default) is None


def test_one_layer_of_qaoa_cuts_three_quarters_of_a_ring() -> None:
    # Wang, Hadfield, Jiang and Rieffel, Phys. Rev. A 97, 022304: 1/2 + sin(4 beta) sin(2 gamma) / 4 of the edges.
    template = get_template("qaoa-optimization")
    for gamma, beta in ((math.pi / 4, math.pi / 8), (0.4, 0.9)):
        distribution = template.expected_distribution({"nodes": 6, "gamma": gamma, "beta": beta})
        assert distribution is not None
        cut = sum(value * count_cut(list_edges("ring", 6), bits) for bits, value in distribution.items())
        assert cut / 6 == pytest.approx(0.5 + math.sin(4 * beta) * math.sin(2 * gamma) / 4)


def test_the_numbers_in_the_texts_of_grover_are_true() -> None:
    template = get_template("grover-search")
    for iterations, share in ((1, "78.1 %"), (2, "94.5 %"), (3, "33.0 %")):
        distribution = template.expected_distribution({"marked": "101", "iterations": iterations})
        assert distribution is not None
        assert f"{100 * distribution['101']:.1f} %" == share
        assert share in template.expect


def test_the_best_splits_of_the_default_graph_stand_out() -> None:
    distribution = get_template("qaoa-optimization").expected_distribution({})
    assert distribution is not None
    assert set(sorted(distribution, key=distribution.__getitem__)[-2:]) == {"0101", "1010"}


def _extreme(template: Template, *, largest: bool) -> dict[str, object]:
    """Give every bounded parameter its smallest or largest value."""
    values: dict[str, object] = {}
    for parameter in template.parameters:
        bound = parameter.maximum if largest else parameter.minimum
        if bound is not None:
            values[parameter.name] = "1" * int(bound) if parameter.type == "string" else bound
    return values
