"""``guards`` of the project file: which plans are held up until somebody says by name that they are meant."""

from __future__ import annotations

from typing import Final

from amsctl.config import USUAL_FACTORS, USUAL_GUARDS, GuardName, Guards, Op, Threshold
from amsctl.manifests.decoding import mapping_of, refuse, whole_number, word_at
from amsctl.manifests.nodes import Map, Node, Seq

_MOST_AMOUNT: Final = 9_999_999_999
_MOST_FACTOR: Final = 1_000_000
_MOST_THRESHOLDS: Final = 10


def guards_of(spec: Map) -> Guards:
    """The guards that are on: the usual ones, each replaced by what is written of it. Nothing at all for ``none``."""
    if "guards" not in spec.entries:
        return USUAL_GUARDS
    node = spec.entries["guards"][1]
    if isinstance(node, tuple):
        word_at(spec, "guards", ("none",))
        return {}
    written = mapping_of(node, tuple(GuardName))
    if not written.entries:  # all of them, or none? whoever means one of the two writes it
        refuse()
    found = dict(USUAL_GUARDS)
    for name in map(GuardName, written.entries):
        thresholds = _thresholds(written.entries[name][1], name)
        if thresholds:
            found[name] = thresholds
        else:
            del found[name]
    return found


def _thresholds(node: Node, name: GuardName) -> tuple[Threshold, ...]:
    """The thresholds of one guard; none for ``none``."""
    if isinstance(node, tuple):
        if node[0] != "none":
            refuse()
        return ()
    if isinstance(node, Seq):
        if not 0 < len(node.items) <= _MOST_THRESHOLDS:
            refuse()
        return tuple(_threshold(item, name) for item in node.items)
    return (_threshold(node, name),)


def _threshold(node: Node, name: GuardName) -> Threshold:
    usual = USUAL_FACTORS.get(name)
    written = mapping_of(node, ("percent", "amount", "op") if usual is None else ("percent", "amount", "op", "factor"))
    if not {"percent", "amount"} & written.entries.keys() or (
        "op" in written.entries and len({"percent", "amount"} & written.entries.keys()) < 2
    ):
        refuse()
    return Threshold(
        percent=whole_number(written, "percent", 0, 100, 0) if "percent" in written.entries else None,
        amount=whole_number(written, "amount", 0, _MOST_AMOUNT, 0) if "amount" in written.entries else None,
        op=Op(word_at(written, "op", tuple(Op)) or Op.OR),
        factor=None if usual is None else whole_number(written, "factor", 1, _MOST_FACTOR, usual),
    )
