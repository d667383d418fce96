"""Specs in, statuses out: one module per kind. Pure, and shared by the cluster and the files of dev mode."""
