"""The endpoints over real HTTP, on ports that the kernel chooses."""

import aiohttp
import pytest

from dbupgrade.objects import Key
from dbupgrade.telemetry.endpoints import CannotListenError, serve_health, serve_metrics
from dbupgrade.telemetry.resources import RESOURCES, Outcome


async def get(port: int, path: str) -> tuple[int, str, str]:
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}{path}") as answer:
        return answer.status, answer.headers["Content-Type"], await answer.text()


async def test_metrics_are_in_the_format_of_prometheus() -> None:
    RESOURCES.ended(Key("shop", "orders"), Outcome("Succeeded"), 3)
    async with serve_metrics(0) as port:
        status, content, text = await get(port, "/metrics")
    assert status == 200
    assert content.startswith("text/plain; version=")
    for name in (
        'dbupgrade_runs_total{failure="",name="others",namespace="",result="Succeeded"}',
        "dbupgrade_operator_up",
        'dbupgrade_run_duration_seconds_bucket{le="1.0",result="Failed"}',
        "# TYPE controller_runtime_reconcile_total counter",
        "# TYPE controller_runtime_reconcile_errors_total counter",
        "# TYPE controller_runtime_reconcile_time_seconds histogram",
        "# TYPE workqueue_depth gauge",
        "# TYPE rest_client_requests_total counter",
        "# TYPE leader_election_master_status gauge",
        "# TYPE dbupgrade_pending_migrations gauge",
        "# TYPE dbupgrade_check_failures_total counter",
    ):
        assert name in text


async def test_a_process_that_answers_is_alive_even_if_it_is_not_ready() -> None:
    async with serve_health(0, {"stores": lambda: False}) as port:
        assert await get(port, "/healthz") == (200, "text/plain; charset=utf-8", "ok\n")


async def test_ready_when_every_check_holds_and_else_says_which_does_not() -> None:
    states = {"stores": True, "webhook": False, "leader": False}
    checks = {name: lambda name=name: states[name] for name in states}
    async with serve_health(0, checks) as port:
        assert (await get(port, "/readyz"))[::2] == (503, "not ready: webhook, leader\n")
        states.update(webhook=True, leader=True)
        assert (await get(port, "/readyz"))[::2] == (200, "ok\n")
        states["stores"] = False
        assert (await get(port, "/readyz"))[0] == 503


async def test_without_checks_it_is_ready() -> None:
    async with serve_health(0, {}) as port:
        assert (await get(port, "/readyz"))[0] == 200


@pytest.mark.parametrize("path", ["/", "/metrics"])
async def test_the_ports_are_apart(path: str) -> None:
    async with serve_health(0, {}) as port:
        assert (await get(port, path))[0] == 404


async def test_a_port_that_is_taken_is_named() -> None:
    async with serve_metrics(0) as port:
        with pytest.raises(CannotListenError, match=f"^port {port} cannot be used: .*in use$"):
            async with serve_health(port, {}):
                pass  # pragma: no cover
        assert (await get(port, "/metrics"))[0] == 200
    async with serve_health(port, {}) as again:
        assert again == port


async def test_a_stopped_endpoint_answers_no_more() -> None:
    async with serve_metrics(0) as port:
        pass
    with pytest.raises(aiohttp.ClientConnectorError):
        await get(port, "/metrics")
