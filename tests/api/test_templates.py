"""GET /templates and /templates/{templateId}."""

import pytest

from tests.api.helpers import Service, read_error

PROMISED = {"quantum-coin-flip": 1, "bell-state": 2, "grover-search": 3, "qaoa-optimization": 4}


def test_the_promised_templates_come_first(refusing: Service) -> None:
    templates = refusing.get("/templates").get_json()["templates"]
    assert {template["id"]: template["qubits"]["default"] for template in templates[:4]} == PROMISED
    assert len({template["id"] for template in templates}) == len(templates) > len(PROMISED)


def test_one_template_reads_as_it_does_in_the_list(refusing: Service) -> None:
    for listed in refusing.get("/templates").get_json()["templates"]:
        assert refusing.get(f"/templates/{listed['id']}").get_json() == listed


def test_every_parameter_says_what_is_allowed(refusing: Service) -> None:
    templates = refusing.get("/templates").get_json()["templates"]
    parameters = [parameter for template in templates for parameter in template["parameters"]]
    assert parameters
    for parameter in parameters:
        assert parameter["type"] in {"integer", "number", "string"}
        assert parameter["allowed"]
        assert parameter["choices"] or parameter["minimum"] <= parameter["maximum"]
        assert parameter["default"] is not None


@pytest.mark.parametrize("template_id", ["nothing", "Bell-State", "bell-state%20", "bell_state", "%ff", "a" * 5_000])
def test_an_unknown_template_is_a_404_that_names_those_there_are(refusing: Service, template_id: str) -> None:
    error = read_error(refusing.get(f"/templates/{template_id}"), 404, "not_found")
    assert error["target"] == "templateId"
    assert "bell-state" in error["message"]
    assert template_id not in error["message"]
