//! Tables, attribute interning, decision process, update groups; no I/O.
