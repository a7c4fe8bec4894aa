"""A store of objects, for weights at addresses."""

from object_store import _server, object_store  # noqa: F401
