"""What a plan opens: the legs whose effective limit grows, by how much, and the order in which a reviewer should meet the changes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from amsctl.model import NO_LIMIT, AccountKey, Amount, Direction, Leg, RowKey, Special, UnsetMeans, direction_of, lets_through
from amsctl.planning.plan import Change, ChangeKind, Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """One leg whose effective limit, min(ef, cmf), grows. ``lots`` is by how many contracts, ``None`` where there is no limit afterwards."""

    account: AccountKey
    row: RowKey
    leg: Leg
    before: Amount
    after: Amount
    lots: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """What may be lost more than before: legs that grow by a number, legs that end without a limit, releases, and accounts that are activated."""

    raised: tuple[Opened, ...]
    unlimited: tuple[Opened, ...]
    released: int
    activated: int
    not_binding: int
    """Changes that loosen one side while the other side binds: nothing more is let through today."""

    @property
    def lots(self) -> int:
        """Contracts that the raised legs let through more, all together."""
        return sum(leg.lots or 0 for leg in self.raised)

    @property
    def grows(self) -> bool:
        """Whether anything lets more through than before."""
        return bool(self.raised or self.unlimited or self.released or self.activated)


def exposure_of(plan: Plan) -> Exposure:
    """What a plan opens. A leg counts once, whichever sides of it change."""
    opened: dict[tuple[AccountKey, RowKey, Leg], Opened] = {}
    released = activated = not_binding = 0
    for change in plan.changes:
        if change.direction is not Direction.LOOSEN:
            continue
        match change.kind:
            case ChangeKind.STATUS:
                activated += 1
            case ChangeKind.SUSPENSION:
                released += 1
            case ChangeKind.LIMIT:
                leg = _opened(change, plan)
                if leg is None:
                    not_binding += 1
                else:
                    opened[leg.account, leg.row, leg.leg] = leg
    legs = sorted(opened.values(), key=lambda leg: (-(leg.lots or 0), leg.account, leg.row, leg.leg))
    return Exposure(
        raised=tuple(leg for leg in legs if leg.lots is not None),
        unlimited=tuple(leg for leg in legs if leg.lots is None),
        released=released,
        activated=activated,
        not_binding=not_binding,
    )


def _opened(change: Change, plan: Plan) -> Opened | None:
    unset_means = UnsetMeans(plan.target.unset_means)
    before, after, leg = change.effective_before, change.effective_after, change.leg
    assert leg is not None
    if before is None or after is None:
        # The effective limit is not known, so the change itself stands for it: the conservative reading.
        assert isinstance(change.before, int | Special)
        assert isinstance(change.after, int | Special)
        before, after = change.before, change.after
    elif not change.binding or direction_of(before, after, unset_means) is not Direction.LOOSEN:
        return None
    now = lets_through(after, unset_means)
    lots = None if now == NO_LIMIT else now - lets_through(before, unset_means)
    return Opened(account=change.account_key, row=change.row_key, leg=leg, before=before, after=after, lots=lots)


def worst_first(changes: Sequence[Change], unset_means: UnsetMeans) -> list[Change]:
    """All changes in the order of danger: what loosens before what is neutral before what tightens; there activations and releases, limits that end
    open, then by how many contracts the effective limit moves, and last what does not bind. Ties stay in the plan's order.
    """
    return sorted(changes, key=lambda change: _danger(change, unset_means))


def _danger(change: Change, unset_means: UnsetMeans) -> tuple[int, int, int]:
    way = {Direction.LOOSEN: 0, Direction.NEUTRAL: 1, Direction.TIGHTEN: 2}[change.direction]
    if change.kind is not ChangeKind.LIMIT:
        return way, 0 if change.kind is ChangeKind.STATUS else 1, 0
    assert isinstance(change.before, int | Special)
    assert isinstance(change.after, int | Special)
    if change.effective_before is None or change.effective_after is None:
        before, after = change.before, change.after
    else:
        before, after = change.effective_before, change.effective_after
    moved = abs(lets_through(after, unset_means) - lets_through(before, unset_means))
    if not change.binding:
        return way, 4, -abs(lets_through(change.after, unset_means) - lets_through(change.before, unset_means))
    return way, 2 if isinstance(after, Special) else 3, -moved


def loosening(plan: Plan) -> Iterator[Change]:
    """The changes that let more through on their side, worst first."""
    unset_means = UnsetMeans(plan.target.unset_means)
    return iter(worst_first([change for change in plan.changes if change.direction is Direction.LOOSEN], unset_means))
