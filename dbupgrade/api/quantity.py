"""Kubernetes quantities (`250m`, `1Ki`, `1e3`), read exactly."""

import re
from decimal import Context, Decimal, Inexact

_LARGEST_EXPONENT = 100
_EXACT = Context(prec=500, traps=[Inexact])  # more digits than a quantity that is read here can have
_LONGEST = 128  # characters of a quantity

_BINARY = {unit: 1024**power for power, unit in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi", "Ei"), start=1)}
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_QUANTITY = re.compile(
    r"(?P<number>[+-]?(\d+(\.\d*)?|\.\d+))([eE](?P<exponent>[+-]?\d+)|(?P<unit>[KMGTPE]i|[numkMGTPE]?))",
    re.ASCII,
)


def parse_quantity(text: str | int) -> Decimal:
    """The exact value of a quantity, or of a bare integer.

    Raises ValueError with words for the user.
    """
    text = str(text)
    found = _QUANTITY.fullmatch(text) if len(text) <= _LONGEST else None
    if found is None:
        raise ValueError(
            f"{text[:_LONGEST]!r} is not a valid quantity: write a number with at most one suffix, "
            "for example 0.05, 250m, 2k or 1Gi"
        )
    unit = found["unit"] or ""
    if unit in _BINARY:
        return _EXACT.multiply(Decimal(found["number"]), Decimal(_BINARY[unit]))
    exponent = int(found["exponent"]) if found["exponent"] else _DECIMAL[unit]
    if abs(exponent) > _LARGEST_EXPONENT:
        raise ValueError(f"{text!r} is not a valid quantity: its exponent is beyond {_LARGEST_EXPONENT}")
    return Decimal(f"{found['number']}E{exponent}")


def is_quantity(text: str | int) -> bool:
    """Whether `text` can be read as a quantity."""
    try:
        parse_quantity(text)
    except ValueError:
        return False
    return True
