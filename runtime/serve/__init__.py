"""The live page of a run over live sources, and what other programs ask it over HTTP."""
