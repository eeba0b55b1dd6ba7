# Every case of limits_test.rego, for opa test examples/policies
package main

import rego.v1

failing contains name if {
	some name, case in cases
	denied := deny with input as case.plan
	count(denied) != case.denied
}

failing contains name if {
	some name, case in cases
	warned := warn with input as case.plan
	count(warned) != case.warned
}

test_every_case if count(failing) == 0
