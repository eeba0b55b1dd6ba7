"""What is known of git, of people and of pipelines: every question has an answer, or is :class:`~amsctl.provenance.facts.Unknown` with its reason."""
