import pytest

from webapp.core.errors import InvalidFieldsError
from webapp.quantum.limits import MAX_OBSERVABLES
from webapp.quantum.observables import PauliTerm, read_observable, read_observables


def test_the_rightmost_character_is_qubit_0_and_identities_are_left_out() -> None:
    observable = read_observable("ZIXY")
    assert observable.terms == (PauliTerm(1.0, ((0, "Y"), (1, "X"), (3, "Z"))),)
    assert (observable.label, observable.width) == ("ZIXY", 4)


def test_a_sum_is_read_with_its_weights_and_written_in_one_line() -> None:
    observable = read_observable({"XX": 0.5, "ZI": -1})
    assert [term.coefficient for term in observable.terms] == [0.5, -1.0]
    assert observable.label == "0.5*XX - 1*ZI"


@pytest.mark.parametrize(
    "given", ["", "ZZA", "zz", {}, {"ZZ": float("nan")}, {"ZZ": 10**400}, {"ZZ": 1e300}, {"ZZ": True}, {"": 1.0}]
)
def test_anything_else_is_refused_with_its_path(given: str) -> None:
    with pytest.raises(InvalidFieldsError) as caught:
        read_observables(["ZZ", given])
    assert [detail.path for detail in caught.value.details] == ["observables[1]"]


def test_too_many_are_refused() -> None:
    with pytest.raises(InvalidFieldsError):
        read_observables(["Z"] * (MAX_OBSERVABLES + 1))


def test_a_long_label_is_cut() -> None:
    assert len(read_observable("Z" * 500).label) == 120
