"""Boxes, scopes, and the protocol by which objects show their arrays to the transformations."""

__all__ = []
