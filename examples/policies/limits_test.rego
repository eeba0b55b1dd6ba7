# Tests of limits.rego, on both sides of each boundary: opa test examples/policies
package main

import rego.v1

leg(after) := {
	"kind": "limit", "clearing_firm": "F", "account": "A", "execution_firm": "3N1", "product": "LO.OOF.NYMEX", "leg": "long",
	"effective_before": 1000, "effective_after": after, "usage": 10,
}

future(after) := object.union(leg(after), {"product": "CJ.FUT.NYMEX"})

release := {"kind": "suspension", "clearing_firm": "F", "account": "A", "execution_firm": "3N1", "after": false}

plan(changes) := {
	"target": {"unset_means": "unlimited"},
	"source": {"git": {"dirty": false}},
	"summary": {"loosen": count(changes)},
	"changes": changes,
}

# Name of a case → the plan, how much of it is denied, and how much is warned of.
cases := {
	"up to the maximum": {"plan": plan([leg(2000)]), "denied": 0, "warned": 0},
	"above the maximum": {"plan": plan([leg(2001)]), "denied": 1, "warned": 0},
	"no maximum for other types": {"plan": plan([future(2500)]), "denied": 0, "warned": 0},
	"three times as much": {"plan": plan([future(3000)]), "denied": 0, "warned": 0},
	"more than three times as much": {"plan": plan([future(3001)]), "denied": 1, "warned": 0},
	"both at once": {"plan": plan([leg(3001)]), "denied": 2, "warned": 0},
	"from zero is not so many times": {"plan": plan([object.union(leg(50), {"effective_before": 0})]), "denied": 0, "warned": 0},
	"unset lets everything through": {"plan": plan([leg("unset")]), "denied": 2, "warned": 0},
	"unset lets nothing through where it blocks": {
		"plan": object.union(plan([leg("unset")]), {"target": {"unset_means": "blocked"}}),
		"denied": 0, "warned": 0,
	},
	"unlimited lets everything through": {"plan": plan([leg("unlimited")]), "denied": 2, "warned": 0},
	"what tightens passes": {"plan": plan([leg(999)]), "denied": 0, "warned": 0},
	"released alone": {"plan": plan([release]), "denied": 0, "warned": 0},
	"released and raised": {"plan": plan([release, leg(1001)]), "denied": 1, "warned": 0},
	"released and raised elsewhere": {
		"plan": plan([release, object.union(leg(1001), {"execution_firm": "027"})]),
		"denied": 0, "warned": 0,
	},
	"uncommitted": {"plan": object.union(plan([leg(1001)]), {"source": {"git": {"dirty": true}}}), "denied": 1, "warned": 0},
	"no commit": {"plan": object.union(plan([leg(1001)]), {"source": {"git": null}}), "denied": 1, "warned": 0},
	"no commit, and nothing loosens": {"plan": object.union(plan([]), {"source": {"git": null}}), "denied": 0, "warned": 0},
	"use that is not known": {"plan": plan([object.union(leg(1001), {"usage": null})]), "denied": 0, "warned": 1},
}
