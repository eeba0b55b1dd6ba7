"""Who agreed to a plan: signatures over it, reviews of its merge request, verdicts of own policies."""
