"""Defects that are planted on purpose into whatever decides whether a plan may be applied, one at a time: what a tired colleague could write.

Each names the situation (``test_one_door``) that shows it. The checker looks at exit codes and at the calls that the stand-in received, and at nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from typing import Any
from unittest.mock import patch

from amsctl.approvals import decision, judging
from amsctl.approvals.makers import Makers
from amsctl.ledger.evidence import Earlier
from amsctl.operations import agreement, authorise, derivation, flow, ledger, material, runs
from amsctl.operations.record import RuleSet
from amsctl.planning import codec, planfile
from amsctl.windows.hours import Hours

Patches = Iterator[AbstractContextManager[object]]
DEFECTS: dict[str, tuple[str, Callable[[], AbstractContextManager[None]]]] = {}


def defect(situation: str) -> Callable[[Callable[[], Patches]], Callable[[], Patches]]:
    """A defect, and the situation that shows it."""

    def add(work: Callable[[], Patches]) -> Callable[[], Patches]:
        @contextmanager
        def planted() -> Iterator[None]:
            with ExitStack() as stack:
                for one in work():
                    stack.enter_context(one)
                yield

        DEFECTS[work.__name__.replace("_", "-")] = (situation, planted)
        return work

    return add


def to(target: object, name: str, value: object) -> AbstractContextManager[object]:
    return patch.object(target, name, value)


def nothing(*arguments: object, **named: object) -> None:
    return None


class Same(str):
    """Equal to everything."""

    __slots__ = ()
    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        return True

    def __ne__(self, other: object) -> bool:
        return False


# --- the survivors ---


@defect("plain:override-of-one-guard-of-two")
def an_override_of_one_guard_lets_every_guard_pass() -> Patches:
    real = flow.check_findings

    def lax(plan: Any, guards: Any, overrides: Any = (), **named: Any) -> None:
        if not overrides:
            real(plan, guards, overrides, **named)

    yield to(authorise, "check_findings", lax)
    yield to(runs, "check_findings", lax)


@defect("commit:label-taken-away-by-the-change")
def labels_of_the_base_do_not_count() -> Patches:
    real = flow.held_by_base

    def lax(base: Any, firms: Any, protected: Any, labels: Any) -> Any:
        return real(base, firms, protected, {})

    yield to(flow, "held_by_base", lax)
    yield to(authorise, "held_by_base", lax)


@defect("plain:guard-threshold")
def guards_of_the_plan_are_taken_as_they_stand() -> Patches:
    yield to(authorise, "_check_safeguards", nothing)


@defect("commit:untracked-manifest")
def untracked_manifests_are_not_dirty() -> Patches:
    from amsctl.provenance.checkout import Checkout, Why

    real = material.held_against

    def lax(*arguments: Any, **named: Any) -> Any:
        found = real(*arguments, **named)
        assert isinstance(found, Checkout)
        kept = tuple(one for one in found.differences if one.why is not Why.NOT_COMMITTED)
        return Checkout(commit=found.commit, differences=kept, line_ends=found.line_ends)

    yield to(material, "held_against", lax)


# --- the plan file ---


@defect("plain:contradicts-itself")
def a_plan_that_contradicts_itself_is_opened() -> Patches:
    yield to(planfile, "check_consistency", nothing)


@defect("plain:not-sealed")
def the_seal_is_not_looked_at() -> Patches:
    yield to(codec, "_digest_read", lambda plan: plan.digest)


@defect("plain:member-that-the-seal-does-not-cover")
def unknown_members_are_passed_over() -> Patches:
    yield to(codec._Reader, "done", nothing)


# --- when, where, under which rules ---


@defect("plain:expired-before")
def expired_plans_are_applied() -> Patches:
    yield to(authorise, "check_age", nothing)


@defect("plain:made-tomorrow")
def plans_of_the_future_are_applied() -> Patches:
    yield to(authorise, "MOST_AHEAD_SECONDS", 100 * 366 * 86_400)


@defect("plain:plans-live-shorter")
def the_setting_bounds_no_life() -> Patches:
    yield to(authorise, "_check_life", nothing)


@defect("plain:another-address")
def the_target_is_not_looked_at() -> Patches:
    yield to(authorise, "check_target", nothing)
    yield to(authorise, "target_of", flow.target_of)
    real = derivation.check_derived
    yield to(authorise, "check_derived", lambda plan, derived: real(plan, replace(derived, target=plan.target)))


@defect("plain:no-override")
def what_guards_hold_up_is_applied() -> Patches:
    yield to(authorise, "check_findings", nothing)
    yield to(runs, "check_findings", nothing)


@defect("plain:override-of-twelve-digits")
def twelve_digits_name_a_plan() -> Patches:
    yield to(flow, "OVERRIDE_DIGITS", 12)


@defect("plain:policy-that-is-broken")
def policies_are_those_of_the_plan() -> Patches:
    yield to(authorise, "check_policies", nothing)
    yield to(authorise, "_check_policies_now", nothing)


@defect("commit:policy-tighter-on-main")
def rules_are_those_of_the_plans_base() -> Patches:
    real = authorise._rules

    def lax(plan: Any, sources: Any) -> Any:
        ruled = authorise.ruled_at(sources, plan.origin.base.commit)
        return real(plan, sources) if ruled is None else (ruled[0],)

    yield to(authorise, "_rules", lax)


@defect("commit:own-commit-as-base")
def a_plan_may_name_its_own_commit_as_base() -> Patches:
    yield to(authorise, "_rules", lambda plan, sources: sources.rules)


@defect("commit:protected-on-main-by-now")
def protections_are_those_of_the_plans_base() -> Patches:
    yield to(authorise, "_of_rules", lambda *arguments: ())


@defect("plain:window-closed")
def windows_are_open() -> Patches:
    yield to(Hours, "check", nothing)


@defect("plain:carried-out-already")
def a_plan_is_good_for_two_applies() -> Patches:
    none = Earlier(sent=frozenset(), made=frozenset(), doubtful=frozenset())
    yield to(runs, "earlier_of", lambda plan, kept: ([], none))


@defect("commit:pipeline-without-a-ledger")
def a_job_keeps_its_ledger_in_the_checkout() -> Patches:
    yield to(ledger, "_is_below", lambda path, folder: False)


# --- what it follows from ---


@defect("plain:body-member")
def nothing_is_derived() -> Patches:
    yield to(authorise, "check_derived", nothing)


@defect("plain:body-reordered")
def bodies_are_equal_in_any_order() -> Patches:
    import json

    yield to(derivation, "_text", lambda value: json.dumps(value, sort_keys=True))


@defect("commit:protection-dropped")
def protections_of_a_plan_are_taken_as_they_stand() -> Patches:
    real = derivation.check_derived

    def lax(plan: Any, derived: Any) -> None:
        kept = {seen.account_key for seen in plan.observed if seen.protected}
        real(plan, replace(derived, protected=kept))

    yield to(authorise, "check_derived", lax)
    yield to(authorise, "_as_known_now", lambda seen, also, firms: seen)


@defect("commit:base-unprotected")
def lost_protections_are_taken_as_they_stand() -> Patches:
    real = derivation.check_derived
    yield to(authorise, "check_derived", lambda plan, derived: real(plan, replace(derived, unprotected=plan.origin.unprotected)))


@defect("commit:project-file-changed-and-not-told")
def findings_about_sources_are_taken_as_they_stand() -> Patches:
    real = authorise._of_base
    yield to(authorise, "_of_base", lambda *arguments, **named: (real(*arguments, **named)[0], None))


@defect("rollback:observed-added")
def accounts_that_nobody_read_are_counted() -> Patches:
    real = derivation.check_derived

    def lax(plan: Any, derived: Any) -> None:
        real(plan, replace(derived, left={seen.account_key for seen in plan.observed} - set(derived.parts)))

    yield to(authorise, "check_derived", lax)


@defect("plain:forged-numbers-of-other-accounts")
def verdicts_are_not_measured_again() -> Patches:
    yield to(authorise, "_check_verdicts", _later)


@defect("plain:forged-numbers-of-other-accounts")
def shares_are_measured_on_what_the_plan_says() -> Patches:
    async def as_told(seen: Any, reader: Any) -> Any:
        return seen

    yield to(authorise, "_read_again", as_told)


async def _later(*arguments: object) -> None:
    return None


@defect("commit:git-message")
def what_a_plan_says_of_its_commit_is_believed() -> Patches:
    yield to(authorise, "_check_commit", nothing)


@defect("commit:manifests-hash")
def manifests_need_not_be_those_of_the_commit() -> Patches:
    yield to(authorise, "manifests_hash", lambda desired: Same("same"))


@defect("commit:git-dirty")
def a_clean_plan_may_call_itself_dirty() -> Patches:
    yield to(authorise, "_check_dirty", nothing)
    yield to(authorise, "_check_told", nothing)


@defect("commit:checkout-says-otherwise")
def the_checkout_may_say_otherwise() -> Patches:
    yield to(authorise, "plain", lambda account: ())


@defect("commit:merged-and-taken-back")
def a_merge_that_was_taken_back_counts() -> Patches:
    real = authorise._manifests
    yield to(authorise, "_manifests", lambda *arguments: (real(*arguments)[0], ()))


# --- who agreed ---


@defect("signed:no-approval")
def nobody_needs_to_agree() -> Patches:
    yield to(agreement, "needed_by", lambda *arguments: 0)


@defect("signed:approved-by-its-author")
def authors_are_nobody() -> Patches:
    real = judging.makers

    def lax(*arguments: Any, **named: Any) -> Any:
        found = real(*arguments, **named)
        return replace(found, names=frozenset()) if isinstance(found, Makers) else found

    yield to(judging, "makers", lax)


@defect("signed:author-who-is-not-proven")
def an_author_who_is_not_proven_costs_nothing() -> Patches:
    real = judging.makers

    def lax(*arguments: Any, **named: Any) -> Any:
        found = real(*arguments, **named)
        return replace(found, unproven=()) if isinstance(found, Makers) else found

    yield to(judging, "makers", lax)


@defect("signed:approval-expired")
def approvals_live_for_ever() -> Patches:
    from datetime import UTC, datetime

    real = decision.moment
    yield to(decision, "moment", lambda text: datetime(2099, 1, 1, tzinfo=UTC) if text.endswith("T08:00:00Z") else real(text))


@defect("signed:approver-taken-off-the-list-on-main")
def the_list_of_the_checkout_counts() -> Patches:
    def here(rules: Any, path: str) -> bytes | None:
        with open(f"{rules.folder}/{path}", "rb") as stream:
            return stream.read()

    yield to(RuleSet, "file", here)


@defect("signed:approval-of-another-plan")
def an_approval_is_good_for_every_plan() -> Patches:
    real = agreement.case_of

    def lax(plan: Any, *arguments: Any) -> Any:
        found = real(plan, *arguments)
        return replace(found, plan=replace(found.plan, digest=Same(found.plan.digest)))

    yield to(agreement, "case_of", lax)
