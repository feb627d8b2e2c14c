"""Triggers: envelopes, filters, bindings, webhook normalisation and signatures."""
