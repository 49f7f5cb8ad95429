//! `flap`: a full table goes and comes back, again and again. What the daemon holds must not grow.

use crate::run::{QUIET, Run, secs};
use serde_json::json;
use std::sync::Arc;
use std::time::Instant;

/// How often, at full size: the others take several times as long for each.
const OURS: usize = 100;
const OTHERS: usize = 10;
const SMALL: usize = 20;

pub fn run(r: &mut Run, gone: &Arc<Vec<u8>>) -> Result<(), String> {
    let default = match (r.o.full, r.name) {
        (false, _) => SMALL,
        (true, "ours") => OURS,
        (true, _) => OTHERS,
    };
    let flaps = r.o.flaps.unwrap_or(default);
    let all = r.plan.peers[1].expects.unwrap_or(0);
    let table = r.plan.peers[0].stream.clone();
    // `load` has just waited two seconds.
    let first = r.usage().pss_mb;
    let (mut withdraw, mut announce, mut settled) = (vec![], vec![], first);
    let cpu = r.cpu();
    for n in 1..=flaps {
        withdraw.push(change(r, gone, 0, n)?);
        announce.push(change(r, &table, all, n)?);
    }
    let cpu = r.cpu() - cpu;
    if flaps > 0 {
        r.pause(QUIET)?;
        settled = r.usage().pss_mb;
    }
    change(r, gone, 0, flaps + 1)?;
    r.pause(QUIET)?;
    let empty = r.usage().pss_mb;
    let total = withdraw.iter().chain(&announce).sum::<f64>();
    r.note("flaps", flaps);
    r.note("flap_s", total / flaps.max(1) as f64);
    r.note("flap_cpu_s", cpu / flaps.max(1) as f64);
    r.note("withdraw_s", json!(withdraw));
    r.note("announce_s", json!(announce));
    r.note("first_pss_mb", first);
    r.note("last_pss_mb", settled);
    r.note("growth", settled / first);
    r.note("empty_pss_mb", empty);
    Ok(())
}

/// Sends a stream and waits until the receiver has exactly so many prefixes; the seconds that it took.
fn change(r: &mut Run, stream: &Arc<Vec<u8>>, until: u32, flap: usize) -> Result<f64, String> {
    let t0 = Instant::now();
    r.e.send(0, stream.clone());
    let limit = r.o.limit;
    r.turn("flapping", limit, &mut |e| e.peers[1].rx.present.count == until).map_err(|x| {
        format!("{x} (flap {flap}, {} prefixes instead of {until})", r.e.peers[1].rx.present.count)
    })?;
    Ok(r.e.peers[1].rx.last_change.map_or(0.0, |t| secs(t0, t)))
}
