"""The declaration plane in a cluster: custom resources in, statuses, Events and Token Secrets out."""
