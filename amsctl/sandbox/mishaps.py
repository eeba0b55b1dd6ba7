"""What a striking rule does to a call: instead of it, in the course of it, or to its answer. Standard library only."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final
from urllib.parse import quote

from amsctl.sandbox.books import edit_book
from amsctl.sandbox.damage import damaged
from amsctl.sandbox.endpoints import BASE_PATH, Answer, Call, Service
from amsctl.sandbox.faults import Rule
from amsctl.sandbox.pagefaults import misprinted
from amsctl.sandbox.rendering import encode

_HTML: Final = "<!DOCTYPE html><html><head><title>{0}</title></head><body><h1>{0}</h1><p>Support ID: 8427719</p></body></html>"
_LISTS: Final = ("limits", "executionFirms", "clearingAccounts")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mishaps:
    """Carries calls out under the rules that strike them. ``carry_out`` is the right way to answer; ``later`` runs something after some seconds."""

    service: Service
    carry_out: Callable[[Call], Answer]
    later: Callable[[float, Callable[[], object]], object]

    async def answer(self, call: Call, rules: Sequence[Rule]) -> Answer:
        """The answer to a call that these rules strike. Where two rules would answer, the first does."""
        await self._meanwhile(rules, "before")
        answer = next((answer for rule in rules if (answer := self._instead(rule, call))), None)
        if answer is None:
            answer = next((answer for rule in rules if (answer := self._otherwise(rule, call))), None) or self.carry_out(call)
            for rule in rules:
                answer = _over(rule, answer) if answer.wire is None else answer
        await self._meanwhile(rules, "after")
        return answer

    async def _meanwhile(self, rules: Sequence[Rule], when: str) -> None:
        for rule in rules:
            if rule.when != when:
                continue
            if rule.kind == "slow":
                await asyncio.sleep(rule.seconds)
            elif rule.kind == "foreign_edit" and rule.edit:
                edit_book(self.service.book, rule.edit)

    def _instead(self, rule: Rule, call: Call) -> Answer | None:
        """The answer of a rule that keeps the call from taking effect (now)."""
        match rule.kind:
            case "error_before":
                return _error(rule, 500)
            case "drop_before":
                return _dropped(rule)
            case "too_many_requests" | "unavailable":
                headers = (("Retry-After", rule.retry_after),) if rule.retry_after else ()
                return dataclasses.replace(_error(rule, 429 if rule.kind == "too_many_requests" else 503), headers=headers)
            case "redirect":
                location = rule.location or self.service.oddities.hostile_origin + call.path
                return Answer(status=rule.status or 307, headers=(("Location", location),))
            case "html" if rule.when == "before":
                return _html(rule)
            case "late":
                self.later(rule.seconds, lambda: self.carry_out(call))
                return _error(rule, 504) if rule.variant == "error" else _dropped(rule)
            case _:
                return None

    def _otherwise(self, rule: Rule, call: Call) -> Answer | None:
        """The answer of a rule that has the call take effect in another way."""
        match rule.kind:
            case "stored_nothing":
                return self._rehearsed(call) if rule.variant == "asked" else self._unchanged(call)
            case "partial":
                return self._partial(rule, call)
            case "paging":
                return misprinted(call, self.carry_out, rule.variant)
            case "wrong_body":
                return self._of_another(rule, call)
            case _:
                return None

    def _rehearsed(self, call: Call) -> Answer:
        """The answer as if the call had its effect."""
        with self.service.book.rehearsal():
            return self.carry_out(call)

    def _unchanged(self, call: Call) -> Answer:
        """The answer in the form of this call, showing what is and stays."""
        asked = self._rehearsed(call)
        account = self.service.account_named(call)
        if asked.status != 200 or account is None or call.method != "POST":
            return asked
        renderer = self.service.renderer
        if call.segments[0] == "efStatus":
            return dataclasses.replace(asked, body=renderer.ef_status(account, account.execution_firms.items()))
        return dataclasses.replace(asked, body=renderer.limits(account, [text for _, _, text in renderer.rows(account)]))

    def _partial(self, rule: Rule, call: Call) -> Answer:
        """Carry out only the first entries of a POST."""
        asked = self._rehearsed(call)
        if asked.status != 200 or call.method != "POST":
            return self.carry_out(call)
        document = json.loads(call.body)
        for name in _LISTS:
            if isinstance(document.get(name), list):
                document[name] = document[name][: rule.rows]
        truth = self.carry_out(dataclasses.replace(call, body=encode(document)))
        match rule.variant:
            case "asked":
                return asked
            case "error":
                return _error(rule, 500)
            case _:
                return truth

    def _of_another(self, rule: Rule, call: Call) -> Answer:
        """Carry the call out and answer with what was not asked for."""
        answer = self.carry_out(call)
        account = self.service.account_named(call)
        path = "/myFirms/"
        if account is None:
            if call.segments[0] == "myFirms":
                path = f"/accounts/clearing/ICC/{quote(self.service.book.firms[0].name, safe='')}"
        else:
            accounts = self.service.book.accounts()
            after = accounts[(accounts.index(account) + 1) % len(accounts)]
            other = self.service.book.account(rule.other) if rule.other else after
            path = f"/{call.segments[0]}/clearing/ICC/{quote(other.firm.name, safe='')}/{quote(other.number, safe='')}"
        wrong = self.service.answer(dataclasses.replace(call, method="GET", path=BASE_PATH + path, body=b""))
        return dataclasses.replace(answer, body=wrong.body)


def _over(rule: Rule, answer: Answer) -> Answer:
    """The answer after a rule that breaks only what the caller sees."""
    match rule.kind:
        case "error_after":
            return _error(rule, 500)
        case "drop_after":
            return _dropped(rule)
        case "html" if rule.when == "after":
            return _html(rule)
        case "malformed":
            return damaged(answer, rule.variant)
        case _:
            return answer


def _error(rule: Rule, default: int) -> Answer:
    status = rule.status or default
    if rule.body is not None:
        return Answer(status=status, body=rule.body.encode(), content_type=rule.content_type)
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = "Unknown"
    return Answer(status=status, body=encode({"errorType": str(status), "error": phrase}))


def _dropped(rule: Rule) -> Answer:
    return Answer(wire=b"", reset=rule.variant == "reset")


def _html(rule: Rule) -> Answer:
    status = rule.status or 502
    page = rule.body if rule.body is not None else _HTML.format("Bad Gateway" if status == 502 else "Scheduled maintenance")
    return Answer(status=status, body=page.encode(), content_type="text/html; charset=utf-8")
