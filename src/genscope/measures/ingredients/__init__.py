"""Shared intermediates, computed once per matrix or per model."""
