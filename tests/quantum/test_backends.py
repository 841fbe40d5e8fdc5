import pytest

from webapp.quantum.backends import BackendNotFoundError, get_backend, list_backends
from webapp.quantum.engines import ENGINE_NAMES, get_capabilities


def test_the_default_backend_comes_first_and_routes_to_every_engine() -> None:
    first = list_backends()[0]
    assert first.id == "local-simulator"
    assert first.engines == ENGINE_NAMES
    assert (first.kind, first.status, first.qubits, first.max_shots) == ("simulator", "online", 1_024, 100_000)


def test_every_backend_can_be_got_by_its_id() -> None:
    for backend in list_backends():
        assert get_backend(backend.id) is backend


def test_a_backend_takes_what_the_memory_of_its_engine_holds_and_says_so() -> None:
    # 2^25 amplitudes of 24 bytes and 2^27 of 8 fit one gibibyte.
    assert [get_backend(name).qubits for name in ("qulacs", "qsim", "stim")] == [25, 27, 1_024]
    assert "up to 27 qubits" in get_backend("local-simulator").description


def test_hardware_is_disabled_and_says_why() -> None:
    hardware = [backend for backend in list_backends() if backend.kind == "hardware"]
    assert hardware
    for backend in hardware:
        assert backend.status == "disabled"
        assert backend.engines == ()
        assert backend.status_reason is not None
        assert "No provider is configured" in backend.status_reason


def test_an_unknown_backend_is_not_found_and_the_known_ones_are_named() -> None:
    with pytest.raises(BackendNotFoundError, match="local-simulator") as caught:
        get_backend("nowhere")
    assert caught.value.status == 404


def test_simulators_offer_no_gate_and_no_width_that_none_of_their_engines_has() -> None:
    for backend in list_backends():
        if backend.engines:
            engines = [get_capabilities(engine) for engine in backend.engines]
            assert all(any(name in engine.gates for engine in engines) for name in backend.gates)
            assert backend.qubits == max(engine.max_qubits for engine in engines)


def test_every_engine_is_a_backend_of_its_own() -> None:
    for engine in ENGINE_NAMES:
        assert get_backend(engine).engines == (engine,)
