"""Judges a recorded history: requests, effects, answers, third-party edits, the ledger's records, reports. Knows nothing of amsctl but its promises.

``python tests/faults/checker.py HISTORY.jsonl`` prints every breach and exits with their number (at most 100). Standard library only.

What is held against a history, by rule:
  safety       no effect of ours lifts an effective limit, min(ef, cmf) and nothing where halted, above the larger of before and after
  order        a call that loosens leaves only after everything that tightens in its account (or run) was read back; a release after all limits
  plan         a plan saw what there was; every call is a step of it (or the rest of one), and every value it moves is one of its changes
  intent       a committed record of exactly this request stands before it, one for each sending
  resend       at most two sendings of a step in one run, with a whole read in between
  lock         nothing leaves while another holds the lock, or under an old fence
  durable      no record that stood is gone, also when the power fails
  fresh        what is written was read just before, and was what the plan saw
  echo         legs that are not ours to change go back as they were read
  lost         no value of somebody else is overwritten that was there when the account was last read; what a run was proven to have made and
               somebody has changed since is made again by no resume of it; a rollback takes back what its run has made, and nothing else
  told         a value of somebody else that was seen after our write is in the report
  settled      nothing lands after its step was given a definite outcome
  quarantine   nothing is written to an account while an earlier call to it is open or unknown
  truth        reports and records say what the server's journal says
  chain        the ledger's records are numbered and chained, and were before they were used
  end          without faults everything comes to rest: an empty plan, and all that was wished for
  defect       no run ends in an error that is not one of amsctl's own
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

Event = dict[str, Any]
Key = tuple[Any, ...]
INFINITE = 1 << 60
STRICT = ("halt", "tighten")
OWNERS = {("ef", "long"): 0, ("ef", "short"): 1, ("cmf", "long"): 2, ("cmf", "short"): 3}
DEFINITE = ("verified", "failed", "diverged")
ANNOUNCED_PART = 4
"""How much younger than a read an announcement must be: a quarter of what a read may be."""
GENESIS = "0" * 64


@dataclass(frozen=True)
class Breach:
    """A promise that was not kept, and at which event."""

    rule: str
    at: int
    what: str

    def __str__(self) -> str:
        return f"[{self.rule}] event {self.at}: {self.what}"


@dataclass
class Change:
    id: str
    key: Key
    before: Any
    after: Any


@dataclass
class Step:
    id: str
    phase: str
    account: str
    target: str
    body: Event
    changes: list[Change]


@dataclass
class Plan:
    digest: str
    steps: dict[str, Step]

    def of(self, account: str) -> list[Step]:
        return [step for step in self.steps.values() if step.account == account]


@dataclass
class Post:
    """A POST that left, and what is known of it."""

    event: Event
    step: Step | None = None
    run: str = ""
    plan: str = ""
    changes: list[Change] = field(default_factory=list)
    effects: list[Event] = field(default_factory=list)
    answer: Event | None = None
    reads: dict[Key, Event] = field(default_factory=dict)
    """(account, part) → its last good read before this left."""
    as_asked: bool = False
    """Recorded as verified before it had taken effect, because the server held all that it asked for: others had made it so."""


@dataclass
class Actor:
    """One process, as far as it can be watched."""

    event: Event
    run: str = ""
    plan: Plan | None = None
    seen: dict[Key, tuple[Any, Event]] = field(default_factory=dict)
    whole: dict[str, tuple[Event, Event]] = field(default_factory=dict)
    """Account → first and last page of its last whole read of limits."""
    pages: dict[str, list[Event]] = field(default_factory=dict)
    intents: list[Event] = field(default_factory=list)
    posts: list[Post] = field(default_factory=list)
    parts: dict[Key, Event] = field(default_factory=dict)
    """(account, part) → the last good read of it."""
    before: dict[Key, Any] = field(default_factory=dict)
    """A status or suspension → what it was at the look before the last one."""
    asking: dict[str, int] = field(default_factory=dict)
    """Account → the call for a later part of it that was made and not answered yet: the look at that account is not whole."""


class Values:
    """What the server holds, value by value, and what it held before."""

    def __init__(self, accounts: dict[str, Event]) -> None:
        self.now: dict[Key, Any] = {}
        self.past: dict[Key, list[tuple[int, Any, Any]]] = defaultdict(list)
        self.rows: dict[tuple[str, str], set[str]] = defaultdict(set)
        """(account, execution firm) → products that ever had a row."""
        self.beyond: set[int] = set()
        """The effects of ours that came later, or once more, than anything is promised to: nobody can guard against these."""
        self.firms: dict[str, list[str]] = {}
        for number, account in accounts.items():
            self._set((number, "status"), account["status"], -1, "start")
            self.firms[number] = sorted(account["suspended"])
            for ef, flag in account["suspended"].items():
                self._set((number, "suspended", ef), flag, -1, "start")
            for row, legs in account["rows"].items():
                ef, product = row.split("/", 1)
                for index, leg in enumerate(legs):
                    self._set((number, "leg", ef, product, index), leg, -1, "start")

    def _set(self, key: Key, value: Any, n: int, by: Any) -> None:
        self.now[key] = value
        self.past[key].append((n, value, by))
        if key[1] == "leg":
            self.rows[key[0], key[2]].add(key[3])

    def take(self, effect: Event) -> list[Key]:
        """Store an effect; the keys that moved."""
        by = "third" if effect["by"] == "third" else effect["id"]
        if effect.get("beyond"):
            self.beyond.add(effect["n"])
        moved = []
        for change in effect["changes"]:
            key = (effect["account"], *change["what"])
            assert self.now.get(key) == change["before"], f"the journal contradicts itself at {effect['n']}: {key}"
            self._set(key, change["after"], effect["n"], by)
            moved.append(key)
        return moved

    def held(self, key: Key, value: Any, first: int, last: int) -> bool:
        """Whether the value was held at any moment between two events."""
        past = self.past.get(key) or [(-1, None, "start")]
        for index, (n, found, _) in enumerate(past):
            until = past[index + 1][0] if index + 1 < len(past) else INFINITE
            if found == value and n <= last and until >= first:
                return True
        return value is None and past[0][0] > first

    def as_of(self, n: int, account: str) -> dict[Key, Any]:
        """What an account held right before an event."""
        found = {}
        for key, past in self.past.items():
            if key[0] == account:
                entries = [value for at, value, _ in past if at < n]
                if entries:
                    found[key] = entries[-1]
        return found

    def author(self, key: Key) -> tuple[int, Any]:
        """When and by whom the value was last written."""
        past = self.past.get(key)
        return (past[-1][0], past[-1][2]) if past else (-1, "start")


def effective(values: dict[Key, Any], account: str, ef: str, product: str, side: int, blocked: bool) -> int:
    """How many contracts an order may reach on one leg."""
    if values.get((account, "status")) != "A" or values.get((account, "suspended", ef)):
        return 0
    legs = [values.get((account, "leg", ef, product, index)) for index in range(4)]
    if all(leg is None for leg in legs):
        return 0 if blocked else INFINITE
    return min(INFINITE if legs[side] is None else legs[side], INFINITE if legs[side + 2] is None else legs[side + 2])


class Checker:
    """Goes through a history once, in order."""

    def __init__(self, events: list[Event]) -> None:
        self.events = events
        self.breaches: list[Breach] = []
        setup = events[0]
        assert setup["kind"] == "setup"
        self.setup = setup
        self.blocked = setup["unset_means"] == "blocked"
        self.values = Values(setup["accounts"])
        self.plans: dict[str, Plan] = {}
        self.actors: dict[int, Actor] = {}
        self.posts: dict[int, Post] = {}
        self.by_step: dict[tuple[str, str], list[Post]] = defaultdict(list)
        """(run, step) → its posts."""
        self.steps_of_runs: dict[tuple[str, str], Step] = {}
        self.open: dict[tuple[str, str], tuple[str, str]] = {}
        """(run, step) → (account, "open" or "unknown")."""
        self.definite: dict[tuple[str, str], tuple[int, str]] = {}
        self.outcomes: dict[tuple[str, str], str] = {}
        self.holder: dict[str, tuple[int, int] | None] = {}
        self.broken: dict[str, tuple[int, int]] = {}
        """By firm: whose lock a person broke last, and at which event."""
        self.announced_at: dict[tuple[str, str], tuple[int, float]] = {}
        """By run and step: the event and the time of its last intent."""
        self.fences: dict[str, int] = {}
        self.announced: set[tuple[str, Key]] = set()
        """(plan, key) of every change that an intent names."""
        self.made: dict[tuple[str, Key], str] = {}
        """(plan, key) → the run whose call was proven, by a record after a read, to have made the change."""
        self.not_made: set[tuple[str, Key]] = set()
        """Likewise, of those that were proven not to have been made by any call so far."""
        self.head = (0, GENESIS)
        self.records: list[Event] = []

    def breach(self, rule: str, event: Event, what: str) -> None:
        self.breaches.append(Breach(rule, event["n"], what))

    def judge(self) -> list[Breach]:
        """All breaches, in order."""
        for event in self.events:
            watch = getattr(self, f"on_{event['kind']}", None)
            if watch is not None:
                watch(event)
        self.at_the_end()
        return self.breaches

    # --- processes and plans ---

    def on_process(self, event: Event) -> None:
        self.actors[event["p"]] = Actor(event)

    def on_plan(self, event: Event) -> None:
        plan = event["plan"]
        changes = {change["id"]: _change(change) for change in plan["changes"]}
        steps = {step["id"]: _step(step, changes, self.setup["base"]) for step in plan["steps"]}
        known = self.plans.setdefault(plan["digest"], Plan(plan["digest"], steps))
        if event.get("p") is not None:
            actor = self.actors[event["p"]]
            actor.plan = known
            if actor.event["verb"] in ("apply", "rollback"):
                self._check_seen(event, actor, list(changes.values()))
            if event["undoes"] is not None:
                self._check_way_back(event, list(changes.values()), self.plans[event["undoes"]])

    def _check_seen(self, event: Event, actor: Actor, changes: list[Change]) -> None:
        """A plan is made of what the server held while it was made: a read that fell short must not look like a deletion."""
        for change in changes:
            if change.before is None and self._slid(change.key, actor.event["n"], event["n"]):
                continue
            if not self.values.held(change.key, change.before, actor.event["n"], event["n"]):
                self.breach("plan", event, f"the plan saw {change.before} where {_words(change.key)} is {self.values.now.get(change.key)}")

    def _slid(self, key: Key, first: int, last: int) -> bool:
        """Whether a row may have slid out of a list of pages between two events, because another one before it went away while the list was read: no
        page shows that. Such a plan is stale, as ``fresh`` sees to.
        """
        if key[1] != "leg":
            return False
        went = [
            other
            for other, past in self.values.past.items()
            if other[:2] == key[:2] and other[2:4] < key[2:4] and any(value is None and first <= n <= last for n, value, _ in past)
        ]
        return any(all(self.values.now.get((*other[:4], index)) is None for index in range(4)) for other in went)

    def _check_way_back(self, event: Event, changes: list[Change], plan: Plan) -> None:
        """What a rollback takes back was made by a call of its plan, as far as anybody can tell, and still is as that made it."""
        planned = {change.key: change for step in plan.steps.values() for change in step.changes}
        for back in changes:
            there, name = planned.get(back.key), (plan.digest, back.key)
            if back.before is None and back.after is None:
                continue  # how a leg without a number is called changes with its row
            if there is None or (back.before, back.after) != (there.after, there.before):
                self.breach(
                    "lost", event, f"the way back makes {_words(back.key)} {back.after} of {back.before}, which is not what the run did"
                )
            elif name not in self.announced:
                self.breach("lost", event, f"the way back takes back {_words(back.key)}, which no run of the plan has sent")
            elif name in self.not_made and not self._ours(back.key, plan):
                self.breach(
                    "lost",
                    event,
                    f"the way back takes back {_words(back.key)}, which somebody else made {back.before}: no run of the plan did",
                )

    def _ours(self, key: Key, plan: Plan) -> bool:
        """Whether a value was last written by a call of a plan."""
        post = self.posts.get(self.values.author(key)[1])
        return post is not None and post.plan == plan.digest

    def on_error(self, event: Event) -> None:
        if event["defect"]:
            self.breach("defect", event, f"process {event['p']} ended in {event['error']}: {event['message']}")
        elif self.actors[event["p"]].posts:
            self.breach("truth", event, f"process {event['p']} wrote and ended in {event['error']} instead of a report")

    # --- reads ---

    def on_get(self, event: Event) -> None:
        actor, number = self.actors[event["p"]], _account_in(event["target"])
        actor.asking[number] = event["id"]
        if event["target"].endswith("offset=1"):  # a list is read from its beginning: what was seen before it counts no longer
            actor.before = {key: value for key, value in actor.before.items() if key[:2] != (number, "leg")}

    def on_read(self, event: Event) -> None:
        asking = self.actors[event["p"]].asking
        if asking.get(_account_in(event["target"])) == event["id"]:
            del asking[_account_in(event["target"])]
        if event["fault"] not in (None, "slow") or event["status"] != 200:
            return
        actor = self.actors[event["p"]]
        if "statuses" in event:
            for number, word in event["statuses"].items():
                self._saw(actor, (number, "status"), word, event)
                actor.parts[number, "status"] = event
        elif "suspended" in event:
            number = _account_in(event["target"])
            for ef, flag in event["suspended"].items():
                self._saw(actor, (number, "suspended", ef), flag, event)
            if event["offset"] == 1:  # a read is as old as its first page
                actor.parts[number, "suspended"] = event
        elif "rows" in event:
            self._limits_page(actor, _account_in(event["target"]), event)

    def _saw(self, actor: Actor, key: Key, value: Any, event: Event) -> None:
        actor.before[key] = self._seen(actor, key)
        actor.seen[key] = (value, event)

    def _limits_page(self, actor: Actor, number: str, event: Event) -> None:
        if event["offset"] == 1:
            actor.pages[number] = []
        pages = actor.pages.get(number)
        if pages is None or event["offset"] != len(pages) + 1:
            return
        pages.append(event)
        if len(pages) < event["pages"]:
            return
        first = pages[0]
        for key in [key for key in actor.seen if key[0] == number and key[1] == "leg"]:
            # A list whose pages are all full is only known to be whole when nothing is found beyond it.
            actor.before[key] = actor.seen.pop(key)[0]
        for page in pages:
            for ef, product, *legs in page["rows"]:
                for index, leg in enumerate(legs):
                    actor.seen[number, "leg", ef, product, index] = (leg, first)
        actor.whole[number] = (first, event)
        actor.parts[number, "leg"] = first

    # --- writes ---

    def on_post(self, event: Event) -> None:
        actor = self.actors[event["p"]]
        post = Post(event, run=actor.run, reads=dict(actor.parts))
        self.posts[event["id"]] = post
        actor.posts.append(post)
        intent = self._check_intent(post, actor)
        self._check_lock(post, intent)
        if intent is None:
            return
        step_id = intent["body"]["step"]
        post.step = actor.plan.steps.get(step_id) if actor.plan is not None else None
        if post.step is None:
            self.breach("plan", event, f"step {step_id} is in no plan of this process")
            return
        self._check_resend(post, actor)
        assert actor.plan is not None
        post.plan = actor.plan.digest
        self.by_step[post.run, step_id].append(post)
        self.steps_of_runs[post.run, step_id] = post.step
        self._check_plan(post, intent)
        self._check_quarantine(post, step_id)
        self._check_fresh(post, actor)
        self._check_order(post, actor)

    def _check_lock(self, post: Post, intent: Event | None) -> None:
        holder = self.holder.get(self.setup["firm"])
        if holder is None and intent is not None and self._left_before_it_was_broken(post, intent):
            return
        if holder is None or holder[0] != post.event["p"]:
            who = "nobody" if holder is None else f"process {holder[0]}"
            self.breach("lock", post.event, f"process {post.event['p']} sends while {who} holds the lock")

    def _left_before_it_was_broken(self, post: Post, intent: Event) -> bool:
        """Whether the call was announced under the lock that a person has broken since, and not long ago: this one may still leave (not promised)."""
        process, broken_n = self.broken.get(self.setup["firm"], (None, -1))
        announced_n, announced_at = self.announced_at[intent["run"], intent["body"]["step"]]
        young = post.event["t"] - announced_at <= self.setup["fresh_seconds"] / ANNOUNCED_PART
        return process == post.event["p"] and announced_n < broken_n and young

    def _check_intent(self, post: Post, actor: Actor) -> Event | None:
        for intent in actor.intents:
            if (
                intent["body"]["request_sha256"] == post.event["request_sha256"]
                and _target_of(intent["body"], self.setup["base"]) == post.event["target"]
            ):
                actor.intents.remove(intent)
                if intent["account"] != post.event["account"]:
                    self.breach("intent", post.event, f"the intent names {intent['account']}")
                return intent
        self.breach("intent", post.event, "no committed intent of this request that was not used by an earlier sending")
        return None

    def _check_resend(self, post: Post, actor: Actor) -> None:
        assert post.step is not None
        earlier = self.by_step[post.run, post.step.id]
        if not earlier:
            return
        if len(earlier) > 1:
            self.breach("resend", post.event, f"step {post.step.id} is sent {len(earlier) + 1} times in one run")
        last = earlier[-1].event
        part = post.step.changes[0].key[1]
        read = actor.parts.get((post.step.account, part))
        if read is None or read["left"] < last["t"] or read["n"] < last["n"]:
            self.breach("resend", post.event, f"step {post.step.id} is sent again without a read since event {last['n']}")

    def _check_plan(self, post: Post, intent: Event) -> None:
        step, event = post.step, post.event
        assert step is not None
        if step.target != event["target"] or step.account != event["account"]:
            self.breach("plan", event, f"step {step.id} goes to {step.target}")
        wanted, sent = _parts(step.body), _parts(event["body"])
        if wanted[0] != sent[0] or any(item not in wanted[1] for item in sent[1]) or not sent[1]:
            self.breach("plan", event, f"the body is not that of step {step.id}, nor a part of it")
        named = {change["id"] for change in intent["body"]["changes"]}
        post.changes = [change for change in step.changes if change.id in named]
        if len(post.changes) != len(named) or intent["body"]["phase"] != step.phase:
            self.breach("plan", event, f"the intent does not carry the changes of step {step.id}")

    def _check_quarantine(self, post: Post, step_id: str) -> None:
        for (run, step), (account, state) in self.open.items():
            if account == post.event["account"] and (run != post.run or (state == "unknown" and step != step_id)):
                self.breach("quarantine", post.event, f"{account} is written while step {step} of run {run} is {state}")

    def _check_fresh(self, post: Post, actor: Actor) -> None:
        assert post.step is not None
        event, number = post.event, post.step.account
        carried = {change.key: change for change in post.changes}
        for key, change in carried.items():
            seen = self._seen(actor, key)
            run = self.made.get((post.plan, key))
            if run is not None and seen != change.after:
                self.breach("lost", event, f"{_words(key)}, made {change.after} by run {run} and changed to {seen} since, is made so again")
            self.not_made.discard((post.plan, key))
            if seen != change.before:
                self.breach("fresh", event, f"{_words(key)} was last read as {seen}, the plan saw {change.before}")
        if "limits" not in event["body"]:
            return
        whole = actor.whole.get(number)
        before = [earlier for earlier in actor.posts if earlier is not post and earlier.event["account"] == number]
        since = max((earlier.answer["n"] if earlier.answer else earlier.event["n"] for earlier in before), default=-1)
        if whole is None or whole[0]["n"] < since:
            self.breach("fresh", event, f"the rows of {number} were not read since its last write")
        elif event["t"] - whole[1]["t"] > self.setup["fresh_seconds"] + self._paused(actor, whole[1]["t"]):
            self.breach("fresh", event, f"the rows of {number} were read {event['t'] - whole[1]['t']:.1f} s before they are written")
        if event["target"].endswith("delete=true"):
            return
        for item in event["body"]["limits"]:
            for index, leg in enumerate(_four(item)):
                key = (number, "leg", item["efId"], item["product"], index)
                seen = self._seen(actor, key)
                if key not in carried and leg != seen:
                    self.breach("echo", event, f"{_words(key)} goes out as {leg} and was read as {seen}")

    def _seen(self, actor: Actor, key: Key) -> Any:
        found = actor.seen.get(key)
        return None if found is None else found[0]

    def _paused(self, actor: Actor, since: float) -> float:
        """For how long the process was stopped after a moment, at most."""
        pauses = [event for event in self.events if event["kind"] == "pause" and event["p"] == actor.event["p"]]
        return float(sum(event["seconds"] for event in pauses if event["t"] + event["seconds"] > since))

    def _check_order(self, post: Post, actor: Actor) -> None:
        step, plan = post.step, actor.plan
        assert step is not None
        assert plan is not None
        if step.phase in STRICT:
            return
        whole_run = actor.event["barrier"] == "run"
        for other in plan.steps.values():
            mine = other.account == step.account
            first = other.phase in STRICT or (step.phase == "release" and other.phase == "loosen" and mine)
            if not first or not (mine or whole_run):
                continue
            for change in other.changes:
                seen = self._seen(actor, change.key)
                if not mine and other.account in actor.asking and actor.before.get(change.key) == change.after:
                    # Another account of the run is being looked at, and what its first part shows counts when the last one is in, as with pages.
                    continue
                if seen != change.after and not (change.after is None and seen is None):
                    what = f"{step.phase} leaves and {_words(change.key)}, which must be {change.after} first, was last read as {seen}"
                    self.breach("order", post.event, what)

    # --- effects ---

    def on_effect(self, event: Event) -> None:
        if event["by"] == "third":
            self.values.take(event)
            return
        post = self.posts[event["id"]]
        post.effects.append(event)
        before = dict(self.values.now)
        authors = {
            (event["account"], *change["what"]): self.values.author((event["account"], *change["what"])) for change in event["changes"]
        }
        moved = self.values.take(event)
        if post.step is None or not moved or event["beyond"]:
            return
        if post.as_asked:
            self._check_safety(post, event, before, moved)
            return
        carried = {change.key: change for change in post.changes}
        for key in moved:
            n, by = authors[key]
            read = post.reads.get(key[:2])
            inside = (by == "third" or n in self.values.beyond) and (read is None or self._served(read) <= n)
            planned = key in carried and self.values.now[key] == carried[key].after
            if not planned and not inside:
                self.breach(
                    "plan", event, f"{_words(key)} moves from {before.get(key)} to {self.values.now[key]}, which is no change of its step"
                )
            if by == "third" and not inside and not (planned and before.get(key) == carried[key].before):
                self.breach(
                    "lost", event, f"{_words(key)}: {before.get(key)}, written by somebody else and there to be read, is overwritten"
                )
        self._check_settled(post, event)
        self._check_safety(post, event, before, moved)

    def _served(self, read: Event) -> int:
        """The number of the event at or after which the read was served, as an event number that edits compare with."""
        served = read["served"]
        low = read["n"]
        while low > 0 and self.events[low - 1]["t"] > served:
            low -= 1
        # Events of the very moment of serving count as inside: nobody can tell which came first.
        while low > 0 and self.events[low - 1]["t"] >= served:
            low -= 1
        return low

    def _check_settled(self, post: Post, event: Event) -> None:
        assert post.step is not None
        settled = self.definite.get((post.run, post.step.id))
        if settled is not None:
            self.breach("settled", event, f"step {post.step.id} of run {post.run} lands after it was recorded as {settled[1]}")

    def _check_safety(self, post: Post, event: Event, before: dict[Key, Any], moved: list[Key]) -> None:
        account = event["account"]
        plan = self.actors[event["p"]].plan
        assert plan is not None
        changes = [change for step in plan.of(account) for change in step.changes]
        touched = {key[2] for key in moved if key[1] == "suspended"} or set(self.values.firms[account])
        rows = {(key[2], key[3]) for key in moved if key[1] == "leg"}
        if any(key[1] != "leg" for key in moved):
            rows |= {(ef, product) for ef in touched for product in self.values.rows[account, ef]} | {(ef, "") for ef in touched}
        states = self._allowed(post, changes, before, account)
        for ef, product in sorted(rows):
            for side in (0, 1):
                now = effective(self.values.now, account, ef, product, side, self.blocked)
                allowed = max(effective(state, account, ef, product, side, self.blocked) for state in states)
                if now > allowed:
                    self.breach(
                        "safety", event, f"{account}/{ef}/{product} {('long', 'short')[side]} lets {now} through, at most {allowed} may"
                    )

    def _allowed(self, post: Post, changes: list[Change], before: dict[Key, Any], account: str) -> list[dict[Key, Any]]:
        """The states between which an effect may move: as it is, and the plan's before and after, each on what is there now and on what was there
        when the account was last read (what somebody else moved since is overwritten by a writer that cannot know it).
        """
        read = {part: self._served(page) for (number, part), page in post.reads.items() if number == account}
        known = self.values.as_of(min(read.values()), account) if read else before
        meanwhile = {}
        for key in before:
            n, by = self.values.author(key)
            if key[0] == account and by == "third" and n >= read.get(key[1], 0):
                meanwhile[key] = before[key]
        befores, afters = ({change.key: getattr(change, name) for change in changes} for name in ("before", "after"))
        planned = [{**state, **values} for state in (before, known) for values in (befores, afters)]
        return [before, *planned, *({**state, **meanwhile} for state in planned if meanwhile)]

    def on_answer(self, event: Event) -> None:
        self.posts[event["id"]].answer = event

    # --- the ledger ---

    def on_ledger(self, event: Event) -> None:
        record = event["record"]
        self._check_chain(event, record)
        actor = self.actors.get(event["p"])
        body, run = record["body"], record["run"]
        match record["kind"]:
            case "run-started":
                if actor is not None:
                    actor.run = run
                    if actor.plan is None or actor.plan.digest != body["plan_digest"]:
                        actor.plan = self.plans.get(body["plan_digest"])
            case "intent":
                if actor is not None:
                    # A step that is announced anew did not leave under its last intent: no later sending may use that.
                    actor.intents = [one for one in actor.intents if (one["run"], one["body"]["step"]) != (run, body["step"])]
                    actor.intents.append(record)
                self.announced_at[run, body["step"]] = (event["n"], event["t"])
                self.open[run, body["step"]] = (record["account"], "open")
                if actor is not None and actor.plan is not None:
                    self.announced |= {(actor.plan.digest, _change(change).key) for change in body["changes"]}
                if body["fence"] != self.fences.get(record["firm"]):
                    self.breach(
                        "lock",
                        event,
                        f"an intent under fence {body['fence']} while {self.fences.get(record['firm'])} is the last that was given",
                    )
            case "outcome":
                self._note_as_asked(run, body)
                self._outcome(event, record, body["outcome"])
                self._note_made(event, record)
                self.outcomes[run, body["step"]] = body["outcome"]
            case "resolved":
                self._outcome(event, record, body["outcome"])
                self._note_made(event, record)
                self._check_resolved(event, record)
            case "lock-taken":
                if body["fence"] <= self.fences.get(record["firm"], 0):
                    self.breach("lock", event, f"fence {body['fence']} after {self.fences[record['firm']]}")
                self.fences[record["firm"]] = body["fence"]
                self.holder[record["firm"]] = (event["p"], body["fence"])
            case "lock-released" | "lock-broken":
                holder = self.holder.get(record["firm"])
                if record["kind"] == "lock-broken" and holder is not None:
                    self.broken[record["firm"]] = (holder[0], event["n"])
                self.holder[record["firm"]] = None

    def _outcome(self, event: Event, record: Event, outcome: str) -> None:
        key = (record["run"], record["body"]["step"])
        if outcome == "unknown":
            if key not in self.definite:  # a run that was taken for dead may wake up and know less than who has read since
                self.open[key] = (record["account"], "unknown")
            return
        self.open.pop(key, None)
        if outcome in DEFINITE:
            self.definite.setdefault(key, (event["n"], outcome))

    def _note_as_asked(self, run: str, body: Event) -> None:
        """A call without an answer counts as done when the account is read back as it asked, whoever made it so; it may still land afterwards."""
        for post in self.by_step.get((run, body["step"]), []):
            unanswered = post.answer is None or post.answer["status"] != 200
            if body["outcome"] == "verified" and unanswered and not post.effects:
                post.as_asked = all(self.values.now.get(change.key) == change.after for change in post.changes)

    def _note_made(self, event: Event, record: Event) -> None:
        """Which values are proven to be made, or not to be: by an outcome that was recorded after a look at them."""
        posts, actor = self.by_step.get((record["run"], record["body"]["step"]), []), self.actors.get(event["p"])
        if not posts or actor is None or record["body"]["outcome"] not in DEFINITE:
            return
        for change in {change.key: change for post in posts for change in post.changes}.values():
            read = actor.parts.get(change.key[:2])
            if read is None or read["left"] < posts[-1].event["t"]:
                continue
            name = (posts[-1].plan, change.key)
            if self._seen(actor, change.key) != change.after:
                if name not in self.made:
                    self.not_made.add(name)
            elif record["body"]["outcome"] != "failed":
                self.made[name] = record["run"]
                self.not_made.discard(name)

    def _check_resolved(self, event: Event, record: Event) -> None:
        key = (record["run"], record["body"]["step"])
        step = self.steps_of_runs.get(key)
        if step is not None and record["body"]["outcome"] == "verified":
            since = self.by_step[key][0].event["n"]
            names = {change.id for post in self.by_step[key] for change in post.changes}
            for change in step.changes:
                if change.id in names and not self.values.held(change.key, change.after, since, event["n"]):
                    self.breach("truth", event, f"{_words(change.key)} is resolved as verified and never was {change.after}")

    def _check_chain(self, event: Event, record: Event) -> None:
        seq, previous = self.head
        if record["seq"] != seq + 1 or record["previous"] != previous:
            self.breach("chain", event, f"record {record['seq']} does not follow record {seq}")
        rest = {name: value for name, value in record.items() if name != "hash"}
        content = json.dumps(rest, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
        if hashlib.sha256(content).hexdigest() != record["hash"]:
            self.breach("chain", event, f"record {record['seq']} is not what its hash says")
        self.head = (record["seq"], record["hash"])
        self.records.append(record)

    def on_power(self, event: Event) -> None:
        """Whatever was committed was acted upon: a lock without its record, an outcome without one, and above all a call without its intent."""
        kept = event["kept"]
        if kept is None or kept == self.head[0]:
            return
        gone = [record for record in self.records if record["seq"] > kept]
        for record in gone:
            sent = record["kind"] == "intent" and any(
                post.run == record["run"] and post.step is not None and post.step.id == record["body"]["step"]
                for post in self.posts.values()
            )
            what = f"record {record['seq']}, {record['kind']} of run {record['run']}, is gone after the power failed"
            self.breach("durable", event, what + (", and its call had left" if sent else ""))
        self.records = [record for record in self.records if record["seq"] <= kept]
        self.head = (kept, self.records[-1]["hash"] if self.records else GENESIS)

    # --- reports ---

    def on_report(self, event: Event) -> None:
        actor, report = self.actors[event["p"]], event["report"]
        if actor.plan is None:
            self.breach("truth", event, "a report without a plan")
            return
        if [step["id"] for step in report["steps"]] != list(actor.plan.steps):
            self.breach("truth", event, "the report does not tell every step of the plan once")
            return
        for told in report["steps"]:
            self._check_step_told(event, actor, actor.plan.steps[told["id"]], told, report)
        good = all(told["outcome"] in ("verified", "skipped") for told in report["steps"])
        quiet = not (report["stale"] or report["unread"] or report["postponed"] or report["unrecorded"] or report["interrupted"])
        if event["exit_code"] == 0 and not (good and not report["stale"] and not report["unread"] and not report["unrecorded"]):
            self.breach("truth", event, "exit code 0 for a run that did not go well")
        if event["exit_code"] != 0 and good and quiet:
            self.breach("truth", event, f"exit code {event['exit_code']} for a run that went well")
        self._check_told(event, actor, report)

    def _check_step_told(self, event: Event, actor: Actor, step: Step, told: Event, report: Event) -> None:
        posts = [post for post in actor.posts if post.step is step]
        outcome = told["outcome"]
        if len(posts) > told["attempts"]:
            self.breach("truth", event, f"step {step.id} left {len(posts)} times, told {told['attempts']}")
        if outcome in ("blocked", "skipped") and posts:
            self.breach("truth", event, f"step {step.id} is {outcome} and was sent")
        # "unknown" claims nothing: a process that was stopped between its last look and the first byte cannot know that none left.
        if outcome in ("verified", "diverged") and not posts:
            self.breach("truth", event, f"step {step.id} is {outcome} and was never sent")
        if outcome in ("verified", "skipped"):
            sent = {change.id for post in posts for change in post.changes}
            for change in step.changes:
                # What an earlier run has made of a step is looked at by this one, and left alone.
                since = posts[0].event["n"] if change.id in sent else actor.event["n"]
                if not self.values.held(change.key, change.after, since, event["n"]):
                    self.breach("truth", event, f"step {step.id} is {outcome} and {_words(change.key)} never was {change.after}")
        if outcome == "verified":
            self._check_read_back(event, actor, step, posts)
        recorded = self.outcomes.get((actor.run, step.id))
        if told["attempts"] and report["unrecorded"] is None and recorded != outcome:
            self.breach("truth", event, f"step {step.id} is {outcome} in the report and {recorded} in the ledger")

    def _check_read_back(self, event: Event, actor: Actor, step: Step, posts: list[Post]) -> None:
        """Verified means that a read after the last sending showed it."""
        for change in step.changes[:1]:
            read = actor.parts.get((step.account, change.key[1]))
            if posts and (read is None or read["left"] < posts[-1].event["t"]):
                self.breach("truth", event, f"step {step.id} is verified and {step.account} was not read back")

    def _check_told(self, event: Event, actor: Actor, report: Event) -> None:
        """What somebody else changed after our first write, and what was read after that, must be told."""
        told = bool(report["stale"]) or any(step["outcome"] in ("diverged", "unknown") for step in report["steps"])
        if told or report["unread"]:
            return
        assert actor.plan is not None
        first: dict[str, Post] = {}
        for post in actor.posts:
            first.setdefault(post.event["account"], post)
        afters = {change.key: change.after for step in actor.plan.steps.values() for change in step.changes}
        sure = {step["id"] for step in report["steps"] if step["outcome"] in ("verified", "skipped")}
        verified = {change.key for name in sure for change in actor.plan.steps[name].changes}
        for account, post in first.items():
            for part in ("status", "suspended", "leg"):
                read = actor.parts.get((account, part))
                last = max(other.event["n"] for other in actor.posts if other.event["account"] == account)
                if event["exit_code"] == 0 and (read is None or read["n"] < last):
                    self.breach("told", event, f"{part} of {account} was not read after its last write")
                    continue
                if read is not None:
                    self._check_seen_told(event, post, part, read, afters, verified)

    def _check_seen_told(self, event: Event, first: Post, part: str, read: Event, afters: dict[Key, Any], verified: set[Key]) -> None:
        served, account, since = self._served(read), first.event["account"], first.event["n"]
        before = first.reads.get((account, part))
        then = since if before is None else self._served(before)
        for key, past in self.values.past.items():
            if key[:2] != (account, part):
                continue
            at = [entry for entry in past if entry[0] < served]
            if not at or at[-1][2] != "third" or at[-1][0] < since:
                continue
            n, value, _ = at[-1]
            known = next((entry[1] for entry in reversed(at) if entry[0] < then), None)
            # What is as the run expects it cannot be told: nobody sees a value that was changed and put back between two reads.
            expected = (afters[key],) if key in verified else (known, afters.get(key, known))
            if value not in expected:
                self.breach("told", event, f"{_words(key)} became {value} by somebody else at event {n}, was read and is not told")

    # --- the end ---

    def at_the_end(self) -> None:
        """What can only be said when everything has landed."""
        last = self.events[-1]
        for (run, step_id), (n, outcome) in self.definite.items():
            if outcome == "failed":
                self._check_failed(run, step_id, n)
        ended = [event for event in self.events if event["kind"] == "converged"]
        if not ended:
            self.breach("end", last, "it never came to rest")
            return
        final = ended[-1]
        if self.open:
            self.breach("end", final, f"{len(self.open)} calls are still open or unknown")
        if final["blocked"]:
            return
        if final["steps"]:
            self.breach("end", final, f"without faults, {final['steps']} steps are still planned")
        for account, what, wish in self.setup["wishes"]:
            found = self.values.now.get((account, *what))
            if found != wish:
                self.breach("end", final, f"{_words((account, *what))} is {found}, wished for is {wish}")

    def _check_failed(self, run: str, step_id: str, n: int) -> None:
        """A step that failed left nothing behind, unless somebody else put it back."""
        for post in self.by_step[run, step_id]:
            for effect in post.effects:
                for change in effect["changes"]:
                    key = (effect["account"], *change["what"])
                    later = [entry for entry in self.values.past[key] if effect["n"] < entry[0] <= n]
                    if not effect["beyond"] and not later:
                        self.breach("truth", effect, f"step {step_id} of run {run} is recorded as failed and moved {_words(key)}")


# --- the small parts ---


def _words(key: Key) -> str:
    return "/".join(str(part) for part in key)


def _change(change: Event) -> Change:
    match change["kind"]:
        case "status":
            key: Key = (change["account"], "status")
        case "suspension":
            key = (change["account"], "suspended", change["execution_firm"])
        case _:
            index = OWNERS[change["owner"], change["leg"]]
            key = (change["account"], "leg", change["execution_firm"], change["product"], index)
    return Change(change["id"], key, _value(change["before"]), _value(change["after"]))


def _value(value: Any) -> Any:
    return {"Active": "A", "Inactive": "I", "unset": None, "unlimited": None}.get(value, value) if isinstance(value, str) else value


def _step(step: Event, changes: dict[str, Change], base: str) -> Step:
    listed = [changes[name] for name in step["changes"]]
    return Step(step["id"], step["phase"], listed[0].key[0], _target_of(step, base), step["body"], listed)


def _target_of(call: Event, base: str) -> str:
    query = "&".join(f"{name}={value}" for name, value in call["query"].items())
    return base + str(call["path"]) + (f"?{query}" if query else "")


def _account_in(target: str) -> str:
    return target.partition("?")[0].rstrip("/").split("/")[-1]


def _parts(body: Event) -> tuple[Event, list[Any]]:
    """A body without its list, and the list."""
    rest = {name: value for name, value in body.items() if not isinstance(value, list)}
    return rest, next((value for value in body.values() if isinstance(value, list)), [])


def _four(item: Event) -> list[Any]:
    sides = [item.get(side) for side in ("efLimits", "cmfLimits")]
    found = [side.get(leg) if isinstance(side, dict) else None for side in sides for leg in ("long", "short")]
    return [leg if isinstance(leg, int) else None for leg in found]


def judge(events: list[Event]) -> list[Breach]:
    """All breaches of a history."""
    return Checker(events).judge()


def main(arguments: list[str]) -> int:
    """Judge the files named; the number of breaches."""
    found = 0
    for path in arguments:
        with open(path, encoding="utf-8") as lines:
            breaches = judge([json.loads(line) for line in lines])
        for breach in breaches:
            print(f"{path}: {breach}")
        found += len(breaches)
    print(f"{found} breaches in {len(arguments)} histories")
    return min(found, 100)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
