//! How fast UPDATEs are read and brought into canonical form: a full table's transfer (RIPE NCC's capture
//! of 2015), and a morning's churn.
#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark: its input is in the project")]

use std::hint::black_box;
use std::io::Read;

use bgp::attr::canonical;
use bgp::update::{ReadContext, parse};
use bgp::{Family, FamilySet};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

/// The bodies of the UPDATEs with 4-octet AS numbers in an MRT file (RFC 6396 §4.4).
fn updates(name: &str) -> Vec<Vec<u8>> {
    let path = format!("{}/tests/data/mrt/{name}", env!("CARGO_MANIFEST_DIR"));
    let mut file = Vec::new();
    flate2::read::MultiGzDecoder::new(std::fs::File::open(path).unwrap()).read_to_end(&mut file).unwrap();
    let number = |b: &[u8]| b.iter().fold(0usize, |n, b| n << 8 | usize::from(*b));
    let mut rest = &file[..];
    let mut out = Vec::new();
    while rest.len() >= 12 {
        let (head, tail) = rest.split_at(12);
        let (mut record, tail) = tail.split_at(number(&head[8..12]));
        rest = tail;
        match (number(&head[4..6]), number(&head[6..8])) {
            (16, 4) => {}
            (17, 4) => record = &record[4..],
            _ => continue,
        }
        let addresses = if number(&record[10..12]) == 1 { 8 } else { 32 };
        let message = &record[12 + addresses..];
        if message[18] == 2 {
            out.push(message[19..].to_vec());
        }
    }
    out
}

fn decode(c: &mut Criterion) {
    let families: FamilySet = [Family::Ipv4Unicast, Family::Ipv6Unicast].into_iter().collect();
    let ctx = ReadContext { four_octet_as: true, external: false, families, add_path: FamilySet::EMPTY };
    for name in ["updates.et-header.2015.cut.gz", "updates.20100722.2015.gz"] {
        let bodies = updates(name);
        let mut group = c.benchmark_group(name);
        group.throughput(Throughput::Elements(u64::try_from(bodies.len()).unwrap()));
        let read = |with_canonical: bool, out: &mut Vec<u8>| {
            let mut sum = 0usize;
            for body in &bodies {
                let Ok(update) = parse(black_box(body), &ctx) else { continue };
                let v4 = update.withdrawn.ipv4().chain(update.announced.ipv4());
                sum += v4.map(|(_, p)| usize::from(p.prefix_len())).sum::<usize>();
                let v6 = update.mp_reach.iter().chain(&update.mp_unreach).flat_map(|n| n.ipv6());
                sum += v6.map(|(_, p)| usize::from(p.prefix_len())).sum::<usize>();
                if with_canonical {
                    out.clear();
                    sum += usize::from(canonical::write(&update.attributes, &ctx, out).path_len);
                }
            }
            sum
        };
        let mut out = Vec::new();
        group.bench_function("parse", |b| b.iter(|| read(false, &mut out)));
        group.bench_function("parse and canonical form", |b| b.iter(|| read(true, &mut out)));
        group.finish();
    }
}

criterion_group!(benches, decode);
criterion_main!(benches);
