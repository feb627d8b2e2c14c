"""Executors: how an action's binding is carried out. One file per kind."""
