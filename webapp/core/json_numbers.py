"""Numbers of JSON, which knows no types of them: 1000, 1000.0 and 1e3 are one number, and JSON Schema's integer."""

# Up to here, a double without a fraction stands for one whole number and no other.
MAX_WHOLE_DOUBLE = 2**53


def read_float(text: str) -> int | float:
    """Read a number that has a point or an exponent, as json.loads's `parse_float`: a whole one becomes an int."""
    value = float(text)
    return int(value) if abs(value) < MAX_WHOLE_DOUBLE and value.is_integer() else value
