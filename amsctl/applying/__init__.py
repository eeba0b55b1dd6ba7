"""Plan → report: carries a plan out, verifies each step, and writes down what happened."""
