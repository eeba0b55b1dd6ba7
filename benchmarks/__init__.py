"""What the speed claims are measured with: every claim is a ratio to a baseline that the same run measured."""
