//! Error statuses: what is wrong in words, and the same in an `ErrorDetail` for programs.

use grpc::v1::{ConfigError, ErrorDetail, error_detail::Kind};
use ipc::edit::{EditError, Refusal};
use prost::Message;
use tonic::{Code, Status};

const ERROR_DETAIL: &str = "type.googleapis.com/rustbgpd.v1.ErrorDetail";

/// `google.rpc.Status`: what gRPC libraries expect in the details of a status.
#[derive(Clone, PartialEq, Message)]
struct RpcStatus {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<Any>,
}

/// `google.protobuf.Any`.
#[derive(Clone, PartialEq, Message)]
struct Any {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

/// A status whose details carry what is wrong with which field.
fn about_field(code: Code, field: &str, provided: &str, message: &str, text: String) -> Status {
    let detail = ErrorDetail {
        kind: Some(Kind::Config(ConfigError {
            field_path: field.to_owned(),
            message: message.to_owned(),
            provided_value: provided.to_owned(),
        })),
    };
    let any = Any { type_url: ERROR_DETAIL.to_owned(), value: detail.encode_to_vec() };
    let status = RpcStatus { code: code.into(), message: text.clone(), details: vec![any] };
    Status::with_details(code, text, status.encode_to_vec().into())
}

/// INVALID_ARGUMENT: `message` says what is wrong with the field's value and what a right one looks like.
pub(crate) fn invalid(field: &str, provided: impl ToString, message: impl AsRef<str>) -> Status {
    let message = message.as_ref();
    let text = format!("{field}: {message}");
    about_field(Code::InvalidArgument, field, &provided.to_string(), message, text)
}

/// NOT_FOUND: nothing is there of the name in the field.
pub(crate) fn not_found(field: &str, provided: impl ToString, message: impl AsRef<str>) -> Status {
    let message = message.as_ref();
    about_field(Code::NotFound, field, &provided.to_string(), message, message.to_owned())
}

/// What the parent says to a change of the configuration.
pub(crate) fn of_edit(e: EditError) -> Status {
    let code = match e.kind {
        Refusal::Invalid => Code::InvalidArgument,
        Refusal::NotFound => Code::NotFound,
        Refusal::Exists => Code::AlreadyExists,
        Refusal::Precondition => Code::FailedPrecondition,
        Refusal::Unavailable => return Status::unavailable(e.message),
    };
    about_field(code, &e.field, &e.value, &e.message, e.message.clone())
}

/// UNAVAILABLE: something is restarting.
pub(crate) fn unavailable(what: &str) -> Status {
    Status::unavailable(format!("{what} is not available at the moment: try again"))
}

/// UNIMPLEMENTED, for what this version does not do yet.
pub(crate) fn not_yet(what: &str) -> Status {
    Status::unimplemented(format!("{what}: this version of rustbgpd does not implement it yet"))
}
