"""Metrics, and what a signal does."""

from __future__ import annotations

import re
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING

from e2e.ports import free_port

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.toolkit.conftest import Toolkit


def values(text: str) -> dict[str, float]:
    found = re.findall(r'^dbupgrade_migrate_(\w+)\{command="apply"\} (\S+)$', text, re.MULTILINE)
    return {name: float(value) for name, value in found}


def test_metrics_in_a_file(toolkit: Toolkit, tmp_path: Path) -> None:
    file = tmp_path / "migrate.prom"
    toolkit.variables["MIGRATE_METRICS_FILE"] = str(file)
    toolkit.write(v1="create table a (id int);", v2="create table a (id int);")
    assert not file.exists()
    assert toolkit.run("apply").code == 7
    failed = values(file.read_text())
    assert (failed["exit_code"], failed["applied_files"], failed["pending_files"]) == (7, 1, 1)
    assert failed["connection_seconds"] > 0
    assert "last_success_timestamp_seconds" not in failed
    toolkit.write(v2="select 1;")
    assert toolkit.run("apply").code == 0
    assert values(file.read_text())["last_success_timestamp_seconds"] > failed["last_run_timestamp_seconds"]


def test_metrics_are_pushed_and_their_loss_fails_nothing(toolkit: Toolkit) -> None:
    toolkit.write(v1="create table a (id int);")
    pushed: list[tuple[str, str]] = []

    class Gateway(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            pushed.append((self.path, self.rfile.read(int(self.headers["Content-Length"])).decode()))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    with HTTPServer(("127.0.0.1", 0), Gateway) as gateway:
        thread = threading.Thread(target=gateway.serve_forever)
        thread.start()
        try:
            url = f"http://127.0.0.1:{gateway.server_port}"
            assert toolkit.run("apply", MIGRATE_PUSHGATEWAY_URL=url).code == 0
        finally:
            gateway.shutdown()
            thread.join()
    ((path, text),) = pushed
    assert path.startswith("/metrics/job/dbupgrade_migrate/database@base64/")
    assert values(text)["applied_files"] == 1
    lost = toolkit.run("apply", MIGRATE_PUSHGATEWAY_URL=f"http://127.0.0.1:{free_port()}")
    assert (lost.code, lost.event("metrics_failed")["level"]) == (0, "warning")


def test_a_signal_ends_atlas_too_and_the_file_is_undone(toolkit: Toolkit) -> None:
    toolkit.write(v1="create table a (id int); select pg_sleep(600);")
    sleeping = "from pg_stat_activity where query like '%pg_sleep(600)%' and pid <> pg_backend_pid()"
    with toolkit.start("apply") as process:
        toolkit.until(f"select pid {sleeping}")
        process.terminate()
        process.communicate(timeout=300)
    assert process.returncode == 143
    assert toolkit.fetch(f"select pid {sleeping} and state = 'active'") == []
    assert toolkit.tables() == set()
