"""Programs written to hurt whoever reads them, and a child process that reads them and says what each took."""

import gc
import json
import resource
import sys

from webapp.core.errors import UpcubeError
from webapp.core.interpreter import calm_collector
from webapp.quantum.programs import Program, read_program

_MEBIBYTE = 1 << 20


def _doubling(gates: int) -> str:
    lines = ["gate g0 a { x a; }"] + [f"gate g{n} a {{ g{n - 1} a; g{n - 1} a; }}" for n in range(1, gates)]
    return "\n".join([*lines, "qreg q[1];", f"g{gates - 1} q[0];"])


def _controls(depth: int) -> str:
    lines = ["gate g0 a { U(1,2,3) a; }"] + [f"gate g{n} a {{ g{n - 1} a; g{n - 1} a; }}" for n in range(1, depth)]
    return "\n".join(
        [*lines, "qubit[40] q;", f"ctrl(39) @ g{depth - 1} " + ",".join(f"q[{i}]" for i in range(40)) + ";"]
    )


def _fill(unit: str, before: str = "", after: str = "") -> str:
    """Repeat a unit up to the largest source that is read at all."""
    return before + unit * ((_MEBIBYTE - len(before) - len(after)) // len(unit)) + after


HOSTILE: dict[str, tuple[str, str]] = {
    "a mebibyte of parentheses": ("openqasm2", _fill("(", "qreg q[1]; rx(")),
    "a mebibyte of closed parentheses": ("openqasm3", "qubit q; rx(" + "(" * 400_000 + "1" + ")" * 400_000 + ") q;"),
    "a mebibyte of minus signs": ("openqasm3", _fill("-", "qubit q; rx(", "1) q;")),
    "a mebibyte of powers": ("openqasm3", _fill("2**", "qubit q; rx(", "2) q;")),
    "a mebibyte of sums": ("openqasm3", _fill("t+", "gate g(t) a { rx(", "1) a; }")),
    "a mebibyte of braces": ("openqasm3", _fill("{")),
    "a mebibyte of nested ifs": ("openqasm3", _fill("if(c)", "qubit q; bit c;", "x q;")),
    "a mebibyte of nested loops": ("openqasm3", _fill("for int i in [0:9] ", "qubit q;", "x q;")),
    "a mebibyte of modifiers": ("openqasm3", _fill("inv@", "qubit q;", "x q;")),
    "a mebibyte of brackets": ("openqasm3", _fill("[", "qubit q; x q")),
    "a mebibyte of comment openings": ("openqasm3", _fill("/*")),
    "a mebibyte of quotes": ("openqasm3", _fill('"')),
    "a mebibyte of one name": ("openqasm3", _fill("a")),
    "a mebibyte of one number": ("openqasm3", _fill("9", "qubit q; rx(", ") q;")),
    "a mebibyte of semicolons": ("openqasm3", _fill(";")),
    "a mebibyte of registers": ("openqasm3", _fill("qubit a;")),
    "a mebibyte of operands": ("openqasm3", _fill("q,", "qubit q; barrier ", "q;")),
    "a mebibyte of gate definitions": ("openqasm2", "".join(f"gate g{n} a{{x a;}}" for n in range(45_000))),
    "a mebibyte of one gate": ("openqasm2", _fill("x a;", "gate g a {", "} qreg q[1]; g q[0];")),
    "a mebibyte of gates with angles": ("openqasm3", _fill("u(t,t,t)a;", "gate g(t) a {", "} qubit q; g(0.1) q;")),
    "a mebibyte of gates": ("openqasm2", _fill("x q;", "qreg q[1];")),
    "a mebibyte of broadcasts": ("openqasm2", _fill("x q;", "qreg q[1024];")),
    "a mebibyte of wide barriers": ("openqasm2", _fill("barrier q;", "qreg q[1024];")),
    "a mebibyte of wide operands": ("openqasm2", _fill("q,", "qreg q[1024]; barrier ", "q;")[:300_000] + "q;"),
    "aliases that double": (
        "openqasm3",
        "qubit[1024] a0;" + "".join(f"let a{n}=a{n - 1}++a{n - 1};" for n in range(1, 99)),
    ),
    "a mebibyte of wide aliases": ("openqasm3", "qubit[1024] q;" + "".join(f"let a{n}=q;" for n in range(80_000))),
    "a mebibyte of conditions": ("openqasm3", _fill("if(c<9)x q;", "qubit q; bit[10] c;")),
    "a mebibyte of shifts in conditions": (
        "openqasm3",
        _fill("if ((k" + "<<0" * 245 + ")==c) x q;", "qubit q; bit c; int k=1;", "nothing q;"),
    ),
    "cases in a loop": (
        "openqasm3",
        "qubit q; bit[10] c; for int i in [0:100000] { switch (uint[11](c) + 1) { case "
        + ", ".join(map(str, range(1000)))
        + " { x q; } } }",
    ),
    "wide controls in a loop": (
        "openqasm3",
        "qubit[1000] q; for int i in [0:99999] { ctrl(999) @ h " + ",".join(f"q[{n}]" for n in range(1_000)) + "; }",
    ),
    "wide controls of a long gate": (
        "openqasm3",
        "gate g a {"
        + "h a;" * 10_000
        + "} qubit[1000] q; ctrl(999) @ g "
        + ",".join(f"q[{n}]" for n in range(1_000))
        + ";",
    ),
    "a wide condition of many gates": (
        "openqasm3",
        "qubit q; bit[1000] c; c[0] = measure q; if (c == 3) { for int i in [0:190000] { U(0, 0, 0) q; } }",
    ),
    "a mebibyte of set members": ("openqasm3", _fill("0,", "qubit q; for int i in {", "0} { x q; }")),
    "a mebibyte of snow": ("openqasm3", "☃" * 300_000),
    "more than a mebibyte": ("openqasm3", "☃" * 500_000),
    "gates that double": ("openqasm2", _doubling(50)),
    "thousands of gates that double": ("openqasm2", _doubling(9_000)),
    "doubling gates under many controls": ("openqasm3", _controls(20)),
    "a huge register": ("openqasm2", "qreg q[100000000];"),
    "a huge classical register": ("openqasm2", "qreg q[1]; creg c[1000000000000000000];"),
    "a huge loop": ("openqasm3", "qubit q; for int i in [0:1000000000000] { x q; }"),
    "a huge empty loop": ("openqasm3", "qubit q; for int i in [0:1000000000000] { }"),
    "loops in loops": ("openqasm3", "qubit q;" + "for int i in [0:99] {" * 15 + "x q;" + "}" * 15),
    "a huge power of a gate": ("openqasm3", "qubit q; gate g a { x a; y a; } pow(1000000000000) @ g q;"),
    "powers of powers of gates": ("openqasm3", "qubit q; gate g a { x a; y a; }" + "pow(99) @ " * 200 + "g q;"),
    "a huge number of controls": ("openqasm3", "qubit q; ctrl(1000000000) @ x q;"),
    "a huge power": ("openqasm3", "qubit q; rx(9**9**9**9) q;"),
    "a huge shift": ("openqasm3", "qubit q; int i = 1 << 10000000000;"),
    "a gate without a number": ("openqasm2", "qreg q[1]; rx(0/0) q[0];"),
    "an infinite angle": ("openqasm2", "qreg q[1]; rx(1e999) q[0];"),
    "an angle that a power makes infinite": ("openqasm3", "qubit q; pow(1e300) @ rx(1e300) q;"),
    "a phase that a control makes infinite": ("openqasm3", "qubit[2] q; ctrl @ U(0, 1.7e308, 1.7e308) q[0], q[1];"),
    "a number without digits": ("openqasm3", "qubit[0x_] q;"),
    "binary": ("openqasm3", "".join(chr(n % 256) for n in range(100_000))),
    "a null character": ("openqasm3", "qubit q;\0 x q;"),
    "lone surrogates": ("openqasm3", "\ud800" * 1_000),
    "the server's files": ("openqasm2", 'include "/etc/passwd";'),
    "the server's devices": ("openqasm3", 'include "/dev/zero";'),
    "a mebibyte of comment": ("openqasm3", _fill("*", "qubit q; /*")),
    "a mebibyte of spaces": ("openqasm3", _fill(" ", "qubit q;", "rx q")),
    "a mebibyte of digits and underscores": ("openqasm3", _fill("1_", "qubit q; rx(", ") q;")),
    "deep JSON": ("ionq.circuit.v1", "[" * _MEBIBYTE),
    "a mebibyte of JSON lists": ("ionq.circuit.v1", _fill("[],", '{"qubits":1,"circuit":[', "[]]}")),
    "a mebibyte of JSON members": (
        "ionq.circuit.v1",
        '{"qubits":1,"circuit":[]' + "".join(f',"a{n}":{{}}' for n in range(80_000)) + "}",
    ),
    "a mebibyte of JSON gates": ("ionq.circuit.v1", _fill("{},", '{"qubits":1,"circuit":[', "{}]}")),
}


def main() -> None:
    """Read every program in this process, and print for each what came of it: a line of JSON."""
    calm_collector()
    collections: list[dict[str, int]] = []
    gc.callbacks.append(lambda phase, info: collections.append(info) if phase == "stop" else None)
    # The library is read once per process; that is not the programs' doing.
    read_program(Program("openqasm3", "qubit q; x q;"))
    for name, (form, source) in HOSTILE.items():
        before = resource.getrusage(resource.RUSAGE_SELF)
        outcome = "read"
        collections.clear()
        try:
            read_program(Program(form, source))  # type: ignore[arg-type]
        except UpcubeError as error:
            outcome = f"{error.code}: {error.message}"
        after = resource.getrusage(resource.RUSAGE_SELF)
        full_collections = sum(info["generation"] == 2 for info in collections)
        gc.collect()
        report = {
            "name": name,
            "outcome": outcome,
            "cpu_seconds": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
            "full_collections": full_collections,
            "grown_bytes": (after.ru_maxrss - before.ru_maxrss) * 1024,
            # What the collector had to free, as it held itself.
            "held_by_themselves": sum(info["collected"] for info in collections),
        }
        sys.stdout.write(json.dumps(report) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
