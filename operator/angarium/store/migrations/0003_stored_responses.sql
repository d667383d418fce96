-- What a tenant holds counts the responses kept in its log and with its dead letters too.
UPDATE usage SET stored_bytes = stored_bytes
    + (SELECT coalesce(sum(length(l.response_body)), 0) FROM log AS l WHERE l.namespace = usage.namespace)
    + (SELECT coalesce(sum(length(l.response_body)), 0) FROM dead_letters AS l WHERE l.namespace = usage.namespace);
