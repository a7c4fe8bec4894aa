"""The store that every test here has at hand."""

from object_store import _server, object_store, temporary  # noqa: F401
