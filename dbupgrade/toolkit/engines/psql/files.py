"""The files that psql applies: which there are, and what each says about its transaction."""

import hashlib
import io
import re
from dataclasses import dataclass
from pathlib import Path

from dbupgrade.api.failure import Failure
from dbupgrade.pod.report import Report
from dbupgrade.toolkit.folder import FolderError

_NAME = re.compile(r"[A-Za-z0-9._ +=,@()-]+")
_HEADER = re.compile(rb"--\s*dbupgrade:(.*)")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_WITHOUT_TRANSACTION = b"txmode none"


class UnusableFileError(Exception):
    """A file that cannot be applied as it is."""

    def __init__(self, name: str, why: str) -> None:
        super().__init__(why)
        self.report = Report(failure=Failure.UNUSABLE_FILE, failed_file=name, error=why)


@dataclass(frozen=True)
class Migration:
    """A file of the folder."""

    name: str
    checksum: str
    """SHA-256 of its bytes, in hexadecimal."""
    transaction: bool = True
    """Whether it runs in a transaction of ours."""

    repeatable: bool = False
    """Whether all that it does is undone when it fails: psql's commands may do more than the server knows."""
    builds_concurrently: bool = False
    """Whether the file contains nothing else, and blocks no other session."""

    @property
    def version(self) -> str:
        """The part of its name before the first `_`."""
        return self.name.removesuffix(".sql").partition("_")[0]


def read(folder: Path) -> list[Migration]:
    """The migrations of `folder` in the order of their bytes. Raises FolderError and UnusableFileError."""
    if not folder.is_dir():
        raise FolderError(f"folder {folder} does not exist")
    paths = [path for path in folder.iterdir() if path.name.endswith(".sql") and path.name[0] != "."]
    if not paths:
        raise FolderError(f"folder {folder} contains no *.sql files")
    return [_read(path) for path in sorted(paths, key=lambda path: path.name)]


def _read(path: Path) -> Migration:
    name = path.name
    if not _NAME.fullmatch(name):
        plain = name.encode(errors="replace").decode()
        raise UnusableFileError(
            plain, "the name contains characters other than letters, digits, spaces and . _ - + = , @ ( )"
        )
    try:
        data = path.read_bytes() if path.is_file() else None
    except OSError:
        data = None
    if data is None:
        raise UnusableFileError(
            name, "it cannot be read: it must be a file that the user of the container may read"
        )
    headers = _headers(data)
    if headers and headers != [_WITHOUT_TRANSACTION]:
        raise UnusableFileError(name, "the only supported header is: -- dbupgrade:txmode none")
    return Migration(
        name,
        hashlib.sha256(data).hexdigest(),
        transaction=not headers,
        repeatable=not headers and b"\\" not in data,
        builds_concurrently=bool(headers) and _builds_concurrently(data.decode(errors="replace")),
    )


def _builds_concurrently(text: str) -> bool:
    if "concurrently" not in text.lower():
        return False
    from dbupgrade.toolkit.sql import concurrently  # noqa: PLC0415 - PostgreSQL's parser takes time and memory

    return concurrently.may_be_repeated(text)


def _headers(data: bytes) -> list[bytes]:
    """The headers among the first lines of a file, as far as they are comments or empty."""
    found = []
    for line in io.BytesIO(data.removeprefix(_BYTE_ORDER_MARK)):
        text = line.strip()
        if text and not text.startswith(b"--"):
            break
        if match := _HEADER.fullmatch(text):
            found.append(match[1].strip())
    return found
