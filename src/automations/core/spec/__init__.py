"""Specs: yaml text becomes documents with positions, documents become a checked, frozen model."""
