"""What the documentation tells people to type, typed."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

import pytest

from e2e.operator import REPOSITORY
from e2e.scenarios.support.images import FIRST, folder

if TYPE_CHECKING:
    from pathlib import Path

    from e2e.cluster import Cluster
    from e2e.scenarios.support.world import World


@pytest.mark.parametrize(
    ("statement", "finding"),
    [
        ("CREATE TABLE more (id int);", ""),
        ("DROP TABLE users;", "destructive changes detected"),
        ("ALTER TABLE users RENAME TO people;", "backward incompatible changes detected"),
        ("ALTER TABLE users ADD COLUMN n int NOT NULL;", "data dependent changes detected"),
    ],
)
def test_the_lint_rules_of_the_page_on_migrations_find_what_they_are_for(
    cluster: Cluster, world: World, tmp_path: Path, statement: str, finding: str
) -> None:
    page = (REPOSITORY / "docs/migrations.md").read_text()
    (rules,) = re.findall(r"```\n(lint \{.*?)```", page, re.DOTALL)
    (tmp_path / ".atlas.hcl").write_text(rules)
    migrations = tmp_path / "migrations"
    migrations.mkdir()
    for path, content in folder(cluster, {**FIRST, "20250102000000_next.sql": statement}, "").items():
        assert isinstance(content, bytes)
        (migrations / path.strip("/")).write_bytes(content)
    (words,) = re.findall(r"\natlas (migrate lint .*)\n", page)
    command = words.replace("$DEV_DATABASE_URL", world.database.url()).split()
    done = subprocess.run(
        [cluster.bin_dir / "atlas", *command], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    said = done.stdout + done.stderr
    assert (done.returncode != 0, finding in said) == (finding != "", True), said
