"""Reports of leaked keys, from GitHub's secret scanning or from whoever found one.

GitHub signs the body: https://docs.github.com/en/code-security/secret-scanning/secret-scanning-partnership-program.
Anybody else needs no more than the key itself, which is the proof. The answer is the same whatever was reported.
"""

import base64
import binascii
from typing import Any
from urllib.parse import urlsplit

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from flask import request
from pydantic import Field, ValidationError

from webapp.accounts.audit import Actor, ActorType, unknown_actor
from webapp.accounts.throttle import Counter, network_of, take_attempt
from webapp.api import api
from webapp.api.json_bodies import check_body_headers, read_json
from webapp.api.key_responses import LeakReceiptJson
from webapp.api.schemas import Schema, answers, field_errors, refuse, takes
from webapp.authentication import public
from webapp.core import clock
from webapp.core.errors import FieldError, UpcubeError
from webapp.core.large_work import large_work_in_turn
from webapp.extensions import runtime
from webapp.hooks import get_origin
from webapp.keys.leaks import report_leaks

MAX_REPORTS = 100
REPORTS_PER_QUARTER_HOUR = 30


class BadSignatureError(UpcubeError):
    """The body was not signed with a key that the operator trusts."""

    status = 403
    code = "bad_signature"

    def __init__(self) -> None:
        super().__init__("The signature does not fit the body, or no trusted key has this identifier.")


class LeakBody(Schema):
    """A report: a key, and where it was found. An array of these is taken too."""

    model_config = Schema.model_config | {"extra": "ignore"}

    token: str = Field(max_length=1000, description="the raw key")
    type: str = Field(default="", max_length=1000, description="the name of the pattern that found it")
    url: str = Field(default="", max_length=10_000, description="where it was found")
    source: str = Field(default="", max_length=1000, description="what kind of place that is")


@api.post("/keys/report-leak")
@public
@takes(body=LeakBody)
@answers({202: "The report is taken."})
def report_leaked_key() -> tuple[LeakReceiptJson, int]:
    """Report a key that strangers can read: it is revoked, or its owners are warned. No API key is needed."""
    check_body_headers(max_bytes=runtime().max_body_bytes)
    data = request.get_data()
    is_signed = check_signature(data)
    if not is_signed:
        take_attempt([Counter(f"leak report from {network_of(get_origin().address)}", REPORTS_PER_QUARTER_HOUR)])
    with large_work_in_turn(ActorType.NOBODY):
        reports = read_reports(read_json(max_bytes=runtime().max_body_bytes))
    actor = Actor(ActorType.NOBODY, None, "GitHub secret scanning", get_origin()) if is_signed else None
    for report in reports:
        report_leaks(
            [report.token],
            where=describe_place(report, is_signed=is_signed),
            actor=actor or unknown_actor(get_origin()),
            at=clock.now(),
        )
    return {"received": len(reports)}, 202


def read_reports(value: Any) -> list[LeakBody]:  # noqa: ANN401 - any JSON value
    """Read one report or an array of them, naming all that is wrong at once. Raises InvalidFieldsError."""
    items = value if isinstance(value, list) else [value]
    if len(items) > MAX_REPORTS:
        refuse([FieldError("", f"There are {len(items)} reports.", f"at most {MAX_REPORTS}")])
    reports, wrong = [], []
    for item in items:
        try:
            reports.append(LeakBody.model_validate(item))
        except ValidationError as error:
            wrong += field_errors(LeakBody, [each for each in error.errors() if each["loc"]]) or [
                FieldError("", "A report is an object.", '{"token": "upcube_sk_…"}')
            ]
    if wrong:
        refuse(wrong)
    return reports


def describe_place(report: LeakBody, *, is_signed: bool) -> str:
    """Say where a key was found. A stranger's words go no further: they would reach people in our name."""
    if not is_signed:
        return "and reported by somebody who has it"
    return f"by GitHub's secret scanning{f' at {report.url[:200]}' if is_address(report.url) else ''}"


def is_address(url: str) -> bool:
    """Tell whether this is the address of a page."""
    try:
        return bool(urlsplit(url).hostname)
    except ValueError:
        return False


def check_signature(data: bytes) -> bool:
    """Tell whether the body is signed. Raises BadSignatureError for a signature that is wrong."""
    identifier = request.headers.get("Github-Public-Key-Identifier")
    signature = request.headers.get("Github-Public-Key-Signature")
    if identifier is None and signature is None:
        return False
    pem = runtime().leak_reporter_keys.get(identifier or "")
    try:
        key = load_pem_public_key(pem.encode()) if pem else None
        if not isinstance(key, EllipticCurvePublicKey):
            raise BadSignatureError
        key.verify(base64.b64decode(signature or "", validate=True), data, ECDSA(SHA256()))
    except (InvalidSignature, binascii.Error, ValueError) as error:
        raise BadSignatureError from error
    return True
