//! Socket options and process spawning that need unsafe; only the parent links it.
