"""The shapes in which Google says no: Calendar's, Gmail's and Meet's, and the token endpoint's."""

from __future__ import annotations

from typing import Any

_STATUS_WORDS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ALREADY_EXISTS",
    412: "FAILED_PRECONDITION",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}

_MESSAGES = {
    "authError": "Invalid Credentials",
    "quotaExceeded": "Calendar usage limits exceeded.",
    "rateLimitExceeded": "Rate Limit Exceeded",
    "userRateLimitExceeded": "User Rate Limit Exceeded",
    "insufficientPermissions": "Request had insufficient authentication scopes.",
    "accessNotConfigured": "The API has not been used in project 1234567890 before or it is disabled.",
    "forbidden": "Forbidden",
    "notFound": "Not Found",
    "duplicate": "The requested identifier already exists.",
    "fullSyncRequired": "Sync token is no longer valid, a full sync is required.",
    "deleted": "Resource has been deleted",
    "conditionNotMet": "Precondition Failed",
    "backendError": "Backend Error",
    "failedPrecondition": "Precondition check failed.",
}

_REASONS = {
    400: "invalid",
    401: "authError",
    403: "forbidden",
    404: "notFound",
    409: "duplicate",
    410: "fullSyncRequired",
    412: "conditionNotMet",
    429: "rateLimitExceeded",
}

_INFO = {
    "insufficientPermissions": "ACCESS_TOKEN_SCOPE_INSUFFICIENT",
    "accessNotConfigured": "SERVICE_DISABLED",
    "rateLimitExceeded": "RATE_LIMIT_EXCEEDED",
    "userRateLimitExceeded": "RATE_LIMIT_EXCEEDED",
}
"""What the newer form of an error calls the same."""

_NAMED = frozenset({"insufficientPermissions", "accessNotConfigured"})

_DOMAINS = {
    "accessNotConfigured": "usageLimits",
    "quotaExceeded": "usageLimits",
    "rateLimitExceeded": "usageLimits",
    "userRateLimitExceeded": "usageLimits",
    "fullSyncRequired": "calendar",
    "forbiddenForNonOrganizer": "calendar",
    "requiredAccessLevel": "calendar",
}


class GoogleError(Exception):
    """One refused request: HTTP status, Google's reason word, and where the fault lies."""

    def __init__(
        self,
        status: int,
        reason: str = "",
        message: str = "",
        *,
        location: str = "",
        header: bool = False,
        headers: dict[str, str] | None = None,
    ) -> None:
        self.status = status
        self.reason = reason or _REASONS.get(status, "backendError")
        self.message = message or _MESSAGES.get(self.reason, "Bad Request")
        self.location, self.header = location, header
        self.headers = headers or {}
        super().__init__(f"{status} {self.reason}: {self.message}")

    def body(self, api: str) -> dict[str, Any]:
        """The JSON of it as ``api`` (``calendar``, ``gmail`` or ``meet``) words it."""
        item: dict[str, Any] = {"domain": _DOMAINS.get(self.reason, "global"), "reason": self.reason}
        item["message"] = self.message
        if self.location:
            item["locationType"] = "header" if self.header else "parameter"
            item["location"] = self.location
        error: dict[str, Any] = {"code": self.status, "message": self.message}
        if api != "meet":
            error["errors"] = [item]
        if api != "calendar" or self.status == 401 or self.reason in _NAMED:
            error["status"] = _STATUS_WORDS.get(self.status, "UNKNOWN")
        if self.reason in _INFO and (api != "calendar" or "status" in error):
            info = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "domain": "googleapis.com"}
            error["details"] = [info | {"reason": _INFO[self.reason]}]
        return {"error": error}


def invalid(location: str, message: str) -> GoogleError:
    """400 for one parameter."""
    return GoogleError(400, "invalid", message, location=location)


def not_found() -> GoogleError:
    """404."""
    return GoogleError(404)


class OAuthError(Exception):
    """A refusal of the token endpoint (RFC 6749 section 5.2)."""

    def __init__(self, error: str, description: str, status: int = 400) -> None:
        super().__init__(f"{error}: {description}")
        self.status = status
        self.body = {"error": error, "error_description": description}
