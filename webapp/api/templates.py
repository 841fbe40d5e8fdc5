"""Ready circuits."""

from webapp.api import api
from webapp.api.responses import ParameterJson, TemplateJson, TemplateListJson
from webapp.authentication import key_required
from webapp.quantum.templates import Parameter, Template, get_template, list_templates


@api.get("/templates")
@key_required("templates:read")
def read_templates() -> TemplateListJson:
    """List the templates."""
    return {"templates": [render_template(template) for template in list_templates()]}


@api.get("/templates/<template_id>")
@key_required("templates:read")
def read_template(template_id: str) -> TemplateJson:
    """Give one template."""
    return render_template(get_template(template_id))


def render_template(template: Template) -> TemplateJson:
    """Write a template as JSON."""
    qubits = template.qubits
    return {
        "id": template.id,
        "name": template.name,
        "category": template.category,
        "description": template.description,
        "explanation": template.explanation,
        "expect": template.expect,
        "qubits": {"minimum": qubits.minimum, "maximum": qubits.maximum, "default": qubits.default},
        "parameters": [render_parameter(parameter) for parameter in template.parameters],
    }


def render_parameter(parameter: Parameter) -> ParameterJson:
    """Write a parameter as JSON: null where it has no such bound."""
    return {
        "name": parameter.name,
        "type": parameter.type,
        "description": parameter.description,
        "default": parameter.default,
        "minimum": parameter.minimum,
        "maximum": parameter.maximum,
        "choices": list(parameter.choices) or None,
        "allowed": parameter.allowed,
    }
