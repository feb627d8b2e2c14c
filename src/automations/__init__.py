"""Declarative, GitOps-style control plane for automations."""

__version__ = "0.1.0"
