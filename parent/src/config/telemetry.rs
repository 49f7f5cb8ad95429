//! `[global.telemetry]`: logging, metrics, and the two listeners of the control API.
//!
//! Files that a listener needs are read here, to say what is wrong with them before anything is opened.

use std::fs::File;
use std::io::Read;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use ipc::config::{Access, AllowedPeers};
use zeroize::Zeroizing;

use super::keys;
use super::reader::{Reader, Scope, Table};
use super::schema::{GrpcTcp, GrpcUds, LogFormat, LogLevel, Telemetry, TlsFiles};
use super::tls;

/// The longest path that fits into a socket address, in octets.
const MAX_SOCKET_PATH: usize = 107;

/// Permissions of the socket unless the file says otherwise, ...
const OWNER_ONLY: u32 = 0o600;
/// ... and where it names a group.
pub(crate) const OWNER_AND_GROUP: u32 = 0o660;

/// The most users or groups in a list.
const MAX_IDS: usize = 1000;

/// The names of `log_level`, here and at neighbors.
pub(super) const LOG_LEVELS: [(&str, LogLevel); 5] = [
    ("error", LogLevel::Error),
    ("warn", LogLevel::Warn),
    ("info", LogLevel::Info),
    ("debug", LogLevel::Debug),
    ("trace", LogLevel::Trace),
];

/// Reads `[global.telemetry]`; `state_dir` is where the socket is by default.
pub(super) fn read<'s>(r: &mut Reader<'s>, t: &Table<'s>, state_dir: &Path) -> Option<Telemetry> {
    r.check_keys(t, &[keys::TELEMETRY], Some(Scope { name: "global.telemetry", instance: None }));
    let prometheus_addr = socket_addr(r, t, "prometheus_addr");
    let log_format = r.choice(t, "log_format", &[("json", LogFormat::Json), ("text", LogFormat::Text)]);
    let log_level = r.choice(t, "log_level", &LOG_LEVELS);
    let looking_glass = looking_glass(r, t);
    let (grpc_uds, grpc_tcp) = grpc(r, t, state_dir);
    Some(Telemetry {
        prometheus_addr,
        log_format: log_format.map_or(LogFormat::Json, |f| f.value),
        log_level: log_level.map_or(LogLevel::Info, |l| l.value),
        grpc_uds,
        grpc_tcp,
        looking_glass,
    })
}

fn socket_addr<'s>(r: &mut Reader<'s>, t: &Table<'s>, key: &str) -> Option<SocketAddr> {
    r.parse(t, key, "an IP address and a port, like 127.0.0.1:9179 or [::1]:9179").map(|a| a.value)
}

fn looking_glass<'s>(r: &mut Reader<'s>, t: &Table<'s>) -> Option<SocketAddr> {
    let t = r.table(t, "looking_glass", "[global.telemetry.looking_glass]")?;
    r.check_keys(&t, &[keys::LOOKING_GLASS], None);
    r.require(&t, &["addr"]);
    socket_addr(r, &t, "addr")
}

fn grpc<'s>(r: &mut Reader<'s>, t: &Table<'s>, state_dir: &Path) -> (Option<GrpcUds>, Option<GrpcTcp>) {
    let uds = r.table(t, "grpc_uds", "[global.telemetry.grpc_uds]");
    let tcp = r.table(t, "grpc_tcp", "[global.telemetry.grpc_tcp]");
    let uds_on = uds.as_ref().map(|t| enabled(r, t));
    let tcp_on = tcp.as_ref().map(|t| enabled(r, t));
    if uds_on.is_some_and(|on| !on) && !tcp_on.unwrap_or(false) || tcp_on == Some(false) && uds_on.is_none() {
        no_listener(r, uds.as_ref().or(tcp.as_ref()));
    }
    let uds = match (&uds, &tcp) {
        (Some(t), _) => grpc_uds(r, t, state_dir),
        (None, Some(_)) => None,
        (None, None) => Some(default_uds(state_dir)),
    };
    let tcp = tcp.and_then(|t| grpc_tcp(r, &t, tcp_on == Some(true)));
    (uds.filter(|_| uds_on != Some(false)), tcp.filter(|_| tcp_on == Some(true)))
}

fn enabled<'s>(r: &mut Reader<'s>, t: &Table<'s>) -> bool {
    r.boolean(t, "enabled").is_none_or(|b| b.value)
}

fn no_listener<'s>(r: &mut Reader<'s>, t: Option<&Table<'s>>) {
    let Some(t) = t else { return };
    let span = t.key_span("enabled").unwrap_or_else(|| t.span.clone());
    let message = "no gRPC listener is enabled: at least one of grpc_uds and grpc_tcp must be";
    r.problem(message.to_owned(), "no other listener is enabled".to_owned(), span);
}

fn default_uds(state_dir: &Path) -> GrpcUds {
    GrpcUds {
        path: state_dir.join("grpc.sock"),
        mode: OWNER_ONLY,
        group: None,
        access: Access::ReadWrite,
        token_file: None,
        allow: AllowedPeers::default(),
        for_service_group: true,
    }
}

fn grpc_uds<'s>(r: &mut Reader<'s>, t: &Table<'s>, state_dir: &Path) -> Option<GrpcUds> {
    let name = "global.telemetry.grpc_uds";
    r.check_keys(t, &[keys::GRPC_UDS], Some(Scope { name, instance: None }));
    let path = r.text(t, "path");
    let path = r.keep("path", path, "must be an absolute path", |p| Path::new(p).is_absolute());
    let path = r.keep("path", path, "must be at most 107 octets long", |p| p.len() <= MAX_SOCKET_PATH);
    let mode = r.number_where(t, "mode", "must be at most 0o777", |m: u32| m <= 0o777);
    let group = super::global::group(r, t, "group");
    let mode = mode.map_or(if group.is_some() { OWNER_AND_GROUP } else { OWNER_ONLY }, |m| m.value);
    Some(GrpcUds {
        path: path.map_or(default_uds(state_dir).path, |p| p.value.into()),
        mode,
        group,
        access: access(r, t),
        token_file: token_file(r, t),
        allow: AllowedPeers { uids: ids(r, t, "allow_uids", "user"), gids: ids(r, t, "allow_gids", "group") },
        for_service_group: false,
    })
}

/// A list of users or groups. An empty one would let nobody in, or everybody: it is refused.
fn ids<'s>(r: &mut Reader<'s>, t: &Table<'s>, key: &str, what: &str) -> Vec<u32> {
    let before = r.problems.len();
    let ids = r.numbers(t, key, &format!("must be a {what} id"), |_| true);
    let ids = ids.filter(|_| r.problems.len() == before);
    let ids = r.keep(key, ids, "must not be empty: leave the key out to allow everybody", |l| !l.is_empty());
    // -1 is nobody's id.
    let rule = format!("must be {what} ids");
    let ids = r.keep(key, ids, &rule, |l| !l.contains(&u32::MAX));
    let rule = format!("must be at most {MAX_IDS} {what} ids");
    r.keep(key, ids, &rule, |l| l.len() <= MAX_IDS).map_or_else(Vec::new, |l| l.value)
}

fn grpc_tcp<'s>(r: &mut Reader<'s>, t: &Table<'s>, enabled: bool) -> Option<GrpcTcp> {
    let name = "global.telemetry.grpc_tcp";
    r.check_keys(t, &[keys::GRPC_TCP], Some(Scope { name, instance: None }));
    if enabled {
        r.require(t, &["address"]);
    }
    let address = socket_addr(r, t, "address");
    let access = access(r, t);
    let token_file = token_file(r, t);
    let tls = tls::read(r, t);
    let tcp = GrpcTcp { address: address?, access, token_file, tls };
    if enabled && !tcp.address.ip().to_canonical().is_loopback() {
        r.warnings.push(exposed(&tcp));
    }
    Some(tcp)
}

/// The warning about a control API that others than this machine reach.
fn exposed(tcp: &GrpcTcp) -> String {
    let what = format!("gRPC TCP listener bound to a non-loopback address: {}", tcp.address);
    let can = match tcp.access {
        Access::ReadOnly => "reads everything",
        Access::ReadWrite => "controls this daemon",
    };
    match (&tcp.token_file, &tcp.tls) {
        // Who has no certificate gets no further than the handshake, who has no token no further than an error.
        (_, Some(TlsFiles { client_ca: Some(_), .. })) | (Some(_), Some(_)) => what,
        (None, Some(_)) => {
            format!("{what}, with TLS but neither token nor client certificates: whoever reaches it {can}")
        }
        (Some(_), None) => format!("{what}, and the token crosses the network in clear text"),
        (None, None) => format!("{what}, with neither token nor TLS: whoever reaches it {can}"),
    }
}

fn access<'s>(r: &mut Reader<'s>, t: &Table<'s>) -> Access {
    let names = [("read_write", Access::ReadWrite), ("read_only", Access::ReadOnly)];
    r.choice(t, "access_mode", &names).map_or(Access::ReadWrite, |a| a.value)
}

fn token_file<'s>(r: &mut Reader<'s>, t: &Table<'s>) -> Option<PathBuf> {
    let path = r.text(t, "token_file")?;
    match token_usable(Path::new(path.value)) {
        Ok(()) => Some(path.value.into()),
        Err(why) => {
            r.invalid("token_file", path.span, why);
            None
        }
    }
}

/// Whether the file can be read and holds something.
fn token_usable(path: &Path) -> Result<(), String> {
    let cannot = |e: std::io::Error| format!("cannot read it: {e}");
    if !std::fs::metadata(path).map_err(cannot)?.is_file() {
        return Err("must be a regular file".to_owned());
    }
    let file = File::open(path).map_err(cannot)?;
    let mut token = Zeroizing::new(Vec::new());
    file.take(64 * 1024).read_to_end(&mut token).map_err(cannot)?;
    if token.trim_ascii().is_empty() { Err("must not be empty".to_owned()) } else { Ok(()) }
}
