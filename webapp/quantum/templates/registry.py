"""All templates, by id."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from webapp.core.errors import NotFoundError
from webapp.core.text import ask_whether_meant
from webapp.quantum.templates.base import Template
from webapp.quantum.templates.basics import COIN_FLIP, RANDOM_NUMBER
from webapp.quantum.templates.communication import SUPERDENSE_CODING, SWAP_TEST, TELEPORTATION
from webapp.quantum.templates.entanglement import BELL_STATE, CHSH_GAME, GHZ_STATE, W_STATE
from webapp.quantum.templates.error_correction import BIT_FLIP_CODE
from webapp.quantum.templates.fourier import PHASE_ESTIMATION, QUANTUM_FOURIER_TRANSFORM
from webapp.quantum.templates.optimization import QAOA_OPTIMIZATION, TWO_LOCAL_ANSATZ, VQE_ANSATZ
from webapp.quantum.templates.oracles import BERNSTEIN_VAZIRANI, DEUTSCH_JOZSA, SIMON
from webapp.quantum.templates.search import GROVER_SEARCH


class TemplateNotFoundError(NotFoundError):
    """There is no template of that id."""


# In the order in which a learner should meet them.
_TEMPLATES = (
    COIN_FLIP,
    BELL_STATE,
    GROVER_SEARCH,
    QAOA_OPTIMIZATION,
    RANDOM_NUMBER,
    GHZ_STATE,
    W_STATE,
    CHSH_GAME,
    SUPERDENSE_CODING,
    TELEPORTATION,
    SWAP_TEST,
    DEUTSCH_JOZSA,
    BERNSTEIN_VAZIRANI,
    SIMON,
    QUANTUM_FOURIER_TRANSFORM,
    PHASE_ESTIMATION,
    VQE_ANSATZ,
    TWO_LOCAL_ANSATZ,
    BIT_FLIP_CODE,
)

_BY_ID: Final[Mapping[str, Template]] = MappingProxyType({template.id: template for template in _TEMPLATES})


def list_templates() -> tuple[Template, ...]:
    """List every template, the simplest first."""
    return _TEMPLATES


def get_template(template_id: str) -> Template:
    """Get one template. Raises TemplateNotFoundError."""
    if template_id not in _BY_ID:
        raise TemplateNotFoundError(
            f"There is no such template{ask_whether_meant(template_id, _BY_ID) or '.'} There are {', '.join(_BY_ID)}.",
            target="templateId",
        )
    return _BY_ID[template_id]
