"""The endpoints: where they are, the browser's step, codes for devices, and tokens."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from dataclasses import replace
from datetime import timedelta
from urllib.parse import parse_qs, urlencode, urlsplit

from tests.support.fake_entra.entra_errors import EntraError
from tests.support.fake_entra.world import PERSONAL, SHARED, App, Body, Device, FakeEntra, Given, User
from tests.support.wire import Answer, Request

_CODE_LIFE = timedelta(minutes=10)
_DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


def configuration(entra: FakeEntra, tenant: str) -> Body:
    """The discovery document of a tenant. Raises EntraError."""
    base = f"{entra.authority}/{entra.found_tenant(tenant)}"
    return {
        "issuer": f"{base.replace('/common', '/{tenantid}')}/v2.0",
        "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
        "token_endpoint": f"{base}/oauth2/v2.0/token",
        "device_authorization_endpoint": f"{base}/oauth2/v2.0/devicecode",
        "jwks_uri": f"{base}/discovery/v2.0/keys",
        "scopes_supported": ["openid", "profile", "email", "offline_access"],
        "tenant_region_scope": None,
        "cloud_instance_name": "microsoftonline.com",
        "msgraph_host": "graph.microsoft.com",
    }


def authorize(entra: FakeEntra, request: Request, tenant: str) -> Answer:
    """The browser's step: the person has clicked already. Raises EntraError where no way leads back."""
    asked = {name: values[0] for name, values in request.query.items()}
    entra.found_tenant(tenant)
    app = entra.found_app(asked.get("client_id", ""))
    back = asked.get("redirect_uri", "")
    parts = urlsplit(back)
    if f"{parts.scheme}://{parts.hostname}{parts.path}" not in app.redirects:
        raise EntraError(50011, back)
    if asked.get("response_type") != "code" or asked.get("code_challenge_method") != "S256":
        raise EntraError(9002313, error="invalid_request")
    user, scopes = entra.person(), tuple(asked.get("scope", "").split())
    try:
        entra.consent(user, app, scopes)
    except EntraError as error:
        return error.redirect(back, asked.get("state", ""), entra.now())
    code = f"1.A{secrets.token_urlsafe(24)}"
    entra.codes[code] = Given(
        user,
        app,
        tenant,
        scopes,
        redirect=back,
        challenge=asked["code_challenge"],
        nonce=asked.get("nonce", ""),
        expires=entra.now() + _CODE_LIFE,
    )
    said = {"code": code, "state": asked.get("state", ""), "session_state": secrets.token_hex(8)}
    return Answer(302, b"", {"Location": f"{back}/?{urlencode(said)}"})


def device_code(entra: FakeEntra, request: Request, tenant: str) -> Body:
    """A code to be entered elsewhere. Raises EntraError."""
    asked = _form(request)
    app = entra.found_app(asked.get("client_id", ""))
    code, lasts = secrets.token_urlsafe(24), 900
    user_code = "".join(secrets.choice("BCDFGHJKLMNPQRSTVWXZ") for _ in range(9))
    expires = entra.now() + timedelta(seconds=lasts)
    entra.devices[code] = Device(
        app, entra.found_tenant(tenant), tuple(asked.get("scope", "").split()), user_code, expires
    )
    where = "https://microsoft.com/devicelogin"
    return {
        "user_code": user_code,
        "device_code": code,
        "verification_uri": where,
        "expires_in": lasts,
        "interval": entra.interval,
        "message": f"To sign in, use a web browser to open the page {where} and enter the code {user_code}.",
    }


def token(entra: FakeEntra, request: Request, tenant: str) -> Body:
    """The token endpoint. Raises EntraError."""
    asked = _form(request)
    where = entra.found_tenant(tenant)
    app = entra.found_app(asked.get("client_id", ""))
    kind = asked.get("grant_type", "")
    _prove(entra, app, asked, where)
    if kind == "client_credentials":
        return _for_itself(entra, app, asked, where)
    if kind == "authorization_code":
        return _code(entra, app, asked)
    if kind == "refresh_token":
        return _refresh(entra, app, asked)
    if kind == _DEVICE_GRANT:
        return _device(entra, app, asked)
    raise EntraError(70003, error="unsupported_grant_type")


def _form(request: Request) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(request.body.decode()).items()}


def _prove(entra: FakeEntra, app: App, asked: dict[str, str], tenant: str) -> None:
    """Hold an app to its secret or its certificate."""
    if app.public:
        if "client_secret" in asked or "client_assertion" in asked:
            raise EntraError(700025)
        return
    if "client_assertion" in asked:
        _verify(entra, app, asked, tenant)
    elif "client_secret" not in asked:
        raise EntraError(7000218)
    elif not app.secret or not secrets.compare_digest(asked["client_secret"], app.secret):
        raise EntraError(7000215)


def _verify(entra: FakeEntra, app: App, asked: dict[str, str], tenant: str) -> None:
    import jwt
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes

    if asked.get("client_assertion_type") != _ASSERTION or not app.certificate:
        raise EntraError(700027)
    known = x509.load_pem_x509_certificate(app.certificate.encode())
    thumbprint = base64.urlsafe_b64encode(known.fingerprint(hashes.SHA256())).decode()
    signed = asked["client_assertion"]
    if jwt.get_unverified_header(signed).get("x5t#S256") != thumbprint:
        raise EntraError(700027)
    try:
        claims = jwt.decode(
            signed,
            known.public_key(),
            algorithms=["PS256"],
            audience=f"{entra.authority}/{tenant}/oauth2/v2.0/token",
        )
    except jwt.InvalidTokenError as error:
        raise EntraError(700027) from error
    if claims["iss"] != app.client_id or claims["sub"] != app.client_id:
        raise EntraError(700027)


def _for_itself(entra: FakeEntra, app: App, asked: dict[str, str], tenant: str) -> Body:
    if app.public:
        raise EntraError(7000218)
    if tenant in SHARED or tenant == PERSONAL:
        raise EntraError(9001023, error="invalid_request")
    resource, _, name = asked.get("scope", "").rpartition("/")
    if name != ".default" or not resource.startswith("https://"):
        raise EntraError(70011, asked.get("scope", ""))
    made = entra.grants.mint("", *app.roles, app=True)
    lasts = int(entra.lifetime.total_seconds())
    return {"token_type": "Bearer", "expires_in": lasts, "ext_expires_in": lasts, "access_token": made}


def _code(entra: FakeEntra, app: App, asked: dict[str, str]) -> Body:
    given = entra.codes.pop(asked.get("code", ""), None)
    if given is None or given.app is not app or given.expires is None or given.expires <= entra.now():
        raise EntraError(70000)
    if asked.get("redirect_uri") != given.redirect:
        raise EntraError(50011, asked.get("redirect_uri", ""))
    digest = hashlib.sha256(asked.get("code_verifier", "").encode()).digest()
    if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != given.challenge:
        raise EntraError(501481)
    return _tokens(entra, given, given.scopes)


def _refresh(entra: FakeEntra, app: App, asked: dict[str, str]) -> Body:
    used = asked.get("refresh_token", "")
    given = entra.refreshes.get(used)
    if given is None or given.app is not app:
        raise EntraError(70000)
    if given.dead:
        raise EntraError(given.dead, suberror="bad_token")
    made = _tokens(entra, given, tuple(asked.get("scope", "").split()))
    if entra.rotates:
        del entra.refreshes[used]
    return made


def _device(entra: FakeEntra, app: App, asked: dict[str, str]) -> Body:
    device = entra.devices.get(asked.get("device_code", ""))
    if device is None or device.app is not app:
        raise EntraError(70018)
    if device.expires <= entra.now():
        raise EntraError(70019)
    if device.by is None:
        if device.answer == 65004:
            raise EntraError(65004, error="authorization_declined")
        raise EntraError(device.answer)
    del entra.devices[asked["device_code"]]
    return _tokens(entra, Given(device.by, app, device.tenant, device.scopes), device.scopes)


def _tokens(entra: FakeEntra, given: Given, scopes: tuple[str, ...]) -> Body:
    access, told = entra.grant(given.user, given.app, scopes)
    lasts = int(entra.lifetime.total_seconds())
    made: Body = {
        "token_type": "Bearer",
        "scope": told,
        "expires_in": lasts,
        "ext_expires_in": lasts,
        "access_token": access,
        "id_token": _id_token(entra, given),
        "client_info": _part({"uid": given.user.id, "utid": given.user.tenant}),
    }
    if entra.lasting and "offline_access" in given.scopes:
        made["refresh_token"] = entra.refresh_token(replace(given, challenge="", expires=None))
    return made


def _id_token(entra: FakeEntra, given: Given) -> str:
    user: User = given.user
    at = int(entra.now().timestamp())
    claims = {
        "aud": given.app.client_id,
        "iss": f"{entra.authority}/{user.tenant}/v2.0",
        "iat": at,
        "nbf": at,
        "exp": at + 3600,
        "name": user.address.partition("@")[0].title(),
        "oid": user.id,
        "preferred_username": user.address,
        "sub": hashlib.sha256(f"{user.id}{given.app.client_id}".encode()).hexdigest()[:43],
        "tid": user.tenant,
        "ver": "2.0",
    }
    if given.nonce:
        claims["nonce"] = given.nonce
    return f"{_part({'typ': 'JWT', 'alg': 'RS256', 'kid': 'fake'})}.{_part(claims)}.c2lnbmF0dXJl"


def _part(value: Body) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()
