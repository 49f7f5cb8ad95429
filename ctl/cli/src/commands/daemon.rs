//! `global`, `health`, `metrics`, `processes`, `shutdown`: the daemon as a whole.

use grpc::v1::control_service_client::ControlServiceClient;
use grpc::v1::global_service_client::GlobalServiceClient;
use grpc::v1::{
    GetGlobalRequest, GetProcessesRequest, HealthRequest, MetricsRequest, ShutdownRequest,
    TriggerMrtDumpRequest,
};
use serde_json::{Map, Value, json};

use crate::connect::{Connection, MAX_ANSWER};
use crate::error::CliError;
use crate::output::table::{Cell, Column, Paint, Row, Table};
use crate::output::{Out, json, text};

/// `global`.
pub(super) async fn global(connection: Connection, out: &mut Out) -> Result<(), CliError> {
    let global = GlobalServiceClient::new(connection).get_global(GetGlobalRequest {}).await?.into_inner();
    if out.json {
        return Ok(out.document(&json::global(&global))?);
    }
    let port = match global.listen_port {
        0 => "not listening".to_owned(),
        port => port.to_string(),
    };
    out.line(format!("AS:         {}", global.asn))?;
    out.line(format!("Router ID:  {}", global.router_id))?;
    out.line(format!("BGP port:   {port}"))?;
    Ok(out.line(format!("Version:    {}", global.version))?)
}

/// `health`. Fails where the daemon isn't healthy.
pub(super) async fn health(connection: Connection, out: &mut Out) -> Result<(), CliError> {
    let health = ControlServiceClient::new(connection).get_health(HealthRequest {}).await?.into_inner();
    if out.json {
        out.document(&json::health(&health))?;
    } else {
        let (word, paint) = if health.healthy { ("yes", Paint::Green) } else { ("no", Paint::Red) };
        out.line(format!("Healthy:            {}", paint.on(word, out.color)))?;
        out.line(format!("Uptime:             {}", text::duration(health.uptime_seconds)))?;
        out.line(format!("Established peers:  {}", health.active_peers))?;
        out.line(format!("Prefixes:           {}", health.total_routes))?;
    }
    match (health.healthy, health.unavailable.as_slice()) {
        (true, _) => Ok(()),
        (false, []) => Err(CliError::Failed("rustbgpd is starting: try again".to_owned())),
        (false, engines) => Err(CliError::Failed(format!(
            "not at work: {}. The daemon restarts what fails; its log says why.",
            engines.join(", ")
        ))),
    }
}

/// `metrics`.
pub(super) async fn metrics(connection: Connection, out: &mut Out) -> Result<(), CliError> {
    let mut client = ControlServiceClient::new(connection).max_decoding_message_size(MAX_ANSWER);
    let text = client.get_metrics(MetricsRequest {}).await?.into_inner().prometheus_text;
    let printed = if out.json { out.document(&samples(&text)) } else { out.text(&text) };
    Ok(printed?)
}

/// `processes`.
pub(super) async fn processes(connection: Connection, out: &mut Out) -> Result<(), CliError> {
    let answer = ControlServiceClient::new(connection).get_processes(GetProcessesRequest {}).await?;
    let processes = answer.into_inner().processes;
    if out.json {
        return Ok(out.document(&json::list(&processes, json::process))?);
    }
    let rows: Vec<Row> = processes.iter().map(process_row).collect();
    let columns = [
        Column::left("Process"),
        Column::right("PID"),
        Column::right("Uptime"),
        Column::right("Restarts"),
        Column::right("CPU"),
        Column::right("Memory"),
        Column::right("Threads"),
        Column::left("Sandbox without"),
    ];
    Ok(Table::print(&columns, &rows, out)?)
}

fn process_row(p: &grpc::v1::Process) -> Row {
    let unknown = || "-".to_owned();
    let off: Vec<&str> = p.sandbox.iter().filter(|s| !s.on).map(|s| s.name.as_str()).collect();
    let sandbox = match (p.sandbox.is_empty(), off.is_empty()) {
        (true, _) => unknown(),
        (false, true) => "nothing".to_owned(),
        (false, false) => off.join(" "),
    };
    let restarts = if p.restarts == 0 { Paint::Plain } else { Paint::Yellow };
    vec![
        p.name.clone().into(),
        p.pid.to_string().into(),
        text::duration(p.uptime_seconds).into(),
        Cell::painted(p.restarts.to_string(), restarts),
        p.cpu_milliseconds.map_or_else(unknown, |ms| text::duration(ms / 1000)).into(),
        p.resident_bytes.map_or_else(unknown, text::octets).into(),
        p.threads.map_or_else(unknown, |n| n.to_string()).into(),
        sandbox.into(),
    ]
}

/// `mrt-dump`.
pub(super) async fn mrt_dump(connection: Connection, out: &mut Out) -> Result<(), CliError> {
    let answer = ControlServiceClient::new(connection).trigger_mrt_dump(TriggerMrtDumpRequest {}).await?;
    let path = answer.into_inner().file_path;
    if out.json {
        return Ok(out.document(&json!({ "file_path": path }))?);
    }
    Ok(out.line(format!("the tables are written to {path}"))?)
}

/// `shutdown`.
pub(super) async fn shutdown(
    connection: Connection,
    reason: Option<String>,
    out: &mut Out,
) -> Result<(), CliError> {
    let reason = reason.unwrap_or_default();
    ControlServiceClient::new(connection).shutdown(ShutdownRequest { reason }).await?;
    Ok(out.done("rustbgpd is shutting down")?)
}

/// Metrics as a list: a sample each, with its name, type, labels and value.
fn samples(text: &str) -> Value {
    let mut kinds = Map::new();
    let mut samples = Vec::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            if let Some((name, kind)) = rest.split_once(' ') {
                kinds.insert(name.to_owned(), json!(kind));
            }
        } else if !line.starts_with('#')
            && let Some((name, labels, value)) = sample(line)
        {
            let kind = kinds.get(&name).cloned().unwrap_or_else(|| json!("untyped"));
            samples.push(json!({ "name": name, "type": kind, "labels": labels, "value": value }));
        }
    }
    Value::Array(samples)
}

/// A line of metrics: name, labels, value.
pub(super) fn sample(line: &str) -> Option<(String, Map<String, Value>, Value)> {
    let (series, value) = line.rsplit_once(' ')?;
    let value =
        value.parse::<u64>().map(Value::from).or_else(|_| value.parse::<f64>().map(Value::from)).ok()?;
    let Some((name, labels)) = series.split_once('{') else {
        return Some((series.to_owned(), Map::new(), value));
    };
    let labels = labels.strip_suffix('}')?;
    Some((name.to_owned(), label_pairs(labels)?, value))
}

/// `name="value",..` with `\\`, `\"` and `\n` in the values.
fn label_pairs(text: &str) -> Option<Map<String, Value>> {
    let mut labels = Map::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (name, quoted) = rest.trim_start_matches(',').split_once("=\"")?;
        let mut value = String::new();
        let mut chars = quoted.chars();
        loop {
            match chars.next()? {
                '"' => break,
                '\\' => value.push(match chars.next()? {
                    'n' => '\n',
                    other => other,
                }),
                c => value.push(c),
            }
        }
        labels.insert(name.to_owned(), Value::String(value));
        rest = chars.as_str();
    }
    Some(labels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_become_json() {
        let text = "# HELP a How.\n# TYPE a counter\na{peer=\"10.0.0.1\",x=\"q\\\"b\\\\c\\n,=\"} 7\nb 1.5\n";
        assert_eq!(
            samples(text),
            json!([
                { "name": "a", "type": "counter", "labels": { "peer": "10.0.0.1", "x": "q\"b\\c\n,=" }, "value": 7 },
                { "name": "b", "type": "untyped", "labels": {}, "value": 1.5 },
            ])
        );
    }
}
