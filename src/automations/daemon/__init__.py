"""A daemon is a list of services that tick and say when they are next due."""
