"""The scripts that run in a pod: files beside the modules that use them, so that they are checked and read as what they are."""

import re
from importlib.resources import files

# A file in a file, in the words of its language: `. connection/connect.sh`, `\i engines/psql/lock.sql`; in a here-document
# that the shell expands the backslash is doubled.
_INCLUDED = re.compile(r"^(?:\. |\\{1,2}i )([a-z_/]+\.(?:sh|sql))$", re.MULTILINE)


def script(path: str) -> str:
    """The script at `path` below this package, with the files that it includes."""
    text = files(__package__).joinpath(*path.split("/")).read_text(encoding="utf-8")
    return _INCLUDED.sub(lambda found: script(found[1]).rstrip("\n"), text)
