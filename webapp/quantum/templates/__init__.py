"""Ready circuits with parameters, texts for learners and exact expectations."""

from webapp.quantum.templates.base import Distribution, QubitRange, Template
from webapp.quantum.templates.parameters import Parameter, ParameterValues
from webapp.quantum.templates.registry import TemplateNotFoundError, get_template, list_templates

__all__ = [
    "Distribution",
    "Parameter",
    "ParameterValues",
    "QubitRange",
    "Template",
    "TemplateNotFoundError",
    "get_template",
    "list_templates",
]
