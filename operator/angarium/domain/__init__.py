"""Pure rules: no I/O, no clock reads. Whatever needs the time or chance is handed it."""
