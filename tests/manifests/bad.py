"""Bad manifests made by hand. A ``§`` stands right before the character that the finding must name; the code stands before the text.

Most are a change to one good account, written as ``path of the file line -> line``; the others are whole files.
"""

from __future__ import annotations

from typing import NamedTuple

GOOD = """\
apiVersion: amsctl/v1
kind: Account
metadata:
  clearingFirm: GREENTEA
  accountNumber: DV10121801A
  labels: {desk: softs}
spec:
  status: Active
  undeclared: report
  executionFirms:
    3N1:
      suspended: false
      profiles: [softs]
      limits:
        CJ.FUT.NYMEX:
          ef: {long: 324, short: 567}
          cmf: {long: 9000, short: unlimited}
        DRS.FUT.CBT: unset
---
apiVersion: amsctl/v1
kind: LimitProfile
metadata: {name: softs}
spec:
  limits: {CC.FUT.NYMEX: {ef: {long: 100}}}
"""


class Bad(NamedTuple):
    code: str
    text: str
    line: int
    column: int
    name: str = "a.yaml"


def _place(marked: str) -> tuple[str, int, int]:
    before, mark, after = marked.partition("§")
    assert mark, marked
    return before + after, before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1


def whole(code: str, marked: str, name: str = "a.yaml") -> Bad:
    text, line, column = _place(marked)
    return Bad(code, text, line, column, name)


def changed(code: str, old: str, new: str) -> Bad:
    assert GOOD.count(old) >= 1, old
    return whole(code, GOOD.replace(old, new, 1))


_LEGS = (
    *(
        "1e3",
        "1E3",
        "1_000",
        "0x10",
        "010",
        "1.0",
        '"5"',
        "'5'",
        "true",
        "false",
        "null",
        "~",
        "-1",
        "+5",
        ".inf",
        "-.inf",
        ".nan",
        "1.",
        ".5",
    ),
    *("2147483648", "9999999999", "99999999999999999999999", "00", "0o17", "0b1", "1/2", "10k", "1 000", "Unlimited", "UNLIMITED", "inf"),
    *("infinity", "none", "unset", "12:30", "2026-11-21", "-", "5%", "five", "NO", '""', "''", '" 5"', "1'000", "0x", "--1", "1e-3"),
)
_SWITCHES = (
    "yes",
    "no",
    "on",
    "off",
    "YES",
    "True",
    "TRUE",
    "False",
    "1",
    "0",
    "null",
    "~",
    '"true"',
    "'false'",
    "Y",
    "{}",
    "[true]",
    "truee",
)

TABLE: tuple[Bad, ...] = (
    # a leg that is not an amount
    *(changed("amount", "{long: 324", "{long: §" + lexeme) for lexeme in _LEGS),
    *(changed("amount", "{long: 9000", "{long: §" + lexeme) for lexeme in ("{}", "[]", "[1]", "{long: 1}", "1e3")),
    changed("amount", "{long: 324, ", "{long: §!keep, ".replace("!keep", '"unlimite"')),
    changed("yaml-syntax", "{long: 324,", "{long§:,"),
    changed("amount", "{long: 324,", "{long: §,"),
    changed("amount", "{long: 100}", "{long: §1e2}"),
    whole("amount", GOOD.replace("ef: {long: 324, short: 567}", "ef:\n            long:§\n            short: 1")),
    # a switch that is not true or false
    *(changed("type", "suspended: false", f"suspended: §{lexeme}") for lexeme in _SWITCHES),
    changed("type", "suspended: false", "suspended:§"),
    # unknown keys
    changed("unknown-key", "  clearingFirm: GREENTEA\n", "  clearingFirm: GREENTEA\n  §acountNumber: X\n"),
    changed("unknown-key", "  labels:", "  §label:"),
    changed("unknown-key", "  labels:", "  §annotations:"),
    changed("unknown-key", "  status:", "  §Status:"),
    changed("unknown-key", "  status:", "  §state:"),
    changed("unknown-key", "  undeclared:", "  §undeclred:"),
    changed("unknown-key", "  executionFirms:", "  §executionfirms:"),
    changed("unknown-key", "  executionFirms:", "  §efs:"),
    changed("unknown-key", "      suspended:", "      §suspend:"),
    changed("unknown-key", "      profiles:", "      §profile:"),
    changed("unknown-key", "      limits:\n        CJ", "      §limit:\n        CJ"),
    changed("unknown-key", "ef: {long: 324", "§EF: {long: 324"),
    changed("unknown-key", "cmf:", "§cm:"),
    changed("unknown-key", "{long: 324, short", "{long: 324, §Short"),
    changed("unknown-key", "{long: 324, short", "{§lng: 324, short"),
    changed("unknown-key", "cmf: {long: 9000, short: unlimited}", "§long: 9000"),
    changed("unknown-key", "spec:\n  status", "§extra: 1\nspec:\n  status"),
    changed("unknown-key", "spec:\n  status", "spec:\n  §clearingFirm: X\n  status"),
    changed("unknown-key", "spec:\n  status", "spec:\n  §labels: {a: b}\n  status"),
    changed("unknown-key", "metadata: {name: softs}", "metadata: {name: softs, §labels: {}}"),
    changed("unknown-key", "spec:\n  limits: ", "spec:\n  §status: Active\n  limits: "),
    changed("unknown-key", "{CC.FUT.NYMEX: {ef: {long: 100}}}", "{CC.FUT.NYMEX: {ef: {long: 100}, §usage: 1}}"),
    changed("unknown-key", "  labels: {desk: softs}", '  §"": x'),
    # missing keys
    changed("missing-key", "metadata:\n  clearingFirm: GREENTEA\n", "§metadata:\n"),
    changed("missing-key", "metadata:\n  clearingFirm: GREENTEA\n  accountNumber: DV10121801A\n", "§metadata:\n"),
    changed("missing-key", "metadata: {name: softs}", "§metadata: {}"),
    changed("missing-key", "spec:\n  limits: {CC.FUT.NYMEX: {ef: {long: 100}}}", "§spec: {}"),
    whole("missing-key", GOOD.replace("apiVersion: amsctl/v1\nkind: Account", "§kind: Account")),
    whole("missing-key", "§apiVersion: amsctl/v1\nkind: Account\nmetadata: {clearingFirm: F, accountNumber: N}\n"),
    whole("missing-key", "§apiVersion: amsctl/v1\nkind: Account\nspec: {}\n"),
    whole("missing-key", "§kind: LimitProfile\nspec: {limits: {}}\n"),
    whole("missing-key", "§{kind: Account}\n"),
    # kinds and versions
    changed("kind", "kind: Account", "kind: §Acount"),
    changed("kind", "kind: Account", "kind: §account"),
    changed("kind", "kind: Account", "kind: §Accounts"),
    changed("kind", "kind: Account", "kind: §Deployment"),
    changed("kind", "kind: Account", "kind:§"),
    changed("kind", "kind: Account", "kind: §[Account]"),
    changed("kind", "kind: Account", "kind: §{}"),
    changed("kind", "kind: LimitProfile", "kind: §Limitprofile"),
    whole("kind", "§knd: Account\n"),
    whole("kind", "§a: b\n"),
    whole("kind", "§services:\n  web: {image: nginx}\n"),
    changed("misplaced-project", "kind: LimitProfile", "kind: §Project"),
    changed("api-version", "apiVersion: amsctl/v1", "apiVersion: §amsctl/v2"),
    changed("api-version", "apiVersion: amsctl/v1", "apiVersion: §v1"),
    changed("api-version", "apiVersion: amsctl/v1", "apiVersion: §1"),
    changed("api-version", "apiVersion: amsctl/v1", "apiVersion:§"),
    changed("api-version", "apiVersion: amsctl/v1", "apiVersion: §amsclt/v1"),
    # choices
    *(
        changed("choice", "status: Active", f"status: §{word}")
        for word in ("active", "ACTIVE", "A", "I", "Closed", "true", "{}", "[Active]", '""')
    ),
    changed("choice", "status: Active", "status:§"),
    *(changed("choice", "undeclared: report", f"undeclared: §{word}") for word in ("Report", "delete", "unsett", "null", "no")),
    # shapes
    changed("type", "metadata:\n  clearingFirm: GREENTEA\n  accountNumber: DV10121801A\n  labels: {desk: softs}", "metadata: §x"),
    changed("type", "labels: {desk: softs}", "labels: §softs"),
    changed("type", "labels: {desk: softs}", "labels: §[desk]"),
    changed("type", "labels: {desk: softs}", "labels:§"),
    changed("type", "{desk: softs}", "{desk: §{a: b}}"),
    changed("type", "{desk: softs}", "{desk: §[softs]}"),
    changed("type", "profiles: [softs]", "profiles: §softs"),
    changed("type", "profiles: [softs]", "profiles:§"),
    changed("type", "profiles: [softs]", "profiles: §{softs: true}"),
    changed("type", "profiles: [softs]", "profiles: [§[softs]]"),
    changed("type", "profiles: [softs]", "profiles: [§{name: softs}]"),
    changed("type", "ef: {long: 324, short: 567}", "ef: §324"),
    changed("type", "ef: {long: 324, short: 567}", "ef: §[324, 567]"),
    changed("type", "ef: {long: 324, short: 567}", "ef: §unlimited"),
    changed("type", "ef: {long: 324, short: 567}", "ef: §unset"),
    changed("type", "ef: {long: 324, short: 567}", "ef:§"),
    changed("type", "limits: {CC.FUT.NYMEX: {ef: {long: 100}}}", "limits: §[CC.FUT.NYMEX]"),
    changed("type", "limits: {CC.FUT.NYMEX: {ef: {long: 100}}}", "limits:§"),
    changed("type", "clearingFirm: GREENTEA", "clearingFirm: §[GREENTEA]"),
    changed("type", "accountNumber: DV10121801A", "accountNumber: §{a: b}"),
    changed("type", "spec:\n  limits: {CC.FUT.NYMEX: {ef: {long: 100}}}", "spec:§"),
    whole("type", GOOD.split("spec:")[0] + "spec: {executionFirms: {3N1: §}}\n"),
    whole("type", GOOD.split("spec:")[0] + "spec: {executionFirms: {3N1: §x}}\n"),
    whole("type", GOOD.split("spec:")[0] + "spec: {executionFirms: §[3N1]}\n"),
    whole("type", GOOD.split("spec:")[0] + "spec: §[]\n"),
    whole("document", "§just text\n"),
    whole("document", "§42\n"),
    whole("document", "§- apiVersion: amsctl/v1\n  kind: Account\n"),
    whole("document", '§""\n'),
    whole("document", GOOD + "---\n§text\n"),
    # rows
    *(
        changed("row", "DRS.FUT.CBT: unset", f"DRS.FUT.CBT: §{word}")
        for word in ("unsett", "Unset", "unlimited", "0", "null", "[unset]", '""', "delete")
    ),
    changed("row", "DRS.FUT.CBT: unset", "DRS.FUT.CBT:§"),
    # names
    *(
        changed("product", "DRS.FUT.CBT", f"§{word}")
        for word in (
            "drs.fut.cbt",
            "DRS-FUT-CBT",
            "DRS",
            "DRS.FUT",
            "DRS.FUT.CBT.X",
            "DRS..CBT",
            ".FUT.CBT",
            "DRS.FUT.",
            '"DRS.FUT.CBT "',
            '""',
            "DRS FUT CBT",
            "6E:FUT:CME",
            "SYMBOLSYMBOLSYMBOLSYMB.FUT.CBT",
            "DRS.FUT.cbt",
            "DRS/FUT/CBT",
        )
    ),
    *(changed("execution-firm", "3N1", f"§{word}") for word in ("3N", "3N11", '"3N "', "3-1", "É11", '""', "3.1", "27", "ＡＢＣ")),
    *(
        changed("account-number", "DV10121801A", f"§{word}")
        for word in (".", "..", '""', "ABCDEFGHIJKLMNOPQRSTU", '"A\\tB"', '"A\\nB"', "É1", '"A\\n"', "“A”")
    ),
    changed("account-number", "accountNumber: DV10121801A", "accountNumber:§"),
    *(changed("clearing-firm", "GREENTEA", f"§{word}") for word in ('""', '" A"', '"A "', "É", "x" * 65)),
    changed("clearing-firm", "clearingFirm: GREENTEA", "clearingFirm:§"),
    *(changed("label", "{desk: softs}", f"{{§{word}: softs}}") for word in ('"a=b"', '""', '" a"', "k" * 65, "é")),
    *(changed("name", "{desk: softs}", f"{{desk: §{word}}}") for word in ('""', '" a"', "v" * 65, "é")),
    changed("name", "{desk: softs}", "{desk§}"),
    changed("name", "profiles: [softs]", 'profiles: [§""]'),
    changed("name", "metadata: {name: softs}", 'metadata: {name: §" softs"}'),
    changed("repeated", "profiles: [softs]", "profiles: [softs, §softs]"),
    whole("length", GOOD.replace("profiles: [softs]", "profiles: §[" + ", ".join(f"p{index}" for index in range(101)) + "]")),
    # meaning
    changed("unknown-profile", "profiles: [softs]", "profiles: [softs, §sofst]"),
    changed("unknown-profile", "profiles: [softs]", "profiles:\n      - softs\n      - §Softs"),
    whole("duplicate-account", GOOD + "---\n" + GOOD.split("---\n")[0].replace("DV10121801A", "§DV10121801A")),
    whole("duplicate-account", GOOD + "---\n" + GOOD.split("---\n")[0].replace("DV10121801A", '§"DV10121801A"')),
    whole("duplicate-profile", GOOD + "---\n" + GOOD.split("---\n")[1].replace("name: softs", "name: §softs")),
    # duplicate keys
    changed("duplicate-key", "kind: Account", "kind: Account\n§kind: Account"),
    changed("duplicate-key", "  status: Active", "  status: Active\n  §status: Inactive"),
    changed("duplicate-key", "{long: 324, short: 567}", "{long: 324, §long: 567}"),
    changed("duplicate-key", "{long: 324, short: 567}", '{long: 324, §"long": 324}'),
    changed("duplicate-key", "        DRS.FUT.CBT: unset", "        §CJ.FUT.NYMEX: unset"),
    changed("duplicate-key", "        DRS.FUT.CBT: unset", '        §"CJ.FUT.NYMEX": {}'),
    changed("duplicate-key", "---", "    §3N1: {}\n---"),
    changed("duplicate-key", "{desk: softs}", "{desk: softs, §desk: softs}"),
    # what YAML has and manifests have not
    changed("anchor", "status: Active", "status: §&a Active"),
    changed("anchor", "labels: {desk", "labels: §&a {desk"),
    changed("anchor", "{long: 324, short", "{long: §&a 324, short"),
    changed("anchor", "[softs]", "[§&a softs]"),
    changed("anchor", "    3N1:", "    §&a 3N1:"),
    changed("alias", "status: Active", "status: §*a"),
    changed("alias", "{long: 324,", "{long: §*a ,"),
    changed("alias", "    3N1:", "    §*a :"),
    changed("alias", "[softs]", "[§*a]"),
    whole("alias", "§*a\n"),
    changed("tag", "status: Active", "status: §!!str Active"),
    changed("tag", "{long: 324", "{long: §!!int 324"),
    changed("tag", "{desk: softs}", "§!!map {desk: softs}"),
    changed("tag", "status: Active", "status: §! Active"),
    changed("tag", "status: Active", "status: §!include other.yaml"),
    changed("tag", "status: Active", "status: §!!python/object/apply:os.system [id]"),
    changed("tag", "[softs]", "§!!set [softs]"),
    changed("merge-key", "  status: Active", "  §<<: {status: Active}\n  status: Active"),
    changed("merge-key", "{long: 324", "{§<<: {long: 1}, long: 324"),
    changed("complex-key", "  status: Active", "  ? §[a, b]\n  : c\n  status: Active"),
    changed("complex-key", "  status: Active", "  ? §{a: b}\n  : c\n  status: Active"),
    changed("complex-key", "{desk: softs}", "{§[a]: softs}"),
    changed("complex-key", "{desk: softs}", "{§{{ desk }}: softs}"),
    whole("directive", "§%YAML 1.1\n---\n" + GOOD),
    whole("directive", "§%YAML 1.2\n---\n" + GOOD),
    whole("directive", "§%TAG ! tag:x,2026:\n---\n" + GOOD),
    changed("several-lines", "accountNumber: DV10121801A", "accountNumber: §|\n    DV1"),
    changed("several-lines", "accountNumber: DV10121801A", "accountNumber: §|-\n    DV1"),
    changed("several-lines", "accountNumber: DV10121801A", "accountNumber: §>\n    DV1\n    DV2"),
    changed("several-lines", "accountNumber: DV10121801A", "accountNumber: §DV1\n    DV2"),
    changed("several-lines", "accountNumber: DV10121801A", 'accountNumber: §"DV1\n    DV2"'),
    changed("several-lines", "accountNumber: DV10121801A", 'accountNumber: §"DV1\\\n    DV2"'),
    changed("several-lines", "accountNumber: DV10121801A", "accountNumber: §'DV1\n    DV2'"),
    # syntax
    changed("yaml-syntax", "  status: Active", "§\tstatus: Active"),
    changed("yaml-syntax", "  clearingFirm: GREENTEA", "  clearingFirm: GREENTEA§: x"),
    changed("yaml-syntax", "  labels: {desk: softs}", "  labels: {desk: softs\nspec§:"),
    changed("yaml-syntax", "profiles: [softs]", "profiles: [softs\n      limits§: {}"),
    changed("yaml-syntax", "accountNumber: DV10121801A", 'accountNumber: §"DV10121801A'),
    changed("yaml-syntax", "accountNumber: DV10121801A", "accountNumber: §'DV10121801A"),
    changed("yaml-syntax", "accountNumber: DV10121801A", 'accountNumber: "DV§\\q"'),
    changed("yaml-syntax", "accountNumber: DV10121801A", "accountNumber: §@x"),
    changed("yaml-syntax", "accountNumber: DV10121801A", "accountNumber: §`x`"),
    changed("yaml-syntax", "accountNumber: DV10121801A", "accountNumber: §%x"),
    changed("yaml-syntax", "  status: Active", "   status: Active\n  §x: y"),
    changed("yaml-syntax", "    3N1:", "    3N1\n    x§: {}"),
    changed("yaml-syntax", "profiles: [softs]", "profiles: [softs]§]"),
    changed("yaml-syntax", "{desk: softs}", "{desk: softs}§}"),
    changed("yaml-syntax", "{desk: softs}", "{desk: softs,§, a: b}"),
    changed("yaml-syntax", "status: Active", "status: Active - x§: y"),
    whole("yaml-syntax", "a: b\n§]\n"),
    whole("yaml-syntax", "§}\n"),
    whole("yaml-syntax", "%FOO§ bar\n---\na: b\n"),
    # characters
    whole("unseen-character", GOOD.replace("GREENTEA", "GREEN§\u200bTEA")),
    whole("unseen-character", GOOD.replace("GREENTEA", "§\u202eGREENTEA")),
    whole("unseen-character", GOOD.replace("DV1012", "DV§\u200d1012")),
    whole("unseen-character", GOOD.replace("DV1012", "DV§\u00ad1012")),
    whole("unseen-character", GOOD.replace("DV1012", "DV§\x071012")),
    whole("unseen-character", GOOD.replace("DV1012", "DV§\x1b[31m1012")),
    whole("unseen-character", GOOD.replace("DV1012", "DV§\x7f1012")),
    whole("unseen-character", GOOD.replace("DV1012", "DV§\x851012")),
    whole("unseen-character", GOOD.replace("DV1012", "DV§\u20281012")),
    whole("unseen-character", GOOD.replace("DV1012", "DV§\ufeff1012")),
    whole("unseen-character", GOOD.replace("DV1012", "DV§\x001012")),
    whole("unseen-character", GOOD.replace("kind:", "ki§\u2066nd:")),
    whole("unseen-character", GOOD.replace("---", "# §\u202e comment\n---")),
    changed("unseen-character", "GREENTEA", '§"GREEN\\u200bTEA"'),
    changed("unseen-character", "GREENTEA", '§"GREEN\\x00TEA"'),
    changed("unseen-character", "GREENTEA", '§"\\u202eAETNEERG"'),
    whole("too-long", GOOD.replace("GREENTEA", "§" + "x" * 4097)),
    whole("too-long", GOOD.replace("GREENTEA", '§"' + "x" * 5000 + '"')),
    # JSON
    whole("json-syntax", '{"apiVersion": "amsctl/v1",\n "kind": §Account}', "a.json"),
    whole("json-syntax", '{"a": 1 §;}', "a.json"),  # a trailing comma is placed on the comma from Python 3.13 on, after it before
    whole("json-syntax", '{"a": §01}'.replace("§01", "0§1"), "a.json"),
    whole("json-syntax", "§{'a': 1}".replace("§{", "{§"), "a.json"),
    whole("json-syntax", '{"a": 1} §{"b": 2}', "a.json"),
    whole("json-syntax", '// x\n{"a": 1}'.replace("//", "§//"), "a.json"),
    whole("json-syntax", '§{"a": NaN}', "a.json"),
    whole("json-syntax", '{"a": "b§\nc"}', "a.json"),
    whole("json-syntax", '{"a": §"b', "a.json"),
    whole("kind", '§{"a": {"b": 1}}', "a.json"),
    whole("duplicate-key", '{"kind": "Account", §"kind": "Account"}', "a.json"),
    whole("document", '§["a"]', "a.json"),
    whole(
        "amount",
        '{"apiVersion": "amsctl/v1", "kind": "LimitProfile", "metadata": {"name": "x"},\n"spec": {"limits": {"A.FUT.CME": {"ef": {"long": §"5"}}}}}',
        "a.json",
    ),
    whole(
        "amount",
        '{"apiVersion": "amsctl/v1", "kind": "LimitProfile", "metadata": {"name": "x"},\n"spec": {"limits": {"A.FUT.CME": {"ef": {"long": §1e3}}}}}',
        "a.json",
    ),
    whole(
        "amount",
        '{"apiVersion": "amsctl/v1", "kind": "LimitProfile", "metadata": {"name": "x"},\n"spec": {"limits": {"A.FUT.CME": {"ef": {"long": §null}}}}}',
        "a.json",
    ),
)
