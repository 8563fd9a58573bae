"""Which answers of a registry are final, as containerd, CRI-O and Docker report them through the kubelet."""

import pytest

from dbupgrade.decide import pulls
from dbupgrade.pod.view import ContainerView

CONTAINERD = 'failed to pull and unpack image "registry.test/shop:1": failed to resolve reference "registry.test/shop:1": '
FETCH = "failed to authorize: failed to fetch anonymous token: unexpected status from GET request to https://registry.test/token: "
HEAD = "unexpected status from HEAD request to https://registry.test/v2/shop/manifests/1: "

FINAL = {
    "containerd, no such tag": f"rpc error: code = NotFound desc = {CONTAINERD}registry.test/shop:1: not found",
    "containerd, in a back-off": 'Back-off pulling image "registry.test/shop:1": ErrImagePull: rpc error: code = NotFound '
    f"desc = {CONTAINERD}registry.test/shop:1: not found",
    "containerd, an image volume": 'failed to resolve image: "registry.test/shop:1": not found',
    "containerd, no login": f"{CONTAINERD}pull access denied, repository does not exist or may require authorization: "
    "server message: insufficient_scope: authorization failed",
    "containerd, no token": f"{CONTAINERD}{FETCH}401 Unauthorized",
    "containerd, refused by the token service": f"{CONTAINERD}{FETCH}403 Forbidden",
    "containerd, a wrong password": f"{CONTAINERD}{HEAD}401 Unauthorized",
    "CRI-O, no such tag": "initializing source docker://registry.test/shop:1: reading manifest 1 in registry.test/shop: "
    "manifest unknown",
    "CRI-O, no such repository": "reading manifest 1 in registry.test/shop: name unknown: repository not found",
    "CRI-O, no login": "reading manifest 1 in registry.test/shop: unauthorized: authentication required",
    "CRI-O, refused": "reading manifest 1 in registry.test/shop: denied: requested access to the resource is denied",
    "CRI-O, a wrong password": "unable to retrieve auth token: invalid username/password: unauthorized",
    "containerd, another architecture": "rpc error: code = NotFound desc = get image config descriptor: no match for platform in "
    "manifest sha256:ab: not found",
    "CRI-O, another architecture": "choosing an image from manifest list docker://registry.test/shop:1: no image found in image index "
    'for architecture "arm64", variant "v8", OS "linux"',
    "Docker, another architecture": "no matching manifest for linux/arm64/v8 in the manifest list entries",
    "Docker, no such tag": "Error response from daemon: manifest for registry.test/shop:1 not found: manifest unknown",
    "Docker, no login": "Error response from daemon: pull access denied for shop, repository does not exist or may require "
    "'docker login'",
}

MAY_PASS = {
    "nothing is known": "",
    "a back-off without its cause": 'Back-off pulling image "registry.test/shop:1"',
    "a timeout": f'{CONTAINERD}failed to do request: Head "https://registry.test/v2/": dial tcp 192.0.2.1:443: i/o timeout',
    "a refused connection": f"{CONTAINERD}dial tcp 192.0.2.1:443: connect: connection refused",
    "a name that is not resolved": f"{CONTAINERD}dial tcp: lookup registry.test: no such host",
    "a server error": f"{CONTAINERD}{HEAD}500 Internal Server Error",
    "an overloaded server": f"{CONTAINERD}{HEAD}503 Service Unavailable",
    "too many requests": f"{CONTAINERD}{HEAD}429 Too Many Requests",
    "the rate limit of a registry": "toomanyrequests: You have reached your unauthenticated pull rate limit: unauthorized: log in",
    "too many logins": f"{CONTAINERD}{FETCH}403 Forbidden: rate limit exceeded",
    "a snapshot that is not on the node": "failed to prepare extraction snapshot: parent snapshot sha256:ab does not exist: not found",
    "words in the name of the image": 'Back-off pulling image "registry.test/denied/unauthorized/forbidden:not-found"',
}


@pytest.mark.parametrize("reason", ["ErrImagePull", "ImagePullBackOff"])
@pytest.mark.parametrize("said", FINAL.values(), ids=FINAL)
def test_an_answer_of_the_registry_is_final(said: str, reason: str) -> None:
    assert pulls.is_final(ContainerView(waiting_reason=reason, waiting_message=said))


@pytest.mark.parametrize("reason", ["ErrImagePull", "ImagePullBackOff"])
@pytest.mark.parametrize("said", MAY_PASS.values(), ids=MAY_PASS)
def test_what_may_pass_is_not_final(said: str, reason: str) -> None:
    assert not pulls.is_final(ContainerView(waiting_reason=reason, waiting_message=said))


def test_an_invalid_name_is_final_whatever_is_said() -> None:
    assert pulls.is_final(ContainerView(waiting_reason="InvalidImageName"))


@pytest.mark.parametrize(
    "reason", ["ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"]
)
def test_only_containers_without_their_image_count(reason: str) -> None:
    unpulled = ContainerView(waiting_reason=reason)
    others = [ContainerView(started=True), ContainerView(waiting_reason="CreateContainerError")]
    assert pulls.failing([*others, unpulled]) == [unpulled]
