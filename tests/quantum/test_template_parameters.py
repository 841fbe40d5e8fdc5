import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from webapp.core.errors import FieldError, InvalidFieldsError
from webapp.quantum.templates import get_template, list_templates
from webapp.quantum.templates.parameters import ParameterValues, bitstring, check_parameters, choice, integer

_QUIET = settings(database=None, derandomize=True, max_examples=50)


def _name_of_type(value: object) -> str:
    """Name a test by the type of its value, which may itself be too long."""
    return type(value).__name__


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=5), children, max_size=3),
    max_leaves=5,
)


def _wrong(template_id: str, given: dict[str, object]) -> tuple[FieldError, ...]:
    """Return what is refused about these parameters."""
    with pytest.raises(InvalidFieldsError) as caught:
        get_template(template_id).create_circuit(given)
    assert caught.value.status == 422
    return caught.value.details


def test_every_wrong_parameter_is_reported_at_once_with_its_path_and_what_is_allowed() -> None:
    details = _wrong("qaoa-optimization", {"nodes": 99, "graph": "cube", "gamma": "big", "beta": math.nan, "p": 1})
    assert {detail.path: detail.allowed for detail in details} == {
        "parameters.p": "only nodes, graph, gamma, beta",
        "parameters.nodes": "a whole number from 3 to 12",
        "parameters.graph": "one of ring, path, star, complete",
        "parameters.gamma": f"a number from 0.0 to {2 * math.pi}",
        "parameters.beta": f"a number from 0.0 to {math.pi}",
    }


@pytest.mark.parametrize(
    "value",
    [
        True,
        False,
        None,
        3.0,
        3.5,
        math.nan,
        math.inf,
        -math.inf,
        1,
        21,
        -3,
        10**5_000,
        -(10**5_000),
        "3",
        [3],
        [[3]],
        {},
    ],
    ids=_name_of_type,
)
def test_a_whole_number_must_be_one_and_within_its_bounds(value: object) -> None:
    details = _wrong("ghz-state", {"qubits": value})
    assert [detail.path for detail in details] == ["parameters.qubits"]
    assert details[0].allowed == "a whole number from 2 to 20"


@pytest.mark.parametrize(
    "value", [True, None, math.nan, math.inf, -math.inf, -0.001, 3.2, 10**400, "1", [1.0], {"a": 1}], ids=_name_of_type
)
def test_an_angle_must_be_a_number_and_within_its_bounds(value: object) -> None:
    assert [detail.path for detail in _wrong("quantum-teleportation", {"theta": value})] == ["parameters.theta"]


@pytest.mark.parametrize(
    "value",
    ["", "10", "1010", "1o1", " 101", "\uff11\uff10\uff11", "101\n", "1" * 10**6, 101, True, None, ["1", "0", "1"]],
    ids=_name_of_type,
)
def test_a_bitstring_must_be_of_the_right_length_and_of_bits_only(value: object) -> None:
    details = _wrong("grover-search", {"marked": value})
    assert [detail.allowed for detail in details] == ["exactly 3 characters, each one of 01"]


@pytest.mark.parametrize("value", [True, False, 0.0, 2, "0", None, [0]], ids=_name_of_type)
def test_a_choice_must_be_one_of_the_choices_and_of_their_type(value: object) -> None:
    assert [detail.allowed for detail in _wrong("chsh-game", {"alice": value})] == ["one of 0, 1"]


def test_a_whole_number_is_good_enough_for_a_number() -> None:
    assert get_template("quantum-teleportation").check_parameters({"theta": 1}).number("theta") == 1.0


def test_what_is_not_given_has_its_default() -> None:
    values = get_template("grover-search").check_parameters({"marked": "000"})
    assert values.as_dict() == {"marked": "000", "iterations": 2}


def test_a_template_without_parameters_takes_none() -> None:
    details = _wrong("quantum-coin-flip", {"sides": 6})
    assert details == (
        FieldError("parameters.sides", "There is no such parameter.", "this template takes no parameters"),
    )


@pytest.mark.parametrize(
    "name", ["", "größe", "量子", "qubits ", "Qubits", "__class__", "x" * 10**6, "\x00"], ids=_name_of_type
)
def test_an_unknown_name_of_any_kind_is_refused_and_long_ones_are_cut(name: str) -> None:
    details = _wrong("ghz-state", {name: 3})
    assert details[0].path == f"parameters.{name[:64]}"
    assert details[0].allowed == "only qubits"


@_QUIET
@given(
    st.dictionaries(st.sampled_from(["qubits", "theta", "secret", "marked", "graph"]) | st.text(), _JSON, max_size=4)
)
def test_anything_at_all_is_either_a_circuit_or_a_list_of_wrong_fields(values: dict[str, object]) -> None:
    for template in list_templates():
        try:
            circuit = template.create_circuit(values)
        except InvalidFieldsError as error:
            assert error.details  # noqa: PT017 - both outcomes are right, each in its own way
        else:
            assert circuit.qubits <= template.qubits.maximum


def test_values_are_read_by_type() -> None:
    parameters = (
        integer("size", 3, 1, 5, "A size."),
        bitstring("bits", "01", 1, 4, "Bits."),
        choice("pick", (8, 9), "?"),
    )
    values = check_parameters(parameters, {"size": 4})
    assert (values.integer("size"), values.string("bits"), values.integer("pick")) == (4, "01", 8)
    with pytest.raises(TypeError, match="bits is no whole number"):
        values.integer("bits")
    with pytest.raises(KeyError):
        ParameterValues({}).integer("size")


def test_no_more_errors_are_made_of_many_unknown_names_than_are_shown() -> None:
    with pytest.raises(InvalidFieldsError, match="More than 100 fields are wrong") as caught:
        check_parameters([], dict.fromkeys(map(str, range(1_000)), 1))
    assert len(caught.value.details) == 100
