import pytest

from tests.quantum.factories import random_circuit, random_clifford_circuit, random_dynamic_circuit
from webapp.quantum.backends import list_backends
from webapp.quantum.circuits import Circuit, gate, measure, measured_circuit
from webapp.quantum.engines import (
    ENGINE_NAMES,
    CircuitTooLargeError,
    RunRequest,
    UnsupportedCircuitError,
    get_capabilities,
    get_engine,
)
from webapp.quantum.engines.costs import Demands
from webapp.quantum.noise import NoiseModel
from webapp.quantum.router import choose_engine
from webapp.quantum.templates import list_templates


def _ghz(qubits: int) -> Circuit:
    return measured_circuit(qubits, [gate("h", 0), *(gate("cx", q, q + 1) for q in range(qubits - 1))])


def _ladder(qubits: int, depth: int) -> Circuit:
    layer = [gate("t", 0), *(gate("cx", q, q + 1) for q in range(qubits - 1))]
    return measured_circuit(qubits, [gate("h", 0), *(layer * depth)])


def test_every_template_stays_on_the_light_engine_and_the_reason_is_a_sentence_that_names_it() -> None:
    for template in list_templates():
        route = choose_engine(measure(template.create_circuit({})))
        assert route.engine == "qulacs", template.id
        assert route.reason.startswith("qulacs ")
        assert route.reason.endswith(".")


def test_a_backend_is_only_routed_to_its_own_engines() -> None:
    profile = measure(list_templates()[0].create_circuit({}))
    for backend in list_backends():
        if backend.engines and backend.id != "stim":
            assert choose_engine(profile, engines=backend.engines).engine in backend.engines


@pytest.mark.parametrize(
    ("circuit", "noise", "engine"),
    [
        (_ghz(300), None, "stim"),
        (_ghz(10), NoiseModel(depolarizing=0.01), "stim"),
        (_ladder(50, 2), None, "aer"),
        (_ladder(4, 2), NoiseModel(amplitude_damping=0.01), "aer"),
        (random_circuit(1, qubits=5, gates=60), None, "qulacs"),
        (random_circuit(1, qubits=20, gates=600), None, "qsim"),
        (random_dynamic_circuit(3, qubits=3), None, "qulacs"),
    ],
)
def test_each_kind_of_circuit_goes_where_it_runs_best(circuit: Circuit, noise: NoiseModel | None, engine: str) -> None:
    route = choose_engine(measure(circuit), Demands(noise=noise))
    assert route.engine == engine
    assert route.cost.seconds > 0


def test_small_circuits_stay_on_qulacs_whatever_their_shots_and_wide_clifford_ones_need_no_worker() -> None:
    for shots in (1, 1_000, 100_000):
        assert choose_engine(measure(_ghz(2)), Demands(shots)).engine == "qulacs"
    assert choose_engine(measure(random_clifford_circuit(1, qubits=20, gates=200))).engine == "stim"
    assert get_capabilities("stim").is_light


def test_the_engine_that_a_user_names_is_taken_and_the_reason_says_so() -> None:
    route = choose_engine(measure(_ghz(3)), requested="aer")
    assert route.engine == "aer"
    assert route.reason.endswith("You named it.")


def test_a_circuit_that_nothing_runs_is_refused_with_the_reason_of_every_engine() -> None:
    entangled = [gate("cx", first, second) for first in range(60) for second in range(first)]
    circuit = measured_circuit(60, [gate("t", 0), *entangled])
    with pytest.raises(CircuitTooLargeError, match="qulacs: 60 qubits need 24 EiB") as caught:
        choose_engine(measure(circuit))
    assert all(f"{engine}: " in caught.value.message for engine in ENGINE_NAMES)
    assert "Use fewer qubits" in caught.value.message
    assert caught.value.extra["limitBytes"] == 2**30


def test_engines_that_refuse_alike_say_so_once() -> None:
    demands = Demands(10, NoiseModel(depolarizing=0.1), wants_statevector=True)
    with pytest.raises(UnsupportedCircuitError) as caught:
        choose_engine(measure(_ghz(2)), demands)
    assert "qulacs, stim, qsim, aer: a statevector comes from" in caught.value.message
    assert caught.value.message.count("statevector") == 1


def test_a_named_engine_that_cannot_run_the_circuit_is_refused_with_its_reason() -> None:
    with pytest.raises(UnsupportedCircuitError, match="stim: the circuit has gates other than Clifford gates"):
        choose_engine(measure(_ladder(3, 1)), requested="stim")
    with pytest.raises(UnsupportedCircuitError, match="qulacs: it simulates no noise"):
        choose_engine(measure(_ghz(3)), Demands(noise=NoiseModel(depolarizing=0.1)), requested="qulacs")
    with pytest.raises(UnsupportedCircuitError, match="a statevector comes from"):
        choose_engine(measure(_ghz(3)), Demands(wants_statevector=True), requested="qsim")


@pytest.mark.parametrize("seed", range(15))
@pytest.mark.parametrize("noise", [None, NoiseModel(depolarizing=0.01), NoiseModel(0.01, 0.02, 0.01, 0.1, 0.2)])
def test_what_the_router_chooses_runs_on_the_engine(seed: int, noise: NoiseModel | None) -> None:
    makers = [random_clifford_circuit, random_circuit]
    circuit = (
        makers[seed % 2](seed, qubits=2 + seed % 3, gates=15) if seed % 3 else random_dynamic_circuit(seed, qubits=3)
    )
    route = choose_engine(measure(circuit), Demands(20, noise))
    result = get_engine(route.engine).run(circuit, RunRequest(20, seed, noise=noise))
    assert sum(result.counts.values()) == 20
