"""Manifests from disk instead of an API server, judged by the same schemas: dev mode, and `angarium check`."""
