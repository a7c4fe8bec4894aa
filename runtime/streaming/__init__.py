"""Snippets to events, without files, threads or clocks."""
