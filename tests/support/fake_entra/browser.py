"""Somebody's browser, which trusts the tests' own authority."""

from __future__ import annotations

import requests

from tests.support.authority import certificates


def ended_at(address: str) -> str:
    """Where it ends, having opened an address and clicked."""
    answer = requests.get(address, allow_redirects=False, timeout=5, verify=str(certificates() / "ca.pem"))
    assert answer.status_code == 302, answer.text
    return answer.headers["Location"]


def follow(address: str) -> requests.Response:
    """What it shows at the end, back at this machine."""
    return requests.get(ended_at(address), timeout=5)
