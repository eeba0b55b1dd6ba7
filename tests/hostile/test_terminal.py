"""Whatever the server, a manifest, a file or a command line says: nothing that steers a terminal reaches one (F1, B10)."""

from __future__ import annotations

import io
import json
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from amsctl.cli.console import Color, Console
from amsctl.cli.main import main
from amsctl.diagnostics import Diagnostic, Source
from amsctl.errors import AmsctlError
from amsctl.sandbox.books import spec_book
from amsctl.sandbox.faults import Rule
from amsctl.sandbox.server import Sandbox, serve
from amsctl.views.tables import csv_text, grouped_table_text, table_text, yaml_text
from tests.conftest import CAMPAIGN
from tests.hostile.canaries import AUTH, ENVIRON
from tests.hostile.texts import SPITEFUL, offending, spiteful

FIRM, NUMBER = "GREENTEA_API_CLEARING2", "DV10121801A"


def console(**options: object) -> tuple[Console, io.StringIO, io.StringIO]:
    out, err = io.StringIO(), io.StringIO()
    return Console(stdout=out, stderr=err, stdin=io.StringIO(), environ={}, **options), out, err  # type: ignore[arg-type]


def test_the_judge_sees_what_it_must() -> None:
    """Each of the spiteful characters is one that would be found, so that finding none means something."""
    harmless = "\u0430\u0441\uff21\u05d0\u05d1\u0627\u0644e\u0301\u6f22"
    missed = [text for text in SPITEFUL if text.isascii() is False and not offending(text) and not set(text) <= set(harmless)]
    assert missed == [
        "\u00a0",
        "\u3000",
        "\u2800",
        "\ufe0f",
        "\U000e0100",
        "\U0010ffff",
    ]  # shown escaped as well, though no terminal obeys them
    assert offending("\x1b[1;31mred\x1b[0m", colored=True) == []
    assert offending("\x1b[2J", colored=True) == ["\x1b"]


@pytest.mark.no_cover
def test_twenty_thousand_texts_through_everything_that_prints() -> None:
    """Each through lines, errors, diagnostics, questions, tables, CSV and YAML, plain and in colour: nothing comes through; as JSON it is ASCII."""
    chance = random.Random(5)
    texts = [spiteful(chance) for _ in range(20_000 * CAMPAIGN)]
    told = {"plain": console(), "colored": console(color=Color.ALWAYS), "json": console(json_logs=True), "verbose": console(verbosity=2)}
    for start in range(0, len(texts), 10):
        a, b, c, d, e, f, g, h, i, j = texts[start : start + 10]
        source = Source(f, 3, 4)
        error = AmsctlError(a, where=b, expected=c, found=d, hint=e)
        finding = Diagnostic(code="c", what=g, source=source, expected=h, found=i, hint=j, related=Source(a, 1, 1))
        for name, (speaker, _, _) in told.items():
            if name in {"colored", "verbose"} and start % 100:
                continue  # the same code with another prefix: a tenth of them will do
            speaker.note(f, field=g)
            speaker.warn(h)
            speaker.detail(i)
            speaker.failed(error)
            speaker.diagnostics([finding])
            if name == "json":
                speaker.result_json({a: [b, c], "d": {d: e}, "f": [f, g, h, i, j]})
                continue
            speaker.ask(j)
            speaker.result(table_text(["a", "b"], [[a, b], [c, d]], speaker.look))
            speaker.result(grouped_table_text(["a", "b"], [[e, f], [e, g]], speaker.look, group=1))
            speaker.result(yaml_text({a: [b, c, {d: e}], f: g, "h": [h, i, j]}))
            speaker.result(csv_text(["a", "b", "c"], [[a, b, c], [d, e, f], [g, h, i]]).replace("\r\n", "\n"))
    for name, (_, out, err) in told.items():
        for stream in (out, err):
            shown = stream.getvalue()
            assert len(shown) > 100_000
            assert offending(shown, colored=name == "colored")[:5] == []
            if name == "json":
                assert shown.isascii()
    log = [json.loads(line) for line in told["json"][2].getvalue().splitlines()]
    assert log[0]["message"] == texts[5]  # escaped, and not lost: a program reads back what was said


# --- the commands, against a server that says such things ---


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with serve(spec_book()) as served:
        yield served


def project(folder: Path, url: str) -> None:
    (folder / "amsctl.yaml").write_text(
        "apiVersion: amsctl/v1\nkind: Project\nspec:\n  guards: none\n  manifests: [a.yaml]\n  defaultEnvironment: s\n"
        f"  requests: {{perSecond: unlimited, settleSeconds: 0.02, retries: 0}}\n  environments:\n    s: {{url: '{url}', auth: {AUTH}}}\n"
    )


def manifest(folder: Path, text: str = "", *, at: str = "none") -> None:
    """One account, with the text in one of the places that hold texts, as YAML escapes."""
    quoted = json.dumps(text)
    places = {
        "label": f"labels: {{desk: {quoted}}}",
        "account": f"accountNumber: {quoted}",
        "firm": f"clearingFirm: {quoted}",
        "key": f"{quoted}: x",
        "annotation": f"annotations: {{why: {quoted}}}",
    }
    head = {"clearingFirm": f"clearingFirm: {FIRM}", "accountNumber": f"accountNumber: {NUMBER}"}
    if at in places:
        head[places[at].partition(":")[0]] = places[at]
    metadata = ", ".join(head.values())
    ef = quoted if at == "ef" else "3N1"
    product = quoted if at == "product" else "CJ.FUT.NYMEX"
    amount = quoted if at == "amount" else "300"
    comment = f"# {text}\n" if at == "comment" and text.isprintable() else ""
    (folder / "a.yaml").write_text(
        f"{comment}apiVersion: amsctl/v1\nkind: Account\nmetadata: {{{metadata}}}\n"
        f"spec: {{executionFirms: {{{ef}: {{limits: {{{product}: {{ef: {{long: {amount}, short: 600}}}}}}}}}}}}\n",
        encoding="utf-8",
    )


def ran(folder: Path, *arguments: str, stdin: str = "") -> int:
    """Run a command line and judge both of its streams, to the byte."""
    out, err = io.StringIO(), io.StringIO()
    code = main(["-C", str(folder), *arguments], console=Console(stdout=out, stderr=err, stdin=io.StringIO(stdin), environ=ENVIRON))
    for stream in (out, err):
        text = stream.getvalue().replace("\r\n", "\n") if "csv" in arguments else stream.getvalue()
        assert offending(text) == [], (arguments, offending(text)[:5])
        if "json" in arguments and stream is out:
            assert text.isascii()
        if "--json-logs" in arguments and stream is err:
            assert text.isascii()
            for line in text.splitlines():
                json.loads(line)
    assert "internal error" not in err.getvalue(), err.getvalue()
    return code


def typeable(text: str) -> str:
    """The text as an argument of a process can be that is let in: no NUL, and Unicode."""
    return text.replace("\x00", "").encode("utf-8", "ignore").decode()


SAMPLE = [spiteful(random.Random(seed)) for seed in range(8 * CAMPAIGN)] + [
    "".join(SPITEFUL[start : start + 9]) for start in range(0, len(SPITEFUL), 9)
]


@pytest.mark.parametrize("text", SAMPLE, ids=range(len(SAMPLE)))
def test_a_manifest_that_says_such_things(tmp_path: Path, sandbox: Sandbox, text: str) -> None:
    """In labels, names, numbers, keys and comments; through validate, fmt and plan."""
    sandbox.reset()
    project(tmp_path, sandbox.url)
    for at in ("label", "annotation", "account", "firm", "key", "ef", "product", "amount", "comment"):
        manifest(tmp_path, text, at=at)
        for arguments in (("validate",), ("validate", "--format", "json"), ("fmt", "--check"), ("plan", "--json-logs")):
            ran(tmp_path, *arguments)
    typed = typeable(text)
    assert ran(tmp_path, "get", "limits", f"{typed}\udcff") == 64
    for arguments in (("validate", typed), (typed,), ("-e", typed, "plan"), ("get", typed), ("get", "limits", typed), ("show", typed)):
        ran(tmp_path, *arguments)


def bodies(text: str) -> dict[str, dict[str, object]]:
    """Answers that hold the text in every field that holds a text, by the path they answer."""
    head = {"service": "ICC", "clearingFirm": FIRM, "accountNumber": NUMBER, "limit": 50, "offset": 1, "availableOffsets": 1}
    entry = {
        "accountNumber": NUMBER,
        "status": text,
        "accountOwner": text,
        "owner": text,
        "executionFirms": [{"efId": text, "suspended": "N"}, text],
    }
    sides = {"efLimits": {"long": 1, "short": 1}, "cmfLimits": {"long": 2, "short": 2}}
    return {
        "/myFirms/": {
            "entitlements": [
                {"service": "ICC", "clearingFirms": [{"firmName": text, "clearingId": text}, {"firmName": FIRM, "clearingId": "780"}]}
            ]
        },
        "/accounts/*": {"clearingAccounts": [entry, {**entry, "accountNumber": text}], "counts": 2},
        "/accountLimitsUtilization/*": {
            **head,
            "limits": [
                {"product": text, "efId": text, "productFullName": text, **sides},
                {"product": "CJ.FUT.NYMEX", "efId": "3N1", **sides},
            ],
        },
        "/efStatus/*": {**head, "executionFirms": [{"efId": text, "suspended": "N", "efName": text}, {"efId": "3N1", "suspended": "N"}]},
        "/eligibleProducts/*": {
            "products": [{"executionFirm": text, "productList": [{"product": text, "productFullName": text}]}],
            "limit": 50,
            "offset": 1,
        },
        "/status/*": {"clearingAccounts": [{"accountNumber": text, "status": text}]},
        "*": {"errorType": text, "error": text},
    }


READS = (
    ("plan",),
    ("plan", "--format", "json", "--json-logs"),
    ("get", "firms"),
    ("get", "accounts"),
    ("get", "accounts", "--format", "yaml"),
    ("get", "limits", NUMBER, "--format", "csv"),
    ("get", "limits", NUMBER),
    ("get", "suspensions", NUMBER, "--format", "json"),
    ("get", "products", NUMBER),
)


SAID = [spiteful(random.Random(seed)) for seed in range(100, 101 + CAMPAIGN)] + ["".join(SPITEFUL[start::3]) for start in range(3)]


@pytest.mark.parametrize("text", SAID, ids=range(len(SAID)))
def test_a_server_that_says_such_things(tmp_path: Path, sandbox: Sandbox, text: str) -> None:
    """In every field of every answer, one path at a time, and in failures; through plan, get in every format, apply, show and the ledger's commands."""
    sandbox.reset()
    project(tmp_path, sandbox.url)
    manifest(tmp_path)
    plan, report = str(tmp_path / "plan.json"), tmp_path / "report.json"
    assert ran(tmp_path, "plan", "-o", plan) == 0
    for path, body in bodies(text).items():
        sandbox.faults.clear()
        content = json.dumps(body)
        sandbox.faults.add(Rule(kind="error_before", method="GET", path=path, status=200, body=content))
        for arguments in READS:
            ran(tmp_path, *arguments)
    for status, content in (
        (400, json.dumps(bodies(text)["*"])),
        (200, json.dumps(bodies(text)["*"])),
        (200, json.dumps(bodies(text)["/status/*"])),
    ):
        sandbox.reset()
        sandbox.faults.add(Rule(kind="error_before", method="POST", path="*", status=status, body=content))
        ran(tmp_path, "apply", plan, "--events", str(tmp_path / "events.jsonl"), "--reason", typeable(text))
        ran(tmp_path, "apply", plan, "--format", "json", "--json-logs")
        ran(tmp_path, "resume")
    events = (tmp_path / "events.jsonl").read_text(encoding="utf-8")
    assert events.isascii()
    assert offending(events) == []
    report.write_text(json.dumps(bodies(text)))
    ran(tmp_path, "show", str(report))
    ran(tmp_path, "freeze", "--reason", text)
    for arguments in (
        ("lock", "status"),
        ("ledger", "log"),
        ("ledger", "blame", NUMBER),
        ("ledger", "export", "--format", "jsonl"),
        ("apply", plan),
    ):
        ran(tmp_path, *arguments)
    ran(tmp_path, "thaw", "--reason", typeable(text))
