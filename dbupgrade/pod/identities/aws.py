"""IAM authentication of AWS databases: the URL with a token, and the words for what AWS refuses. Contract, section 6."""

from typing import ClassVar
from urllib.parse import quote

from dbupgrade.api.spec.database import Aws, Database, Dialect
from dbupgrade.pod.identity import KEY_AUTHORITY, KEY_URL, AuthError, Identity

AUTHORITY_PATH = "/etc/dbupgrade-aws"

DENIED = "AccessDenied"
EXPIRED = "ExpiredToken"
NO_CREDENTIALS = "NoCredentials"
THROTTLED = "Throttling"
UNREACHABLE = "Unreachable"
UNREADABLE = "UnreadableAnswer"

_ADVICE = {
    DENIED: "check that the operator's identity may sts:AssumeRole on the role, that the role exists, and that its "
    "trust policy names the operator's identity as principal and sts:ExternalId {external_id}",
    EXPIRED: "the operator's own AWS credentials have expired: renew them, or give its service account a role (IRSA, Pod "
    "Identity), which renews them automatically",
    "IDPCommunicationError": "STS cannot reach the cluster's OIDC provider; the call is retried",
    "InvalidClientTokenId": "AWS does not know the operator's own credentials: check its service account's role or its keys",
    "InvalidIdentityToken": "STS does not accept the operator's service account token: check the cluster's OIDC provider in IAM",
    NO_CREDENTIALS: "the operator has no AWS credentials: give its service account a role (IRSA, Pod Identity)",
    "RegionDisabledException": "enable the region of the STS endpoint, or set aws.region of the operator to one that is enabled",
    "SignatureDoesNotMatch": "check the operator's secret access key and its clock",
    THROTTLED: "AWS throttles the calls; the call is retried",
    UNREACHABLE: "check network policies, DNS and the VPC endpoint for STS in the region",
    UNREADABLE: "something other than STS responds, for example a proxy: check the operator's proxy settings and DNS",
    "ValidationError": "check spec.database.aws.roleArn",
}
_SAME = {
    "AccessDeniedException": DENIED,
    "ExpiredTokenException": EXPIRED,
    "RequestExpired": "SignatureDoesNotMatch",
    "RequestLimitExceeded": THROTTLED,
    "ThrottlingException": THROTTLED,
    "TooManyRequestsException": THROTTLED,
}
_OWN_IDENTITY = (
    "AWS rejects the operator's own identity: check the trust policy of its service account's role (namespace and name of "
    "the service account, the cluster's OIDC provider)"
)
_OTHERWISE = "see the AWS documentation for that code"


class AwsIam(Identity):
    """IAM authentication of RDS and Aurora."""

    authority_path: ClassVar[str] = AUTHORITY_PATH

    def dialect(self, database: Database) -> Dialect | None:
        """That of the aws block, where it is the one in use."""
        return database.aws.dialect if database.uses_aws and database.aws else None

    def refusal(self, database: Database, resource: str, error: AuthError) -> str:
        """What AWS said about the role."""
        return refusal(settings(database), resource, error)


def settings(database: Database) -> Aws:
    """The aws block of a database that logs in with this identity."""
    if database.aws is None:
        raise ValueError("the gates let a resource without an aws block pass")
    return database.aws


def refusal(aws: Aws, external_id: str, error: AuthError) -> str:
    """What AWS said about the role, and what to check."""
    code = _SAME.get(error.code, error.code)
    advice = _OWN_IDENTITY if error.own and code == DENIED else _ADVICE.get(code, _OTHERWISE)
    return (
        f"AWS did not issue a session for role {aws.role_arn} with ExternalId {external_id}: {error.code}. "
        f"{_sentence(advice.format(external_id=external_id))}"
    )


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def secret_data(aws: Aws, token: str, authority: str) -> dict[str, str]:
    """What is in the Secret with a token; `authority` are certificates, and empty without any."""
    given = {KEY_AUTHORITY: authority} if authority else {}
    return {KEY_URL: database_url(aws, token, verify=bool(authority)), **given}


def database_url(aws: Aws, token: str, *, verify: bool) -> str:
    """The URL to connect with `token`, always over TLS; `verify`: with the certificates at `AUTHORITY_PATH`."""
    if aws.dialect is Dialect.MYSQL:
        # SSL_CERT_FILE in the container's environment names the certificates: Atlas has no parameter for them.
        query = f"tls={'true' if verify else 'skip-verify'}&allowCleartextPasswords=true"
    else:
        query = (
            f"sslmode=verify-full&sslrootcert={AUTHORITY_PATH}/{KEY_AUTHORITY}"
            if verify
            else "sslmode=require"
        )
    login = f"{_escaped(aws.username)}:{_escaped(token)}"
    return f"{aws.dialect}://{login}@{aws.server_host}:{aws.server_port}/{_escaped(aws.db_name)}?{query}"


def _escaped(text: str) -> str:
    return quote(text, safe="")
