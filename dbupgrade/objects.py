"""Objects of the Kubernetes API as they came off the wire, and the key that names one."""

from typing import Any, NamedTuple

Object = dict[str, Any]
"""A parsed API object. One that is in a store is shared by everybody and is never changed."""


class Key(NamedTuple):
    """Namespace and name of an object; the namespace of a cluster-scoped object is empty."""

    namespace: str
    name: str


def key_of(obj: Object) -> Key:
    """Return the key of an object; KeyError when it has no metadata or no name."""
    metadata = obj["metadata"]
    return Key(metadata.get("namespace", ""), metadata["name"])


def uid_of(obj: Object) -> str:
    """Return what tells an object from a later one of the same name; KeyError when it has none."""
    uid: str = obj["metadata"]["uid"]
    return uid


def version_of(obj: Object) -> str:
    """Return the resourceVersion, to be compared for equality only; KeyError when there is none."""
    version: str = obj["metadata"]["resourceVersion"]
    return version
