//! `neighbor`: the table of all, everything about one, and what can be done with one.

use std::io;
use std::net::IpAddr;

use grpc::v1::neighbor_service_client::NeighborServiceClient;
use grpc::v1::{
    DisableNeighborRequest, DrainNeighborRequest, EnableNeighborRequest, GetNeighborErrorsRequest,
    GetNeighborStateRequest, ListNeighborsRequest, MessageCounts, NeighborConfig, NeighborState,
    SessionState, SoftResetInRequest,
};

use crate::args::{NeighborAction, NeighborArgs};
use crate::commands::{errors, neighbor_change};
use crate::connect::{Connection, MAX_ANSWER};
use crate::error::CliError;
use crate::output::table::{Cell, Column, Paint, Row, Table};
use crate::output::{Out, json, text};

/// Refuses an action without a neighbor.
pub(super) fn check(args: &NeighborArgs) -> Result<(), CliError> {
    if args.address.is_none() && args.action.is_some() {
        return Err(CliError::Usage(
            "which neighbor? rustbgpctl neighbor ADDR add|delete|peer-group|enable|disable|drain|undrain|errors|softreset"
                .to_owned(),
        ));
    }
    Ok(())
}

/// `neighbor ..`.
pub(super) async fn run(connection: Connection, args: NeighborArgs, out: &mut Out) -> Result<(), CliError> {
    if let (Some(address), Some(NeighborAction::PeerGroup { name, .. })) = (args.address, &args.action) {
        return neighbor_change::peer_group(connection, address, name.as_deref(), out).await;
    }
    let mut client = NeighborServiceClient::new(connection).max_decoding_message_size(MAX_ANSWER);
    let Some(address) = args.address else {
        let neighbors = client.list_neighbors(ListNeighborsRequest {}).await?.into_inner().neighbors;
        return print_all(&neighbors, out);
    };
    match args.action {
        None => {
            let request = GetNeighborStateRequest { address: address.to_string() };
            print_one(&client.get_neighbor_state(request).await?.into_inner(), out)
        }
        Some(NeighborAction::Add(args)) => neighbor_change::add(&mut client, address, *args, out).await,
        Some(NeighborAction::Delete) => neighbor_change::delete(&mut client, address, out).await,
        // Done above.
        Some(NeighborAction::PeerGroup { .. }) => Ok(()),
        Some(NeighborAction::Enable) => enable(&mut client, address, out).await,
        Some(NeighborAction::Disable { reason }) => {
            let request =
                DisableNeighborRequest { address: address.to_string(), reason: reason.unwrap_or_default() };
            client.disable_neighbor(request).await?;
            Ok(out.done(&format!("neighbor {address} disabled"))?)
        }
        Some(NeighborAction::Drain) => drain(&mut client, address, false, out).await,
        Some(NeighborAction::Undrain) => drain(&mut client, address, true, out).await,
        Some(NeighborAction::Errors) => {
            let request = GetNeighborErrorsRequest { address: address.to_string() };
            errors::print(&client.get_neighbor_errors(request).await?.into_inner(), out)
        }
        Some(NeighborAction::Softreset { family, refresh }) => {
            let families = family.map(|f| f.name().to_owned()).into_iter().collect();
            client
                .soft_reset_in(SoftResetInRequest { address: address.to_string(), families, refresh })
                .await?;
            let asked = if refresh { ", and it is asked for them again" } else { "" };
            Ok(out.done(&format!("routes of neighbor {address} are evaluated anew{asked}"))?)
        }
    }
}

async fn drain(
    client: &mut NeighborServiceClient<Connection>,
    address: IpAddr,
    undo: bool,
    out: &mut Out,
) -> Result<(), CliError> {
    client.drain_neighbor(DrainNeighborRequest { address: address.to_string(), undo }).await?;
    let what = if undo { "not drained any more" } else { "being drained" };
    Ok(out.done(&format!("neighbor {address} is {what}"))?)
}

async fn enable(
    client: &mut NeighborServiceClient<Connection>,
    address: IpAddr,
    out: &mut Out,
) -> Result<(), CliError> {
    client.enable_neighbor(EnableNeighborRequest { address: address.to_string() }).await?;
    Ok(out.done(&format!("neighbor {address} enabled"))?)
}

/// How well it does.
pub(super) fn paint(n: &NeighborState) -> Paint {
    match n.state() {
        _ if n.disabled || n.over_prefix_limit => Paint::Red,
        _ if n.draining => Paint::Yellow,
        SessionState::Established => Paint::Green,
        SessionState::Idle => Paint::Red,
        _ => Paint::Yellow,
    }
}

/// The state of its session, and what there is to know about that.
pub(super) fn state(n: &NeighborState) -> String {
    let state = text::state(n.state());
    let notes = [
        (n.is_dynamic, "dynamic"),
        (n.disabled, "disabled"),
        (n.over_prefix_limit, "prefix limit"),
        (n.draining, "draining"),
    ];
    let notes: Vec<&str> = notes.into_iter().filter(|(on, _)| *on).map(|(_, note)| note).collect();
    if notes.is_empty() { state.to_owned() } else { format!("{state} ({})", notes.join(", ")) }
}

/// How long it is Established.
pub(super) fn uptime(n: &NeighborState) -> String {
    match n.state() {
        SessionState::Established => text::duration(n.uptime_seconds),
        _ => "-".to_owned(),
    }
}

/// A description that says more than the address.
fn description(c: &NeighborConfig) -> &str {
    if c.description == c.address { "" } else { &c.description }
}

fn print_all(neighbors: &[NeighborState], out: &mut Out) -> Result<(), CliError> {
    if out.json {
        return Ok(out.document(&json::list(neighbors, json::neighbor))?);
    }
    if neighbors.is_empty() {
        return Ok(out.line("no neighbors are configured")?);
    }
    let columns = [
        Column::left("Neighbor").shrinking_to(22),
        Column::right("AS"),
        Column::left("State").shrinking_to(13),
        Column::right("Uptime"),
        Column::right("Received"),
        Column::right("Sent"),
        Column::left("Description").shrinking(),
    ];
    let rows: Vec<Row> = neighbors
        .iter()
        .map(|n| {
            let c = n.config.clone().unwrap_or_default();
            vec![
                Cell::from(&c.address),
                Cell::from(c.remote_asn),
                Cell::painted(state(n), paint(n)),
                Cell::from(uptime(n)),
                Cell::from(n.prefixes_received),
                Cell::from(n.prefixes_sent),
                Cell::from(description(&c)),
            ]
        })
        .collect();
    Ok(Table::print(&columns, &rows, out)?)
}

/// Prints everything about one.
pub(super) fn print_one(n: &NeighborState, out: &mut Out) -> Result<(), CliError> {
    if out.json {
        return Ok(out.document(&json::neighbor(n))?);
    }
    let c = n.config.clone().unwrap_or_default();
    out.line(format!("Neighbor {}, AS {}", c.address, c.remote_asn))?;
    print_config(&c, out)?;
    let state = paint(n).on(&state(n), out.color);
    match n.state() {
        SessionState::Established => field(out, "State", &format!("{state} for {}", uptime(n)))?,
        _ => field(out, "State", &state)?,
    }
    field(out, "Last error", &n.last_error)?;
    for (name, notification) in
        [("Last received", &n.last_notification_received), ("Last sent", &n.last_notification_sent)]
    {
        if let Some(n) = notification {
            field(out, name, &format!("NOTIFICATION {} at {}", n.message, text::time(n.time_ms)))?;
        }
    }
    if let Some(seconds) = n.next_attempt_seconds {
        field(out, "Next attempt", &format!("in {seconds} s"))?;
    }
    field(out, "Flaps", &n.flap_count.to_string())?;
    if let Some(r) = &n.graceful_restart {
        let state = if r.back { "is back, sends its routes" } else { "is away" };
        let (stale, families, left) = (r.stale_routes, r.families.join(", "), r.seconds_left);
        let long = match r.long_lived_families.as_slice() {
            [] => String::new(),
            list => format!(" (long-lived: {})", list.join(", ")),
        };
        let text = format!("{state}; {stale} stale routes of {families}{long} for {left} s at most");
        field(out, "Restart", &text)?;
    }
    print_session(n, &c, out)?;
    out.line("")?;
    print_counters(n, out)?;
    Ok(())
}

/// A line, where there is something to say; more of them where one is too long for the terminal.
pub(super) fn field(out: &mut Out, name: &str, value: &str) -> io::Result<()> {
    const INDENT: usize = 24;
    if value.is_empty() {
        return Ok(());
    }
    // Colours have no width: what has one is short.
    let room = out.width.filter(|_| !value.contains('\x1b')).map(|w| w.saturating_sub(INDENT));
    let mut title = format!("  {:<22}", format!("{name}:"));
    for line in text::wrapped(value, room) {
        out.line(format!("{title}{line}"))?;
        title = " ".repeat(INDENT);
    }
    Ok(())
}

fn print_config(c: &NeighborConfig, out: &mut Out) -> io::Result<()> {
    field(out, "Description", description(c))?;
    field(out, "Peer group", &c.peer_group)?;
    field(out, "Families", &c.families.join(", "))?;
    if c.policy_missing {
        field(out, "Policy", "missing, hence no routes in that direction (ebgp_requires_policy)")?;
    }
    let mut options = Vec::new();
    for (on, name) in [
        (c.md5, "TCP-MD5"),
        (c.ttl_security, "GTSM"),
        (c.route_server_client, "route-server client"),
        (c.add_path_receive, "add-path receive"),
        (c.add_path_send, "add-path send"),
    ] {
        if on {
            options.push(name.to_owned());
        }
    }
    if !c.remove_private_as.is_empty() {
        options.push(format!("remove private AS: {}", c.remove_private_as));
    }
    if !c.role.is_empty() {
        options.push(format!("role {}{}", c.role, if c.role_strict { " (strict)" } else { "" }));
    }
    if c.max_prefixes > 0 {
        options.push(format!("at most {} prefixes", c.max_prefixes));
    }
    if c.max_prefixes_out > 0 {
        options.push(format!("at most {} prefixes announced", c.max_prefixes_out));
    }
    match c.max_prefixes_action.as_str() {
        "" => {}
        "restart" => options.push(format!("else restart after {} min", c.max_prefixes_restart_minutes)),
        action => options.push(format!("else {action}")),
    }
    field(out, "Options", &options.join(", "))
}

fn print_session(n: &NeighborState, c: &NeighborConfig, out: &mut Out) -> io::Result<()> {
    let hold = match n.state() {
        SessionState::Established => {
            format!("{} s negotiated, {} s configured", n.negotiated_hold_time, c.hold_time)
        }
        _ => format!("{} s configured", c.hold_time),
    };
    field(out, "Hold time", &hold)?;
    if n.keepalive_interval > 0 {
        field(out, "Keepalive", &format!("every {} s", n.keepalive_interval))?;
    }
    if n.send_hold_time > 0 {
        field(out, "Send hold time", &format!("{} s", n.send_hold_time))?;
    }
    field(out, "Router ID", &n.router_id)?;
    field(out, "Peer's role", &n.peer_role)?;
    if !n.local_address.is_empty() || !n.remote_address.is_empty() {
        field(out, "Connection", &format!("{} to {}", n.local_address, n.remote_address))?;
    }
    field(out, "Negotiated", &n.negotiated_families.join(", "))?;
    field(out, "Both sides have", &n.negotiated_capabilities.join(", "))?;
    if !n.graceful_restart_families.is_empty() {
        let (families, seconds) = (n.graceful_restart_families.join(", "), n.peer_restart_time);
        field(out, "Kept over a restart", &format!("{families}, if the peer is back within {seconds} s"))?;
    }
    field(out, "Several paths from it", &n.add_path_receive_families.join(", "))?;
    let most = match c.add_path_send_max {
        0 => String::new(),
        most => format!(" (at most {most} of a prefix)"),
    };
    let several = n.add_path_send_families.join(", ");
    field(out, "Several paths to it", &if several.is_empty() { several } else { several + &most })?;
    capabilities(out, "Capabilities sent", &n.capabilities_sent)?;
    capabilities(out, "Capabilities received", &n.capabilities_received)
}

fn capabilities(out: &mut Out, name: &str, list: &[String]) -> io::Result<()> {
    if list.is_empty() {
        return Ok(());
    }
    out.line(format!("  {name}:"))?;
    let room = out.width.map(|w| w.saturating_sub(6));
    for capability in list {
        for (i, line) in text::wrapped(capability, room).iter().enumerate() {
            out.line(format!("    {}{line}", if i == 0 { "" } else { "  " }))?;
        }
    }
    Ok(())
}

fn print_counters(n: &NeighborState, out: &mut Out) -> io::Result<()> {
    let columns = [Column::left("  Prefixes"), Column::right("Received"), Column::right("Sent")];
    let rows: Vec<Row> = n
        .prefixes
        .iter()
        .map(|p| vec![Cell::from(format!("  {}", p.family)), Cell::from(p.received), Cell::from(p.sent)])
        .collect();
    Table::print(&columns, &rows, out)?;
    out.line("")?;
    let (received, sent) = (n.messages_received.unwrap_or_default(), n.messages_sent.unwrap_or_default());
    let columns = [Column::left("  Messages"), Column::right("Received"), Column::right("Sent")];
    type Count = fn(&MessageCounts) -> u64;
    let kinds: [(&str, Count); 5] = [
        ("OPEN", |m| m.open),
        ("UPDATE", |m| m.update),
        ("NOTIFICATION", |m| m.notification),
        ("KEEPALIVE", |m| m.keepalive),
        ("ROUTE-REFRESH", |m| m.route_refresh),
    ];
    let rows: Vec<Row> = kinds
        .iter()
        .map(|(name, f)| {
            vec![Cell::from(format!("  {name}")), Cell::from(f(&received)), Cell::from(f(&sent))]
        })
        .collect();
    Table::print(&columns, &rows, out)?;
    out.line("")?;
    field(out, "Queued", &format!("{} octets", n.queued_octets))?;
    for (name, count) in [
        ("AS path loops", n.as_loops),
        ("Reflection loops", n.reflection_loops),
        ("Treated as withdraw", n.treated_as_withdraw),
        ("Attributes dropped", n.attributes_discarded),
        ("Paths refused", n.paths_refused),
        ("Route leaks", n.route_leaks),
        ("Restarts timed out", n.graceful_restarts_expired),
        ("Over prefix limit", n.prefix_limit_exceeded),
    ] {
        if count > 0 {
            field(out, name, &count.to_string())?;
        }
    }
    Ok(())
}
