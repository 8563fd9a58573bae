"""The fetch script run for real, by two shells with their own tar, against a crane that is a few lines of shell."""

import gzip
import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from dbupgrade.api.failure import Failure
from dbupgrade.pod.steps import fetch
from dbupgrade.pod.steps.fetch import Fetched, parse

DIGEST = "sha256:" + "0f" * 32
APPLETS = [
    "cat",
    "chmod",
    "cp",
    "cut",
    "du",
    "find",
    "gunzip",
    "mkdir",
    "mv",
    "printf",
    "readlink",
    "rm",
    "sed",
    "sh",
    "sort",
    "tail",
    "tar",
    "uname",
]

# In a pod the script is nobody special: root, who may be who runs the tests, would write where it may not.
NOBODY = 65532
SETPRIV = shutil.which("setpriv") or "setpriv"
NO_PRIVILEGES = [] if os.geteuid() else [SETPRIV, f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]

# Answers as crane does; tells what it was asked with in the file `calls`.
CRANE = """#!/bin/sh
echo "$(basename "$DOCKER_CONFIG") $*" >> "$FAKE/calls"
case "$1" in
  digest)
    grep -qx "$(basename "$DOCKER_CONFIG")" "$FAKE/accepted" || {
      cat "$FAKE/says-to-$(basename "$DOCKER_CONFIG")" >&2 || echo "denied" >&2
      exit 1
    }
    echo "registry.test/orders@$(cat "$FAKE/digest")" ;;
  export)
    cat "$FAKE/image.tar"
    [ ! -e "$FAKE/breaks" ] ;;
  manifest) cat "$FAKE/manifest" ;;
  blob)
    for blob do :; done
    cat "$FAKE/blobs/${blob#*@sha256:}" ;;
esac
"""


Entry = tarfile.TarInfo | tuple[str, str]
Pack = Callable[[bytes], bytes]


@dataclass
class Pod:
    """A file system for the script, with its fixed paths moved below `root`."""

    root: Path
    shell: list[str]
    path: str
    before: str = ""
    """What the shell does before the script."""

    def accept(self, *configs: str) -> None:
        (self.root / "fake" / "accepted").write_text("".join(f"{config}\n" for config in configs))

    def pull_secret(self, name: str) -> None:
        (self.root / "pull-secrets" / name).mkdir(parents=True)

    def image(self, *entries: tarfile.TarInfo | tuple[str, str], cut: bool = False) -> None:
        """Files as (name, text), and links as made by `link`."""
        data = archive(*entries)
        (self.root / "fake" / "image.tar").write_bytes(data[:700] if cut else data)

    def layers(self, *layers: list[Entry], pack: Pack = gzip.compress, indent: int | None = None) -> None:
        """An image of layers, the oldest first; crane exports each name as the newest layer has it, that layer first."""
        flat: dict[str, Entry] = {}
        for layer in reversed(layers):
            for entry in layer:
                flat.setdefault(named(entry).removeprefix("./"), entry)
        self.image(*flat.values())
        blobs = self.root / "fake" / "blobs"
        blobs.mkdir()
        digests = []
        for blob in (b'{"config": 1}', *(pack(archive(*layer)) for layer in layers)):
            digests.append(hashlib.sha256(blob).hexdigest())
            (blobs / digests[-1]).write_bytes(blob)
        config, *packed = ({"size": 1, "digest": f"sha256:{digest}"} for digest in digests)
        based = {"org.opencontainers.image.base.digest": f"sha256:{'9' * 64}"}
        manifest = {"layers": packed, "config": config, "annotations": based}
        (self.root / "fake" / "manifest").write_text(json.dumps(manifest, indent=indent))

    def run(
        self, folder: str = "/migrations", image: str = "registry.test/orders:1", insecure: str = "false"
    ) -> int:
        script = self.before + fetch.SCRIPT
        for fixed in ("/dev/termination-log", "/pull-secrets/", "/anonymous", "/work/"):
            assert fixed in script
            script = script.replace(fixed, f"{self.root}{fixed}")
        environment = {
            "PATH": f"{self.root}/fake:{self.path}",
            "FAKE": f"{self.root}/fake",
            "HOME": f"{self.root}/tmp",
            "IMAGE": image,
            "FOLDER": folder,
            "INSECURE": insecure,
        }
        if NO_PRIVILEGES:
            for path in (self.root, *self.root.rglob("*")):
                os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
        done = subprocess.run(
            [*NO_PRIVILEGES, *self.shell, "-c", script],
            env=environment,
            cwd=self.root,
            capture_output=True,
            check=False,
            timeout=60,
        )
        return done.returncode

    @property
    def said(self) -> Fetched:
        return parse((self.root / "dev" / "termination-log").read_text())

    @property
    def calls(self) -> list[str]:
        return (self.root / "fake" / "calls").read_text().splitlines()

    @property
    def files(self) -> list[str]:
        top = self.root / "work" / "files"
        return sorted(str(path.relative_to(top)) for path in top.rglob("*") if not path.is_dir())


def archive(*entries: Entry) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for entry in entries:
            if isinstance(entry, tarfile.TarInfo):
                tar.addfile(entry)
            else:
                info = tarfile.TarInfo(entry[0])
                info.size = len(entry[1].encode())
                tar.addfile(info, io.BytesIO(entry[1].encode()))
    return buffer.getvalue()


def named(entry: Entry) -> str:
    return entry.name if isinstance(entry, tarfile.TarInfo) else entry[0]


def link(name: str, target: str, *, hard: bool = False) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type = tarfile.LNKTYPE if hard else tarfile.SYMTYPE
    info.linkname = target
    return info


def folder(name: str, mode: int = 0o755) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type = tarfile.DIRTYPE
    info.mode = mode
    return info


def pipe(name: str) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type = tarfile.FIFOTYPE
    info.mode = 0o644
    return info


SQL = ("migrations/20240101_init.sql", "create table a (id int);")
SECOND = ("migrations/20240102_more.sql", "create table b (id int);")
SUM = ("migrations/atlas.sum", "h1:x")


@pytest.fixture(params=["dash", "busybox"])
def pod(request: pytest.FixtureRequest) -> Iterator[Pod]:
    # Not tmp_path: only root may enter that of root.
    with tempfile.TemporaryDirectory() as name:
        yield _pod(Path(name).resolve(), request)


def _pod(root: Path, request: pytest.FixtureRequest) -> Pod:
    for name in ("fake", "dev", "work", "tmp", "applets"):
        (root / name).mkdir()
    crane = root / "fake" / "crane"
    crane.write_text(CRANE)
    crane.chmod(0o755)
    (root / "fake" / "digest").write_text(DIGEST)
    shell = shutil.which(request.param)
    assert shell, f"install {request.param}: the init container's image has such a shell"
    if request.param == "busybox":
        for applet in (*APPLETS, "basename", "grep"):
            (root / "applets" / applet).symlink_to(shell)
        result = Pod(root, [str(root / "applets" / "sh")], str(root / "applets"))
    else:
        result = Pod(root, [shell], os.defpath)
    result.accept("anonymous")
    result.image(folder("migrations"), SQL, SECOND, SUM, ("etc/passwd", "root"))
    return result


def test_the_folder_is_extracted_and_nothing_else(pod: Pod) -> None:
    assert pod.run() == 0
    assert pod.files == [
        "migrations/20240101_init.sql",
        "migrations/20240102_more.sql",
        "migrations/atlas.sum",
    ]
    assert pod.said == Fetched(digest=DIGEST, last="20240102")


def test_the_image_is_read_by_its_digest(pod: Pod) -> None:
    assert pod.run() == 0
    digest, export = pod.calls[-2:]
    assert digest.startswith("anonymous digest --platform linux/")
    assert digest.endswith(" --full-ref registry.test/orders:1")
    assert export.startswith("anonymous export --platform linux/")
    assert export.endswith(f" registry.test/orders@{DIGEST} -")


def test_plain_http_is_asked_for_only_when_it_is_set(pod: Pod) -> None:
    assert pod.run(insecure="true") == 0
    assert all("--insecure" in call for call in pod.calls)
    (pod.root / "fake" / "calls").unlink()
    assert pod.run() == 0
    assert not any("--insecure" in call for call in pod.calls)


@pytest.mark.parametrize(
    "name", ["/app/db/migrations", "/app/db/migrations/", "/.sql", "/-rf", "/--to-command=x"]
)
def test_any_folder_that_the_crd_allows(pod: Pod, name: str) -> None:
    inner = name.strip("/")
    pod.image(folder(inner), (f"{inner}/1_a.sql", "x"), ("1_b.sql", "y"))
    assert pod.run(name.rstrip("/")) == 0
    assert pod.files == [f"{inner}/1_a.sql"]
    assert pod.said.last == "1"


def test_pull_secrets_are_tried_in_order_until_one_is_accepted(pod: Pod) -> None:
    for name in ("000", "001", "002"):
        pod.pull_secret(name)
    pod.accept("001", "002")
    assert pod.run() == 0
    assert [call.split()[0] for call in pod.calls] == ["000", "001", "001"]


def test_without_an_accepted_pull_secret_the_image_is_tried_without_any(pod: Pod) -> None:
    pod.pull_secret("000")
    assert pod.run() == 0
    assert [call.split()[0] for call in pod.calls] == ["000", "anonymous", "anonymous"]


def test_an_image_that_nobody_may_read(pod: Pod) -> None:
    pod.accept()
    assert pod.run() == 1
    assert pod.said == Fetched(failure=Failure.FETCH, of="IMAGE")


def test_of_what_the_registry_says_to_each_pull_secret_the_most_is_told(pod: Pod) -> None:
    pod.pull_secret("000")
    pod.accept()
    said = {
        "000": "GET https://registry.test: MANIFEST_UNKNOWN: hunter2",
        "anonymous": "UNAUTHORIZED: hunter2",
    }
    for name, text in said.items():
        (pod.root / "fake" / f"says-to-{name}").write_text(text)
    assert pod.run() == 1
    assert pod.said == Fetched(failure=Failure.FETCH, of="IMAGE", error=fetch.SAID["MANIFEST_UNKNOWN"])


MIGRATIONS = folder("migrations")
FAILURES = [
    pytest.param([("etc/passwd", "x")], Failure.MISSING_FOLDER, id="the image has no such folder"),
    pytest.param([("migrations", "a file")], Failure.MISSING_FOLDER, id="the folder is a file"),
    pytest.param([MIGRATIONS], Failure.EMPTY_FOLDER, id="the folder is empty"),
    pytest.param([MIGRATIONS, SUM], Failure.EMPTY_FOLDER, id="the folder has no migration"),
    pytest.param(
        [MIGRATIONS, ("migrations/old/1_a.sql", "x")],
        Failure.EMPTY_FOLDER,
        id="migrations only in a folder below",
    ),
    pytest.param(
        [folder("sql"), ("sql/1_a.sql", "x"), link("migrations", "sql")],
        Failure.UNSAFE_LINK,
        id="the folder is a symbolic link",
    ),
    pytest.param(
        [MIGRATIONS, SQL, link("migrations/2.sql", "/etc/passwd")], Failure.UNSAFE_LINK, id="an absolute link"
    ),
    pytest.param(
        [MIGRATIONS, SQL, link("migrations/2.sql", "../../../etc/passwd")],
        Failure.UNSAFE_LINK,
        id="a link upwards",
    ),
    pytest.param(
        [MIGRATIONS, SQL, link("migrations/2", "..")], Failure.UNSAFE_LINK, id="a link to the folder above"
    ),
    pytest.param(
        [MIGRATIONS, SQL, link("migrations/2", "../migrations2/x")],
        Failure.UNSAFE_LINK,
        id="a link to a like name",
    ),
    pytest.param(
        [MIGRATIONS, SQL, link("migrations/a", "b"), link("migrations/b", "/etc")],
        Failure.UNSAFE_LINK,
        id="a chain",
    ),
    pytest.param(
        [("etc/passwd", "x"), MIGRATIONS, SQL, link("migrations/2.sql", "etc/passwd", hard=True)],
        Failure.UNSAFE_LINK,
        id="a hard link to a file that is not in the folder",
    ),
    pytest.param(
        [SQL, link("migrations/2.sql", "etc/passwd", hard=True)],
        Failure.UNSAFE_LINK,
        id="the same in a layer without an entry for the folder",
    ),
    pytest.param(
        [MIGRATIONS, pipe("migrations/1.sql")], Failure.EMPTY_FOLDER, id="its only migration is a pipe"
    ),
    pytest.param(
        [MIGRATIONS, folder("migrations/1.sql")], Failure.EMPTY_FOLDER, id="its only migration is a folder"
    ),
    pytest.param(
        [MIGRATIONS, SQL, (f"{SQL[0]}/2.sql", "x")], Failure.FETCH, id="tar fails, and not for a link"
    ),
    pytest.param(
        [MIGRATIONS, ("migrations/1_link.sql", "x"), ("migrations/1_link.sql/2.sql", "x")],
        Failure.FETCH,
        id="tar fails for a file whose name speaks of a link",
    ),
]


@pytest.mark.parametrize(("entries", "failure"), FAILURES)
def test_an_image_that_cannot_be_used(
    pod: Pod, entries: list[tarfile.TarInfo | tuple[str, str]], failure: Failure
) -> None:
    pod.image(*entries)
    assert pod.run() == 1
    assert pod.said == Fetched(failure=failure)


def test_an_archive_that_was_cut_though_crane_knows_nothing_of_it(pod: Pod) -> None:
    pod.image(("migrations/1_a.sql", "x" * 1000), cut=True)
    assert pod.run() == 1
    assert pod.said == Fetched(failure=Failure.FETCH)


@pytest.mark.parametrize("mode", [0o000, 0o111, 0o555, 0o755, 0o700, 0o2755], ids=oct)
def test_a_folder_of_any_mode(pod: Pod, mode: int) -> None:
    pod.image(folder("migrations", mode), SQL, SUM)
    assert pod.run() == 0
    assert pod.files == [SQL[0], SUM[0]]
    assert pod.said.last == "20240101"


@pytest.mark.parametrize("mode", [0o000, 0o222, 0o644], ids=oct)
def test_the_engine_may_read_a_file_of_any_mode(pod: Pod, mode: int) -> None:
    file = tarfile.TarInfo("migrations/1_a.sql")
    file.mode = mode
    pod.image(MIGRATIONS, file)
    assert pod.run() == 0
    assert (pod.root / "work/files/migrations/1_a.sql").stat().st_mode & 0o600 == 0o600


def test_a_layer_without_an_entry_for_the_folder(pod: Pod) -> None:
    pod.image(SQL, SECOND, SUM, ("etc/passwd", "root"))
    assert pod.run() == 0
    assert pod.files == [SQL[0], SECOND[0], SUM[0]]
    assert pod.said == Fetched(digest=DIGEST, last="20240102")


@pytest.mark.parametrize(
    "last", [pipe("migrations/9.sql"), folder("migrations/9.sql")], ids=["pipe", "folder"]
)
def test_the_last_version_is_that_of_a_file(pod: Pod, last: tarfile.TarInfo) -> None:
    pod.image(MIGRATIONS, SQL, SECOND, last)
    assert pod.run() == 0
    assert pod.said.last == "20240102"


@pytest.mark.parametrize(
    ("machine", "platform"),
    [
        ("x86_64", "linux/amd64"),
        ("aarch64", "linux/arm64"),
        ("armv7l", "linux/arm/v7"),
        ("i386", "linux/386"),
        ("i686", "linux/386"),
        ("s390x", "linux/s390x"),
        ("ppc64le", "linux/ppc64le"),
    ],
)
def test_the_image_is_that_of_the_nodes_platform(pod: Pod, machine: str, platform: str) -> None:
    pod.before = f"uname() {{ echo {machine}; }}\n"
    assert pod.run() == 0
    assert {call.split(" --platform ")[1].split()[0] for call in pod.calls} == {platform}


def test_a_link_within_the_folder_is_fine(pod: Pod) -> None:
    pod.image(MIGRATIONS, SQL, link("migrations/latest.sql", "20240101_init.sql"))
    assert pod.run() == 0


def test_a_crane_that_breaks_in_the_middle_is_not_hidden_by_the_pipe(pod: Pod) -> None:
    (pod.root / "fake" / "breaks").touch()
    assert pod.run() == 1
    assert pod.said == Fetched(failure=Failure.FETCH)


def test_a_crane_that_breaks_after_half_of_the_image(pod: Pod) -> None:
    pod.image(MIGRATIONS, SQL, SECOND, cut=True)
    (pod.root / "fake" / "breaks").touch()
    assert pod.run() == 1
    assert pod.said == Fetched(failure=Failure.FETCH)


def test_a_folder_that_is_too_large(pod: Pod) -> None:
    limit = "-le 262144 ]"
    assert limit in fetch.SCRIPT
    pod.image(MIGRATIONS, SQL, ("migrations/dump.bin", "x" * 100_000))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fetch, "SCRIPT", fetch.SCRIPT.replace(limit, "-le 50 ]"))
        assert pod.run() == 1
    assert pod.said == Fetched(failure=Failure.FOLDER_TOO_LARGE)


@pytest.mark.parametrize(
    "text", ["$(touch pwned)", "`touch pwned`", '"; touch pwned; "', "' touch pwned '", "-x", "*"]
)
def test_input_is_never_code(pod: Pod, text: str) -> None:
    assert pod.run(f"/{text}", image=f"registry.test/{text}") == 1
    assert pod.said == Fetched(failure=Failure.MISSING_FOLDER)
    assert pod.calls[0].endswith(f"--full-ref registry.test/{text}")
    assert not list(pod.root.rglob("pwned"))


# --- links on the way to the folder ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "links",
    [
        pytest.param([link("app/current", "releases/3")], id="relative"),
        pytest.param([link("app/current", "/app/releases/3")], id="absolute"),
        pytest.param([link("app/current", "../app/./releases//3")], id="upwards and back"),
        pytest.param([link("app/current", "../../../app/releases/3")], id="above the root there is the root"),
        pytest.param([link("app/current", "last"), link("app/last", "releases/3")], id="a chain"),
    ],
)
def test_the_way_to_the_folder_may_lead_over_links(pod: Pod, links: list[tarfile.TarInfo]) -> None:
    more: list[Entry] = [
        link("app/current.old", "releases/2"),
        ("app/releases/3/sql/1_a.sql", "x"),
        ("app/other", "y"),
    ]
    pod.image(*links, *more)
    assert pod.run("/app/current/sql") == 0
    assert "app/current/sql/1_a.sql" in pod.files
    assert not [file for file in pod.files if not file.endswith("/sql/1_a.sql")]
    assert pod.said.last == "1"


@pytest.mark.parametrize(
    ("entries", "failure"),
    [
        ([link("app/current", "current")], Failure.MISSING_FOLDER),
        ([link("app/current", "/nowhere")], Failure.MISSING_FOLDER),
        ([link("app/current", "/")], Failure.MISSING_FOLDER),
        ([link("app/current", "v3"), link("app/v3/sql", "/etc")], Failure.UNSAFE_LINK),
        (
            [link("app/current", "v3"), folder("app/v3/sql"), link("app/v3/sql/1_a.sql", "/etc/passwd")],
            Failure.UNSAFE_LINK,
        ),
    ],
    ids=[
        "a circle",
        "to nothing",
        "to the root",
        "to a link in the folder's place",
        "to a folder with a link",
    ],
)
def test_a_way_that_leads_to_no_folder(pod: Pod, entries: list[Entry], failure: Failure) -> None:
    pod.image(("etc/1_a.sql", "x"), *entries)
    assert pod.run("/app/current/sql") == 1
    assert pod.said == Fetched(failure=failure)


# --- hard links --------------------------------------------------------------------------------------------------

OLD, NEW = ("migrations/1_a.sql", "old"), ("migrations/1_a.sql", "new")
LINK = link("migrations/2_b.sql", "migrations/1_a.sql", hard=True)


def contents(pod: Pod) -> list[str]:
    return [(pod.root / "work/files/migrations" / name).read_text() for name in ("1_a.sql", "2_b.sql")]


@pytest.mark.parametrize(
    ("pack", "indent"),
    [(gzip.compress, None), (gzip.compress, 2), (bytes, None)],
    ids=["gzip", "indented", "plain"],
)
def test_a_hard_link_keeps_its_content_when_a_later_layer_replaces_its_target(
    pod: Pod, pack: Pack, indent: int | None
) -> None:
    pod.layers([folder("migrations", 0o555), OLD, LINK], [("other", "x")], [NEW], pack=pack, indent=indent)
    assert pod.run() == 0
    assert contents(pod) == ["new", "old"]


def test_hard_links_of_one_layer_are_the_same_file(pod: Pod) -> None:
    pod.layers([MIGRATIONS, OLD, LINK], [("migrations/3_c.sql", "x")])
    assert pod.run() == 0
    assert contents(pod) == ["old", "old"]
    assert pod.said.last == "3"


def test_names_in_layers_may_begin_with_a_dot(pod: Pod) -> None:
    dotted = link("./migrations/2_b.sql", "./migrations/1_a.sql", hard=True)
    pod.layers([MIGRATIONS, ("./migrations/1_a.sql", "old"), dotted], [NEW])
    pod.image(NEW, LINK)
    assert pod.run() == 0
    assert contents(pod) == ["new", "old"]


def test_a_hard_link_in_a_layer_that_cannot_be_read_is_named(pod: Pod) -> None:
    pod.layers([MIGRATIONS, OLD, LINK], [NEW], pack=lambda data: b"(\xb5/\xfd" + data[::-1])
    assert pod.run() == 1
    assert pod.said == Fetched(failure=Failure.UNSAFE_LINK)


@pytest.mark.parametrize("lost", ["manifest", "blobs"])
def test_a_registry_that_fails_when_links_are_read_again(pod: Pod, lost: str) -> None:
    pod.layers([MIGRATIONS, OLD, LINK], [NEW])
    (pod.root / "fake" / lost).rename(pod.root / "fake" / "lost")
    assert pod.run() == 1
    assert pod.said == Fetched(failure=Failure.FETCH)


def test_a_link_in_an_older_layer_leads_nowhere(pod: Pod) -> None:
    pod.pull_secret("000")
    (pod.root / "pull-secrets/000/2_b.sql").write_text("hunter2")
    way = link("migrations/old", f"{pod.root}/pull-secrets/000")
    pod.layers([MIGRATIONS, SQL, way], [folder("migrations/old"), ("migrations/old/1_a.sql", "new")])
    pod.image(
        MIGRATIONS,
        SQL,
        ("migrations/old/1_a.sql", "new"),
        link("migrations/old/2_b.sql", "migrations/old/1_a.sql", hard=True),
    )
    assert pod.run() == 1
    assert pod.said == Fetched(failure=Failure.UNSAFE_LINK)
    assert "hunter2" not in "".join(path.read_text() for path in (pod.root / "work").rglob("*.sql"))
