import pytest

from webapp.core.errors import InvalidFieldsError
from webapp.quantum.noise import PRESETS, NoiseModel, read_noise


def test_a_preset_is_read_by_its_name() -> None:
    assert read_noise("superconducting") is PRESETS["superconducting"]


def test_an_object_of_probabilities_is_read_and_the_rest_is_zero() -> None:
    assert read_noise({"depolarizing": 0.01, "amplitudeDamping": 1}) == NoiseModel(0.01, 0.0, 1.0)


def test_readout_sets_both_directions_unless_one_is_given_besides() -> None:
    assert read_noise({"readout1To0": 0.5, "readout": 0.1}) == NoiseModel(readout_0_to_1=0.1, readout_1_to_0=0.5)


@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan"), float("inf"), 10**400, True, "0.1", None])
def test_what_is_no_probability_is_refused(value: object) -> None:
    with pytest.raises(InvalidFieldsError) as caught:
        read_noise({"depolarizing": value, "cosmicRays": 0.1})
    assert [detail.path for detail in caught.value.details] == ["noise.depolarizing", "noise.cosmicRays"]


def test_an_unknown_preset_is_refused_and_the_known_ones_are_named() -> None:
    with pytest.raises(InvalidFieldsError) as caught:
        read_noise("perfect")
    assert caught.value.details[0].allowed == "one of superconducting, trapped-ion"


def test_a_model_cannot_be_made_of_what_is_no_probability() -> None:
    with pytest.raises(InvalidFieldsError) as caught:
        NoiseModel(depolarizing=2, readout_0_to_1=-1)
    assert [detail.path for detail in caught.value.details] == ["noise.depolarizing", "noise.readout_0_to_1"]


def test_pauli_noise_is_told_from_the_rest() -> None:
    assert NoiseModel(depolarizing=0.1, readout_0_to_1=0.2, readout_1_to_0=0.2).is_pauli
    assert not NoiseModel(amplitude_damping=0.1).is_pauli
    assert not NoiseModel(readout_0_to_1=0.1).is_pauli
