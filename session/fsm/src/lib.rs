//! RFC 4271 state machine and capability negotiation, without I/O or clock.
