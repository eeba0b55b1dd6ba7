"""GitHub and GitLab, as far as a pipeline needs them: one comment, one issue, the reviews of a request, the plan that was reviewed."""
