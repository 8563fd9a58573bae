"""Which changes of a type leave the rows as they are."""

from dbupgrade.toolkit.sql.names import Type

_TEXTS = ("varchar", "text")


def keeps_rows(old: Type, new: Type) -> bool:
    """Whether PostgreSQL keeps the values as they are: nothing is rewritten or scanned. Tried on PostgreSQL 13 to 18."""
    if old.array or new.array:
        return old == new
    if old == new:
        return True
    if old.name in _TEXTS and new.name in _TEXTS:
        return not new.modifiers or (bool(old.modifiers) and new.modifiers[0] >= old.modifiers[0])
    if old.name == new.name == "varbit":
        return not new.modifiers or (bool(old.modifiers) and new.modifiers[0] >= old.modifiers[0])
    if old.name == new.name == "numeric":
        return _wider_numeric(old.modifiers, new.modifiers)
    if old.name == new.name and old.name in ("timestamp", "timestamptz", "time", "timetz"):
        # Nothing means six digits.
        return (new.modifiers or (6,))[0] >= (old.modifiers or (6,))[0]
    return (old.name, new.name) == ("cidr", "inet")


def _wider_numeric(old: tuple[int, ...], new: tuple[int, ...]) -> bool:
    if not new:
        return True
    if not old:
        return False
    scale = [modifiers[1] if len(modifiers) > 1 else 0 for modifiers in (old, new)]
    return scale[0] == scale[1] and new[0] >= old[0]
