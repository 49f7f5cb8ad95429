//! The control API, package `rustbgpd.v1`: what rustbgpd.proto generates, client and server, and nothing
//! else.

/// Messages, clients and servers of `rustbgpd.proto`, whose comments document them.
pub mod v1 {
    #![allow(
        missing_docs,
        unreachable_pub,
        unused_qualifications,
        clippy::all,
        clippy::allow_attributes_without_reason,
        reason = "generated code; the .proto file documents it"
    )]

    tonic::include_proto!("rustbgpd.v1");
}
