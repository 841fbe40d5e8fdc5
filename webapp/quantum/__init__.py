"""Circuits, templates, engines, prices: everything about the quantum programs, nothing about who runs them."""
