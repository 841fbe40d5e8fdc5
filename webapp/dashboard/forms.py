"""Forms and the errors of operations."""

from flask_wtf import FlaskForm

from webapp.core.errors import InvalidFieldsError


def add_errors(form: FlaskForm, error: InvalidFieldsError) -> None:
    """Put what an operation found wrong beside the fields, or above the form where there is no such field."""
    for detail in error.details:
        field = form._fields.get(detail.path)
        if field is None:
            form.form_errors.append(detail.message)
        else:
            field.errors = [*field.errors, detail.message]
