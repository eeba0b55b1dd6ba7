"""What the ledger tells → JSON values (``schemas/ledger.*.v1.json``, ``schemas/lock.status.v1.json``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from amsctl.planning.codec import encode_change

if TYPE_CHECKING:
    from amsctl.ledger.history import Act, Blamed, Log, LoggedRun, Move, Sending
    from amsctl.ledger.values import Freeze, Head, Lock, Record, Run
    from amsctl.ledger.verification import Verified


def encode_log(log: Log) -> dict[str, object]:
    """``amsctl.ledger.log/v1``."""
    return {
        "format": "amsctl.ledger.log/v1",
        "runs": [_logged(run) for run in log.runs],
        "acts": [_act(act) for act in log.acts],
        "more": log.more,
    }


def _logged(logged: LoggedRun) -> dict[str, object]:
    return {
        **_run(logged.run),
        "counts": dict(logged.counts),
        "postponed": logged.postponed,
        "rollback": None if logged.rollback is None else {"run": logged.rollback.get("run"), "asked_by": logged.rollback.get("asked_by")},
        "uncommitted": logged.uncommitted,
        "sendings": None if logged.sendings is None else [_sending(item) for item in logged.sendings],
    }


def _run(run: Run) -> dict[str, object]:
    body: Mapping[str, Any] = run.body
    return {
        "id": run.id,
        "at": run.at,
        "environment": run.environment,
        "ams": _ams(run.ams),
        "url": run.url,
        "exit_code": run.exit_code,
        "finished_at": run.finished_at,
        "plan_digest": run.plan_digest,
        "resumes": body.get("resumes"),
        "steps": body.get("steps", 0),
        "who": body.get("who", {}),
        "why": body.get("why", {}),
        "consent": body.get("consent", ""),
        "approvals": body.get("approvals", []),
        "overrides": body.get("overrides", []),
    }


def _ams(name: str) -> str | None:
    """The name of an AMS; ``None`` where it has none and goes by its address (records of before there were names)."""
    return None if ":" in name else name


def _sending(item: Sending) -> dict[str, object]:
    return {
        "seq": item.seq,
        "at": item.at,
        "clearing_firm": item.firm,
        "account": item.account,
        "step": item.step,
        "phase": item.phase,
        "attempt": item.attempt,
        "outcome": None if item.outcome is None else item.outcome.value,
        "http_status": item.http_status,
        "request_sha256": item.request_sha256,
        "response_sha256": item.response_sha256,
        "message": item.message,
        "changes": [encode_change(change) for change in item.changes],
    }


def _act(act: Act) -> dict[str, object]:
    return {
        "seq": act.seq,
        "at": act.at,
        "kind": act.kind.value,
        "url": act.url,
        "clearing_firm": act.firm,
        "by": act.by,
        "reason": act.reason,
        "run": act.run,
    }


def encode_blame(blamed: Sequence[Blamed], *, environment: str, url: str) -> dict[str, object]:
    """``amsctl.ledger.blame/v1``."""
    moves = [move for one in blamed for move in (one.moved, *one.doubtful) if move is not None]
    runs = {move.run.id: move.run for move in moves}
    return {
        "format": "amsctl.ledger.blame/v1",
        "environment": environment,
        "url": url,
        "blamed": [_blamed(one) for one in blamed],
        "runs": [_run(run) for run in sorted(runs.values(), key=lambda run: (run.at, run.id), reverse=True)],
    }


def _blamed(one: Blamed) -> dict[str, object]:
    subject = one.subject
    return {
        "clearing_firm": subject.account.firm,
        "account": subject.account.number,
        "kind": subject.kind.value,
        "execution_firm": subject.execution_firm or None,
        "product": subject.product or None,
        "owner": subject.owner or None,
        "leg": subject.leg or None,
        "moved": None if one.moved is None else _move(one.moved),
        "doubtful": [_move(move) for move in one.doubtful],
    }


def _move(move: Move) -> dict[str, object]:
    change = encode_change(move.change)
    return {
        "at": move.at,
        "run": move.run.id,
        "step": move.step,
        "before": change["before"],
        "after": change["after"],
        "direction": change["direction"],
        "outcome": None if move.outcome is None else move.outcome.value,
    }


def encode_record(record: Record) -> dict[str, object]:
    """``schemas/ledger.record.v1.json``: a record whole, with nothing added, so that its hash can be computed from it."""
    named = {"ams": record.ams} if record.ams else {}  # of before there were names: not among what was hashed
    return {
        **named,
        "seq": record.seq,
        "at": record.at,
        "kind": record.kind.value,
        "url": record.url,
        "firm": record.firm,
        "account": record.account,
        "run": record.run,
        "body": record.body,
        "previous": record.previous,
        "hash": record.hash,
    }


def encode_head(head: Head) -> dict[str, object]:
    """``amsctl.ledger.head/v1``."""
    return {"format": "amsctl.ledger.head/v1", **head._asdict()}


def encode_verified(verified: Verified | None, anchor: Head | None, problem: str | None = None) -> dict[str, object]:
    """``amsctl.ledger.verify/v1``; without ``verified``, what ``problem`` tells is broken."""
    return {
        "format": "amsctl.ledger.verify/v1",
        "whole": verified is not None,
        "problem": problem,
        "head": None if verified is None else verified.head._asdict(),
        "anchor": None if anchor is None else anchor._asdict(),
        "runs": None if verified is None else verified.runs,
        "attempts": None if verified is None else verified.attempts,
        "plans": None if verified is None else verified.plans,
    }


def encode_lock_status(locks: Sequence[Lock], freezes: Sequence[Freeze], *, names: Mapping[str, str]) -> dict[str, object]:
    """``amsctl.lock.status/v1``; ``names`` are the environments of the project by the name of their AMS."""
    return {
        "format": "amsctl.lock.status/v1",
        "locks": [_lock(lock, names) for lock in locks],
        "freezes": [
            {
                "clearing_firm": freeze.scope.firm,
                "ams": _ams(freeze.scope.ams),
                "url": freeze.url,
                "environment": names.get(freeze.scope.ams),
                "reason": freeze.reason,
                "by": freeze.by,
                "since": freeze.since,
            }
            for freeze in freezes
        ],
    }


def _lock(lock: Lock, names: Mapping[str, str]) -> dict[str, object]:
    holder = lock.holder
    return {
        "id": lock.id,
        "clearing_firm": lock.scope.firm,
        "ams": _ams(lock.scope.ams),
        "url": lock.url,
        "environment": names.get(lock.scope.ams),
        "run": lock.run,
        "fence": lock.fence,
        "holder": {"user": holder.user, "host": holder.host, "pid": holder.pid, "run_url": holder.run_url},
        "since": lock.since,
        "expires_at": lock.expires_at,
        "expired": lock.expired,
        "dead": lock.dead,
    }
