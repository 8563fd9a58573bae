"""The scripts that run in a pod: files beside the modules that use them, so that they are checked and read as what they are."""

from importlib.resources import files


def script(path: str) -> str:
    """The script at `path` below this package."""
    return files(__package__).joinpath(*path.split("/")).read_text(encoding="utf-8")
