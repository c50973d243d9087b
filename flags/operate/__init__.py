"""The operation of a flag: status, advance, autopilot, rollback, audit."""
