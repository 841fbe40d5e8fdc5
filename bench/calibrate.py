"""Measure how long each method of simulation takes, and write calibration.json and the price list that follows from it.

`python -m bench.calibrate` keeps the list's version, so it is for a list that has not been published; `python -m
bench.calibrate 8` writes list 8. It prints how far the rates are off the examples that they are fitted to.
"""

import json
import math
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, astuple, dataclass
from itertools import chain
from pathlib import Path
from unittest.mock import patch

import numpy as np
from scipy.optimize import least_squares, nnls

from bench.circuits import Example, clifford, dynamic, ghz, layers, pairs, qaoa, qft, turns
from bench.report import show
from config import ROOT
from webapp.quantum.circuits import Circuit, gate, measure, measurement
from webapp.quantum.engines import RunRequest, base, get_engine
from webapp.quantum.engines.costs import (
    METHODS,
    Cost,
    Demands,
    Method,
    Rates,
    Units,
    add_seconds,
    count_memory,
    count_units,
)
from webapp.quantum.noise import NoiseModel
from webapp.quantum.pricing import PRICE_LIST_VERSION, list_picocredits

PATH = ROOT / "webapp" / "quantum" / "engines" / "calibration.json"
PRICE_LIST_PATH = ROOT / "webapp" / "quantum" / "price_list.json"

_ROUNDS = 5
# What fits any example worse than a nanosecond is not there.
_SMALLEST_SHARE_SECONDS = 1e-9

_NOISE = NoiseModel(depolarizing=0.001, two_qubit_depolarizing=0.01)
_DAMPING = NoiseModel(amplitude_damping=0.005)
_ALL_NOISE = NoiseModel(0.001, 0.01, 0.005, 0.01, 0.02)


@dataclass(frozen=True)
class Fit:
    """The rates of a method, and of each of its examples what it took and what the rates say."""

    rates: Rates
    examples: list[Example]
    measured: list[float]
    estimated: list[float]

    def describe(self) -> str:
        """Say how far the rates are off: typically, and at worst both ways."""
        ratios = [told / took for told, took in zip(self.estimated, self.measured, strict=True)]
        typical = math.exp(statistics.fmean(abs(math.log(ratio)) for ratio in ratios))
        low, high = min(ratios), max(ratios)
        return (
            f"typically {typical:.2f} times off; lowest {low:.2f} ({_describe(self.examples[ratios.index(low)])}), "
            f"highest {high:.2f} ({_describe(self.examples[ratios.index(high)])})"
        )


def main() -> None:
    """Calibrate every method, and make the price list."""
    os.environ["OMP_NUM_THREADS"] = "1"
    version = sys.argv[1] if len(sys.argv) > 1 else PRICE_LIST_VERSION
    rates: dict[str, Rates] = {}
    for engine, methods in METHODS.items():
        for method in methods:
            fit = calibrate(engine, method)
            rates[method] = fit.rates
            show(f"{method}: {fit.rates}\n  {fit.describe()}")
    picocredits = {method: asdict(list_picocredits(each)) for method, each in rates.items()}
    _write(PATH, {method: asdict(each) for method, each in rates.items()})
    _write(PRICE_LIST_PATH, {"version": version, "picocredits": picocredits})


def _write(path: Path, content: object) -> None:
    """Write a file of JSON."""
    path.write_text(json.dumps(content, indent=2) + "\n")


def calibrate(engine: str, method: Method) -> Fit:
    """Fit a method's rates to what its examples took."""
    examples = list(_EXAMPLES[method]())
    units = [count_units(method, measure(each.circuit), Demands(each.shots, each.noise)) for each in examples]
    measured = _time_in_turns(engine, method, examples)
    rates = fit_rates(units, measured)
    return Fit(rates, examples, measured, [add_seconds(rates, each) for each in units])


def fit_rates(units: Iterable[Units], measured: list[float]) -> Rates:
    """Find the rates whose estimates are, by ratio, nearest to what was measured: half and twice are as far off.

    Small and large circuits count alike.
    """
    matrix, times = np.array([astuple(each) for each in units], dtype=float), np.array(measured)
    # Columns of very different sizes are brought to one, or the fit would lose the small ones.
    scale = np.maximum(matrix.max(axis=0), 1)
    shares = matrix / scale
    start, _ = nnls(shares / times[:, None], np.ones(len(times)))
    solution = least_squares(
        lambda rates: np.log(shares @ rates / times), start + times.min() / 100, bounds=(0, np.inf), x_scale="jac"
    ).x
    is_there = (matrix.max(axis=0) > 0) & (solution > _SMALLEST_SHARE_SECONDS)
    return Rates(*np.where(is_there, solution / scale, 0.0).tolist())


def _time_in_turns(engine: str, method: Method, examples: list[Example]) -> list[float]:
    """Time examples in rounds over all of them, so that a disturbance does not meet one alone; the least counts."""
    rounds = [[time_run(engine, method, each, seed) for each in examples] for seed in range(_ROUNDS)]
    return [min(times) for times in zip(*rounds, strict=True)]


def time_run(engine: str, method: Method, example: Example, seed: int) -> float:
    """Run an example with one method, and give its CPU time: other programs take none of it."""
    forced = Cost(method, Units(0, 0, 0, 0, 0, 0, 0, 0), count_memory(method, measure(example.circuit)), 0.0)
    with patch.object(base, "find_cheapest", lambda *_: forced):
        circuit = example.unread
        started = time.process_time()
        get_engine(engine).run(circuit, RunRequest(example.shots, seed, example.noise))
        return time.process_time() - started


def _describe(example: Example) -> str:
    """Name an example by its measures."""
    profile = measure(example.circuit)
    noise = "" if example.noise is None else ", noisy"
    return f"{profile.qubits} qubits, {profile.gates} gates, {profile.clbits} bits, {example.shots} shots{noise}"


def _state_vectors(largest: int) -> Iterator[Example]:
    """List circuits for a state vector."""
    for shots in (1, 1_000, 20_000):
        yield Example("", ghz(2), shots)
        yield Example("", layers(8, 20), shots)
    # So many gates on so few qubits take as long as it takes to hand each over.
    yield Example("", layers(2, 2_000), 100)
    yield Example("", clifford(4, 1_000), 100)
    for qubits in range(4, largest + 1, 2):
        yield Example("", layers(qubits, 10))
        yield Example("", qft(qubits))
        yield Example("", qaoa(qubits))
        yield Example("", clifford(qubits, 10))
        yield Example("", layers(qubits, 4), 20_000)


def _noisy(largest: int) -> Iterator[Example]:
    """List circuits whose gates fail."""
    for qubits in range(2, largest + 1, 2):
        for noise in (_NOISE, _DAMPING, _ALL_NOISE):
            yield Example("", layers(qubits, 5), 200, noise)
            yield Example("", turns(qubits, 40), 200, noise)
            yield Example("", pairs(qubits, 40), 200, noise)


def _densities() -> Iterator[Example]:
    """List circuits for a density matrix."""
    yield from _noisy(10)
    for qubits in range(2, 11, 2):
        yield Example("", qft(qubits), noise=_NOISE)
        yield Example("", layers(qubits, 5))
        yield Example("", ghz(qubits), 10_000)
        yield Example("", pairs(qubits, 40), noise=NoiseModel(readout_0_to_1=0.01))


def _one_by_one(largest: int, *, is_clifford: bool = False, is_noisy: bool = True) -> Iterator[Example]:
    """List circuits whose shots Aer simulates one by one."""
    make = clifford if is_clifford else layers
    for shots in (100, 1_000):
        for qubits, rounds in ((2, 1), (2, 10), (4, 5), (largest, 2)):
            yield Example("", dynamic(qubits, rounds, is_clifford=is_clifford), shots)
            if is_noisy:
                yield Example("", make(qubits, rounds), shots, _NOISE)


def _cliffords() -> Iterator[Example]:
    """List Clifford circuits."""
    for shots in (1, 1_000, 10_000):
        for qubits in (2, 10, 50):
            yield Example("", clifford(qubits, 10), shots)
            yield Example("", ghz(qubits), shots)
    yield Example("", clifford(200, 10), 100)


def _wide_tableaus() -> Iterator[Example]:
    """List Clifford circuits on so many qubits that measuring them takes longer than their gates."""
    for noise in (None, _NOISE):
        yield Example("", ghz(300), 50, noise)
        yield Example("", clifford(400, 3), 50, noise)


def _slightly_entangled() -> Iterator[Example]:
    """List circuits for matrix product states."""
    for qubits in (10, 20, 50):
        for depth in (2, 4, 8, 12):
            yield Example("", layers(qubits, depth), 10)
            yield Example("", layers(qubits, depth))
        yield Example("", ghz(qubits), 10_000)


def _wide(qubits: int, shots: int, bits: int = 1_000) -> Iterator[Example]:
    """List circuits whose shots are many bits, nearly all of them different, and in an order of their own."""
    turned = [gate("h", qubit) for qubit in range(qubits)]
    for clbits in {qubits, bits}:
        ends = [measurement(clbit % qubits, clbits - 1 - clbit) for clbit in range(clbits)]
        yield Example("", Circuit(qubits, clbits, (*turned, *ends)), shots)


_EXAMPLES: dict[Method, Callable[[], Iterator[Example]]] = {
    "qulacs": lambda: chain(_state_vectors(20), _wide(15, 20_000)),
    "qsim": lambda: chain(_state_vectors(20), _wide(15, 20_000)),
    "stim": lambda: chain(_cliffords(), _wide(20, 20_000), _wide(1_000, 20_000), _wide(1_000, 100_000)),
    "aer_statevector": lambda: chain(_state_vectors(18), _one_by_one(10), _noisy(12), _wide(10, 20_000)),
    "aer_density_matrix": lambda: chain(_densities(), _one_by_one(5, is_noisy=False), _wide(5, 20_000)),
    "aer_stabilizer": lambda: chain(
        _cliffords(), _wide_tableaus(), _one_by_one(20, is_clifford=True), _wide(2, 5_000), _wide(20, 5_000)
    ),
    "aer_matrix_product_state": lambda: chain(
        _slightly_entangled(), _one_by_one(6, is_noisy=False), _wide(50, 2_000), _wide(200, 2_000), _wide(1_000, 500)
    ),
}


if __name__ == "__main__":
    main()
