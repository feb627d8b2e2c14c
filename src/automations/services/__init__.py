"""The verbs: core and store together in one transaction."""
