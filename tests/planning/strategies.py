"""Accounts, wishes and rules for the properties: few names and small numbers, so that they meet."""

from __future__ import annotations

from hypothesis import strategies as st

from amsctl.diagnostics import Source
from amsctl.model import (
    UNLIMITED,
    AccountKey,
    AccountStatus,
    DesiredAccount,
    DesiredExecutionFirm,
    DesiredRow,
    Owner,
    Undeclared,
    UnsetMeans,
)
from amsctl.planning.diff import Rules
from tests.planning.reference import Account

FIRM, NUMBER = "GREENTEA", "DV1"
EXECUTION_FIRMS = ("027", "3N1", "OFF")
PRODUCTS = ("CJ.FUT.NYMEX", "GLB.FUT.CME", "RO.OOF.CME")
HERE = Source("accounts/a.yaml", 3, 7)

numbers = st.integers(0, 6)
raw_legs = st.tuples(*[st.none() | numbers] * 4)


@st.composite
def accounts(draw: st.DrawFn) -> Account:
    firms = draw(st.lists(st.sampled_from(EXECUTION_FIRMS), unique=True, min_size=1))
    keys = st.tuples(st.sampled_from(firms), st.sampled_from(PRODUCTS))
    return Account(
        FIRM,
        NUMBER,
        draw(st.sampled_from(["Active", "Inactive"])),
        {firm: draw(st.booleans()) for firm in firms},
        draw(st.dictionaries(keys, raw_legs, max_size=6)),
    )


wishes = st.tuples(*[st.none() | numbers | st.just(UNLIMITED)] * 4)


@st.composite
def desired_for(draw: st.DrawFn, account: Account) -> DesiredAccount:
    firms = []
    for firm in draw(st.lists(st.sampled_from(sorted(account.suspended)), unique=True)):
        rows = []
        for product in draw(st.lists(st.sampled_from(PRODUCTS), unique=True)):
            unset = draw(st.integers(0, 4)) == 0
            legs = (None, None, None, None) if unset else draw(wishes)
            sources = tuple(None if leg is None else HERE for leg in legs)
            rows.append(DesiredRow(execution_firm=firm, product=product, legs=legs, sources=sources, source=HERE, unset=unset))
        firms.append(
            DesiredExecutionFirm(
                id=firm,
                source=HERE,
                suspended=draw(st.none() | st.booleans()),
                suspended_source=HERE,
                rows=tuple(draw(st.permutations(rows))),
            )
        )
    return DesiredAccount(
        key=AccountKey(FIRM, NUMBER),
        source=HERE,
        status=draw(st.sampled_from([None, AccountStatus.ACTIVE, AccountStatus.INACTIVE])),
        status_source=HERE,
        undeclared=draw(st.sampled_from([None, *Undeclared])),
        execution_firms=tuple(firms),
    )


rules = st.builds(
    Rules,
    ownership=st.sampled_from([frozenset(Owner), frozenset({Owner.EF}), frozenset({Owner.CMF})]),
    unset_means=st.sampled_from(UnsetMeans),
    undeclared=st.sampled_from(Undeclared),
    rows_per_post=st.integers(1, 4),
)


@st.composite
def situations(draw: st.DrawFn) -> tuple[DesiredAccount, Account, Rules]:
    account = draw(accounts())
    return draw(desired_for(account)), account, draw(rules)
