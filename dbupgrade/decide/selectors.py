"""Label selectors as the text that the API server takes in a query, for example `app=web,tier in (a,b)`."""

from dbupgrade.api.spec.checks import (
    LABEL_KEY,
    LABEL_VALUE,
    LabelSelector,
    LabelSelectorOperator,
    LabelSelectorRequirement,
)


def selector_text(selector: LabelSelector) -> str:
    """The selector as a query, the same for the same requirements in another order; empty when it matches everything.

    The rules let only valid keys and values pass. They are checked again, since in a query some characters have a meaning
    of their own and would ask for something else: ValueError.
    """
    equal = [f"{_key(key)}={_value(value)}" for key, value in selector.match_labels.items()]
    return ",".join(sorted({*equal, *map(_requirement, selector.match_expressions)}))


def _requirement(requirement: LabelSelectorRequirement) -> str:
    key, values = _key(requirement.key), ",".join(sorted({_value(value) for value in requirement.values}))
    match requirement.operator:
        case LabelSelectorOperator.EXISTS:
            return key
        case LabelSelectorOperator.DOES_NOT_EXIST:
            return f"!{key}"
        case LabelSelectorOperator.IN:
            return f"{key} in ({values})"
        case LabelSelectorOperator.NOT_IN:
            return f"{key} notin ({values})"


def _key(key: str) -> str:
    if not LABEL_KEY.matches(key):
        raise ValueError(f"{key!r} is not a valid label key")
    return key


def _value(value: str) -> str:
    if not LABEL_VALUE.matches(value):
        raise ValueError(f"{value!r} is not a valid label value")
    return value
