"""Versions in image tags, and whether pods run what a check wants. Every row of the contract's section 4."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbupgrade.api.spec.checks import VERSION, MinPodVersion
from dbupgrade.decide.versions import (
    AppPod,
    app_pod_from,
    check_pods,
    image_tag,
    image_version,
    parse_version,
)

WHERE = "app=web"


def pod(name: str, *images: str, counts: bool = True, **named: str) -> AppPod:
    """A pod with a container `app` for the one image, or with containers of those names."""
    return AppPod(name, counts, (*(("app", image) for image in images), *named.items()))


def a_check(min_version: str = "2.0", **changes: Any) -> MinPodVersion:
    selector = {"matchLabels": {"app": "web"}}
    return MinPodVersion.model_validate({"selector": selector, "minVersion": min_version, **changes})


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("1.2.3", "1.2.3"),
        ("v1.2.3", "1.2.3"),
        ("1.24", "1.24.0"),
        ("v2", "2.0.0"),
        ("15-alpine", "15.0.0-alpine"),
        ("15.4-alpine3.18", "15.4.0-alpine3.18"),
        ("1.2.3.4", "1.2.3"),
        ("1.2.3.4-rc1", "1.2.3-rc1"),
        ("1.2.3-rc.1+build.5", "1.2.3-rc.1+build.5"),
        ("1.2.3+build", "1.2.3+build"),
        ("2024.01.15", "2024.1.15"),
        ("1.0-0412", "1.0.0-412"),
        ("20240115", "20240115.0.0"),
    ],
)
def test_a_version_is_read_leniently(text: str, version: str) -> None:
    assert str(parse_version(text)) == version


@pytest.mark.parametrize(
    "text",
    [
        "",
        "latest",
        "v",
        "stable-1.2",
        "1.",
        "1..2",
        "1.2.3-",
        "1.2.3-a..b",
        "1.2.3+",
        "-1",
        "1.2 ",
        "٣.1",
        "1.2\n",
    ],
)
def test_what_is_no_version_is_refused_with_words_for_the_user(text: str) -> None:
    with pytest.raises(ValueError, match="is not a version: write it as"):
        parse_version(text)


@given(st.text(max_size=40))
def test_any_text_is_a_version_or_a_value_error(text: str) -> None:
    try:
        version = parse_version(text)
    except ValueError:
        return
    assert parse_version(str(version)) == version


@pytest.mark.parametrize(
    ("image", "tag"),
    [
        ("nginx", ""),
        ("nginx:1.25", "1.25"),
        ("registry.test:5000/shop/web", ""),
        ("registry.test:5000/shop/web:2.0", "2.0"),
        ("registry.test:5000/web@sha256:" + "ab" * 32, ""),
        ("registry.test:5000/web:2.0@sha256:" + "ab" * 32, "2.0"),
        ("web:latest", "latest"),
        ("", ""),
    ],
)
def test_the_tag_of_an_image_reference(image: str, tag: str) -> None:
    assert image_tag(image) == tag


def test_an_underscore_in_a_tag_begins_the_build_metadata() -> None:
    assert str(image_version("web:1.2.3-rc1_5.g12")) == "1.2.3-rc1+5.g12"
    assert image_version("web:1_2_3") is None


HOLDS = [
    pytest.param(a_check(), [pod("web-1", "web:2.0.0"), pod("web-2", "web:v2.1")], id="all at it or above"),
    pytest.param(a_check("2.0.0-rc1"), [pod("web-1", "web:2.0.0")], id="a release is above its pre-release"),
    pytest.param(a_check("2.0.0+a"), [pod("web-1", "web:2.0.0_b")], id="build metadata has no rank"),
    pytest.param(
        a_check("15-alpine"), [pod("db-1", "postgres:15.4-alpine")], id="15.4.0-alpine is above 15.0.0-alpine"
    ),
    pytest.param(
        a_check(containerName="app"),
        [pod("web-1", "web:2.0", proxy="envoy:1.30")],
        id="only the named container",
    ),
    pytest.param(
        a_check(containerName="app"),
        [pod("web-1", "web:2.0"), pod("job-1", job="job:1.0")],
        id="a pod without that container",
    ),
    pytest.param(
        a_check(), [pod("web-1", "web:2.0"), pod("web-2", "web:1.9", counts=False)], id="old pods that end"
    ),
    pytest.param(
        a_check(strictMode=False),
        [pod("web-1", "web:2.0"), pod("web-2", "web:latest")],
        id="skips what has no version",
    ),
]


@pytest.mark.parametrize(("check", "pods"), HOLDS)
def test_holds(check: MinPodVersion, pods: list[AppPod]) -> None:
    assert check_pods(check, WHERE, pods, {}).holds


FAILS = [
    pytest.param(
        a_check(),
        [pod("web-2", "web:1.9.3"), pod("web-1", "web:1.9.3"), pod("web-3", "web:2.0")],
        "2 of 3 pods below 2.0.0: web-1 (1.9.3), web-2 (1.9.3)",
        id="pods below, named in order",
    ),
    pytest.param(
        a_check(),
        [pod(f"web-{n}", f"web:1.{n}") for n in range(1, 6)],
        "5 of 5 pods below 2.0.0: web-1 (1.1.0), web-2 (1.2.0), web-3 (1.3.0), …",
        id="the first few of many",
    ),
    pytest.param(
        a_check(),
        [pod("web-1", "web:2.0.0-rc1")],
        "1 of 1 pods below 2.0.0: web-1 (2.0.0-rc1)",
        id="a pre-release",
    ),
    pytest.param(
        a_check(),
        [pod("web-1", "web:2.0", migrate="web:1.9")],
        "1 of 1 pods below 2.0.0: web-1 (migrate 1.9.0)",
        id="any container, init containers included",
    ),
    pytest.param(
        a_check(),
        [
            pod("web-1", "web:2.0"),
            pod("web-2", "web:latest"),
            pod("web-3", "web"),
            pod("web-4", "web@sha256:ab"),
        ],
        "3 of 4 pods whose image tag is not a version: web-2 (latest), web-3 (no tag), web-4 (digest only)",
        id="tags that are no version, in strict mode",
    ),
    pytest.param(
        a_check(strictMode=False),
        [pod("web-1", "web:latest")],
        "no pod that matches app=web has an image tag that is a version: web-1 (latest)",
        id="nothing but skipped ones",
    ),
    pytest.param(
        a_check(containerName="app"),
        [pod("job-1", job="job:9.0")],
        "no pod that matches app=web has an image tag that is a version",
        id="no pod with that container",
    ),
    pytest.param(a_check(), [], "no running pod matches app=web, wanted 2.0.0 or newer", id="no pod at all"),
    pytest.param(
        a_check(),
        [pod("web-1", "web:2.0", counts=False)],
        "no running pod matches app=web, wanted 2.0.0 or newer",
        id="only pods that end",
    ),
    pytest.param(
        a_check(),
        [pod("web-1", "web:1.9"), pod("web-2", "web:dev")],
        "1 of 2 pods below 2.0.0: web-1 (1.9.0); 1 of 2 pods whose image tag is not a version: web-2 (dev)",
        id="several things at once",
    ),
]


@pytest.mark.parametrize(("check", "pods", "words"), FAILS)
def test_fails(check: MinPodVersion, pods: list[AppPod], words: str) -> None:
    verdict = check_pods(check, WHERE, pods, {})
    assert not verdict.holds
    assert verdict.message == words


def test_the_message_of_what_holds_names_the_lowest_version() -> None:
    verdict = check_pods(a_check(), WHERE, [pod("web-1", "web:2.2"), pod("web-2", "web:2.1")], {})
    assert verdict.message == "2 pods run 2.0.0 or newer; the lowest is 2.1.0"
    assert str(verdict.lowest) == "2.1.0"


def test_the_highest_version_of_each_container_is_told() -> None:
    pods = [pod("web-1", "web:2.2", proxy="envoy:3.1"), pod("web-2", "web:2.10", proxy="envoy:3.0")]
    verdict = check_pods(a_check(), WHERE, pods, {"app": "2.3.0", "gone": "1.0.0"})
    assert verdict.highest == {"app": "2.10.0", "proxy": "3.1.0", "gone": "1.0.0"}


def test_a_downgrade_fails_only_where_it_is_disallowed() -> None:
    pods, passed = [pod("web-1", "web:2.1")], {"app": "2.2.0"}
    assert check_pods(a_check(), WHERE, pods, passed).holds
    verdict = check_pods(a_check(disallowDowngrade=True), WHERE, pods, passed)
    assert not verdict.holds
    assert (
        verdict.message
        == "1 of 1 pods below the highest version that this check has passed with: web-1 (2.1.0 after 2.2.0)"
    )


def test_a_container_is_compared_with_its_own_past() -> None:
    pods = [pod("web-1", "web:2.0", proxy="envoy:3.0")]
    passed = {"app": "2.0.0", "proxy": "3.0.0"}
    assert check_pods(a_check(disallowDowngrade=True), WHERE, pods, passed).holds


@pytest.mark.parametrize(
    ("changes", "counts"),
    [
        ({}, True),
        ({"status": {"phase": "Pending"}}, True),
        ({"status": {"phase": "Running"}}, True),
        ({"status": {"phase": "Succeeded"}}, False),
        ({"status": {"phase": "Failed"}}, False),
        ({"metadata": {"name": "web-1", "deletionTimestamp": "2026-01-01T00:00:00Z"}}, False),
    ],
)
def test_terminating_and_ended_pods_do_not_count(changes: dict[str, Any], counts: bool) -> None:
    spec = {
        "initContainers": [{"name": "init", "image": "init:1"}],
        "containers": [{"name": "app", "image": "web:2"}],
    }
    view = app_pod_from({"metadata": {"name": "web-1"}, "spec": spec, **changes})
    assert view == AppPod("web-1", counts, (("init", "init:1"), ("app", "web:2")))


@given(st.from_regex(VERSION.expression, fullmatch=True, alphabet="0123456789vV.-+aZ"))
def test_what_the_crd_takes_for_a_version_is_one(text: str) -> None:
    assert parse_version(text).major >= 0
