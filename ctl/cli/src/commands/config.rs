//! `config`: the configuration file as a whole, of the daemon that runs.

use std::path::Path;

use grpc::v1::config_service_client::ConfigServiceClient;
use grpc::v1::{self, ConfigCost};
use serde_json::json;
use tonic::Code;

use crate::args::{ApplyArgs, ConfigAction};
use crate::connect::{Connection, MAX_ANSWER};
use crate::error::CliError;
use crate::output::Out;

type Client = ConfigServiceClient<Connection>;

/// `config ..`.
pub(super) async fn run(connection: Connection, action: ConfigAction, out: &mut Out) -> Result<(), CliError> {
    let mut client = Client::new(connection).max_decoding_message_size(MAX_ANSWER);
    match action {
        ConfigAction::Show => show(&mut client, out).await,
        ConfigAction::Check { file } => check(&mut client, read(&file)?, out).await,
        ConfigAction::Diff { file } => {
            let config = read(&file)?;
            let answer = client.diff_config(v1::DiffConfigRequest { config: Some(config.clone()) }).await;
            let changes = accepted(&mut client, config, answer, out).await?;
            print(&changes, out)
        }
        ConfigAction::Apply(args) => apply(&mut client, args, out).await,
        ConfigAction::Confirm => {
            client.confirm_config(v1::ConfirmConfigRequest {}).await?;
            Ok(out.done("the configuration is kept, also as the configuration file")?)
        }
        ConfigAction::Rollback => {
            let changes = client.rollback_config(v1::RollbackConfigRequest {}).await?.into_inner();
            done(&changes, "the configuration of before is in force again", out)
        }
    }
}

fn read(path: &Path) -> Result<v1::ConfigText, CliError> {
    let file = |error| CliError::File { path: path.to_owned(), error };
    let text = std::fs::read_to_string(path).map_err(file)?;
    Ok(v1::ConfigText { name: path.display().to_string(), text })
}

async fn show(client: &mut Client, out: &mut Out) -> Result<(), CliError> {
    let shown = client.get_config(v1::GetConfigRequest {}).await?.into_inner();
    if out.json {
        let left = shown.confirm_within_seconds;
        return Ok(out.document(&json!({ "text": shown.text, "confirm_within_seconds": left }))?);
    }
    out.text(&shown.text)?;
    if let Some(seconds) = shown.confirm_within_seconds {
        out.flush()?;
        eprintln!("rustbgpctl: this waits to be confirmed, for {seconds} s (rustbgpctl config confirm)");
    }
    Ok(())
}

async fn check(client: &mut Client, config: v1::ConfigText, out: &mut Out) -> Result<(), CliError> {
    let request = v1::CheckConfigRequest { config: Some(config) };
    let checked = client.check_config(request).await?.into_inner();
    if checked.errors > 0 {
        return Err(refused(&checked));
    }
    for warning in &checked.warnings {
        eprintln!("warning: {warning}");
    }
    out.done("config OK")?;
    if !checked.tested.is_empty() && !out.json {
        out.line(checked.tested)?;
    }
    Ok(())
}

async fn apply(client: &mut Client, args: ApplyArgs, out: &mut Out) -> Result<(), CliError> {
    let config = read(&args.file)?;
    let request = v1::ApplyConfigRequest {
        config: Some(config.clone()),
        confirm_within_seconds: args.confirm.unwrap_or(0),
    };
    let answer = client.apply_config(request).await;
    let changes = accepted(client, config, answer, out).await?;
    let message = match args.confirm {
        None => format!("{} is in force, and the configuration file", args.file.display()),
        Some(seconds) => format!(
            "{} is in force for {seconds} s, and then no more unless it is confirmed: rustbgpctl config confirm",
            args.file.display()
        ),
    };
    done(&changes, &message, out)
}

/// The answer, or all that is wrong with the text.
async fn accepted(
    client: &mut Client,
    config: v1::ConfigText,
    answer: Result<tonic::Response<v1::ConfigChanges>, tonic::Status>,
    out: &mut Out,
) -> Result<v1::ConfigChanges, CliError> {
    let status = match answer {
        Ok(changes) => return Ok(changes.into_inner()),
        Err(status) => status,
    };
    if status.code() == Code::InvalidArgument {
        let request = v1::CheckConfigRequest { config: Some(config) };
        if let Ok(checked) = client.check_config(request).await
            && checked.get_ref().errors > 0
        {
            out.flush()?;
            return Err(refused(checked.get_ref()));
        }
    }
    Err(status.into())
}

fn refused(checked: &v1::CheckConfigResponse) -> CliError {
    let errors =
        if checked.errors == 1 { "1 error".to_owned() } else { format!("{} errors", checked.errors) };
    CliError::Failed(format!("{errors}, nothing is changed:\n{}", checked.diagnostics.trim_end()))
}

fn done(changes: &v1::ConfigChanges, message: &str, out: &mut Out) -> Result<(), CliError> {
    if !out.json {
        print(changes, out)?;
        return Ok(out.line(message)?);
    }
    let mut document = document(changes);
    if let Some(object) = document.as_object_mut() {
        object.insert("message".to_owned(), json!(message));
    }
    Ok(out.document(&document)?)
}

/// In the form of `rustbgpd --diff`.
fn print(changes: &v1::ConfigChanges, out: &mut Out) -> Result<(), CliError> {
    if out.json {
        return Ok(out.document(&document(changes))?);
    }
    let lists = [&changes.added, &changes.removed, &changes.ranges_added, &changes.ranges_removed];
    let changed = [&changes.changed, &changes.ranges_changed];
    if lists.iter().any(|list| !list.is_empty()) || changed.iter().any(|list| !list.is_empty()) {
        out.line("applied by reload:")?;
    }
    for address in &changes.added {
        out.line(format!("  + neighbor {address}"))?;
    }
    for address in &changes.removed {
        out.line(format!("  - neighbor {address}"))?;
    }
    for change in &changes.changed {
        let cost = match change.cost() {
            ConfigCost::Nothing => "the session goes on",
            ConfigCost::Reevaluation => "its routes are evaluated again",
            ConfigCost::Reset => "the session is reset",
            ConfigCost::Unspecified => "a cost that this rustbgpctl does not know",
        };
        out.line(format!("  ~ neighbor {}: {} ({cost})", change.address, change.keys.join(", ")))?;
    }
    for prefix in &changes.ranges_added {
        out.line(format!("  + dynamic neighbors {prefix}"))?;
    }
    for prefix in &changes.ranges_removed {
        out.line(format!("  - dynamic neighbors {prefix}"))?;
    }
    for change in &changes.ranges_changed {
        let cost = match change.cost() {
            ConfigCost::Nothing => "its sessions go on",
            ConfigCost::Reevaluation => "the routes of its neighbors are evaluated again",
            ConfigCost::Reset => "its sessions are reset",
            ConfigCost::Unspecified => "a cost that this rustbgpctl does not know",
        };
        out.line(format!("  ~ dynamic neighbors {}: {} ({cost})", change.address, change.keys.join(", ")))?;
    }
    for (title, keys) in [
        ("needs a restart", &changes.restart),
        ("informational, without effect in this version", &changes.informational),
    ] {
        if !keys.is_empty() {
            out.line(format!("{title}:\n  {}", keys.join(", ")))?;
        }
    }
    out.flush()?;
    for warning in &changes.warnings {
        eprintln!("warning: {warning}");
    }
    Ok(())
}

fn document(changes: &v1::ConfigChanges) -> serde_json::Value {
    let changed = |list: &[v1::ConfigChange], named: &str| -> Vec<serde_json::Value> {
        let one = |c: &v1::ConfigChange| {
            let cost = match c.cost() {
                ConfigCost::Nothing => "nothing",
                ConfigCost::Reevaluation => "reevaluation",
                ConfigCost::Reset => "reset",
                ConfigCost::Unspecified => "unknown",
            };
            json!({ named: c.address, "keys": c.keys, "cost": cost })
        };
        list.iter().map(one).collect()
    };
    json!({
        "added": changes.added,
        "removed": changes.removed,
        "changed": changed(&changes.changed, "address"),
        "dynamic_neighbors": {
            "added": changes.ranges_added,
            "removed": changes.ranges_removed,
            "changed": changed(&changes.ranges_changed, "prefix"),
        },
        "restart": changes.restart,
        "informational": changes.informational,
        "warnings": changes.warnings,
    })
}
