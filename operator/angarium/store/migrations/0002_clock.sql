-- Finds the Schedules that stand in a future which a wrong clock showed.
CREATE INDEX schedules_considered ON schedules (considered_ms) WHERE wake_ms IS NOT NULL;
