//! What the parts of the tables cost: attribute sets interned, the decision process, routes applied and sent,
//! lookups.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, missing_docs, reason = "a benchmark")]

mod feed;

use std::hint::black_box;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use bgp::NextHop;
use bgp::attr::canonical::{Summary, summarize};
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use feed::{Feed, attributes, twenty_statements};
use ipnet::Ipv4Net;
use rib::{Attrs, Candidate, HashKey, Query, QueryTable, best};

const SETS: u32 = 20_000;
const PREFIXES: u32 = 100_000;

fn intern(c: &mut Criterion) {
    let key = HashKey::default();
    let next_hop = NextHop::V4(Ipv4Addr::new(192, 0, 2, 1));
    let sets: Vec<(Vec<u8>, Summary)> = (0..SETS)
        .map(|n| attributes(65001, n))
        .map(|octets| {
            let summary = summarize(&octets);
            (octets, summary)
        })
        .collect();
    let all = |attrs: &mut Attrs| {
        for (octets, summary) in &sets {
            black_box(attrs.intern(key.set(octets, next_hop), octets, next_hop, summary));
        }
    };
    let mut group = c.benchmark_group("intern");
    group.throughput(Throughput::Elements(SETS.into()));
    group.bench_function("new set", |b| {
        b.iter_batched(
            Attrs::default,
            |mut attrs| {
                all(&mut attrs);
                attrs
            },
            BatchSize::PerIteration,
        );
    });
    let mut attrs = Attrs::default();
    group.bench_function("known set", |b| b.iter(|| all(&mut attrs)));
    group.finish();
}

fn decide(c: &mut Criterion) {
    let mut group = c.benchmark_group("decide");
    for paths in [1_u32, 2, 30] {
        // Alike up to the identifier of the router: every step is taken.
        let candidates: Vec<Candidate> = (0..paths)
            .map(|n| Candidate {
                long_lived: false,
                stale: false,
                local_pref: 100,
                local: false,
                path_len: 4,
                origin: 0,
                med: 0,
                neighbor_as: 65001 + n,
                external: true,
                cluster_list_len: 0,
                router_id: 100 - n,
                address: n.into(),
                path_id: 0,
            })
            .collect();
        group.bench_function(BenchmarkId::new("paths", paths), |b| {
            b.iter(|| best(black_box(&candidates), false));
        });
    }
    group.finish();
}

/// Runs `timed` after `before`, and counts only the first.
fn time<T>(
    iterations: u64,
    state: &mut T,
    mut before: impl FnMut(&mut T, u64),
    mut timed: impl FnMut(&mut T, u64),
) -> Duration {
    let mut sum = Duration::ZERO;
    for i in 0..iterations {
        before(state, i);
        let begin = Instant::now();
        timed(state, i);
        sum += begin.elapsed();
    }
    sum
}

fn apply(c: &mut Criterion) {
    let mut group = c.benchmark_group("apply");
    group.throughput(Throughput::Elements(PREFIXES.into()));
    let fresh = |import| {
        let mut feed = Feed::new();
        let peer = feed.peer_behind(import);
        let batch = feed.announced(peer, PREFIXES, 0);
        (feed, peer, batch)
    };
    for (name, import) in
        [("new prefix", None), ("new prefix behind twenty statements", Some(twenty_statements()))]
    {
        group.bench_function(name, |b| {
            b.iter_batched(
                || fresh(import.clone()),
                |(mut feed, _, batch)| {
                    feed.rib.apply(&batch, 0);
                    feed
                },
                BatchSize::PerIteration,
            );
        });
    }
    let (mut feed, peer, same) = fresh(None);
    let other = feed.announced(peer, PREFIXES, SETS);
    feed.rib.apply(&same, 0);
    group.bench_function("same route again", |b| b.iter(|| feed.rib.apply(&same, 0)));
    group.bench_function("other attributes", |b| {
        b.iter_custom(|n| time(n, &mut feed, |f, _| f.rib.apply(&same, 0), |f, _| f.rib.apply(&other, 0)));
    });
    group.finish();
}

fn flush(c: &mut Criterion) {
    let mut group = c.benchmark_group("flush");
    group.throughput(Throughput::Elements(PREFIXES.into()));
    for members in [1, 50] {
        let mut feed = Feed::new();
        let source = feed.peer();
        (0..members).for_each(|_| {
            feed.peer();
        });
        feed.flush();
        let batches = [0, SETS].map(|first| feed.announced(source, PREFIXES, first));
        feed.rib.apply(&batches[1], 0);
        assert!(feed.flush() > 0);
        let mut turn = 0;
        group.bench_function(BenchmarkId::new("members", members), |b| {
            b.iter_custom(|n| {
                let change = |f: &mut Feed, _| {
                    f.rib.apply(&batches[turn % 2], 0);
                    turn += 1;
                };
                time(n, &mut feed, change, |f, _| assert!(f.flush() > 0))
            });
        });
    }
    group.finish();
}

fn lookup(c: &mut Criterion) {
    let mut feed = Feed::new();
    let peer = feed.peer();
    let batch = feed.announced(peer, PREFIXES, 0);
    feed.rib.apply(&batch, 0);
    let query = |n: u32| Query {
        table: QueryTable::LocRib,
        family: None,
        prefix: Some(Ipv4Net::new_assert(Ipv4Addr::from_bits(n.wrapping_mul(40_503) << 8), 24).into()),
        longer: false,
        origin_asn: 0,
        communities: vec![],
        large_communities: vec![],
        after: None,
        limit: 1,
    };
    let mut n = 0;
    c.bench_function("lookup/one prefix with its route", |b| {
        b.iter(|| {
            n = (n + 7_919) % PREFIXES;
            feed.rib.begin_query(1, query(n));
            loop {
                if let Some((_, page)) = feed.rib.query_step() {
                    assert_eq!(page.routes.len(), 1);
                    break;
                }
            }
        });
    });
}

criterion_group!(benches, intern, decide, apply, flush, lookup);
criterion_main!(benches);
