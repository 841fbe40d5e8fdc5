"""The router against each single engine, and against Aer's automatic method, on the published set of circuits.

`python -m bench.router` prints the table and writes docs/router.md. Every figure is CPU time, the least of several
rounds in which all engines take their turns: other programs on the machine take none of it.
"""

import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from bench.calibrate import time_run
from bench.circuits import Example, list_examples
from bench.report import show
from config import ROOT
from webapp.core.errors import UpcubeError
from webapp.quantum.circuits import measure
from webapp.quantum.engines import ENGINE_NAMES, RunRequest, get_engine
from webapp.quantum.engines.costs import Cost, Demands, estimate
from webapp.quantum.router import HANDOVER_SECONDS, add_handover, choose_engine

PATH = ROOT / "docs" / "router.md"

_ROUNDS = 3

# An engine that takes longer than this in the first round is not asked again.
_TOO_LONG_SECONDS = 2.0


@dataclass
class Measured:
    """The least time of every way to run a circuit, and the engine that the router chose.

    A way is an engine, which chooses its method itself, one of Aer's methods, or Aer's automatic one.
    """

    example: Example
    chosen: str
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def against_best(self) -> float:
        """How many times longer the router's choice takes than the best engine with the best of its methods."""
        ways = ((name if name in ENGINE_NAMES else "aer", seconds) for name, seconds in self.seconds.items())
        return add_handover(self.chosen, self.seconds[self.chosen]) / min(add_handover(*way) for way in ways)

    @property
    def best_method(self) -> str | None:
        """The quickest of Aer's methods, the automatic one among them."""
        methods = {name: seconds for name, seconds in self.seconds.items() if name not in ENGINE_NAMES}
        return min(methods, key=lambda name: methods[name]) if methods else None

    @property
    def against_automatic(self) -> float | None:
        """How many times longer Aer's automatic method takes than the router's choice; None where it refuses."""
        automatic = self.seconds.get("automatic")
        return None if automatic is None else automatic / self.seconds[self.chosen]


def main() -> None:
    """Measure, print and write."""
    os.environ["OMP_NUM_THREADS"] = "1"
    measured = []
    for example in list_examples():
        measured.append(measure_example(example))
        show(f"{example.name}: {measured[-1].chosen} {measured[-1].seconds}")
    text = write(measured)
    show(text)
    PATH.write_text(text)


def measure_example(example: Example) -> Measured:
    """Run a circuit on every engine that takes it, in turns."""
    profile = measure(example.circuit)
    demands = Demands(example.shots, example.noise)
    result = Measured(example, choose_engine(profile, demands).engine)
    runners: dict[str, Callable[[int], object]] = {name: _runner(name, example) for name in ENGINE_NAMES}
    runners["automatic"] = _automatic_runner(example)
    for cost in estimate("aer", profile, demands):
        # Twice over: one that is estimated too high must not be left out as too slow.
        if isinstance(cost, Cost) and cost.seconds < 2 * _TOO_LONG_SECONDS:
            runners[cost.method] = partial(time_run, "aer", cost.method, example)
    for seed in range(_ROUNDS):
        for name, run in list(runners.items()):
            started = time.process_time()
            try:
                run(seed)
            except (UpcubeError, RuntimeError):
                del runners[name]
                continue
            seconds = time.process_time() - started
            result.seconds[name] = min(seconds, result.seconds.get(name, seconds))
            if seconds > _TOO_LONG_SECONDS:
                del runners[name]
    return result


def _runner(name: str, example: Example) -> Callable[[int], None]:
    """Run with one of our engines."""

    def run(seed: int) -> None:
        get_engine(name).run(example.unread, RunRequest(example.shots, seed, example.noise))

    return run


def _automatic_runner(example: Example) -> Callable[[int], None]:
    """Run as people do who leave everything to Aer, from a circuit of ours to counts."""
    # Imported here: the engines' modules choose when these are loaded.
    from qiskit_aer import AerSimulator  # noqa: PLC0415 - see above

    from webapp.quantum.engines.aer_circuits import build_circuit, build_readout_noise  # noqa: PLC0415 - see above

    def run(seed: int) -> None:
        circuit = build_circuit(
            example.circuit,
            noise=example.noise,
            method="automatic",
            saves_probabilities=False,
            saves_statevector=False,
            operators=[],
        )
        simulator = AerSimulator(noise_model=build_readout_noise(example.noise), seed_simulator=seed)
        result = simulator.run(circuit, shots=example.shots).result()
        if not result.success:
            raise RuntimeError(str(result.status))
        result.get_counts()

    return run


def write(measured: list[Measured]) -> str:
    """Write the table."""
    ratios = [ratio for one in measured if (ratio := one.against_automatic) is not None]
    worst = max(measured, key=lambda one: one.against_best)
    columns = [*ENGINE_NAMES, "automatic"]
    mean, largest = statistics.geometric_mean(ratios), f"{worst.against_best:.2f}** (aim: at most 1.3)"
    lines = [
        "# The router, against each engine by itself",
        "",
        "Written by `python -m bench.router`. CPU milliseconds from plain circuit to counts, one thread, 1,000 shots",
        "where the name says no other number. The router's choice is bold; - is a circuit that an engine refuses.",
        "`aer` is Aer by the method that our estimates choose, `automatic` is Aer left to itself, and `best of aer` is",
        "the quickest of them and of all methods, each tried where it is not estimated to take longer than",
        f"{2 * _TOO_LONG_SECONDS:g} s. `router / best` is against every engine and every method of Aer; there, qsim",
        f"and aer take {HANDOVER_SECONDS * 1_000:g} ms more, which it takes to hand a job to a worker.",
        "",
        f"- Aer's automatic method over the router, geometric mean: **{mean:.1f}** (aim: at least 4)",
        f"- The router over the best engine and method, worst case: **{largest}, {worst.example.name}",
        "",
        f"| circuit | {' | '.join(columns)} | best of aer | automatic / router | router / best |",
        f"|---|{'---|' * (len(columns) + 3)}",
    ]
    for one in measured:
        cells = [_cell(one, name) for name in columns]
        gain = one.against_automatic
        gained = "-" if gain is None else f"{gain:.1f}"
        lines.append(
            f"| {one.example.name} | {' | '.join(cells)} | {_best_of_aer(one)} | {gained} | {one.against_best:.2f} |"
        )
    return "\n".join(lines) + "\n"


def _best_of_aer(one: Measured) -> str:
    """Write which of Aer's methods is the quickest, and its time."""
    name = one.best_method
    return "-" if name is None else f"{one.seconds[name] * 1_000:.3g}, {name.removeprefix('aer_').replace('_', ' ')}"


def _cell(one: Measured, name: str) -> str:
    """Write one time."""
    if name not in one.seconds:
        return "-"
    text = f"{one.seconds[name] * 1_000:.3g}"
    return f"**{text}**" if name == one.chosen else text


if __name__ == "__main__":
    main()
