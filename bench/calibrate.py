"""Measure how long each method of simulation takes, and write webapp/quantum/engines/calibration.json.

`python -m bench.calibrate` prints beside it each rate in picoseconds, twice over: what the price list is made of.
"""

import json
import math
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, astuple, replace
from functools import partial
from itertools import chain
from unittest.mock import patch

import numpy as np
from scipy.optimize import nnls

from bench.circuits import Example, clifford, dynamic, ghz, layers, qaoa, qft
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
from webapp.quantum.pricing import PRICE_MARGIN

PATH = ROOT / "webapp" / "quantum" / "engines" / "calibration.json"

_ROUNDS = 5
_NOISE = NoiseModel(depolarizing=0.001, two_qubit_depolarizing=0.01)


def main() -> None:
    """Calibrate every method."""
    os.environ["OMP_NUM_THREADS"] = "1"
    rates: dict[str, Rates] = {}
    for engine, methods in METHODS.items():
        for method in methods:
            rates[method] = calibrate(engine, method)
            picocredits = [math.ceil(PRICE_MARGIN * rate * 1e12) for rate in astuple(rates[method])]
            show(f"{method}: {rates[method]}, priced {picocredits}")
    PATH.write_text(json.dumps({method: asdict(rate) for method, rate in rates.items()}, indent=2) + "\n")


def calibrate(engine: str, method: Method) -> Rates:
    """Fit a method's rates to what its examples took, each by its share: small and large circuits count alike."""
    rows, seconds = [], []
    for example in _EXAMPLES[method]():
        # The bits of these are few.
        rows.append(astuple(_count(method, example))[:-1])
        seconds.append(_time(engine, method, example))
    matrix, times = np.array(rows, dtype=float), np.array(seconds)
    # Columns of very different sizes are brought to one, or the fit would lose the small ones.
    scale = np.maximum(matrix.max(axis=0), 1)
    solution, _ = nnls(matrix / times[:, None] / scale, np.ones(len(times)))
    rates = Rates(*[*(solution / scale).tolist(), 0.0])
    return replace(rates, bit_seconds=measure_bits(engine, method, rates))


def measure_bits(engine: str, method: Method, rates: Rates) -> float:
    """Give the most that a bit of a wide circuit's shots takes, beside what the other rates account for."""
    rests = [
        (_time(engine, method, example) - add_seconds(rates, units)) / units.bits
        for example in _WIDE[method]()
        for units in [_count(method, example)]
    ]
    return max(0.0, *rests)


def _count(method: Method, example: Example) -> Units:
    """Count what an example's run consists of."""
    return count_units(method, measure(example.circuit), Demands(example.shots, example.noise))


def _time(engine: str, method: Method, example: Example) -> float:
    """Run an example with one method, and give the least CPU time of several: other programs take none of it."""
    profile = measure(example.circuit)
    forced = Cost(method, Units(0, 0, 0, 0, 0, 0, 0), count_memory(method, profile), 0.0)
    times = []
    with patch.object(base, "find_cheapest", lambda *_: forced):
        for seed in range(_ROUNDS):
            started = time.process_time()
            get_engine(engine).run(example.circuit, RunRequest(example.shots, seed, example.noise))
            times.append(time.process_time() - started)
    return min(times)


def _state_vectors(largest: int) -> Iterator[Example]:
    """List circuits for a state vector."""
    for shots in (1, 1_000, 20_000):
        yield Example("", ghz(2), shots)
        yield Example("", layers(8, 20), shots)
    for qubits in range(10, largest + 1, 2):
        yield Example("", layers(qubits, 10))
        yield Example("", qft(qubits))
        yield Example("", qaoa(qubits))
        yield Example("", ghz(qubits))
        yield Example("", clifford(qubits, 10))


def _noisy() -> Iterator[Example]:
    """List circuits for a density matrix."""
    for qubits in range(2, 11, 2):
        yield Example("", layers(qubits, 5), noise=_NOISE)
        yield Example("", qft(qubits), noise=_NOISE)
        yield Example("", ghz(qubits), shots=10_000)


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


def _slightly_entangled() -> Iterator[Example]:
    """List circuits for matrix product states."""
    for qubits in (10, 20, 50):
        for depth in (2, 4, 8, 12):
            yield Example("", layers(qubits, depth))
        yield Example("", ghz(qubits), 10_000)


def _wide(qubits: int, shots: int, bits: int = 1_000) -> Iterator[Example]:
    """List circuits whose shots are many bits, nearly all of them different, and in an order of their own."""
    turned = [gate("h", qubit) for qubit in range(qubits)]
    for clbits in {qubits, bits}:
        ends = [measurement(clbit % qubits, clbits - 1 - clbit) for clbit in range(clbits)]
        yield Example("", Circuit(qubits, clbits, (*turned, *ends)), shots)


_EXAMPLES: dict[Method, Callable[[], Iterator[Example]]] = {
    "qulacs": partial(_state_vectors, 20),
    "qsim": partial(_state_vectors, 20),
    "stim": _cliffords,
    "aer_statevector": lambda: chain(_state_vectors(18), _one_by_one(10)),
    "aer_density_matrix": lambda: chain(_noisy(), _one_by_one(5, is_noisy=False)),
    "aer_stabilizer": lambda: chain(_cliffords(), _one_by_one(20, is_clifford=True)),
    "aer_matrix_product_state": lambda: chain(_slightly_entangled(), _one_by_one(6, is_noisy=False)),
}

_WIDE: dict[Method, Callable[[], Iterator[Example]]] = {
    "qulacs": partial(_wide, 15, 20_000),
    "qsim": partial(_wide, 15, 20_000),
    "stim": lambda: chain(_wide(20, 20_000), _wide(1_000, 20_000), _wide(1_000, 100_000)),
    "aer_statevector": partial(_wide, 10, 20_000),
    "aer_density_matrix": partial(_wide, 5, 20_000),
    "aer_stabilizer": lambda: chain(_wide(2, 5_000), _wide(20, 5_000)),
    "aer_matrix_product_state": lambda: chain(
        _wide(10, 2_000), _wide(200, 2_000), _wide(1_000, 500), [Example("", ghz(50)), Example("", ghz(200))]
    ),
}


if __name__ == "__main__":
    main()
