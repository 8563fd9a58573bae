"""What stands in for AWS in tests: STS and IAM (moto's server), and a check of tokens that is none of Amazon's code."""

from e2e.aws.sts import Role, Sts
from e2e.aws.verifier import Session, Wanted, problem

__all__ = ["Role", "Session", "Sts", "Wanted", "problem"]
