"""Dev mode: manifests from disk instead of an API server, judged by the same schemas and stored the same way."""
