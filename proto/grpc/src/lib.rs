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

/// `rustbgpd.proto` as a `google.protobuf.FileDescriptorSet`: what server reflection tells.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
