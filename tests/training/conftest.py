"""A store of objects, for trainings that go there."""

from object_store import _server, object_store, temporary  # noqa: F401
