//! ConfigService: the configuration file as a whole, for clients that have another one.

use std::sync::Arc;

use grpc::v1;
use grpc::v1::config_service_server::{ConfigService, ConfigServiceServer};
use ipc::file::{Changed, ChangedRange, Checked, Cost, Differences, Done, MAX_TEXT, Request as Ask, Text};
use tonic::{Request, Response, Status};

use crate::app::App;
use crate::error::invalid;

type Reply<T> = Result<Response<T>, Status>;

/// What a request has beside the text.
const AROUND_TEXT: usize = 8192;
/// The longest name of a text, in octets.
const MAX_NAME: usize = 4096;

/// The service.
#[derive(Debug)]
pub(super) struct Config(pub(super) Arc<App>);

/// The service with room for a large file in a request and in an answer.
pub(super) fn limited(service: ConfigServiceServer<Config>) -> ConfigServiceServer<Config> {
    service.max_decoding_message_size(MAX_TEXT + AROUND_TEXT)
}

fn text(config: Option<v1::ConfigText>) -> Result<Text, Status> {
    let config = config.ok_or_else(|| invalid("config", "", "is missing: it is the text that is meant"))?;
    if config.text.len() > MAX_TEXT {
        let why = format!("has {} octets: it may have {MAX_TEXT}", config.text.len());
        return Err(invalid("config.text", "", why));
    }
    if config.name.len() > MAX_NAME {
        return Err(invalid("config.name", "", format!("is too long: it may have {MAX_NAME} octets")));
    }
    let name = if config.name.is_empty() { "(the request)".to_owned() } else { config.name };
    Ok(Text { name, text: config.text })
}

/// An answer of the parent's to another question than was asked.
fn mixed_up() -> Status {
    Status::internal("rustbgpd gave an answer that does not belong to the question")
}

impl Config {
    async fn changes(&self, ask: Ask) -> Reply<v1::ConfigChanges> {
        match self.0.files.ask(&ask).await? {
            Done::Differences(differences) => Ok(Response::new(changes(differences))),
            _ => Err(mixed_up()),
        }
    }
}

#[tonic::async_trait]
impl ConfigService for Config {
    async fn get_config(&self, _: Request<v1::GetConfigRequest>) -> Reply<v1::GetConfigResponse> {
        match self.0.files.ask(&Ask::Show).await? {
            Done::Shown { text, confirm_within } => {
                Ok(Response::new(v1::GetConfigResponse { text, confirm_within_seconds: confirm_within }))
            }
            _ => Err(mixed_up()),
        }
    }

    async fn check_config(&self, request: Request<v1::CheckConfigRequest>) -> Reply<v1::CheckConfigResponse> {
        let text = text(request.into_inner().config)?;
        match self.0.files.ask(&Ask::Check(text)).await? {
            Done::Checked(Checked { errors, diagnostics, warnings, tested }) => {
                let tested = tested.unwrap_or_default();
                Ok(Response::new(v1::CheckConfigResponse { errors, diagnostics, warnings, tested }))
            }
            _ => Err(mixed_up()),
        }
    }

    async fn diff_config(&self, request: Request<v1::DiffConfigRequest>) -> Reply<v1::ConfigChanges> {
        self.changes(Ask::Diff(text(request.into_inner().config)?)).await
    }

    async fn apply_config(&self, request: Request<v1::ApplyConfigRequest>) -> Reply<v1::ConfigChanges> {
        let v1::ApplyConfigRequest { config, confirm_within_seconds } = request.into_inner();
        let confirm_within = Some(confirm_within_seconds).filter(|s| *s > 0);
        self.changes(Ask::Apply { text: text(config)?, confirm_within }).await
    }

    async fn confirm_config(&self, _: Request<v1::ConfirmConfigRequest>) -> Reply<v1::ConfirmConfigResponse> {
        self.0.files.ask(&Ask::Confirm).await?;
        Ok(Response::new(v1::ConfirmConfigResponse {}))
    }

    async fn rollback_config(&self, _: Request<v1::RollbackConfigRequest>) -> Reply<v1::ConfigChanges> {
        self.changes(Ask::Rollback).await
    }
}

fn changes(differences: Differences) -> v1::ConfigChanges {
    let addresses = |list: Vec<std::net::IpAddr>| list.iter().map(ToString::to_string).collect();
    let prefixes = |list: Vec<ipnet::IpNet>| list.iter().map(ToString::to_string).collect();
    let change = |address: String, keys, cost| v1::ConfigChange {
        address,
        keys,
        cost: match cost {
            Cost::Nothing => v1::ConfigCost::Nothing,
            Cost::Reevaluation => v1::ConfigCost::Reevaluation,
            Cost::Reset => v1::ConfigCost::Reset,
        }
        .into(),
    };
    let changed = |c: Changed| change(c.address.to_string(), c.keys, c.cost);
    let changed_range = |c: ChangedRange| change(c.prefix.to_string(), c.keys, c.cost);
    let ranges = differences.ranges;
    v1::ConfigChanges {
        added: addresses(differences.added),
        removed: addresses(differences.removed),
        changed: differences.changed.into_iter().map(changed).collect(),
        restart: differences.restart,
        informational: differences.informational,
        warnings: differences.warnings,
        ranges_added: prefixes(ranges.added),
        ranges_removed: prefixes(ranges.removed),
        ranges_changed: ranges.changed.into_iter().map(changed_range).collect(),
    }
}
