"""Looks whether what the operator reports and what the database holds is what the releases should have led to."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import asyncpg

from e2e.demo.expected import EXPECTATIONS, NEW_ORDER, REFUSED
from e2e.demo.findings import Finding
from e2e.demo.transitions import conditions

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

    from e2e.demo.database import Revision
    from e2e.demo.kubectl import Json
    from e2e.demo.release import Release


def report(resource: Json, releases: Sequence[Release], images: Sequence[str]) -> Iterator[Finding]:
    """Compare the status with these releases, oldest first, and their images."""
    status = resource.get("status", {})
    found = conditions(resource)
    yield Finding("Ready is True", "True", found.get("Ready", {}).get("status"))
    yield Finding("Progressing is False", "False", found.get("Progressing", {}).get("status"))
    seen_generation = status.get("observedGeneration")
    yield Finding(
        "observedGeneration is that of the last change", resource["metadata"]["generation"], seen_generation
    )
    yield Finding("currentVersion is that of the last file", releases[-1].last, status.get("currentVersion"))
    yield Finding("pendingCount: nothing is left to do", 0, status.get("pendingCount"))
    history = status.get("history", [])
    yield Finding("status.run is the newest of the history", history[:1], [status.get("run")])
    wanted = list(_runs(releases, images))
    seen = [{key: run.get(key) or None for key in wanted[0]} for run in history]
    yield Finding("the history has each run once, newest first", wanted[::-1], seen)


def jobs(resource: Json, all_jobs: Sequence[Json]) -> Iterator[Finding]:
    """Compare the Jobs that the resource owns with the runs that it reports."""
    owned = [job for job in all_jobs if resource["metadata"]["uid"] in _owners(job)]
    runs = sorted(run["jobName"] for run in resource.get("status", {}).get("history", []))
    yield Finding("one Job for each run", runs, sorted(job["metadata"]["name"] for job in owned))
    pods = [job["status"].get("succeeded", 0) for job in owned]
    yield Finding("one pod for each Job, and it succeeded", [1] * len(runs), pods)


def revisions(rows: Sequence[Revision], release: Release) -> Iterator[Finding]:
    """Compare Atlas's history with the files of the release."""
    yield Finding(
        f"Atlas recorded {len(release.files)} files", release.versions, [row.version for row in rows]
    )
    partly = [row.version for row in rows if row.applied != row.total]
    yield Finding("every file was applied to its last statement", [], partly)


async def contents(connection: asyncpg.Connection) -> list[Finding]:
    """Compare schema and rows with release 2.0.0, and try whether triggers and constraints work.

    Whatever is written for that is rolled back. A query that fails, for example because a table is missing, is a finding
    like any other.
    """
    found = [Finding(what, rows, await _rows(connection, [query])) for what, query, rows in EXPECTATIONS]
    found += [Finding(what, rows, await _rows(connection, queries)) for what, queries, rows in NEW_ORDER]
    found += [Finding(what, error, await _rows(connection, [query])) for what, query, error in REFUSED]
    return found


async def _rows(connection: asyncpg.Connection, queries: Sequence[str]) -> object:
    """Run queries in a transaction that is rolled back; the rows of the last one, or the kind of error."""
    try:
        async with _rolled_back(connection):
            for query in queries:
                rows = await connection.fetch(query)
            return [row[0] if len(row) == 1 else tuple(row) for row in rows]
    except asyncpg.PostgresError as error:
        return type(error).__name__


@asynccontextmanager
async def _rolled_back(connection: asyncpg.Connection) -> AsyncIterator[None]:
    transaction = connection.transaction()
    await transaction.start()
    try:
        yield
    finally:
        await transaction.rollback()


def _runs(releases: Sequence[Release], images: Sequence[str]) -> Iterator[Json]:
    """Yield what the report of each run should say."""
    start = None
    for release, image in zip(releases, images, strict=True):
        yield {
            "image": image,
            "result": "Succeeded",
            "fromVersion": start,
            "toVersion": release.last,
            "appliedCount": sum(version > (start or "") for version in release.versions),
        }
        start = release.last


def _owners(item: Json) -> set[str]:
    return {owner["uid"] for owner in item["metadata"].get("ownerReferences", [])}
