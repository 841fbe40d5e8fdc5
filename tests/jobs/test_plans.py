"""Where a job runs: only what is quick, and small to answer with, runs while its request waits."""

from typing import Any

import pytest

from webapp.jobs.models import Lane
from webapp.jobs.plans import JobLimits, JobRequest, Plan, make_plan

LIMITS = JobLimits(max_inline_work=50_000_000, max_concurrent_jobs=20, timeout_seconds=300, workers=2)


def plan(source: str, *, shots: int = 1_000, backend: str = "local-simulator", **options: object) -> Plan:
    request = JobRequest(
        template_id=None,
        circuit={"format": "openqasm2", "source": source},
        circuits=None,
        parameters={},
        options=options,
        backend_id=backend,
        shots=shots,
        seed=1,
    )
    return make_plan(request, limits=LIMITS, wants_worker=False, is_test=False)


def measure_again_and_again(times: int) -> str:
    flips = "".join(f"h q[0]; measure q[0] -> c[{index}];" for index in range(times))
    return f"qreg q[1]; creg c[{times}]; t q[0]; {flips}"


def many_terms(qubits: int) -> list[dict[str, float]]:
    strings = [format(number, f"0{qubits}b").replace("0", "X").replace("1", "Y") for number in range(256)]
    return [dict.fromkeys(strings, 1.0)] * 64


@pytest.mark.parametrize(
    ("source", "shots", "options"),
    [
        pytest.param("qreg q[2]; h q;", 100_000, {"memory": True}, id="plain"),
        pytest.param(measure_again_and_again(3), 1_000, {}, id="a few measurements on the way"),
        pytest.param("qreg q[4]; h q;", 1_000, {"observables": ["ZZII", "XXXX"]}, id="a few observables"),
    ],
)
def test_what_is_small_runs_while_its_request_waits(source: str, shots: int, options: dict[str, Any]) -> None:
    assert plan(source, shots=shots, **options).lane is Lane.INLINE


@pytest.mark.parametrize(
    ("source", "shots", "options"),
    [
        pytest.param(measure_again_and_again(20), 100_000, {}, id="shots that part ways, each with gates of its own"),
        pytest.param("qreg q[18]; ry(0.3) q;", 100, {"observables": many_terms(18)}, id="many terms, many amplitudes"),
        pytest.param("qreg q[8]; ry(0.3) q;", 100, {"observables": many_terms(8)}, id="many terms"),
        pytest.param("qreg q[1];" + "t q[0];" * 80_000, 1, {}, id="many gates"),
        pytest.param(
            "qreg q[1000]; creg c[1]; h q; measure q[0] -> c[0];",
            20_000,
            {"observables": ["Z" * 1_000]},
            id="a mean made of wide shots",
        ),
        pytest.param(
            "qreg q[1000]; creg c[1]; h q[0]; measure q[0] -> c[0];",
            100,
            {"observables": [{"Z" * 999 + end: 1, "X" * 999 + end: 1} for end in "IXYZ"] * 10},
            id="means made of many wide shots",
        ),
        pytest.param(
            "qreg q[1]; creg c[1024]; t q[0]; measure q[0] -> c[1023];", 100_000, {"memory": True}, id="wide shots"
        ),
    ],
)
def test_what_takes_long_or_answers_at_length_waits_for_a_worker(
    source: str, shots: int, options: dict[str, Any]
) -> None:
    assert plan(source, shots=shots, **options).lane is Lane.WORKER


def test_every_course_that_shots_take_is_paid_for() -> None:
    few, many = (plan(measure_again_and_again(10), shots=shots, backend="qulacs").price for shots in (1, 1_000))
    assert many.work > 100 * max(few.work, 1)


def test_every_term_of_an_observable_is_paid_for() -> None:
    source = "qreg q[12]; ry(0.3) q;"
    assert plan(source, observables=many_terms(12)).price.work > 10_000 + plan(source).price.work
