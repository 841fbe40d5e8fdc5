from webapp.quantum.backends import list_backends
from webapp.quantum.circuits import measure
from webapp.quantum.router import choose_engine
from webapp.quantum.templates import list_templates


def test_every_template_is_routed_and_the_reason_is_a_sentence_that_names_the_engine() -> None:
    for template in list_templates():
        route = choose_engine(measure(template.create_circuit({})))
        assert route.engine == "qulacs"
        assert route.reason.startswith("qulacs ")
        assert route.reason.endswith(".")


def test_a_backend_is_only_routed_to_its_own_engines() -> None:
    profile = measure(list_templates()[0].create_circuit({}))
    for backend in list_backends():
        if backend.engines:
            assert choose_engine(profile, engines=backend.engines).engine in backend.engines
