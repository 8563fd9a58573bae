"""The Prometheus metrics of the operator, but those that grow with what users create (`telemetry.resources`).

Names that users have alerts and dashboards on are those of controller-runtime and client-go; they are fixed.
"""

from prometheus_client import Counter, Gauge, Histogram

_LATENCY_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_RUN_SECONDS = (1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200)

UP = Gauge("dbupgrade_operator_up", "1 while the operator's process runs")

RECONCILE_TOTAL = Counter(
    "controller_runtime_reconcile_total", "Reconciliations by result", ["controller", "result"]
)
RECONCILE_ERRORS = Counter(
    "controller_runtime_reconcile_errors_total", "Reconciliations that failed with an error", ["controller"]
)
RECONCILE_SECONDS = Histogram(
    "controller_runtime_reconcile_time_seconds",
    "Duration of a reconciliation",
    ["controller"],
    buckets=_LATENCY_SECONDS,
)

QUEUE_DEPTH = Gauge("workqueue_depth", "Keys that are waiting for a worker", ["name"])
QUEUE_ADDS = Counter("workqueue_adds_total", "Keys added", ["name"])
QUEUE_RETRIES = Counter("workqueue_retries_total", "Keys added again after a delay", ["name"])
QUEUE_WAIT_SECONDS = Histogram(
    "workqueue_queue_duration_seconds",
    "Time that a key spent in the queue",
    ["name"],
    buckets=_LATENCY_SECONDS,
)
QUEUE_WORK_SECONDS = Histogram(
    "workqueue_work_duration_seconds", "Time that a worker spent on a key", ["name"], buckets=_LATENCY_SECONDS
)
QUEUE_UNFINISHED_SECONDS = Gauge(
    "workqueue_unfinished_work_seconds", "Sum of the durations of the work in progress", ["name"]
)
QUEUE_LONGEST_SECONDS = Gauge(
    "workqueue_longest_running_processor_seconds", "Duration of the longest work in progress", ["name"]
)

API_REQUESTS = Counter("rest_client_requests_total", "Requests to the API server", ["code", "method"])
LEADER = Gauge("leader_election_master_status", "1 on the active replica, 0 on the others", ["name"])

INFORMER_LAG_SECONDS = Gauge(
    "dbupgrade_informer_lag_seconds", "Time since the API server last sent something about a kind", ["kind"]
)
INFORMER_RELISTS = Counter(
    "dbupgrade_informer_relists_total", "Complete lists of a kind that the API server was asked for", ["kind"]
)

RUN_SECONDS = Histogram(
    "dbupgrade_run_duration_seconds", "Duration of the runs that ended", ["result"], buckets=_RUN_SECONDS
)
WEBHOOK_REQUESTS = Counter(
    "dbupgrade_webhook_requests_total", "Requests that the webhook reviewed, by verdict", ["verdict"]
)
WEBHOOK_CERTIFICATE_EXPIRY = Gauge(
    "dbupgrade_webhook_certificate_expiry_seconds", "Time until the webhook's certificate expires"
)

# A series that begins with its first event cannot be seen to grow by that: alerts and dashboard would miss it.
for _result in ("Succeeded", "Failed", "Busy", "Planned"):
    RUN_SECONDS.labels(_result)
for _verdict in ("allowed", "denied", "error"):
    WEBHOOK_REQUESTS.labels(_verdict)
