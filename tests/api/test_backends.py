"""GET /backends and /backends/{backendId}."""

import pytest

from tests.api.helpers import Service, read_error


def test_the_default_simulator_comes_first_and_is_online(refusing: Service) -> None:
    first = refusing.get("/backends").get_json()["backends"][0]
    assert (first["id"], first["kind"], first["status"], first["statusReason"]) == (
        "local-simulator",
        "simulator",
        "online",
        None,
    )
    assert first["qubits"] >= 20
    assert (first["maxShots"], first["queueDepth"]) == (100_000, 0)


def test_hardware_is_disabled_and_says_why(refusing: Service) -> None:
    backends = refusing.get("/backends").get_json()["backends"]
    hardware = [backend for backend in backends if backend["kind"] == "hardware"]
    assert hardware
    for backend in hardware:
        assert backend["status"] == "disabled"
        assert backend["statusReason"]
        assert backend["engines"] == []


def test_one_backend_reads_as_it_does_in_the_list(refusing: Service) -> None:
    for listed in refusing.get("/backends").get_json()["backends"]:
        assert refusing.get(f"/backends/{listed['id']}").get_json() == listed


@pytest.mark.parametrize("backend_id", ["nothing", "Local-Simulator", "qulacs%20", "%ff", "a" * 5_000])
def test_an_unknown_backend_is_a_404_that_names_those_there_are(refusing: Service, backend_id: str) -> None:
    error = read_error(refusing.get(f"/backends/{backend_id}"), 404, "not_found")
    assert "local-simulator" in error["message"]
    assert backend_id not in error["message"]
