"""What came of circuits, as drawings."""

import pytest

from webapp.dashboard.charts import list_amplitudes, make_curves


def means(*values: float) -> dict[str, object]:
    return {"expectationValues": [{"observable": f"Z{i}", "value": value} for i, value in enumerate(values)]}


def test_amplitudes_name_their_basis_states_and_leave_out_what_is_nothing() -> None:
    found = list_amplitudes({"statevector": [[0.0, 0.0], [0.6, 0.0], [1e-9, 0.0], [0.0, -0.8]]})
    assert [each.bits for each in found] == ["01", "11"]
    assert [each.phase for each in found] == [0, -0.5]
    assert [each.probability for each in found] == pytest.approx([0.36, 0.64])
    assert list_amplitudes({"statevector": None}) == []


def test_curves_go_from_the_least_value_to_the_most_however_they_were_sent() -> None:
    curves = make_curves({"theta": [2, 0, 1], "n": 3}, [means(1, -2), means(0, 0), means(-1, 0)], shown=2)
    assert curves is not None
    assert (curves.parameter, curves.first, curves.last, curves.bottom, curves.top) == ("theta", 0, 2, -2, 1)
    assert curves.shown == 50
    assert curves.curves[0].points == "0.00,33.33 50.00,66.67 100.00,0.00"


@pytest.mark.parametrize(
    "parameters",
    [{"a": [1, 2], "b": [1, 2]}, {"a": ["x", "y"]}, {"a": [1, 1]}, {"a": [True, False]}, {"a": 1}],
)
def test_nothing_is_drawn_over_several_parameters_over_words_or_over_one_value(parameters: dict[str, object]) -> None:
    assert make_curves(parameters, [means(0), means(1)], shown=0) is None


def test_nothing_is_drawn_before_there_are_means() -> None:
    assert make_curves({"a": [1, 2]}, [{}, {}], shown=0) is None
