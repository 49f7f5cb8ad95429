//! What an engine does first: drop privileges, lock down, say hello.
