"""What makes a plan the same plan: its digest. Contract, section 11. Pure.

Sizes, times, sessions and hosts change all the time and are not in it: a plan that was made of a copy of a database has the digest of
the plan of the database itself.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

_VERSION = 1


@dataclass(frozen=True)
class Identity:
    """What an approval is about."""

    resource: str
    """NAMESPACE/NAME of the DBUpgrade; empty where there is none."""
    image_digest: str
    """Empty if it is not known."""
    baseline: str
    applied: Sequence[str]
    """The versions that the history has as applied."""
    files: Sequence[tuple[str, str]]
    """Name and SHA-256 of each file that would be applied, in their order."""
    findings: Sequence[tuple[str, int, str]]
    """File, line and rule of what the lint finds in them."""
    tables: Mapping[str, str] = field(default_factory=dict)
    """The definitions of the tables that they name."""


def digest(identity: Identity) -> str:
    """`sha256:` and the SHA-256 of the identity, whatever the order of what has none."""
    known = asdict(identity) | {
        "applied": sorted(identity.applied),
        "findings": sorted(identity.findings),
        "version": _VERSION,
    }
    return f"sha256:{hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()}"
