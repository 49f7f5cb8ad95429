//! `[rpki]`, `[bmp]` and `[mrt]`: what the daemon exchanges with others than its peers.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::ops::Range;

use ipnet::IpNet;

use super::keys;
use super::reader::{At, Reader, Table};
use super::schema::{Bmp, BmpCollector, BmpView, CacheServer, Mrt, Rpki};

/// Reads `[rpki]`.
pub(super) fn rpki<'s>(r: &mut Reader<'s>, root: &Table<'s>) -> Option<Rpki> {
    let t = r.table(root, "rpki", "[rpki]")?;
    r.check_keys(&t, &[keys::RPKI], None);
    let servers = r.tables(&t, "cache_servers", "[[rpki.cache_servers]]");
    let cache_servers = servers.iter().filter_map(|t| cache_server(r, t)).collect();
    for t in r.tables(&t, "local_vrps", "[[rpki.local_vrps]]") {
        local_vrp(r, &t);
    }
    let slurm_file = r.text(&t, "slurm_file").map(|p| p.value.into());
    Some(Rpki { cache_servers, slurm_file })
}

fn cache_server<'s>(r: &mut Reader<'s>, t: &Table<'s>) -> Option<CacheServer> {
    r.check_keys(t, &[keys::CACHE_SERVER], None);
    r.require(t, &["address"]);
    let address = r.string(t, "address");
    let rule = "must be a host and a port, like rtr.example.net:3323 or [2001:db8::1]:3323";
    let address = r.keep("address", address, rule, |a| is_host_and_port(a));
    let refresh = seconds(r, t, "refresh_interval", 3600);
    let retry = seconds(r, t, "retry_interval", 600);
    let expire = r.positive(t, "expire_interval");
    let rule = "must not be less than refresh_interval";
    let expire = r.keep("expire_interval", expire, rule, |e| *e >= refresh).map_or(7200, |e| e.value);
    if refresh > expire && !t.has("expire_interval") {
        let span = t.key_span("refresh_interval").unwrap_or_else(|| t.span.clone());
        let rule = "must not be more than expire_interval, which is 7200";
        r.problem(format!("invalid refresh_interval {refresh}: {rule}"), rule.to_owned(), span);
    }
    Some(CacheServer {
        address: address?.value.to_owned(),
        refresh_interval: refresh,
        retry_interval: retry,
        expire_interval: expire,
    })
}

fn seconds<'s>(r: &mut Reader<'s>, t: &Table<'s>, key: &str, default: u32) -> u32 {
    r.positive(t, key).map_or(default, |n| n.value)
}

/// Whether this is `host:port`, an IPv6 address in brackets.
fn is_host_and_port(text: &str) -> bool {
    if text.parse::<SocketAddr>().is_ok_and(|a| a.port() != 0) {
        return true;
    }
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    let name = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    !host.is_empty() && host.bytes().all(name) && port.parse::<u16>().is_ok_and(|p| p != 0)
}

fn local_vrp<'s>(r: &mut Reader<'s>, t: &Table<'s>) {
    r.check_keys(t, &[keys::LOCAL_VRP], None);
    r.require(t, &["prefix", "asn"]);
    let prefix: Option<At<IpNet>> = r.parse(t, "prefix", "a prefix, like 192.0.2.0/24");
    r.number::<u32>(t, "asn");
    let length = r.number::<u8>(t, "max_length");
    if let Some(prefix) = prefix {
        let (least, most) = (prefix.value.prefix_len(), prefix.value.max_prefix_len());
        let rule = format!("must be {least} to {most}, as the prefix is");
        r.keep("max_length", length, rule, |n| (least..=most).contains(n));
    }
}

/// Reads `[bmp]`.
pub(super) fn bmp<'s>(r: &mut Reader<'s>, root: &Table<'s>) -> Option<Bmp> {
    let t = r.table(root, "bmp", "[bmp]")?;
    r.check_keys(&t, &[keys::BMP], None);
    let mut seen = HashMap::new();
    let list = r.tables(&t, "collectors", "[[bmp.collectors]]");
    let collectors = list.iter().filter_map(|t| collector(r, t, &mut seen)).collect();
    let sys_descr = r.string(&t, "sys_descr").map(|d| d.value).filter(|d| !d.is_empty());
    Some(Bmp {
        sys_name: r.string(&t, "sys_name").map_or("rustbgpd", |n| n.value).to_owned(),
        sys_descr: sys_descr.map(str::to_owned),
        collectors,
    })
}

fn collector<'s>(
    r: &mut Reader<'s>,
    t: &Table<'s>,
    seen: &mut HashMap<SocketAddr, Range<usize>>,
) -> Option<BmpCollector> {
    r.check_keys(t, &[keys::COLLECTOR], None);
    r.require(t, &["address"]);
    let what = "an IP address and a port, like 192.0.2.1:5000 or [2001:db8::1]:5000";
    let address: Option<At<SocketAddr>> = r.parse(t, "address", what);
    if let Some(address) = &address {
        match seen.get(&address.value) {
            Some(first) => r.repeated("address", address.span.clone(), first.clone()),
            None => _ = seen.insert(address.value, address.span.clone()),
        }
    }
    let views = [
        ("adj_rib_in_pre", BmpView::AdjRibInPre),
        ("adj_rib_in_post", BmpView::AdjRibInPost),
        ("adj_rib_out_pre", BmpView::AdjRibOutPre),
        ("adj_rib_out_post", BmpView::AdjRibOutPost),
        ("loc_rib", BmpView::LocRib),
    ];
    let monitor = r.strings(t, "monitor").map(|listed| {
        let known = listed.value.into_iter().filter_map(|v| r.choice_text("monitor", v, &views));
        known.map(|v| v.value).collect()
    });
    let reconnect_interval = seconds(r, t, "reconnect_interval", 30);
    let stats_interval = seconds(r, t, "stats_interval", 60);
    let mirror = r.boolean(t, "mirror").is_some_and(|b| b.value);
    Some(BmpCollector {
        address: address?.value,
        reconnect_interval,
        monitor: monitor.unwrap_or_else(|| vec![BmpView::AdjRibInPre]),
        stats_interval,
        mirror,
    })
}

/// Reads `[mrt]`.
pub(super) fn mrt<'s>(r: &mut Reader<'s>, root: &Table<'s>) -> Option<Mrt> {
    let t = r.table(root, "mrt", "[mrt]")?;
    r.check_keys(&t, &[keys::MRT], None);
    r.require(&t, &["output_dir"]);
    let output_dir = r.text(&t, "output_dir");
    let dump_interval = seconds(r, &t, "dump_interval", 7200);
    let compress = r.boolean(&t, "compress").is_some_and(|b| b.value);
    let prefix = r.text(&t, "file_prefix");
    let rule = "must not contain a `/`";
    let prefix = r.keep("file_prefix", prefix, rule, |p| !p.contains('/'));
    let updates = r.boolean(&t, "updates").is_some_and(|b| b.value);
    let updates_interval = seconds(r, &t, "updates_interval", 900);
    Some(Mrt {
        output_dir: output_dir?.value.into(),
        dump_interval,
        compress,
        file_prefix: prefix.map_or("rib", |p| p.value).to_owned(),
        updates,
        updates_interval,
    })
}
