"""Forgeries: a real plan, edited as somebody would who has the product's own code at hand. What follows from an edit is made to follow, and it is sealed anew.

Each edit changes one member that can be derived from manifests, live state or git. ``forged`` draws one to three of them.
"""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from amsctl.config import Approvals, GuardName
from amsctl.errors import PlanFileError
from amsctl.model import UnsetMeans
from amsctl.planning import consistency
from amsctl.planning.approvals import approval_need
from amsctl.planning.codec import decode, encode, sealed
from amsctl.planning.fingerprint import sha256
from amsctl.planning.guards import UNMEASURED, finding_code, guard_findings, guards_in, switched_off, unmeasured
from amsctl.planning.plan import Plan
from amsctl.planning.points import points_of, references
from amsctl.planning.policies import CODES, judge_policies

Json = dict[str, Any]
Edit = Callable[[Json, random.Random], None]
EDITS: dict[str, Edit] = {}


class NotHere(Exception):
    """The plan has nothing that this edit could change."""


def edit(work: Edit) -> Edit:
    EDITS[work.__name__.replace("_", "-")] = work
    return work


def pick(items: Any, draw: random.Random) -> Any:
    found = list(items)
    if not found:
        raise NotHere
    return draw.choice(found)


def _limits(plan: Json) -> list[Json]:
    return [change for change in plan["changes"] if change["kind"] == "limit"]


def _step_of(plan: Json, change: Json) -> Json:
    return next(step for step in plan["steps"] if change["id"] in step["changes"])


def _legs_in_bodies(plan: Json) -> Iterator[tuple[Json, str]]:
    for step in plan["steps"]:
        for item in step["body"].get("limits", ()):
            for side in ("efLimits", "cmfLimits"):
                if isinstance(item.get(side), dict):
                    for leg in item[side]:
                        yield item[side], leg


def _changed(plan: Json) -> set[tuple[str, str]]:
    return {(change["clearing_firm"], change["account"]) for change in plan["changes"]}


def _observed(plan: Json, *, changed: bool | None = None) -> list[Json]:
    moved = _changed(plan)
    return [one for one in plan["observed"] if changed is None or ((one["clearing_firm"], one["account"]) in moved) is changed]


# --- changes ---


@edit
def change_before(plan: Json, draw: random.Random) -> None:
    pick(_limits(plan), draw)["before"] = draw.choice([1, 299, 5_000, "unlimited", "unset"])


@edit
def change_after_alone(plan: Json, draw: random.Random) -> None:
    pick(_limits(plan), draw)["after"] = draw.choice([1, 777, 50_000, "unlimited"])


@edit
def change_after_and_body(plan: Json, draw: random.Random) -> None:
    """The raise that the forger wants, in the change and in the call."""
    change, amount = pick([one for one in _limits(plan) if isinstance(one["after"], int)], draw), draw.choice([999, 44_444])
    side = {"ef": "efLimits", "cmf": "cmfLimits"}[change["owner"]]
    for item in _step_of(plan, change)["body"]["limits"]:
        if (item["efId"], item["product"]) == (change["execution_firm"], change["product"]):
            item[side][change["leg"]] = amount
    change["after"] = change["effective_after"] = amount


@edit
def binding(plan: Json, draw: random.Random) -> None:
    change = pick(plan["changes"], draw)
    change["binding"] = not change["binding"]


@edit
def effective_hidden(plan: Json, draw: random.Random) -> None:
    """Every leg that is raised is told as not binding: what guards and policies measure."""
    for change in _limits(plan):
        change.update(binding=False, effective_before=10, effective_after=10)


@edit
def effective_of_one(plan: Json, draw: random.Random) -> None:
    pick(_limits(plan), draw)[draw.choice(["effective_before", "effective_after"])] = draw.choice([3, 12_345, "unlimited"])


@edit
def change_source(plan: Json, draw: random.Random) -> None:
    source = pick([one for one in plan["changes"] if one["source"]], draw)["source"]
    source.update(draw.choice([{"file": "accounts/reviewed.yaml"}, {"line": source["line"] + 7}, {"column": 1 + source["column"]}]))


@edit
def change_without_source(plan: Json, draw: random.Random) -> None:
    pick([one for one in plan["changes"] if one["source"]], draw)["source"] = None


@edit
def owner(plan: Json, draw: random.Random) -> None:
    change = pick(_limits(plan), draw)
    change["owner"] = {"ef": "cmf", "cmf": "ef"}[change["owner"]]


@edit
def leg(plan: Json, draw: random.Random) -> None:
    change = pick(_limits(plan), draw)
    change["leg"] = {"long": "short", "short": "long"}[change["leg"]]


@edit
def change_place(plan: Json, draw: random.Random) -> None:
    change = pick(_limits(plan), draw)
    change.update(draw.choice([{"product": "RO.OOF.CME"}, {"execution_firm": "XX0"}, {"account": "CALM1"}, {"clearing_firm": "BLACKTEA"}]))


@edit
def change_without_a_part(plan: Json, draw: random.Random) -> None:
    """A limit of no leg, a suspension of no execution firm."""
    change = pick(plan["changes"], draw)
    change[draw.choice(["execution_firm", "product", "owner", "leg", "effective_before", "effective_after"])] = None


@edit
def change_removed(plan: Json, draw: random.Random) -> None:
    """A change nobody is shown; its call goes on as it is, or goes with it."""
    change = pick(plan["changes"], draw)
    plan["changes"].remove(change)
    step = _step_of(plan, change)
    step["changes"].remove(change["id"])
    if not step["changes"] or draw.random() < 0.5:
        plan["steps"].remove(step)
        gone = set(step["changes"])
        plan["changes"] = [one for one in plan["changes"] if one["id"] not in gone]


@edit
def change_added(plan: Json, draw: random.Random) -> None:
    """Another leg with its own call."""
    change = copy.deepcopy(pick(_limits(plan), draw))
    step = copy.deepcopy(_step_of(plan, change))
    change.update(
        id=f"c{len(plan['changes']) + 1}", product="RO.OOF.CME", before="unset", after=5, effective_before="unset", effective_after=5
    )
    row = {"efId": change["execution_firm"], "product": "RO.OOF.CME"}
    step.update(id=f"s{len(plan['steps']) + 1}", changes=[change["id"]], query={})
    step["body"]["limits"] = [{**row, "efLimits": {"long": 5, "short": 5}, "cmfLimits": {"long": 5, "short": 5}}]
    plan["changes"].append(change)
    plan["steps"].append(step)


@edit
def changes_reordered(plan: Json, draw: random.Random) -> None:
    draw.shuffle(plan["changes"])


@edit
def change_renamed(plan: Json, draw: random.Random) -> None:
    change = pick(plan["changes"], draw)
    step = _step_of(plan, change)
    step["changes"] = ["c99" if one == change["id"] else one for one in step["changes"]]
    change["id"] = "c99"


# --- steps ---


@edit
def body_member(plan: Json, draw: random.Random) -> None:
    """A member that no change speaks of."""
    pick(plan["steps"], draw)["body"].update(
        draw.choice(
            [{"efID": "350"}, {"cmfLimits": {"Long": 999_999}}, {"clearingAccounts": [{"accountNumber": "CALM1"}]}, {"comment": "x"}]
        )
    )


@edit
def row_member(plan: Json, draw: random.Random) -> None:
    rows = [row for step in plan["steps"] for row in step["body"].get("limits", step["body"].get("executionFirms", ()))]
    pick(rows, draw).update(draw.choice([{"efID": "350"}, {"CMFLimits": {"long": 1}}, {"Suspended": "N"}, {"rights": "all"}]))


@edit
def side_member(plan: Json, draw: random.Random) -> None:
    side, _ = pick(_legs_in_bodies(plan), draw)
    side.update(draw.choice([{"Long": 999_999}, {"SHORT": 7}, {"limit": 1}]))


@edit
def body_row(plan: Json, draw: random.Random) -> None:
    rows = pick([step["body"]["limits"] for step in plan["steps"] if step["body"].get("limits")], draw)
    rows.append({**rows[0], "product": "RO.OOF.CME"})


@edit
def body_row_dropped(plan: Json, draw: random.Random) -> None:
    rows = pick([step["body"]["limits"] for step in plan["steps"] if len(step["body"].get("limits", ())) > 1], draw)
    del rows[0]


@edit
def body_value(plan: Json, draw: random.Random) -> None:
    side, name = pick(_legs_in_bodies(plan), draw)
    side[name] = draw.choice([side[name] + 1 if isinstance(side[name], int) else 1, "Unlimited", 50_000])


@edit
def body_value_otherwise_written(plan: Json, draw: random.Random) -> None:
    """The same number to a program, and not to the AMS."""
    side, name = pick([(side, name) for side, name in _legs_in_bodies(plan) if type(side[name]) is int], draw)
    side[name] = float(side[name])


@edit
def body_reordered(plan: Json, draw: random.Random) -> None:
    step = pick([one for one in plan["steps"] if len(one["body"]) > 1], draw)
    step["body"] = dict(reversed(step["body"].items()))


@edit
def body_service(plan: Json, draw: random.Random) -> None:
    pick(plan["steps"], draw)["body"]["service"] = "CLS"


@edit
def path(plan: Json, draw: random.Random) -> None:
    step = pick(plan["steps"], draw)
    step["path"] = draw.choice([step["path"] + "/", step["path"].replace(step["account"], "CALM1") + "?x", "/status/clearing/ICC/BLACKTEA"])


@edit
def query(plan: Json, draw: random.Random) -> None:
    step = pick(plan["steps"], draw)
    step["query"] = draw.choice([{"delete": "true"}, {"operation": "delete"}, {"x": "1"}]) if not step["query"] else {}


@edit
def method(plan: Json, draw: random.Random) -> None:
    pick(plan["steps"], draw)["method"] = draw.choice(["PUT", "DELETE", "PATCH"])


@edit
def phase(plan: Json, draw: random.Random) -> None:
    step = pick(plan["steps"], draw)
    step["phase"] = draw.choice([one for one in ("halt", "tighten", "loosen", "release") if one != step["phase"]])


@edit
def after_nothing(plan: Json, draw: random.Random) -> None:
    pick([one for one in plan["steps"] if one["after"]], draw)["after"] = []


@edit
def steps_reordered(plan: Json, draw: random.Random) -> None:
    draw.shuffle(plan["steps"])


@edit
def step_split(plan: Json, draw: random.Random) -> None:
    """One call made two: what tightens need not come first any more."""
    step = pick([one for one in plan["steps"] if len(one["changes"]) > 1], draw)
    second = copy.deepcopy(step)
    second.update(id=f"s{len(plan['steps']) + 1}", changes=step["changes"][1:])
    step["changes"] = step["changes"][:1]
    plan["steps"].insert(plan["steps"].index(step) + 1, second)


@edit
def step_doubled(plan: Json, draw: random.Random) -> None:
    step = copy.deepcopy(pick(plan["steps"], draw))
    step["id"], step["changes"] = f"s{len(plan['steps']) + 1}", []
    plan["steps"].append(step)


@edit
def step_account(plan: Json, draw: random.Random) -> None:
    pick(plan["steps"], draw).update(draw.choice([{"account": "CALM1"}, {"clearing_firm": "780"}, {"clearing_firm": "BLACKTEA"}]))


# --- what was seen ---


@edit
def observed_number(plan: Json, draw: random.Random) -> None:
    seen = pick(_observed(plan, changed=True), draw)
    seen[draw.choice(["rows", "execution_firms", "suspended"])] += draw.choice([1, 40, 1_000])


@edit
def observed_hash(plan: Json, draw: random.Random) -> None:
    pick(_observed(plan, changed=True), draw)["sha256"] = draw.choice(["0" * 64, sha256(draw.random().hex())])


@edit
def observed_status(plan: Json, draw: random.Random) -> None:
    seen = pick(_observed(plan, changed=True), draw)
    seen["status"] = draw.choice([one for one in ("Active", "Inactive", "Closed") if one != seen["status"]])


@edit
def observed_protected(plan: Json, draw: random.Random) -> None:
    seen = pick(plan["observed"], draw)
    seen["protected"] = not seen["protected"]


@edit
def protection_dropped(plan: Json, draw: random.Random) -> None:
    pick([one for one in plan["observed"] if one["protected"]], draw)["protected"] = False


@edit
def observed_labels(plan: Json, draw: random.Random) -> None:
    seen = pick(plan["observed"], draw)
    seen["labels"] = sorted({"desk=other"} ^ set(seen["labels"])) if draw.random() < 0.5 or not seen["labels"] else []


@edit
def observed_dropped(plan: Json, draw: random.Random) -> None:
    plan["observed"].remove(pick(_observed(plan, changed=draw.random() < 0.2), draw))


@edit
def observed_added(plan: Json, draw: random.Random) -> None:
    """More accounts make every share smaller."""
    for number in range(draw.choice([1, 30])):
        plan["observed"].append({**plan["observed"][-1], "account": f"ZZ{number:03}", "rows": 900, "protected": False, "labels": []})


@edit
def observed_reordered(plan: Json, draw: random.Random) -> None:
    plan["observed"].reverse()


# --- verdicts ---


@edit
def summary(plan: Json, draw: random.Random) -> None:
    plan["summary"][draw.choice(sorted(plan["summary"]))] += 1


@edit
def guard_threshold(plan: Json, draw: random.Random) -> None:
    verdict = pick(plan["guards"], draw)
    name = draw.choice([one for one in ("percent", "amount", "factor") if verdict[one] is not None])
    verdict[name] += draw.choice([1, 90])


@edit
def guard_dropped(plan: Json, draw: random.Random) -> None:
    name = pick(plan["guards"], draw)["guard"]
    plan["guards"] = [one for one in plan["guards"] if one["guard"] != name]


@edit
def guards_off(plan: Json, draw: random.Random) -> None:
    plan["guards"], plan["guards_against"], plan["references"] = [], None, []


@edit
def guard_verdict(plan: Json, draw: random.Random) -> None:
    verdict = pick(plan["guards"], draw)
    verdict.update(draw.choice([{"passed": not verdict["passed"]}, {"measured": verdict["measured"] + 1}, {"where": "elsewhere"}]))


@edit
def policy_dropped(plan: Json, draw: random.Random) -> None:
    plan["policies"].remove(pick(plan["policies"], draw))


@edit
def policy_laxer(plan: Json, draw: random.Random) -> None:
    policy = pick(plan["policies"], draw)
    if policy["rule"]["kind"] == "maximum":
        policy["rule"].update(draw.choice([{"contracts": 900_000}, {"labels": ["desk=none"]}, {"products": ["X"]}, {"owner": "cmf"}]))
    else:
        policy["rule"]["keys"] = ["ANY"]


@edit
def policy_renamed(plan: Json, draw: random.Random) -> None:
    pick(plan["policies"], draw)["name"] = "agreed"


@edit
def policy_added(plan: Json, draw: random.Random) -> None:
    rule = {"kind": "maximum", "contracts": 10**6, "products": [], "types": [], "labels": [], "owner": None}
    plan["policies"].append({"name": "checked-by-risk", "rule": rule, "environments": [], "broken": 0, "where": ""})


@edit
def approvals_dropped(plan: Json, draw: random.Random) -> None:
    if plan["approvals"] is None:
        raise NotHere
    plan["approvals"] = None


@edit
def approvals_fewer(plan: Json, draw: random.Random) -> None:
    if plan["approvals"] is None:
        raise NotHere
    pick(plan["approvals"]["rules"], draw).update(draw.choice([{"approvals": 0}, {"applies": "all"}, {"factor": 40}, {"approvals": 3}]))


@edit
def approvals_from_elsewhere(plan: Json, draw: random.Random) -> None:
    rules = [{"approvals": 1, "applies": "loosen", "factor": None, "lots": None, "overridden": False, "met": True, "where": ""}]
    plan["approvals"] = {**(plan["approvals"] or {"needed": 1, "rules": rules}), "from": "github"}


@edit
def past_setting(plan: Json, draw: random.Random) -> None:
    if plan["guards_against"] is None:
        raise NotHere
    plan["guards_against"]["days"] += draw.choice([1, 300])


@edit
def past_not_looked_at(plan: Json, draw: random.Random) -> None:
    if plan["guards_against"] is None:
        raise NotHere
    plan["guards_against"], plan["references"] = None, []


# --- findings ---


def _told(plan: Json) -> list[Json]:
    """Those that must be there: of accounts that do not change only who signs looks again."""
    names = tuple(f"{firm}/{account}" for firm, account in _changed(plan))
    return [one for one in plan["findings"] if one["code"] not in ("undeclared-row", "foreign-mismatch") or one["where"].startswith(names)]


@edit
def finding_removed(plan: Json, draw: random.Random) -> None:
    plan["findings"].remove(pick(_told(plan), draw))


@edit
def finding_words(plan: Json, draw: random.Random) -> None:
    pick(plan["findings"], draw).update(
        draw.choice([{"message": "looked at by risk, all right"}, {"where": "elsewhere"}, {"severity": "note"}])
    )


@edit
def finding_added(plan: Json, draw: random.Random) -> None:
    """Free text in a plan."""
    code = draw.choice(
        ["approved", "reviewed-by-risk", "undeclared-row", "foreign-mismatch", "base-broken", "project-moved", "plan-outlived"]
    )
    where = draw.choice(["GREENTEA/LIMITS1", "GREENTEA/CALM1", "GREENTEA/NONE", "amsctl.yaml", "GREENTEA/SHUT1/3N1", "sandbox"])
    place = draw.randrange(len(plan["findings"]) + 1)
    plan["findings"].insert(place, {"code": code, "severity": "note", "message": "checked by kim", "where": where, "blocks": False})


@edit
def finding_of_an_account_that_does_not_change(plan: Json, draw: random.Random) -> None:
    """What nothing is derived of when it is applied: free text in place of what is said of it, or beside that."""
    seen = pick(_observed(plan, changed=False), draw)
    where = f"{seen['clearing_firm']}/{seen['account']}"
    told = [one for one in plan["findings"] if one["where"].startswith(f"{where}/")]
    if told and draw.random() < 0.5:
        pick(told, draw)["message"] = "checked: nothing in this plan lets more through"
        return
    code = draw.choice(["undeclared-row", "foreign-mismatch", "closed-account", "implicit-unlimited"])
    plan["findings"].append({"code": code, "severity": "warning", "message": "looked at by risk", "where": where, "blocks": False})


@edit
def finding_source(plan: Json, draw: random.Random) -> None:
    finding = pick(_told(plan), draw)
    finding["source"] = {"file": "accounts/other.yaml", "line": 3, "column": 3}


# --- where it comes from ---


@edit
def git_dropped(plan: Json, draw: random.Random) -> None:
    if plan["source"]["git"] is None:
        raise NotHere
    plan["source"]["git"] = None


@edit
def git_made_up(plan: Json, draw: random.Random) -> None:
    if plan["source"]["git"] is not None:
        raise NotHere
    plan["source"]["git"] = {
        "commit": "4be1c0ffee" + "0" * 30,
        "author": "Kim <kim@firm.example>",
        "dirty": draw.random() < 0.5,
        "message": "RISK-1 agreed",
        "contributors": ["kim@firm.example"],
        "started_by": None,
        "rerun_by": None,
    }


def _git(plan: Json) -> Json:
    if plan["source"]["git"] is None:
        raise NotHere
    return plan["source"]["git"]  # type: ignore[no-any-return]


def _base(plan: Json) -> Json:
    if plan["source"]["base"] is None:
        raise NotHere
    return plan["source"]["base"]  # type: ignore[no-any-return]


@edit
def git_commit(plan: Json, draw: random.Random) -> None:
    git = _git(plan)
    git["commit"] = draw.choice([git["commit"][:12], "HEAD", "f" * 40, (plan["source"]["base"] or {"commit": "main"})["commit"]])


@edit
def git_author(plan: Json, draw: random.Random) -> None:
    _git(plan)["author"] = "Kim <kim@firm.example>"


@edit
def git_message(plan: Json, draw: random.Random) -> None:
    git = _git(plan)
    git["message"] += draw.choice([" ", "\n\nRISK-99", "\n\nReviewed-by: kim"])


@edit
def git_contributors(plan: Json, draw: random.Random) -> None:
    git = _git(plan)
    git["contributors"] = draw.choice([[], git["contributors"][1:], [*git["contributors"], "zoe@firm.example"]])


@edit
def git_dirty(plan: Json, draw: random.Random) -> None:
    git = _git(plan)
    git["dirty"] = not git["dirty"]


@edit
def base_dropped(plan: Json, draw: random.Random) -> None:
    _base(plan)
    plan["source"]["base"] = None


@edit
def base_commit(plan: Json, draw: random.Random) -> None:
    """Its own commit as the base, one that is none, a short name."""
    base = _base(plan)
    base["commit"] = draw.choice([_git(plan)["commit"], base["commit"][:12], "0" * 40, "main", base["commit"].upper() + "0"])


@edit
def base_ref(plan: Json, draw: random.Random) -> None:
    _base(plan)["ref"] = draw.choice(["refs/heads/change", "", "refs/heads/mine", "main2"])


@edit
def base_unprotected(plan: Json, draw: random.Random) -> None:
    base = _base(plan)
    base["unprotected"] = [] if base["unprotected"] else ["GREENTEA/LIMITS1"]


@edit
def selection(plan: Json, draw: random.Random) -> None:
    plan["source"]["selection"].update(draw.choice([{"accounts": ["LIMITS1"]}, {"labels": ["desk=softs"]}, {"accounts": ["NONE"]}]))


@edit
def manifests_hash(plan: Json, draw: random.Random) -> None:
    git = _git(plan)
    if git["dirty"] or plan["source"]["rollback"] is not None:
        raise NotHere
    plan["source"]["manifests_sha256"] = sha256(draw.random().hex())


@edit
def rollback_of(plan: Json, draw: random.Random) -> None:
    """A plan of manifests that calls itself a rollback, and the other way round."""
    if plan["source"]["rollback"] is None:
        plan["source"]["rollback"] = {"run": "20261123T231726Z-ab12cd", "asked_by": "kim"}
    else:
        plan["source"]["rollback"] = draw.choice([None, {"run": "20261123T231726Z-ab12cd", "asked_by": "kim"}])


@edit
def target(plan: Json, draw: random.Random) -> None:
    found = plan["target"]
    found.update(
        draw.choice(
            [
                {"environment": "other"},
                {"ams": "other"},
                {"url": found["url"] + "/"},
                {"service": "CLS"},
                {"principal": "kim"},
                {"ownership": ["ef"]},
                {"unset_means": "blocked"},
                {"protected": not found["protected"]},
            ]
        )
    )


# --- when ---


@edit
def lives_longer(plan: Json, draw: random.Random) -> None:
    plan["expires_at"] = draw.choice(["2099-01-01T00:00:00Z", plan["expires_at"].replace("T", "T2")[:21] + "Z", "never"])


@edit
def made_tomorrow(plan: Json, draw: random.Random) -> None:
    plan["created_at"], plan["expires_at"] = draw.choice(
        [("2099-01-01T00:00:00Z", "2099-01-01T12:00:00Z"), ("2031-05-01T00:00:00Z", "2031-05-02T00:00:00Z")]
    )


@edit
def expired_before(plan: Json, draw: random.Random) -> None:
    plan["created_at"], plan["expires_at"] = "2020-01-01T00:00:00Z", "2020-01-02T00:00:00Z"


@edit
def unknown_member(plan: Json, draw: random.Random) -> None:
    places = [
        plan,
        plan["target"],
        plan["source"],
        plan["summary"],
        plan["tool"],
        plan["changes"][0],
        plan["steps"][0],
        plan["observed"][0],
    ]
    pick(places, draw)["note"] = "agreed"


@edit
def tool_name(plan: Json, draw: random.Random) -> None:
    plan["tool"]["name"] = draw.choice(["AMSCTL", "amsctl "])


TIMES = frozenset({"lives-longer", "made-tomorrow", "expired-before"})
"""Edits of members that nothing derives, and that are bounded."""


# --- making it follow ---


def seal(plan: Json) -> Json:
    plan.pop("digest", None)
    return {"format": plan.pop("format"), "digest": "sha256:" + sha256({"format": "amsctl.plan/v1", **plan}), **plan}


def followed(plan: Json) -> Json:
    """The plan with everything that follows from the rest made to follow, where the rest is a plan at all."""
    try:
        read = decode(seal(copy.deepcopy(plan)))
        return encode(sealed(_followed(read)))
    except (PlanFileError, ValueError, TypeError, KeyError, AttributeError, AssertionError, StopIteration):
        return seal(copy.deepcopy(plan))


def _followed(plan: Plan) -> Plan:
    means = UnsetMeans(plan.target.unset_means)
    changes = tuple(replace(one, direction=consistency.direction_as_told(one, means)) for one in plan.changes)
    known = {change.id: change for change in changes}
    guards, points = guards_in(plan.guards), points_of(plan.references)
    referred = references(changes, points, means) if plan.against is not None else ()
    verdicts, held = guard_findings(
        changes, plan.observed, guards, unset_means=means, unprotected=plan.origin.unprotected, points=points_of(referred)
    )
    rulings, broken = judge_policies(changes, plan.observed, [one.policy for one in plan.policies], target=plan.target, git=plan.origin.git)
    need = plan.approvals
    if need is not None:
        need = approval_need(changes, Approvals(source=need.source, rules=tuple(one.rule for one in need.rules)), unset_means=means)
    codes = {"guards-off", UNMEASURED, *map(finding_code, GuardName), *CODES.values()}
    rest = [one for one in plan.findings if one.code not in codes]
    plan = replace(
        plan,
        changes=changes,
        references=referred,
        guards=verdicts,
        policies=rulings,
        approvals=need,
        findings=(*switched_off(guards, plan.target), *unmeasured(plan.against), *held, *broken, *rest),
    )
    steps, before = [], {}
    for step in plan.steps:
        carried = [known[one] for one in step.changes if one in known]
        if any(one.direction == "loosen" for one in carried) and step.phase in ("halt", "tighten"):
            step = replace(step, phase=type(step.phase)("loosen"))
        earlier = before.setdefault(step.account_key, [])
        step = replace(step, after=consistency._waits_for(step, earlier))
        earlier.append(step)
        steps.append(step)
    plan = replace(plan, steps=tuple(steps))
    return replace(plan, summary=consistency.summary_of(plan))


def derivable(plan: Json) -> str:
    """What of a plan must follow: everything but what is documented not to."""
    kept = copy.deepcopy(plan)
    for name in ("digest", "created_at", "expires_at", "references"):
        kept.pop(name, None)
    kept["tool"].pop("version", None)
    moved = _changed(kept)
    for change in kept["changes"]:
        change.pop("usage", None)
    for seen in kept["observed"]:
        for name in ("read_at", "pages"):
            seen.pop(name, None)
        if (seen["clearing_firm"], seen["account"]) not in moved:
            for name in ("rows", "sha256", "status", "execution_firms", "suspended"):
                seen.pop(name, None)
    return json.dumps(kept)


def forged(honest: Json, seed: int) -> tuple[str, Json]:
    """A forgery and what was edited; the same seed gives the same edits."""
    draw = random.Random(f"{seed}")
    while True:
        plan, done = copy.deepcopy(honest), []
        first = list(EDITS)[seed % len(EDITS)]
        for name in [first, *draw.sample(sorted(EDITS), k=draw.choice([0, 0, 1, 2]))]:
            try:
                EDITS[name](plan, draw)
                done.append(name)
            except (NotHere, StopIteration, KeyError, IndexError):
                continue
        if not done:
            seed += 1
            continue
        whole = followed(plan) if draw.random() < 0.85 else seal(plan)
        if TIMES & set(done) or derivable(whole) != derivable(honest):
            return "+".join(done), whole
        if draw.random() < 0.3:
            seed += 1
