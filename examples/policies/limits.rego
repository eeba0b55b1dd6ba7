# What a firm may not want to see in a plan, over the plan's own JSON (docs/reference/plan.md). For conftest: package main, deny and warn.
package main

import rego.v1

# The most contracts that a leg may let through, by segment type. A type that is not named has no maximum here.
maximum := {"OOF": 2000, "OOC": 1000}

# How many times what it was before a leg may let through.
most_times := 3

# Amounts are numbers, "unlimited" or "unset": the words let everything through, unless unset means blocked at this firm.
lots(amount) := amount if is_number(amount)

lots(amount) := 9223372036854775807 if amount == "unlimited"

lots(amount) := 9223372036854775807 if {
	amount == "unset"
	input.target.unset_means == "unlimited"
}

lots(amount) := 0 if {
	amount == "unset"
	input.target.unset_means == "blocked"
}

# Legs that let more through than before, by what both sides let through together.
opened contains change if {
	some change in input.changes
	change.kind == "limit"
	lots(change.effective_after) > lots(change.effective_before)
}

place(change) := sprintf("%s/%s/%s/%s %s", [change.clearing_firm, change.account, change.execution_firm, change.product, change.leg])

type_of(product) := parts[count(parts) - 2] if {
	parts := split(product, ".")
	count(parts) > 2
}

deny contains message if {
	some change in opened
	most := maximum[type_of(change.product)]
	lots(change.effective_after) > most
	message := sprintf("%s lets more than %d contracts through", [place(change), most])
}

deny contains message if {
	some change in opened
	before := lots(change.effective_before)
	before > 0
	lots(change.effective_after) > most_times * before
	message := sprintf("%s lets more than %d times as much through as before", [place(change), most_times])
}

# An execution firm is released in one plan, and its limits are raised in another, so that somebody looks at it in between.
deny contains message if {
	some released in input.changes
	released.kind == "suspension"
	released.after == false
	some change in opened
	change.clearing_firm == released.clearing_firm
	change.account == released.account
	change.execution_firm == released.execution_firm
	message := sprintf("%s/%s/%s is released and raised in one plan", [released.clearing_firm, released.account, released.execution_firm])
}

deny contains "the manifests are not those of a commit" if {
	input.summary.loosen > 0
	not committed
}

committed if input.source.git.dirty == false

warn contains message if {
	some change in opened
	change.usage == null
	message := sprintf("%s is raised, and its use of the day is not known", [place(change)])
}
