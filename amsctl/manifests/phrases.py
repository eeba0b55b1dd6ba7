"""What JSON Schema found, said to a person: what, where, expected, found, what to do."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple

from jsonschema import ValidationError

from amsctl.manifests.findings import Findings
from amsctl.manifests.findings import shown as clip
from amsctl.manifests.identifiers import nearest, product_meant
from amsctl.manifests.nodes import Map, Node, Seq, pos_of


class Place(NamedTuple):
    """A value with its key (when it stands in a mapping) and its path in the document."""

    key: str | None
    key_pos: int | None
    node: Node
    path: tuple[str, ...]

    @property
    def pos(self) -> int:
        """Where the value begins."""
        return pos_of(self.node)

    @property
    def outer(self) -> int:
        """Where its key stands, or the value itself begins: the place of something that is missing inside."""
        return self.key_pos if self.key_pos is not None else self.pos


def say(error: ValidationError, place: Place, findings: Findings) -> None:
    """Adds one finding (for unknown keys one each) in words for ``error``, which was found at ``place``."""
    if "propertyNames" in error.absolute_schema_path:
        _name_of_key(error, place, findings)
        return
    speak = _SPEAKERS.get(str(error.validator))
    if speak is not None:
        speak(error, place, findings)
    else:
        findings.add("refused", f"{place.key or 'this'} is not as the schema wants it", place.pos, hint="compare it with the schema")


def found(place: Place) -> str:
    """What stands there, in words. A free text of an environment or the ledger may be a secret and is not repeated."""
    node = place.node
    if isinstance(node, Map):
        return "a mapping"
    if isinstance(node, Seq):
        return "a sequence"
    if not node[0]:
        return "nothing" if node[1] else "an empty text"
    if _is_private(place.path):
        return "another text"
    return clip(node[0]) if node[1] else f'"{clip(node[0])}" in quotes'


_PUBLIC_KEYS: Final = frozenset({"type", "protected", "unlimitedAs", "firstOffset", "offsetCounts", "calendar"})


def _is_private(path: tuple[str, ...]) -> bool:
    if path[:2] == ("spec", "ledger"):
        return path[2:] != ("leaseSeconds",)
    return path[:2] == ("spec", "environments") and not (len(path) > 3 and path[-1] in _PUBLIC_KEYS)


def _title(error: ValidationError) -> str:
    schema: Any = error.schema
    return str(schema.get("title", "")) if isinstance(schema, dict) else ""


def one_of(words: Iterable[str]) -> str:
    """``a, b or c``."""
    texts = list(words)
    return texts[0] if len(texts) == 1 else ", ".join(texts[:-1]) + " or " + texts[-1]


def _meant(word: str, known: Iterable[str]) -> str | None:
    close = nearest(word, known)
    return f"did you mean {close}?" if close is not None else None


# --- mappings ---


def _unknown_keys(error: ValidationError, place: Place, findings: Findings) -> None:
    schema: Any = error.schema
    known = list(schema.get("properties", {}))
    node = place.node
    assert isinstance(node, Map)
    inside = f" in {clip(place.key)}" if place.key is not None else ""
    for key, (pos, _) in node.entries.items():
        if key not in known:
            hint = _meant(key, [word for word in known if word not in node.entries]) or _moved(key) or _split(key, known)
            findings.add("unknown-key", f"unknown key {clip(key)}{inside}", pos, expected=one_of(known), hint=hint)


_ELSEWHERE: Final = {
    "labels": "labels stand in metadata",
    "clearingFirm": "clearingFirm stands in metadata",
    "accountNumber": "accountNumber stands in metadata",
    "executionFirms": "executionFirms stand in spec",
    "status": "status stands in spec",
    "undeclared": "undeclared stands in spec",
    "protected": "protected stands in the spec of an Account, or in an environment",
    "limits": "limits stand in an execution firm, or in the spec of a LimitProfile",
    "profiles": "profiles stand in an execution firm",
    "suspended": "suspended stands in an execution firm",
    "long": "long and short stand in ef or cmf",
    "short": "long and short stand in ef or cmf",
    "ef": "ef and cmf stand below a product",
    "cmf": "ef and cmf stand below a product",
    "policies": "policies stand in the spec of amsctl.yaml",
    "approvals": "approvals stand in the spec of amsctl.yaml",
    "windows": "windows stand in the spec of amsctl.yaml",
}


def _split(key: str, known: list[str]) -> str | None:
    return "write 1000, not 1,000: a comma begins the next key" if key.isdecimal() and "long" in known else None


def _moved(key: str) -> str | None:
    return _ELSEWHERE.get(key)


def _missing_keys(error: ValidationError, place: Place, findings: Findings) -> None:
    node = place.node
    wanted: Any = error.validator_value
    if isinstance(wanted, dict):
        wanted = [key for keys in wanted.values() for key in keys]
    assert isinstance(node, Map)
    missing = [key for key in wanted if key not in node.entries]
    inside = f" in {clip(place.key)}" if place.key is not None else ""
    keys = "key" if len(missing) == 1 else "keys"
    findings.add("missing-key", f"missing {keys} {', '.join(missing)}{inside}", place.outer, hint=f"add {one_of(missing)}")


def _name_of_key(error: ValidationError, place: Place, findings: Findings) -> None:
    """A key that is a name (product, execution firm, label, environment) and does not look like one."""
    node, key = place.node, str(error.instance)
    assert isinstance(node, Map)
    what, expected, code = _KEYS[_title(error)]
    hint = None
    if code == "product":
        meant = product_meant(key)
        hint = f"did you mean {meant}?" if meant is not None else "as in CJ.FUT.NYMEX"
    elif code == "execution-firm":
        hint = "write all three, as in 3N1 or 027"
    findings.add(code, what, node.entries[key][0], expected=expected, found=clip(key) or "an empty key", hint=hint)


_KEYS: Final = {
    "product": ("not a product", "SYMBOL.TYPE.EXCHANGE", "product"),
    "executionFirm": ("not an execution firm id", "three letters or digits", "execution-firm"),
    "labelKey": ("not a label", "1 to 64 printable ASCII characters without =", "label"),
    "environmentName": ("not the name of an environment", "1 to 63 letters, digits, dots, hyphens", "environment"),
}


# --- values ---

_TYPES: Final = {
    "object": "a mapping",
    "array": "a sequence, as in [a, b]",
    "string": "text",
    "boolean": "true or false",
    "integer": "a whole number",
    "number": "a number",
}


def _wrong_type(error: ValidationError, place: Place, findings: Findings) -> None:
    wanted: Any = error.validator_value
    expected = _TYPES[wanted] if isinstance(wanted, str) else "text"
    key = clip(place.key) if place.key is not None else "the document"
    hint = None
    if _title(error) == "switch":
        hint = _switch_hint(place)
    elif not isinstance(place.node, Map | Seq) and place.node[1] and not place.node[0] and expected != "text":
        hint = (
            "write {} or [] for an empty one, or remove the key" if wanted in ("object", "array") else "remove the key, or write its value"
        )
    elif wanted == "object" and isinstance(place.node, Seq):
        hint = "write key: value without the leading hyphen"
    findings.add(
        "type",
        f"{key} is not {'text' if expected == 'text' else expected.split(',')[0]}",
        place.pos,
        expected=expected,
        found=found(place),
        hint=hint,
    )


def _switch_hint(place: Place) -> str | None:
    node = place.node
    if not isinstance(node, tuple):
        return None
    if node[0] in ("true", "false"):
        return "without quotes"
    if node[0].lower() in ("yes", "on", "y", "true", "1"):
        return "write true"
    if node[0].lower() in ("no", "off", "n", "false", "0"):
        return "write false"
    return "remove the key to leave it as it is" if not node[0] or node[0] in ("null", "~") else None


def _wrong_word(error: ValidationError, place: Place, findings: Findings) -> None:
    wanted: Any = error.validator_value
    words = [str(word) for word in wanted]
    key = place.key if place.key is not None else "the document"
    text = place.node[0] if isinstance(place.node, tuple) else ""
    if words == ["unset"]:
        hint = "write {ef: {long: 1, short: 1}}, or unset for a row that must not exist"
        findings.add(
            "row",
            f"the row {clip(key)} is neither limits nor unset",
            place.pos,
            expected="a mapping or unset",
            found=found(place),
            hint=hint,
        )
        return
    if words == ["none"]:
        hint = "write {amount: 10}, or none to switch it off"
        findings.add("choice", f"{clip(key)} has an unknown value", place.pos, expected="a mapping or none", found=found(place), hint=hint)
        return
    code = {"apiVersion": "api-version", "kind": "kind"}.get(key, "choice")
    meant = _meant(text, words) if text else None
    findings.add(code, f"{clip(key)} has an unknown value", place.pos, expected=one_of(words), found=found(place), hint=meant)


def _wrong_choice(error: ValidationError, place: Place, findings: Findings) -> None:
    """An ``anyOf``: an amount, or requests per second."""
    key = clip(place.key) if place.key is not None else "this"
    if _title(error) == "amount":
        expected, hint = "a whole number from 0 to 2147483647, or unlimited", amount_hint(place.node)
        findings.add("amount", f"{key} is not a limit", place.pos, expected=expected, found=found(place), hint=hint)
    elif _title(error) == "threshold":
        findings.add("threshold", f"{key} has no threshold", place.outer, expected="percent, amount or both", found=found(place))
    else:
        findings.add(
            "rate", f"{key} is not a rate", place.pos, expected="a number above 0 and up to 100000, or unlimited", found=found(place)
        )


_AMOUNT_HINTS: Final[tuple[tuple[re.Pattern[str], str], ...]] = (
    (re.compile("0[0-9]+"), "no leading zeros: other tools read them as octal"),
    (re.compile("[0-9]+"), "write unlimited where no limit is meant"),
    (re.compile("-[0-9]+"), "0 blocks the product; a limit is never negative"),
    (re.compile("\\+[0-9]+"), "without the plus"),
    (re.compile("[0-9][0-9_,' ]*"), "write the digits alone"),
    (re.compile("[-+]?[0-9.]+[eE][-+]?[0-9]+"), "write all the digits, without an exponent"),
    (re.compile("[-+]?[0-9]*\\.[0-9]*"), "contracts are whole: write no decimal point"),
    (re.compile("0[xXoObB][0-9A-Fa-f]+"), "write it as a decimal number"),
    (re.compile("unset", re.IGNORECASE), "unset stands for a whole row, in place of its mapping"),
    (re.compile("unlimited|[-+]?\\.?inf(?:inity)?|none|no limit|-", re.IGNORECASE), "write unlimited"),
    (re.compile("|null|~", re.IGNORECASE), "remove the key to leave this leg as it is"),
)


def amount_hint(node: Node) -> str | None:
    """Why a value is not an amount, or ``None`` when there is nothing to say beyond what is expected."""
    if not isinstance(node, tuple):
        return None
    text, plain, _ = node
    if not plain and re.fullmatch("[0-9]+", text):
        return "without the quotes"
    return next((hint for pattern, hint in _AMOUNT_HINTS if pattern.fullmatch(text)), None)


def _wrong_pattern(error: ValidationError, place: Place, findings: Findings) -> None:
    """A value that is a name or an address and does not look like one."""
    key = place.key if place.key is not None else ""
    code, expected, hint = _PATTERNS.get(key, ("name", "1 to 64 printable ASCII characters, not blank at either end", None))
    if place.path[-2:] == ("ledger", "url"):
        expected = "sqlite:///FILE or postgresql://HOST/NAME"
    if _title(error) in _ITEMS:
        code, expected, hint = _ITEMS[_title(error)]
    what = f"{clip(key)} cannot be used" if key else "not a name"
    findings.add(code, what, place.pos, expected=expected, found=found(place), hint=hint)


_URL: Final = ("url", "https://HOST/… or http://HOST/…", None)
_CLOCK: Final = ("clock-time", "HH:MM after a day, as in Mon 07:00", "without the day where days are listed")
_PATTERNS: Final[dict[str, tuple[str, str, str | None]]] = {
    "accountNumber": ("account-number", "1 to 20 printable ASCII characters, not . or ..", None),
    "clearingFirm": ("clearing-firm", "1 to 64 printable ASCII characters, not blank at either end", None),
    "url": _URL,
    "tokenUrl": _URL,
    "proxy": _URL,
    "logonPath": ("logon-path", "a path that begins with /", None),
    "baseBranch": ("branch", "the name of a branch, without revision syntax", "as in main or release/2"),
    "timeZone": ("time-zone", "the name of a time zone, as in America/Chicago", None),
    "from": _CLOCK,
    "to": _CLOCK,
    "start": ("start", "YYYY-MM-DDTHH:MM", "the clock on the wall in timeZone, without an offset"),
    "duration": ("duration", "a duration of ISO 8601, as in PT45M, PT1H30M or P2D", "weeks or days, then T, hours, minutes, seconds"),
}


_ITEMS: Final[dict[str, tuple[str, str, str | None]]] = {
    "pattern": ("product-pattern", "a product in which * stands for anything, as *.OOF.CBT", None),
    "type": ("segment-type", "capital letters and digits, as FUT", None),
    "ticketKey": ("ticket-key", "capital letters and digits, as RISK of RISK-123", None),
    "login": ("login", "an account's name, without an @ before it", None),
    "path": ("path", "a file below this folder, as approvers", None),
}


class _Ways(NamedTuple):
    """Ways of which one is meant, and that one whole."""

    code: str
    what: str
    expected: str
    keys: tuple[str, ...]


_WAYS: Final = {
    "window": _Ways(
        "window-times",
        "a window says its times in one of two ways",
        "weekly alone, or rrule, start and duration",
        ("weekly", "rrule", "start", "duration"),
    ),
    "policy": _Ways("policy", "a policy is one rule", "maximum, ticket or noLoosening", ("maximum", "ticket", "noLoosening")),
    "approvals": _Ways(
        "approvals",
        "approvals are signatures or reviews, and these keys are not for both",
        "signers and verdict with signatures, approvers with github and gitlab",
        ("signers", "verdict", "approvers"),
    ),
}


def _not_one_way(error: ValidationError, place: Place, findings: Findings) -> None:
    """A thing that is said in one of several ways, and is not."""
    if not isinstance(place.node, Map):
        return  # said already: it is no such thing at all
    ways = _WAYS[_title(error)]
    written = [key for key in ways.keys if key in place.node.entries]
    findings.add(ways.code, ways.what, place.pos, expected=ways.expected, found=" and ".join(written) or "neither")


def _out_of_bounds(error: ValidationError, place: Place, findings: Findings) -> None:
    schema: Any = error.schema
    low = schema.get("minimum", schema.get("exclusiveMinimum"))
    above = "above " if "exclusiveMinimum" in schema else ""
    what = f"{clip(place.key or 'the number')} is out of bounds"
    findings.add("bounds", what, place.pos, expected=f"{above}{low} and at most {schema['maximum']}", found=found(place))


def _wrong_length(error: ValidationError, place: Place, findings: Findings) -> None:
    expected = {
        "minLength": "text",
        "minItems": f"at least {error.validator_value}",
        "minProperties": f"at least {error.validator_value}",
        "maxItems": f"at most {error.validator_value}",
        "maxProperties": f"at most {error.validator_value}",
    }[str(error.validator)]
    long = str(error.validator).startswith("max")
    what = f"{clip(place.key or 'this')} is {'too long' if long else 'empty'}"
    hint = None if long else "write its value, or remove the key"
    findings.add("length", what, place.pos, expected=expected, hint=hint)


def _repeated(_: ValidationError, place: Place, findings: Findings) -> None:
    node = place.node
    assert isinstance(node, Seq)
    seen: dict[str, int] = {}
    for item in node.items:
        text = item[0] if isinstance(item, tuple) else ""
        if text in seen:
            findings.add("repeated", f"{clip(text)} stands here twice", pos_of(item), hint="keep one of them", related=seen[text])
        seen.setdefault(text, pos_of(item))


_SPEAKERS: Final[dict[str, Callable[[ValidationError, Place, Findings], None]]] = {
    "additionalProperties": _unknown_keys,
    "required": _missing_keys,
    "dependencies": _missing_keys,
    "type": _wrong_type,
    "enum": _wrong_word,
    "anyOf": _wrong_choice,
    "oneOf": _not_one_way,
    "pattern": _wrong_pattern,
    "minimum": _out_of_bounds,
    "maximum": _out_of_bounds,
    "exclusiveMinimum": _out_of_bounds,
    "minLength": _wrong_length,
    "minItems": _wrong_length,
    "minProperties": _wrong_length,
    "maxItems": _wrong_length,
    "maxProperties": _wrong_length,
    "uniqueItems": _repeated,
}
