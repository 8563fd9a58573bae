"""Whether the user may do what the pending files do."""

from collections.abc import Callable, Iterator, Sequence

from dbupgrade.toolkit.preflight.facts import Facts, Owner
from dbupgrade.toolkit.preflight.finding import ERROR, INFO, WARNING, Finding, listed
from dbupgrade.toolkit.preflight.needs import Right
from dbupgrade.toolkit.preflight.pending import Pending
from dbupgrade.toolkit.preflight.walk import Missing, TakesRole, Unread, walk
from dbupgrade.toolkit.sql.names import Name, quote, quoted

_NAME = "privileges"
_INHERIT_BY_GRANT = 160000
"""The version from which inheritance is a property of each grant, and no longer of the role."""
_OWNERSHIP = {
    Right.OWN: "TABLE",
    Right.DROP: "TABLE",
    Right.MAINTAIN: "TABLE",
    Right.OWN_SCHEMA: "SCHEMA",
    Right.OWN_TYPE: "TYPE",
    Right.DROP_TYPE: "TYPE",
    Right.OWN_ROUTINE: "ROUTINE",
    Right.DROP_ROUTINE: "ROUTINE",
}
"""What is owned, as ALTER calls it."""


def look(facts: Facts, pending: Pending) -> Iterator[Finding]:
    """One finding for each command that fixes something."""
    groups: dict[tuple[str, str], list[Missing]] = {}
    roles: dict[str, list[str]] = {}
    unread: list[str] = []
    for each in walk(facts, pending):
        if isinstance(each, TakesRole):
            roles.setdefault(each.role, []).append(each.file)
        elif isinstance(each, Unread):
            unread.append(each.file)
        else:
            groups.setdefault(_group(facts, each), []).append(each)
    joined = {name for (kind, name), missing in groups.items() if kind == "owner" and _is_certain(missing)}
    for (kind, name), missing in groups.items():
        if kind != "owner" and _owner_of(facts, missing[0]) in joined:
            continue  # whoever is a member of the owner may do this too
        if kind == "table" and ("object", name) in groups and _is_certain(groups["object", name]):
            continue  # and whoever owns it
        message, fix = _WORDS[kind](facts, name, missing)
        yield Finding(
            check=_NAME, severity=_severity(kind, missing), message=f"{message} ({_needed(missing)})", fix=fix
        )
    for role, files in roles.items():
        message = f"{_files(files)}: statements that run as role {role} were not checked"
        yield Finding(check=_NAME, severity=INFO, message=message)
    if unread:
        message = f"{_files(unread)}: not checked, because it is larger than 4 MiB or PostgreSQL's parser cannot read it"
        yield Finding(check=_NAME, severity=INFO, message=message)


def _is_certain(missing: Sequence[Missing]) -> bool:
    return any(each.certain for each in missing)


def _owner_of(facts: Facts, missing: Missing) -> str | None:
    """The owner of what a right is missing on."""
    if missing.owner:
        return missing.owner.name
    schema = facts.schemas.get(missing.on.schema)
    return schema.owner.name if schema and not missing.on.name else None


def _severity(kind: str, missing: Sequence[Missing]) -> str:
    """A provider may let others create extensions than PostgreSQL does."""
    return ERROR if kind != "extension" and _is_certain(missing) else WARNING


def _needed(missing: Sequence[Missing]) -> str:
    certain = [each.file for each in missing if each.certain]
    return (
        f"needed by {_files(certain)}"
        if certain
        else f"may be needed by {_files([each.file for each in missing])}"
    )


def _files(names: Sequence[str]) -> str:
    return listed(list(dict.fromkeys(names)))


def _group(facts: Facts, missing: Missing) -> tuple[str, str]:
    """The kind of what is missing, and the object or the owner that it is about."""
    match missing.right:
        case Right.CREATE | Right.USAGE:
            return missing.right.value, missing.on.schema
        case Right.CREATE_SCHEMA:
            return "database", facts.server.database
        case Right.EXTENSION:
            return "extension", missing.on.name
        case right if right in _OWNERSHIP:
            owner = _owner(missing)
            return ("object", quoted(missing.on)) if owner.is_superuser else ("owner", owner.name)
        case _:
            return "table", quoted(missing.on)


def _owner(missing: Missing) -> Owner:
    if missing.owner is None:
        raise ValueError("only what belongs to somebody can be owned")
    return missing.owner


def _what(name: Name) -> str:
    return str(name) if name.name else f"schema {name.schema}"


def _in_schema(right: str) -> Callable[[Facts, str, Sequence[Missing]], tuple[str, str]]:
    def words(facts: Facts, schema: str, _: Sequence[Missing]) -> tuple[str, str]:
        message = f"user {facts.server.user} has no {right} privilege on schema {schema}"
        return message, f"GRANT {right} ON SCHEMA {quote(schema)} TO {quote(facts.server.user)};"

    return words


def _on_database(facts: Facts, database: str, _: Sequence[Missing]) -> tuple[str, str]:
    message = f"user {facts.server.user} has no CREATE privilege on database {database}"
    return message, f"GRANT CREATE ON DATABASE {quote(database)} TO {quote(facts.server.user)};"


def _extension(facts: Facts, name: str, _: Sequence[Missing]) -> tuple[str, str]:
    known, user = facts.extensions.get(name), facts.server.user
    if known is None:
        return (
            f"the server has no extension {name}",
            f"install extension {name} on the server, or use a server that has it",
        )
    fix = f"CREATE EXTENSION {quote(name)}; (as a superuser, or as the administrator of your provider)"
    if known.is_trusted:
        fix = f"GRANT CREATE ON DATABASE {quote(facts.server.database)} TO {quote(user)};"
    return f"user {user} may not create extension {name}, unless the provider of the server allows it", fix


def _of_owner(facts: Facts, owner: str, missing: Sequence[Missing]) -> tuple[str, str]:
    objects = listed(list(dict.fromkeys(_what(each.on) for each in missing)))
    user, role = facts.server.user, quote(facts.server.user)
    if not _owner(missing[0]).is_member:
        return (
            f"user {user} is not a member of {owner}, the owner of {objects}",
            f"GRANT {quote(owner)} TO {role};",
        )
    message = f"user {user} does not inherit the rights of {owner}, the owner of {objects}"
    if facts.server.version >= _INHERIT_BY_GRANT:
        return message, f"GRANT {quote(owner)} TO {role} WITH INHERIT TRUE;"
    return message, f"ALTER ROLE {role} INHERIT;"


def _of_superuser(facts: Facts, _: str, missing: Sequence[Missing]) -> tuple[str, str]:
    on, user = missing[0].on, facts.server.user
    message = f"{_what(on)} belongs to the superuser {_owner(missing[0]).name}, and not to user {user}"
    return message, f"ALTER {_OWNERSHIP[missing[0].right]} {quoted(on)} OWNER TO {quote(user)};"


def _on_table(facts: Facts, table: str, missing: Sequence[Missing]) -> tuple[str, str]:
    rights = dict.fromkeys("UPDATE" if each.right is Right.LOCK else each.right.value for each in missing)
    words = ", ".join(rights)
    message = f"user {facts.server.user} has no {words} privilege on {missing[0].on}"
    return message, f"GRANT {words} ON {table} TO {quote(facts.server.user)};"


_WORDS: dict[str, Callable[[Facts, str, Sequence[Missing]], tuple[str, str]]] = {
    "CREATE": _in_schema("CREATE"),
    "USAGE": _in_schema("USAGE"),
    "database": _on_database,
    "extension": _extension,
    "owner": _of_owner,
    "object": _of_superuser,
    "table": _on_table,
}
"""What is missing and what fixes it, by the kind of group."""
