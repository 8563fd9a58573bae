"""`kubectl dbupgrade` as its own process, against a real API server and an operator that works."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml

from dbupgrade.api.names import API_VERSION
from dbupgrade.cli.view import LIST_HEADS
from tests.integration.harness.scene import IMAGE, NAME, condition, is_finished, run_of, spec
from tests.integration.harness.standin import SQL_ERROR, SUCCESS
from tests.integration.harness.waiting import PATIENCE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.integration.harness.scene import Scene


class Answer(NamedTuple):
    code: int
    out: str
    err: str


async def command(scene: Scene, *words: str) -> Answer:
    """Run a command on the scene's namespace, which the kubeconfig's context names; pods' logs come from the stand-in."""
    return await answer(await begin(scene, *words))


async def answer(process: asyncio.subprocess.Process) -> Answer:
    """Wait for the end of a command."""
    out, err = await process.communicate()
    return Answer(process.returncode or 0, out.decode(), err.decode())


async def begin(
    scene: Scene,
    *words: str,
    stdin: int = asyncio.subprocess.DEVNULL,
    stdout: int = asyncio.subprocess.PIPE,
    stderr: int = asyncio.subprocess.PIPE,
    user: str = "",
) -> asyncio.subprocess.Process:
    """Begin a command like that, with its input and output where they are wanted; as the administrator, or as `user`, straight to the server."""
    login, server = (scene.api.login(user), None) if user else (scene.api.admin, scene.proxy.url)
    path = scene.api.write_kubeconfig("person", login, server=server)
    config = yaml.safe_load(path.read_text())
    config["contexts"][0]["context"]["namespace"] = scene.namespace
    own = scene.directory / "person.kubeconfig"
    own.write_text(yaml.safe_dump(config))
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "dbupgrade", *words,
        env={**os.environ, "KUBECONFIG": str(own), "TERM": "xterm", "COLUMNS": "120", "LINES": "30"},
        stdin=stdin, stdout=stdout, stderr=stderr,
    )  # fmt: skip


async def test_a_person_follows_a_run_to_its_end(scene: Scene) -> None:
    assert (await command(scene, "status")).out == f"No DBUpgrades found in namespace {scene.namespace}.\n"
    waiting = asyncio.create_task(command(scene, "wait", NAME, "--timeout", "5m"))
    await scene.start()
    scene.standin.ending = SUCCESS
    await scene.create()
    waited = await waiting
    assert waited.code == 0
    assert waited.out.splitlines()[-1].startswith("Ready  MigrationComplete: applied")

    tree = (await command(scene, "status", NAME)).out
    assert tree.startswith(f"{scene.namespace}/{NAME}  Ready  MigrationComplete\n")
    assert "└─ run 1  Succeeded" in tree
    assert "└─ pod " in tree
    assert "\x1b" not in tree  # colours are for terminals
    as_json = json.loads((await command(scene, "status", NAME, "-o", "json")).out)
    assert as_json == yaml.safe_load((await command(scene, "status", NAME, "-o", "yaml")).out)
    assert as_json["run"] == run_of(await scene.get())
    heads, row = (await command(scene, "history", NAME)).out.splitlines()
    assert heads.split()[:2] == ["RUN", "RESULT"]
    assert row.split()[:2] == ["1", "Succeeded"]
    assert "Ready: applied" in (await command(scene, "explain", NAME)).out
    assert (await command(scene, "logs", NAME)).out == "exit code 0\n"
    refused = await command(scene, "retry", NAME)
    assert (refused.code, "nothing to retry: the last run succeeded" in refused.err) == (1, True)


async def test_a_watch_prints_the_list_and_then_each_change_until_it_is_interrupted(scene: Scene) -> None:
    await scene.start()
    scene.standin.ending = SUCCESS
    watching = await begin(scene, "status", "--watch")
    assert watching.stdout
    heads = await asyncio.wait_for(watching.stdout.readline(), PATIENCE)
    assert heads.decode().split() == list(LIST_HEADS)
    await scene.create()
    seen: list[list[str]] = []
    while not seen or seen[-1][2] != "Ready":
        line = await asyncio.wait_for(watching.stdout.readline(), PATIENCE)
        seen.append(line.decode().split())
    assert {row[1] for row in seen} == {NAME}
    watching.send_signal(signal.SIGINT)
    ended = await asyncio.wait_for(answer(watching), PATIENCE)
    assert (ended.code, ended.err) == (130, "")


async def test_a_failure_is_explained_and_tried_again(scene: Scene) -> None:
    await scene.start()
    scene.standin.ending = SQL_ERROR
    await scene.create()
    await scene.until(is_finished)
    waited = await command(scene, "wait", NAME)
    assert waited.code == 1
    assert waited.err.startswith(
        "error: the resource is not ready:\nSQLError in 20250102_two.sql: a statement failed: "
    )
    unknown = await command(scene, "explain", "nosuch")
    assert (unknown.code, "DBUpgrade nosuch not found in namespace" in unknown.err) == (1, True)
    explained = (await command(scene, "explain", NAME)).out
    assert "What to do:" in explained
    assert "kubectl dbupgrade retry" in explained
    scene.standin.ending = SUCCESS
    retried = await command(scene, "retry", NAME)
    assert retried.out == f"{scene.namespace}/{NAME}: attempt 2 with {IMAGE} starts now\n"
    await scene.until_ready(sequence=2)
    rows = json.loads((await command(scene, "history", NAME, "-o", "json")).out)
    assert [row["result"] for row in rows] == ["Succeeded", "Failed"]


async def test_a_suspended_resource_starts_when_it_is_resumed(scene: Scene) -> None:
    await scene.start()
    scene.standin.ending = SUCCESS
    await scene.create(suspend=True)
    await scene.until_reason("Suspended")
    assert "spec.suspend is true" in (await command(scene, "explain", NAME)).out
    timed_out = await command(scene, "wait", NAME, "--timeout", "0")
    assert (
        timed_out.code,
        "Timed out after 0 s; last state: Suspended: spec.suspend is true" in timed_out.err,
    ) == (1, True)
    refused = await command(scene, "retry", NAME)
    assert (refused.code, "suspended: resume it first" in refused.err) == (1, True)
    resumed = await command(scene, "resume", NAME)
    assert "resumed; the run that was held back starts now" in resumed.out
    await scene.until_ready()
    suspended = await command(scene, "suspend", NAME)
    assert suspended.out == f"{scene.namespace}/{NAME}: suspended; no run starts until it is resumed\n"
    assert (await scene.get())["spec"]["suspend"] is True


async def test_it_waits_for_the_image_it_is_told_and_not_for_the_one_before(scene: Scene) -> None:
    await scene.start()
    scene.standin.ending = SUCCESS
    await scene.create()
    await scene.until_ready()
    newer = "registry.example/shop:2.0.0"
    assert (await command(scene, "wait", NAME, "--image", newer, "--timeout", "0")).code == 1
    await scene.set_image(newer)
    assert (await command(scene, "wait", NAME, "--image", newer)).code == 0


def manifest(scene: Scene, image: str, **metadata: str) -> str:
    """A file with the scene's resource."""
    path = scene.directory / "dbupgrade.yaml"
    body = {"apiVersion": API_VERSION, "kind": "DBUpgrade", "metadata": {"name": NAME, **metadata}}
    path.write_text(yaml.safe_dump({**body, "spec": spec(image)}))
    return str(path)


async def test_a_file_is_applied_and_waited_for_at_its_generation(scene: Scene) -> None:
    await scene.start()
    scene.standin.ending = SUCCESS
    first = await command(scene, "apply", manifest(scene, "registry.example/shop:1.0.0"))
    assert first.code == 0, first.err
    assert first.out.splitlines()[0] == f"Applied  {scene.namespace}/{NAME} at generation 1"
    second = await command(scene, "apply", manifest(scene, "registry.example/shop:2.0.0"))
    assert second.code == 0, second.err
    resource = await scene.get()
    assert (resource["metadata"]["generation"], run_of(resource)["sequence"]) == (2, 2)
    again = await command(scene, "apply", manifest(scene, "registry.example/shop:2.0.0"))
    assert again.out.splitlines()[-1].startswith("Ready  MigrationComplete: ")
    assert run_of(await scene.get())["sequence"] == 2


async def test_an_apply_fails_at_once_with_the_migration_and_the_next_one_tries_again(scene: Scene) -> None:
    await scene.start()
    scene.standin.ending = SQL_ERROR
    file = manifest(scene, "registry.example/shop:1.0.0")
    failed = await command(scene, "apply", file)
    assert (failed.code, "What to do: Correct the migration" in failed.err) == (1, True)
    assert "Failed  JobFailed: SQLError" in failed.out
    scene.standin.ending = SUCCESS
    assert (await command(scene, "apply", file)).code == 0
    assert run_of(await scene.get())["sequence"] == 2


async def test_an_apply_waits_for_the_end_of_a_run_that_locks_the_spec(scene: Scene) -> None:
    await scene.start()
    await scene.create()
    await scene.until(lambda resource: condition(resource, "Progressing")["status"] == "True")
    locked = await command(scene, "apply", manifest(scene, "registry.example/shop:2.0.0"), "--timeout", "0")
    assert (locked.code, "the spec is locked until it has finished" in locked.out) == (1, True)
    applying = asyncio.create_task(
        command(scene, "apply", manifest(scene, "registry.example/shop:2.0.0"), "--timeout", "5m")
    )
    job = await scene.standin.job()
    scene.standin.ending = SUCCESS
    await scene.standin.end(job, SUCCESS)
    assert (await applying).code == 0
    assert run_of(await scene.get())["sequence"] == 2


async def test_a_file_that_cannot_be_meant_is_refused(scene: Scene) -> None:
    elsewhere = await command(scene, "apply", manifest(scene, "x", namespace="elsewhere"), "-n", "here")
    assert (elsewhere.code, "is for the namespace elsewhere, not for here" in elsewhere.err) == (1, True)
    assert "cannot be read" in (await command(scene, "apply", "/nothing")).err
    (scene.directory / "list.yaml").write_text("kind: List\n")
    assert (
        "must contain exactly one DBUpgrade"
        in (await command(scene, "apply", str(scene.directory / "list.yaml"))).err
    )


async def test_what_is_not_there_is_an_error_in_one_line(scene: Scene) -> None:
    answer = await command(scene, "status", "nothing")
    assert (answer.code, answer.out) == (1, "")
    assert answer.err.startswith("error: ")
    assert len(answer.err.splitlines()) == 1


async def test_a_log_is_waited_for_before_there_is_a_pod(scene: Scene) -> None:
    await scene.create()
    assert (
        "there is no pod yet: the operator has not seen generation 1"
        in (await command(scene, "logs", NAME)).err
    )
    following = await begin(
        scene, "logs", NAME, "--follow", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    assert following.stderr
    waiting = await following.stderr.readline()
    assert waiting.startswith(b"Waiting for the pod: the operator has not seen generation 1")
    await scene.start()
    job = await scene.standin.job()
    assert "Container migrate of pod " in (await following.stderr.readline()).decode()
    not_yet = await command(scene, "logs", NAME)
    assert (not_yet.code, "has not started yet" in not_yet.err) == (1, True)
    other = await command(scene, "logs", NAME, "--container", "nosuch")
    assert (other.code, "has no container nosuch; it has " in other.err) == (1, True)
    await scene.standin.end(job, SUCCESS)
    out, _ = await following.communicate()
    assert (following.returncode, out) == (0, b"exit code 0\n")


async def test_a_terminal_shows_progress_in_place(scene: Scene) -> None:
    """The status is written by the test: an operator looks at a run only after 15 s."""
    await scene.create()
    message = "20250812_add_index.sql (3 of 7): waiting 40 s for a lock on orders, held by application 'reporting' (pid 812)"
    progress = {"file": "20250812_add_index.sql", "number": 3, "of": 7, "statement": 2, "message": message}
    run = {"jobName": "j", "sequence": 1, "runId": "r", "image": IMAGE, "generation": 1}
    run |= {"startedAt": "2026-01-01T12:00:00Z", "progress": progress}
    await scene.patch(shown("Progressing", "WaitingForLock", message, run=run), subresource="status")
    async with terminal() as (screen, theirs, _):
        waiting = await begin(scene, "wait", NAME, stdout=theirs, stderr=theirs)
        written = await read(screen, until="pid 812")
        bar = "[█████░░░░░░░░░░░░░░░] 2 of 7 files applied, now statement 2 of 20250812_add_index.sql, "
        assert bar in written
        ended = {**run, "finishedAt": "2026-01-01T12:10:00Z", "result": "Succeeded", "progress": None}
        await scene.patch(
            shown("Ready", "MigrationComplete", "applied 7 files", run=ended), subresource="status"
        )
        written = await read(screen, until="MigrationComplete: applied 7 files")
    assert await waiting.wait() == 0
    assert "\x1b[J" in written.split("MigrationComplete")[0]  # what was in its place is gone
    plain = await command(scene, "wait", NAME)
    assert plain.out == "Ready  MigrationComplete: applied 7 files\n"


def shown(state: str, reason: str, message: str, **status: Any) -> dict[str, Any]:
    """A status in which only that condition is True."""
    conditions = [
        {
            "type": kind,
            "status": "True" if kind == state else "False",
            "reason": reason,
            "message": message,
            "lastTransitionTime": "2026-01-01T12:00:00Z",
            "observedGeneration": 1,
        }
        for kind in ("Ready", "Progressing", "Stalled")
    ]
    return {"status": {"observedGeneration": 1, "conditions": conditions, **status}}


@contextlib.asynccontextmanager
async def terminal() -> AsyncIterator[tuple[asyncio.StreamReader, int, int]]:
    """A terminal: what it is sent, where a process writes to and reads from, and where a person types."""
    ours, theirs = os.openpty()
    screen = asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(screen)
    end = os.fdopen(ours, "rb", buffering=0)
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, end)
    try:
        yield screen, theirs, ours
    finally:
        transport.close()
        os.close(theirs)


async def read(screen: asyncio.StreamReader, until: str) -> str:
    """What a terminal is sent, up to those words."""
    written = b""
    async with asyncio.timeout(PATIENCE):
        while until not in written.decode(errors="replace"):
            written += await screen.read(4096)
    return written.decode(errors="replace")
