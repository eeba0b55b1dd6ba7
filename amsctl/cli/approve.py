"""``amsctl approve``: agree to a plan, and sign it."""

from __future__ import annotations

import os

import click

from amsctl.cli.approving import approval_file
from amsctl.cli.files import json_value, read_content, write_atomically
from amsctl.cli.planning import base_option, note_makers, open_plan
from amsctl.cli.session import Session, pass_session
from amsctl.cli.shell import Command
from amsctl.errors import ApprovalMissing, Refused, UsageError
from amsctl.views.plan_text import plan_text

EPILOG = """\
Examples:
  amsctl approve plan.json --key ~/.ssh/id_ed25519  shows the plan, asks, signs
  amsctl approve plan.json --key approver.pub       an agent holds the key
  amsctl approve plan.json --digest sha256:6f1ed002ab55c0a4e1d3b2f58d7790aa
  amsctl approve plan.json --verdict verdict.json --reason "RISK-1234"
"""


@click.command("approve", cls=Command, epilog=EPILOG)
@click.argument("file", metavar="PLAN")
@click.option("--key", metavar="FILE", help="The OpenSSH key to sign with; the default is git's user.signingKey.")
@click.option("--digest", metavar="DIGEST", help="Do not ask: the plan of this digest (32 digits at least) was looked at.")
@click.option("--verdict", metavar="FILE", help="The verdict of your own policies on this plan; the approval binds it.")
@click.option("--reason", metavar="TEXT", help="Why; signed with it and kept in the ledger.")
@click.option("-o", "--out", metavar="FILE", help="Where to write the approval; the default is beside the plan, where apply finds it.")
@base_option
@pass_session
def command(
    session: Session,
    file: str,
    key: str | None,
    digest: str | None,
    verdict: str | None,
    reason: str | None,
    out: str | None,
    base: str | None,
) -> None:
    """Approve a saved plan: sign its digest with an OpenSSH key.

    The plan is shown and a person asked. The key must be one of the project's list of signers, here and on the base branch, and not that of somebody who
    made the change. An approval is for one plan and one environment, and expires. Writes nothing at the AMS.
    """
    from amsctl.ams.clock import SystemClock
    from amsctl.approvals.approval import approval_text
    from amsctl.operations import flow
    from amsctl.operations.approve import Signing, approve, checked

    session.base = base
    opened, clock = open_plan(file), SystemClock()
    plan = opened.plan
    if digest is not None and not flow.is_digest_of(digest, plan):
        raise Refused(
            "this is another plan than the one that was looked at",
            expected=digest,
            found=plan.digest,
            hint=f"look at this one (amsctl show), and name its digest, {flow.OVERRIDE_DIGITS} digits or all of it, if you approve it",
        )
    verdict_sha256 = None if verdict is None else _verdict(verdict, plan.digest)
    signing = Signing(key=_key(session, key), verdict_sha256=verdict_sha256, reason=reason)
    found = checked(opened, session.sources(), session.environ, signing, clock)
    for one in found.unchecked:
        session.console.warn(f"not checked: {one}")
    if digest is None:
        session.console.show(plan_text(plan, session.console.log_look))
    note_makers(session, plan)
    if digest is None:
        _ask(session)
        session.look_again()
    approval = approve(found, session.sources(), session.environ, signing, clock)
    path = out or approval_file(file, approval.statement.by)
    write_atomically(path, [approval_text(approval)], private=True)
    session.console.note(f"approved by {approval.statement.by} until {approval.statement.expires_at}")
    session.console.result(f"{path}\n")


def _ask(session: Session) -> None:
    if not session.console.interactive:
        raise ApprovalMissing(
            "cannot prompt: no terminal", expected="a terminal", found="none", hint="look at the plan, and pass --digest with its digest"
        )
    if not session.console.ask("Approve this plan? Only yes is taken for a yes:"):
        raise ApprovalMissing("declined", hint="nothing was signed")


def _key(session: Session, key: str | None) -> str:
    """The key to sign with: the one named, or git's."""
    from amsctl.provenance.facts import known
    from amsctl.provenance.repository import setting

    if key is None:
        root = session.project().root
        form, key = (known(setting(root, name), "no key to sign with") for name in ("gpg.format", "user.signingKey"))
        if not key or form != "ssh":
            raise UsageError("no key to sign with", expected="--key FILE", hint="or git config gpg.format ssh, and user.signingKey FILE")
    return os.path.expanduser(key)


def _verdict(path: str, digest: str) -> str:
    """SHA-256 of the verdict file, once it is one that passes this plan."""
    from hashlib import sha256

    from amsctl.approvals.verdict import decode_verdict

    content = read_content(path)
    verdict = decode_verdict(json_value(content, path), path)
    if verdict.plan_digest != digest:
        raise Refused("the verdict is on another plan", where=path, expected=digest, found=verdict.plan_digest)
    if not verdict.passed:
        raise Refused(
            f"your own policies do not let the plan pass: {verdict.policy}",
            where=path,
            found="; ".join(verdict.denied[:3]) or "not passed",
            hint="correct the manifests, or the policy, and plan again",
        )
    return sha256(content).hexdigest()
