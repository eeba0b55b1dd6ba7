"""The OpenAPI document of the stand-in with its default switches. Standard library only."""

from __future__ import annotations

import functools
from typing import Any, Final

from amsctl.sandbox.oddities import MAX_LIMIT

_STRING: Final[dict[str, Any]] = {"type": "string"}
_NAME: Final[dict[str, Any]] = {"type": "string", "minLength": 1}
_POSITIVE: Final[dict[str, Any]] = {"type": "integer", "minimum": 1}
_ERRORS: Final = {
    "400": "the request is not understood, or names something that does not exist",
    "401": "nobody known is asking",
    "404": "no such path",
    "405": "no such method here",
}
_POST_ERRORS: Final = {"413": "the body is too large", "415": "the body is not application/json"}


@functools.cache
def openapi() -> dict[str, Any]:
    """An OpenAPI 3.1 document: paths below ``/rest/v2``, request and response schemas."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "amsctl sandbox: a stand-in for the AMS API, Inline Credit Controls",
            "version": "1",
            "description": "What the stand-in offers with its default switches. It is not CME's document.",
        },
        "servers": [{"url": "/rest/v2"}],
        "paths": _paths(),
        "components": {"schemas": _schemas()},
    }


def _paths() -> dict[str, Any]:
    firm = "/clearing/ICC/{clearingFirm}"
    account = firm + "/{accountNumber}"
    paging = [_query("limit", _POSITIVE | {"maximum": 999_999_999}), _query("offset", _POSITIVE | {"maximum": 999_999_999})]
    truth = {"type": "string", "enum": ["true", "false"]}
    by_number = _query("accountNumber", _STRING)
    accounts = [
        ("", ["clearingFirm"]),
        ("/{owner}", ["clearingFirm", "owner"]),
        ("/{owner}/{accountNumber}", ["clearingFirm", "owner", "accountNumber"]),
    ]
    named = ["clearingFirm", "accountNumber"]
    return {
        "/myFirms/": {"get": _get("firms", "Firms", [], [])},
        **{
            f"/accounts{firm}{rest}": {"get": _get(f"accounts{len(names)}", "Accounts", names, [*paging, by_number])} for rest, names in accounts
        },
        f"/eligibleProducts{account}": {"get": _get("eligibleProducts", "Products", named, paging)},
        f"/accountLimitsUtilization{account}": {
            "get": _get("limits", "Limits", named, [*paging, _query("tradable", truth), _query("nonZeroLimits", truth)]),
            "post": _post("writeLimits", "LimitsBody", "Limits", named, [_query("delete", truth)]),
        },
        f"/efStatus{account}": {
            "get": _get("efStatus", "EfStatus", named, paging),
            "post": _post("writeEfStatus", "EfStatusBody", "EfStatus", named, []),
        },
        "/status/clearing/{clearingFirm}": {"post": _post("writeStatus", "StatusBody", "StatusAnswer", ["clearingFirm"], [])},
    }  # fmt: skip


def _query(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": False, "schema": schema}


def _operation(operation: str, answer: str, path_names: list[str], queries: list[dict[str, Any]], errors: dict[str, str]) -> dict[str, Any]:
    named = [{"name": name, "in": "path", "required": True, "schema": _NAME} for name in path_names]
    answers = {"200": {"description": "the answer", "content": _json(answer)}}
    answers |= {status: {"description": text, "content": _json("Error")} for status, text in errors.items()}
    return {"operationId": operation, "parameters": [*named, *queries], "responses": answers}


def _get(operation: str, answer: str, path_names: list[str], queries: list[dict[str, Any]]) -> dict[str, Any]:
    return _operation(operation, answer, path_names, queries, _ERRORS)


def _post(operation: str, body: str, answer: str, path_names: list[str], queries: list[dict[str, Any]]) -> dict[str, Any]:
    posting = _operation(operation, answer, path_names, queries, _ERRORS | _POST_ERRORS)
    return posting | {"requestBody": {"required": True, "content": _json(body)}}


def _json(schema: str) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}


def _object(required: dict[str, Any], **optional: Any) -> dict[str, Any]:
    return {"type": "object", "required": list(required), "properties": required | optional}


def _list(items: dict[str, Any], at_least: int = 0) -> dict[str, Any]:
    return {"type": "array", "items": items, **({"minItems": at_least} if at_least else {})}


def _schemas() -> dict[str, Any]:
    word = {"type": "string", "pattern": "^[Uu][Nn][Ll][Ii][Mm][Ii][Tt][Ee][Dd]$"}
    amount = {"type": ["integer", "null"], "minimum": 0, "maximum": MAX_LIMIT}
    wish = {"anyOf": [amount, word]}
    side, wished_side = _object({"short": amount, "long": amount}), _object({}, short=wish, long=wish)
    ef = {"type": "string", "pattern": "^[0-9A-Za-z]{3}$"}
    suspension = _object({"efId": ef, "suspended": {"enum": ["Y", "N"]}})
    links = _list(_object({"rel": _STRING, "href": _STRING}))
    pages = {"limit": _POSITIVE, "offset": _POSITIVE, "availableOffsets": _POSITIVE}
    named = {"service": {"const": "ICC"}, "clearingFirm": _NAME, "accountNumber": _NAME}
    row = _object({"product": _NAME, "productFullName": _STRING, "efId": ef, "efLimits": side, "cmfLimits": side})
    posted = _object({"product": _NAME, "efId": ef}, efLimits=wished_side, cmfLimits=wished_side)
    return {
        "Error": _object({"errorType": _STRING, "error": _STRING}),
        "Firms": _firms(links),
        "Accounts": _accounts(suspension, links, pages),
        "Products": _object({**named, "products": _list(_products(ef)), "links": links, **pages}),
        "Limits": _object({**named, "limits": _list(row), "links": links}, **pages),
        "LimitsBody": _object({**named, "limits": _list(posted, at_least=1)}),
        "EfStatus": _object({**named, "owner": _STRING, "executionFirms": _list(suspension), "links": links}, **pages),
        "EfStatusBody": _object({**named, "executionFirms": _list(suspension, at_least=1)}),
        "StatusBody": _object({
            "service": {"const": "ICC"},
            "clearingAccounts": _list(_object({"clearingFirm": _NAME, "accountNumber": _NAME, "status": {"enum": ["A", "I"]}}), at_least=1),
        }),
        "StatusAnswer": _object({"clearingAccounts": _list(_object({"accountNumber": _STRING, "status": _STRING}))}),
    }  # fmt: skip


def _firms(links: dict[str, Any]) -> dict[str, Any]:
    firm = _object({"firmName": _STRING, "firmLongName": _STRING, "clearingId": _STRING})
    entitlement = _object({"service": {"enum": ["CPC", "CMED", "ICC"]}, "clearingFirms": _list(firm)})
    return _object({"entitlements": _list(entitlement), "links": links})


def _products(ef: dict[str, Any]) -> dict[str, Any]:
    return _object({"executionFirm": ef, "productList": _list(_object({"product": _NAME, "productFullName": _STRING}))})


def _accounts(suspension: dict[str, Any], links: dict[str, Any], pages: dict[str, Any]) -> dict[str, Any]:
    account = _object({
        "clearingFirm": _NAME,
        "accountNumber": _NAME,
        "owner": _STRING,
        "segType": {"enum": ["C", "H"]},
        "status": {"enum": ["Active", "Inactive", "closed"]},
        "executionFirms": _list(suspension),
        "links": links,
    })  # fmt: skip
    counts = {"type": "integer", "minimum": 0}
    return _object({"service": {"const": "ICC"}, "counts": counts, "clearingAccounts": _list(account), **pages})
