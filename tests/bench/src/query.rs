//! Clients that list the whole table, again and again, while something else is measured.
//!
//! Ours is asked over gRPC as `rustbgpctl` does, the others by their own clients. Answers are counted and
//! thrown away, so that the client takes little from the machine; it runs at ordinary priority.

use crate::net;
use grpc::v1::ListRoutesRequest;
use hyper_util::rt::TokioIo;
use prost::Message;
use prost::bytes::{Buf, Bytes};
use prost::encoding::{WireType, decode_key, decode_varint};
use std::fs::File;
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use tonic::Status;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::Endpoint;

/// Routes asked for at once; a daemon may give fewer.
const PAGE: u32 = 100_000;

/// A client under way.
pub struct Lister {
    shared: Arc<Shared>,
    thread: JoinHandle<Result<(), String>>,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    routes: AtomicU64,
}

impl Lister {
    /// Starts the client of this daemon, whose files are in `dir` and whose network is `ns`.
    pub fn start(daemon: &str, dir: &Path, ns: &File) -> Result<Lister, String> {
        let path = |name: &str| dir.join(name).display().to_string();
        let command: Option<Vec<String>> = match daemon {
            "ours" => None,
            "bird" => Some(vec!["birdc".into(), "-s".into(), path("bird.ctl"), "show route".into()]),
            "frr" => {
                let socket = dir.display().to_string();
                let show = "show ip bgp";
                Some(["vtysh", "--vty_socket", &socket, "-d", "bgpd", "-c", show].map(String::from).to_vec())
            }
            "openbgpd" => {
                Some(["bgpctl", "-s", &path("control.sock"), "show", "rib"].map(String::from).to_vec())
            }
            "gobgp" => Some(["gobgp", "global", "rib"].map(String::from).to_vec()),
            _ => return Err(format!("no client for {daemon}")),
        };
        let shared = Arc::new(Shared::default());
        let (s, socket, ns) = (shared.clone(), dir.join("grpc.sock"), ns.try_clone());
        let thread = std::thread::spawn(move || {
            unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, 0) };
            match command {
                Some(c) => shell(&c, &ns.map_err(|e| e.to_string())?, &s),
                None => pages(socket, &s),
            }
        });
        Ok(Lister { shared, thread })
    }

    /// Stops it; how many routes it has read.
    pub fn finish(self) -> Result<u64, String> {
        self.shared.stop.store(true, Ordering::Relaxed);
        let ended = self.thread.join().map_err(|_| "the client panicked".to_string())?;
        ended.map_err(|e| format!("client: {e}"))?;
        Ok(self.shared.routes.load(Ordering::Relaxed))
    }
}

/// Runs a command again and again; a line is a route unless it goes on with the one before.
fn shell(command: &[String], ns: &File, shared: &Shared) -> Result<(), String> {
    let mut buf = vec![0; 64 << 10];
    while !shared.stop.load(Ordering::Relaxed) {
        let mut c = Command::new(&command[0]);
        c.args(&command[1..]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let ns = ns.try_clone().map_err(|e| e.to_string())?;
        unsafe { c.pre_exec(move || net::enter(&ns)) };
        let mut child = c.spawn().map_err(|e| format!("{}: {e}", command[0]))?;
        let mut out = child.stdout.take().ok_or("no output")?;
        let (mut begins, mut seen) = (true, 0);
        loop {
            let n = out.read(&mut buf).map_err(|e| e.to_string())?;
            if n == 0 {
                break;
            }
            for &b in &buf[..n] {
                seen += u64::from(begins && b != b'\t' && b != b'\n');
                begins = b == b'\n';
            }
            shared.routes.fetch_add(std::mem::take(&mut seen), Ordering::Relaxed);
            if shared.stop.load(Ordering::Relaxed) {
                let _ = child.kill();
            }
        }
        let status = child.wait().map_err(|e| e.to_string())?;
        if !status.success() && !shared.stop.load(Ordering::Relaxed) {
            return Err(format!("{}: {status}", command.join(" ")));
        }
    }
    Ok(())
}

fn pages(socket: PathBuf, shared: &Shared) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|e| e.to_string())?.block_on(async {
        let endpoint = Endpoint::from_static("http://localhost");
        let connect = tower::service_fn(move |_| {
            let socket = socket.clone();
            async move { tokio::net::UnixStream::connect(socket).await.map(TokioIo::new) }
        });
        let channel = endpoint.connect_with_connector(connect).await.map_err(|e| e.to_string())?;
        let mut client = tonic::client::Grpc::new(channel).max_decoding_message_size(256 << 20);
        let mut request = ListRoutesRequest { page_size: PAGE, ..ListRoutesRequest::default() };
        while !shared.stop.load(Ordering::Relaxed) {
            client.ready().await.map_err(|e| e.to_string())?;
            let path = tonic::codegen::http::uri::PathAndQuery::from_static(
                "/rustbgpd.v1.RibService/ListBestRoutes",
            );
            let asked = tonic::Request::new(request.clone());
            let page = client.unary(asked, path, Skim).await.map_err(|e| e.to_string())?.into_inner();
            shared.routes.fetch_add(page.routes, Ordering::Relaxed);
            request.page_token = page.next;
        }
        Ok(())
    })
}

/// What is looked at of a `ListRoutesResponse`.
#[derive(Debug, Default, PartialEq)]
struct Page {
    routes: u64,
    next: String,
}

/// Reads answers without making routes of them.
struct Skim;

impl Codec for Skim {
    type Encode = ListRoutesRequest;
    type Decode = Page;
    type Encoder = Skim;
    type Decoder = Skim;
    fn encoder(&mut self) -> Skim {
        Skim
    }
    fn decoder(&mut self) -> Skim {
        Skim
    }
}

impl Encoder for Skim {
    type Item = ListRoutesRequest;
    type Error = Status;
    fn encode(&mut self, item: ListRoutesRequest, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        item.encode(to).map_err(|e| Status::internal(e.to_string()))
    }
}

impl Decoder for Skim {
    type Item = Page;
    type Error = Status;
    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Page>, Status> {
        let all = from.copy_to_bytes(from.remaining());
        skim(all).map(Some).map_err(|e| Status::internal(e.to_string()))
    }
}

fn skim(mut b: Bytes) -> Result<Page, prost::DecodeError> {
    let mut page = Page::default();
    while b.has_remaining() {
        let (field, kind) = decode_key(&mut b)?;
        let value = decode_varint(&mut b)?;
        if kind != WireType::LengthDelimited {
            continue;
        }
        let n = (value as usize).min(b.remaining());
        let value = b.split_to(n);
        match field {
            1 => page.routes += 1,
            2 => page.next = String::from_utf8_lossy(&value).into_owned(),
            _ => {}
        }
    }
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::*;
    use grpc::v1::{ListRoutesResponse, Route};

    #[test]
    fn a_skimmed_answer_counts_its_routes() {
        let route =
            |prefix: &str| Route { prefix: prefix.into(), as_path: vec![1, 70_000], ..Route::default() };
        let answer = ListRoutesResponse {
            routes: vec![route("192.0.2.0"), route(""), route("2001:db8::")],
            next_page_token: "token".into(),
            total_count: 1 << 40,
        };
        let page = skim(answer.encode_to_vec().into()).unwrap();
        assert_eq!(page, Page { routes: 3, next: "token".into() });
    }
}
