//! The control API, generated from rustbgpd.proto.
