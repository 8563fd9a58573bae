"""Sizes of tables in words."""

_STEP, _THOUSAND = 1024, 1000


def in_bytes(count: float) -> str:
    """`214 GB`, as PostgreSQL's pg_size_pretty has it."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < _STEP:
            return f"{count:.0f} {unit}"
        count /= _STEP
    return f"{count:.1f} TB"


def in_rows(count: float) -> str:
    """`about 1.2 billion rows`."""
    for unit in ("", " thousand", " million"):
        if count < _THOUSAND:
            return f"about {count:.3g}{unit} rows"
        count /= _THOUSAND
    return f"about {count:.3g} billion rows"
