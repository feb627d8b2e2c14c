"""Renderers: a plan becomes text for a person or a program. One file per format."""
