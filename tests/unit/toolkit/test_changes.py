"""Which applied files were changed."""

from __future__ import annotations

import pytest

from dbupgrade.toolkit.folder.problem import version
from dbupgrade.toolkit.history.atlas import Revision
from dbupgrade.toolkit.history.changes import Change, chain, changed, sha256, sums

Folder = list[tuple[str, bytes]]


def folder(*names: str, **contents: str) -> Folder:
    """Files of one line; `v2="x"` is the content of version 2."""
    return [(f"{name}_x.sql", contents.get(f"v{name}", f"select {name};").encode()) for name in names]


def history(files: Folder, *versions: str) -> list[Revision]:
    hashes = chain(files)
    return [Revision(version=each, total=1, done=1, hash=hashes.get(each, "")) for each in versions]


def recorded(files: Folder) -> dict[str, str]:
    return {version(name): sha256(data) for name, data in files}


ALL = folder("1", "2", "3")
EDITED = folder("1", "2", "3", v2="other")
IGNORED = [("1_x.sql", b"-- atlas:sum ignore\nselect 1;"), *folder("2")]
CASES = [
    pytest.param(ALL, history(ALL, "1", "2", "3"), {}, [], id="nothing, by Atlas's hashes"),
    pytest.param(ALL, history(ALL, "1", "2", "3"), recorded(ALL), [], id="nothing, by ours"),
    pytest.param(EDITED, history(ALL, "1", "2", "3"), recorded(ALL), [("2_x.sql", True)], id="one file"),
    pytest.param(EDITED, history(ALL, "1", "2", "3"), {}, [("2_x.sql", False)], id="this or an earlier one"),
    pytest.param(
        EDITED,
        history(ALL, "1", "2", "3"),
        recorded(ALL[:2]),
        [("2_x.sql", True)],
        id="a known change explains the hashes behind it",
    ),
    pytest.param(
        folder("1", "2", "3", v3="other"),
        history(ALL, "1", "2", "3"),
        recorded(ALL[:2]),
        [("3_x.sql", False)],
        id="only the last is not known",
    ),
    pytest.param(ALL, history(folder("1", "3"), "1", "3"), {}, [], id="an inserted file explains it"),
    pytest.param(ALL[1:], history(ALL, "1", "2", "3"), {}, [], id="a missing file explains it"),
    pytest.param(
        EDITED[1:],
        history(ALL, "1", "2", "3"),
        recorded(ALL),
        [("2_x.sql", True)],
        id="missing, and another changed",
    ),
    pytest.param(EDITED, history(ALL, "1", "3"), {}, [("3_x.sql", False)], id="an inserted file is not all"),
    pytest.param(
        EDITED,
        [*history(ALL, "1"), Revision(version="2", total=2, done=1, hash=chain(ALL)["2"])],
        {},
        [],
        id="a file that stopped halfway may be corrected",
    ),
    pytest.param(
        EDITED, [Revision(version="3", total=0, done=0, baseline=True)], {}, [], id="a baseline has no hash"
    ),
    pytest.param(IGNORED, history(IGNORED, "1", "2"), {}, [], id="a file that Atlas leaves out of its sums"),
]


@pytest.mark.parametrize(("files", "rows", "known", "told"), CASES)
def test_what_was_changed(
    files: Folder, rows: list[Revision], known: dict[str, str], told: list[tuple[str, bool]]
) -> None:
    assert changed(files, files, rows, known) == [Change(name, exact) for name, exact in told]


def test_files_that_are_applied_in_parts_have_the_hashes_of_their_parts() -> None:
    source = [*folder("1"), ("2_x.sql", b"a;"), ("2a_x.sql", b"b;"), *folder("3")]
    rows = history(source, "1", "2", "2a", "3")
    assert changed(ALL, source, rows, {}) == []
    assert changed(ALL, source, history(ALL, "1", "2", "3"), {}) == []


def test_a_hash_of_atlas_as_it_writes_it() -> None:
    files = [("1_a.sql", b"CREATE TABLE a (n int);\n"), ("2_b.sql", b"CREATE TABLE b (n int);\n")]
    assert sums(files).startswith(b"h1:of7W8aqPI2HMkd4oaJfiYl40KiNDMFBtlNMOiZz38zE=\n1_a.sql h1:yMBi")
    assert chain(files) == {
        "1": "yMBiOYtaWDFhrdxsA9efsm2/Y2HYgmR5pNIQwl/3d7o=",
        "2": "X2XFPhJTwrIgK0Fs0YVu2wKipn/eAUJKsAPDi6nqHko=",
    }
