"""Label selectors as the text that the API server takes in a query, for example `app=web,tier in (a,b)`."""

import re

from dbupgrade.api.spec.checks import LabelSelector, LabelSelectorOperator, LabelSelectorRequirement

_NAME = r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?"
_KEY = re.compile(rf"([a-z0-9]([a-z0-9.-]{{0,251}}[a-z0-9])?/)?{_NAME}")
_VALUE = re.compile(rf"({_NAME})?")


def selector_text(selector: LabelSelector) -> str:
    """The selector as a query, the same for the same requirements in another order; empty when it matches everything.

    Raises ValueError, with words for the user, when it is no legal selector: characters with a meaning of their own in
    the query would ask for something else.
    """
    equal = [f"{_key(key)}={_value(value)}" for key, value in selector.match_labels.items()]
    return ",".join(sorted({*equal, *map(_requirement, selector.match_expressions)}))


def _requirement(requirement: LabelSelectorRequirement) -> str:
    key, values = _key(requirement.key), ",".join(sorted({_value(value) for value in requirement.values}))
    match requirement.operator:
        case LabelSelectorOperator.EXISTS | LabelSelectorOperator.DOES_NOT_EXIST if requirement.values:
            raise ValueError(f"{requirement.operator} of label {key} takes no values")
        case LabelSelectorOperator.EXISTS:
            return key
        case LabelSelectorOperator.DOES_NOT_EXIST:
            return f"!{key}"
    if not requirement.values:
        raise ValueError(f"{requirement.operator} of label {key} needs values")
    word = "in" if requirement.operator is LabelSelectorOperator.IN else "notin"
    return f"{key} {word} ({values})"


def _key(key: str) -> str:
    if not _KEY.fullmatch(key):
        raise ValueError(f"{key!r} is no label key")
    return key


def _value(value: str) -> str:
    if not _VALUE.fullmatch(value):
        raise ValueError(f"{value!r} is no label value")
    return value
