//! `rib .. -p PREFIX --explain`: why a path is the best one, what policies say of what a neighbor sent, what a neighbor
//! is sent and why not the rest.

use std::net::IpAddr;

use grpc::v1::rib_service_client::RibServiceClient;
use grpc::v1::{
    ExplainAdvertisedRouteRequest, ExplainBestPathRequest, ExplainReceivedRouteRequest, ExplainedPath,
    ExplainedPolicy, ExplainedStatement,
};
use ipnet::IpNet;

use crate::commands::routes;
use crate::connect::{Connection, MAX_ANSWER};
use crate::error::CliError;
use crate::output::{Out, json, text};

/// The best path, and what the others lost by.
pub(super) async fn best(connection: Connection, prefix: IpNet, out: &mut Out) -> Result<(), CliError> {
    let mut client = RibServiceClient::new(connection).max_decoding_message_size(MAX_ANSWER);
    let request = ExplainBestPathRequest {
        prefix: prefix.addr().to_string(),
        prefix_length: prefix.prefix_len().into(),
    };
    let answer = client.explain_best_path(request).await?.into_inner();
    if out.json {
        return Ok(out.document(&json::explained_best(&answer))?);
    }
    if answer.candidates.is_empty() {
        return Ok(out.line(format!("no route to {prefix}"))?);
    }
    for candidate in &answer.candidates {
        let Some(route) = &candidate.route else { continue };
        let verdict = match candidate.vs_best_reason.as_str() {
            "" => "the best path".to_owned(),
            reason => format!("{} than the best path: {reason}", candidate.vs_best_ordering)
                .replace("equal than", "equal to"),
        };
        routes::details(route, out)?;
        out.line(format!("  {:<13}{verdict}", "Decision:"))?;
    }
    Ok(())
}

/// What becomes of what a neighbor sent.
pub(super) async fn received(
    connection: Connection,
    neighbor: IpAddr,
    prefix: IpNet,
    out: &mut Out,
) -> Result<(), CliError> {
    let mut client = RibServiceClient::new(connection).max_decoding_message_size(MAX_ANSWER);
    let request = ExplainReceivedRouteRequest {
        peer_address: neighbor.to_string(),
        prefix: prefix.addr().to_string(),
        prefix_length: prefix.prefix_len().into(),
    };
    let answer = client.explain_received_route(request).await?.into_inner();
    if out.json {
        return Ok(out.document(&json::list(&answer.paths, json::explained_path))?);
    }
    if answer.paths.is_empty() {
        return Ok(out.line(format!("{neighbor} has sent no route to {prefix}"))?);
    }
    answer.paths.iter().try_for_each(|p| path(p, "As used", out))
}

/// What a neighbor is sent.
pub(super) async fn advertised(
    connection: Connection,
    neighbor: IpAddr,
    prefix: IpNet,
    out: &mut Out,
) -> Result<(), CliError> {
    let mut client = RibServiceClient::new(connection).max_decoding_message_size(MAX_ANSWER);
    let request = ExplainAdvertisedRouteRequest {
        peer_address: neighbor.to_string(),
        prefix: prefix.addr().to_string(),
        prefix_length: prefix.prefix_len().into(),
    };
    let answer = client.explain_advertised_route(request).await?.into_inner();
    if out.json {
        return Ok(out.document(&json::explained_advertised(&answer))?);
    }
    let sent = answer.paths.iter().any(|p| p.chosen);
    let verdict = if sent { "is sent" } else { "is not sent" };
    out.line(format!("{neighbor} {verdict} {prefix}"))?;
    if answer.paths.is_empty() {
        return Ok(answer.reasons.iter().try_for_each(|r| out.line(format!("  {}", r.message)))?);
    }
    answer.paths.iter().try_for_each(|p| path(p, "As sent", out))
}

/// A path, why it is as it is, and every step of the policies.
fn path(path: &ExplainedPath, made_as: &str, out: &mut Out) -> Result<(), CliError> {
    if let Some(route) = &path.route {
        routes::details(route, out)?;
    }
    if let Some(reason) = &path.reason {
        let yes = if path.chosen { "yes" } else { "no" };
        out.line(format!("  {:<13}{yes}, {} ({})", "Decision:", reason.message, reason.code))?;
    }
    path.policies.iter().try_for_each(|p| policy(p, out))?;
    if let Some(made) = &path.made {
        out.line(format!("  {made_as}:"))?;
        routes::attributes(made, "    ", out)?;
    }
    Ok(())
}

fn policy(policy: &ExplainedPolicy, out: &mut Out) -> Result<(), CliError> {
    out.line(format!("  Policy {}: {}", policy.name, policy.action))?;
    policy.statements.iter().try_for_each(|s| statement(s, out))?;
    if !policy.statements.last().is_some_and(|s| s.held) {
        out.line(format!("    no statement matches: default action {}", policy.action))?;
    }
    Ok(())
}

fn statement(statement: &ExplainedStatement, out: &mut Out) -> Result<(), CliError> {
    let name = if statement.name.is_empty() { String::new() } else { format!(" {:?}", statement.name) };
    let line = if statement.line > 0 { format!(" (line {})", statement.line) } else { String::new() };
    let outcome = if statement.held { &statement.action } else { "does not match" };
    out.line(format!("    statement {}{name}{line}: {outcome}", statement.number))?;
    for m in &statement.matches {
        let held = if m.held { "+" } else { "-" };
        out.line(format!("      {held} {}; the route has {}", m.written, m.found))?;
    }
    if !statement.changes.is_empty() {
        out.line(format!("      changes {}", text::list(&statement.changes, Clone::clone)))?;
    }
    Ok(())
}
