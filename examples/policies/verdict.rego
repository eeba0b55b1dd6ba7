# The verdict of the pack on a plan, for amsctl approve --verdict:
#   opa eval --format raw --data examples/policies --input plan.json data.amsctl.verdict > verdict.json
package amsctl

import rego.v1

verdict := {
	"format": "amsctl.verdict/v1",
	"plan_digest": input.digest,
	"policy": "example limits 1.0",
	"passed": count(data.main.deny) == 0,
	"denied": sort([message | some message in data.main.deny]),
	"warned": sort([message | some message in data.main.warn]),
}
