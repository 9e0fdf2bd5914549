"""What the API server says of itself and of who may do what, as typed structs.

May live here: structs that mirror JSON, as in `objects.py`. May not: judgement.
"""

from __future__ import annotations

from msgspec import field

from bellmetal.resources import Json


class Version(Json, frozen=True):
    """What /version answers."""

    major: str = ""
    minor: str = ""
    git_version: str = ""


class GroupVersion(Json, frozen=True):
    """metav1.GroupVersionForDiscovery."""

    version: str = ""


class Group(Json, frozen=True):
    """metav1.APIGroup."""

    name: str = ""
    versions: list[GroupVersion] = field(default_factory=list)


class Groups(Json, frozen=True):
    """metav1.APIGroupList."""

    groups: list[Group] = field(default_factory=list)


class UserInfo(Json, frozen=True):
    """authentication.k8s.io/v1 UserInfo."""

    username: str = ""


class SelfReviewStatus(Json, frozen=True):
    """authentication.k8s.io/v1 SelfSubjectReviewStatus."""

    user_info: UserInfo = UserInfo()


class SelfReview(Json, frozen=True):
    """authentication.k8s.io/v1 SelfSubjectReview: who asks."""

    status: SelfReviewStatus = SelfReviewStatus()


class AccessStatus(Json, frozen=True):
    """authorization.k8s.io/v1 SubjectAccessReviewStatus."""

    allowed: bool = False


class AccessReview(Json, frozen=True):
    """authorization.k8s.io/v1 SubjectAccessReview, and that of oneself, as answered."""

    status: AccessStatus = AccessStatus()
