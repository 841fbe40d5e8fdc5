"""What every engine promises, and what is checked before any of them is handed a circuit."""

from dataclasses import dataclass
from typing import Literal, Protocol

from webapp.core.errors import FieldError, InvalidFieldsError, UpcubeError
from webapp.core.memo import remembered
from webapp.core.text import count_of, format_bytes
from webapp.quantum.circuits import Circuit, Profile, check_circuit, drop_last_measurements
from webapp.quantum.engines.costs import (
    MEMORY_LIMIT_BYTES,
    Cost,
    Demands,
    count_runs,
    find_cheapest,
)
from webapp.quantum.gates import NOT_GATES
from webapp.quantum.limits import (
    MAX_CIRCUIT_CLBITS,
    MAX_CIRCUIT_OPERATIONS,
    MAX_CIRCUIT_QUBITS,
    MAX_SEED,
    MAX_SHOTS,
    MAX_STATEVECTOR_QUBITS,
)
from webapp.quantum.noise import NoiseModel
from webapp.quantum.observables import Observable


class CircuitTooLargeError(UpcubeError):
    """The circuit needs more memory than the engine may take; the message says how much and what the limit is."""

    status = 403
    code = "circuit_too_large"

    def __init__(self, message: str, *, required_bytes: int, limit_bytes: int) -> None:
        sizes = {"requiredBytes": required_bytes, "limitBytes": limit_bytes}
        super().__init__(message, target="circuit", extra=sizes)
        self.required_bytes = required_bytes
        self.limit_bytes = limit_bytes


class UnsupportedCircuitError(UpcubeError):
    """The circuit is valid, but this engine cannot run it; the message says why."""

    status = 422
    code = "unsupported_circuit"


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What an engine can run, known without loading it.

    `bytes_per_amplitude` is the peak during a run, so with 2^qubits amplitudes it gives the memory to reserve; it is 0
    for an engine that keeps no amplitudes, and checks the memory itself. Exact probabilities come with results of
    circuits up to `probabilities_max_qubits`. `dynamic`: measurements and resets in mid-circuit, and conditions. Only
    an engine that `is_light` may be loaded in the web process.
    """

    gates: frozenset[str]
    bytes_per_amplitude: int
    memory_limit_bytes: int
    probabilities_max_qubits: int
    dynamic: bool = True
    statevector: bool = True
    noise: Literal["none", "pauli", "any"] = "none"
    is_light: bool = False

    @property
    def max_qubits(self) -> int:
        """The widest circuit whose 2^qubits amplitudes fit the memory limit."""
        if self.bytes_per_amplitude == 0:
            return MAX_CIRCUIT_QUBITS
        return (self.memory_limit_bytes // self.bytes_per_amplitude).bit_length() - 1


@dataclass(frozen=True)
class RunRequest:
    """How to run a circuit, and what to give besides the counts.

    `wants_memory` asks for the bitstring of every shot, in order; `wants_statevector` for the amplitudes before the
    last measurements.
    """

    shots: int
    seed: int
    noise: NoiseModel | None = None
    observables: tuple[Observable, ...] = ()
    wants_memory: bool = False
    wants_statevector: bool = False

    @remembered
    def demands(self) -> Demands:
        """What it asks for, as far as it changes the cost."""
        terms = [term for observable in self.observables for term in observable.terms]
        return Demands(
            self.shots,
            self.noise,
            wants_statevector=self.wants_statevector,
            wants_memory=self.wants_memory,
            observable_terms=len(terms),
            observable_paulis=sum(len(term.paulis) for term in terms),
        )


@dataclass(frozen=True, slots=True)
class ExpectationValue:
    """The mean of an observable over the state before the last measurements.

    `standard_error` is 0 where the engine computed the mean exactly, and estimated from the shots otherwise.
    """

    observable: str
    value: float
    standard_error: float


@dataclass(frozen=True, slots=True)
class RunResult:
    """What a run gave. Classical bit 0 is the rightmost character of each bitstring; a bit never written is 0.

    `probabilities` are exact, over the measured bits, without those below 1e-12; None where they would be costly.
    `seconds` is the wall-clock time of the engine's work. `statevector` holds the real and the imaginary part of each
    amplitude; bit i of an amplitude's index is qubit i. `memory` and `statevector` are None unless asked for.
    """

    counts: dict[str, int]
    probabilities: dict[str, float] | None
    engine: str
    engine_version: str
    seconds: float
    memory: list[str] | None = None
    statevector: list[tuple[float, float]] | None = None
    expectation_values: tuple[ExpectationValue, ...] = ()


class Engine(Protocol):
    """A simulator of circuits."""

    @property
    def name(self) -> str:
        """The name by which backends and results call it."""

    @property
    def version(self) -> str:
        """The version within which the same seed gives the same counts."""

    @property
    def capabilities(self) -> Capabilities:
        """What it can run."""

    def run(self, circuit: Circuit, request: RunRequest) -> RunResult:
        """Run a circuit. Raises what `check_runnable` and `check_sampling` raise, before any memory is taken."""


def check_sampling(request: RunRequest) -> None:
    """Check the two numbers beside the circuit. Raises InvalidFieldsError with every wrong one."""
    wrong = [
        FieldError(path, "It must be a whole number within the range.", f"{minimum} to {maximum}")
        for path, value, minimum, maximum in (
            ("shots", request.shots, 1, MAX_SHOTS),
            ("seed", request.seed, 0, MAX_SEED),
        )
        if isinstance(value, bool) or not minimum <= value <= maximum
    ]
    if wrong:
        raise InvalidFieldsError(wrong)


def check_request(
    circuit: Circuit, request: RunRequest, engine: str, capabilities: Capabilities
) -> tuple[Profile, Cost]:
    """Check that an engine of these capabilities can run the circuit as asked, allocating nothing.

    Gives the circuit's measures, and the engine's quickest method with its cost.

    Raises InvalidFieldsError, InvalidCircuitError, CircuitTooLargeError or UnsupportedCircuitError.
    """
    check_sampling(request)
    profile = check_runnable(circuit, capabilities)
    noise = request.noise
    if noise is not None and not (capabilities.noise == "any" or (capabilities.noise == "pauli" and noise.is_pauli)):
        raise UnsupportedCircuitError(f"{engine} does not simulate this noise; aer does.", target="noise")
    _check_observables(circuit, request)
    if request.wants_statevector:
        _check_statevector(profile, engine, capabilities, noisy=noise is not None)
    cost = _find_method(profile, request, engine)
    if request.observables and count_runs(cost.method, profile, request.demands) > 1:
        _check_sampled_means(circuit, request)
    return profile, cost


def _find_method(profile: Profile, request: RunRequest, engine: str) -> Cost:
    """Find the engine's quickest method. Raises CircuitTooLargeError or UnsupportedCircuitError where there is none."""
    found = find_cheapest(engine, profile, request.demands)
    if isinstance(found, Cost):
        return found
    message = f"{engine} cannot run this circuit: {found.reason}."
    if found.memory_bytes is not None:
        raise CircuitTooLargeError(message, required_bytes=found.memory_bytes, limit_bytes=MEMORY_LIMIT_BYTES)
    raise UnsupportedCircuitError(message, target="circuit")


def _check_observables(circuit: Circuit, request: RunRequest) -> None:
    """Check that observables act on qubits that there are."""
    wrong = [
        FieldError(
            f"observables[{index}]",
            f"It is longer than the circuit's {count_of(circuit.qubits, 'qubit')}.",
            f"at most {count_of(circuit.qubits, 'character')}",
        )
        for index, observable in enumerate(request.observables)
        if observable.width > circuit.qubits
    ]
    if wrong:
        raise InvalidFieldsError(wrong)


def _check_sampled_means(circuit: Circuit, request: RunRequest) -> None:
    """Check that there is room to measure each term at the end of the circuit, as `sampled_means` does."""
    before = drop_last_measurements(circuit)
    wrong = []
    for index, observable in enumerate(request.observables):
        widest = max(len(term.paulis) for term in observable.terms)
        # A measurement for each qubit, after at most two gates that turn its axis.
        operations, clbits = len(before.operations) + 3 * widest, before.clbits + widest
        if operations > MAX_CIRCUIT_OPERATIONS or clbits > MAX_CIRCUIT_CLBITS:
            wrong.append(
                FieldError(
                    f"observables[{index}]",
                    f"Its mean is sampled here, by measuring its {widest} qubits after the circuit: that would be "
                    f"{operations} operations and {clbits} classical bits.",
                    f"at most {MAX_CIRCUIT_OPERATIONS} operations and {MAX_CIRCUIT_CLBITS} classical bits",
                )
            )
    if wrong:
        raise InvalidFieldsError(wrong)


def _check_statevector(profile: Profile, engine: str, capabilities: Capabilities, *, noisy: bool) -> None:
    """Check that there is a single state to give, and that it is not too long to read."""
    if noisy or profile.is_dynamic:
        raise UnsupportedCircuitError(
            "With noise, resets or measurements in mid-circuit each shot ends in a state of its own: there is no "
            "statevector to give. Leave it out, or measure only at the end.",
            target="statevector",
        )
    if not capabilities.statevector:
        raise UnsupportedCircuitError(
            f"{engine} computes no statevector; qulacs and aer do, up to {MAX_STATEVECTOR_QUBITS} qubits.",
            target="statevector",
        )
    if profile.qubits > MAX_STATEVECTOR_QUBITS:
        raise UnsupportedCircuitError(
            f"A statevector is given for up to {MAX_STATEVECTOR_QUBITS} qubits; this circuit has {profile.qubits}.",
            target="statevector",
        )


def check_runnable(circuit: Circuit, capabilities: Capabilities) -> Profile:
    """Check that an engine of these capabilities can run the circuit, and give its measures.

    Raises InvalidCircuitError, CircuitTooLargeError or UnsupportedCircuitError.
    """
    check_circuit(circuit)
    _check_memory(circuit, capabilities)
    profile = circuit.profile
    if profile.measurements == 0:
        raise UnsupportedCircuitError("The circuit measures nothing, so there is nothing to count.", target="circuit")
    if profile.is_dynamic and not capabilities.dynamic:
        raise UnsupportedCircuitError(
            "The circuit measures or resets qubits in mid-circuit, or has conditions, which this engine does not do; "
            "measure each qubit after its last gate, or use local-simulator.",
            target="circuit",
        )
    _check_gates(circuit, capabilities)
    return profile


def _check_memory(circuit: Circuit, capabilities: Capabilities) -> None:
    """Check that the amplitudes fit: simulators end the whole process when they do not."""
    required = capabilities.bytes_per_amplitude << circuit.qubits
    if required > capabilities.memory_limit_bytes:
        raise CircuitTooLargeError(
            f"{circuit.qubits} qubits need {format_bytes(required)} of memory; "
            f"the limit is {format_bytes(capabilities.memory_limit_bytes)}, "
            f"which is enough for {capabilities.max_qubits} qubits.",
            required_bytes=required,
            limit_bytes=capabilities.memory_limit_bytes,
        )


def _check_gates(circuit: Circuit, capabilities: Capabilities) -> None:
    """Check that the engine knows every gate."""
    unknown = {op.gate for op in circuit.operations} - capabilities.gates - NOT_GATES
    if unknown:
        raise UnsupportedCircuitError(f"This engine has no gate {', '.join(sorted(unknown))}.", target="circuit")
