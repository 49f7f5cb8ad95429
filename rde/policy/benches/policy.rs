//! What policies cost: prefix sets of 100,000 entries, expressions over paths by both ways, a policy of twenty
//! statements, applying changes.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, missing_docs, reason = "a benchmark")]

use std::collections::HashMap;
use std::hint::black_box;

use bgp::attr::PathAttribute;
use bgp::attr::canonical::{Builder, Canonical, summarize};
use bgp::community::{Community, LargeCommunity};
use bgp::{Asn, NextHop, aspath::AsPathBuf};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use policy::{
    Action, AsPathTest, AsSet, Assigned, Chain, Change, Context, Definitions, Explanation, Match, Named,
    Policies, PolicyDef, PrefixRange, PrefixSet, Route, RouteType, Scratch, Silent, StatementDef,
};

/// The same numbers in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

/// Lengths as in the tables of the Internet: most are 24 (48).
fn v4(random: &mut Random) -> IpNet {
    let n = random.next();
    let len = if n % 10 < 6 { 24 } else { 16 + (n >> 8) as u8 % 8 };
    Ipv4Net::new(((n >> 32) as u32).into(), len).unwrap().trunc().into()
}

fn v6(random: &mut Random) -> IpNet {
    let n = random.next();
    let len = if n % 10 < 5 { 48 } else { 28 + (n >> 8) as u8 % 20 };
    Ipv6Net::new((u128::from(n >> 4 | 2 << 60) << 64).into(), len).unwrap().trunc().into()
}

/// One hash table for both, a look-up for each length that there is: the usual other way.
struct ByLength {
    lengths: Vec<u8>,
    ranges: HashMap<IpNet, (u8, u8)>,
}

impl ByLength {
    fn new(ranges: &[PrefixRange]) -> ByLength {
        let mut lengths: Vec<u8> = ranges.iter().map(|r| r.prefix().prefix_len()).collect();
        lengths.sort_unstable();
        lengths.dedup();
        // A prefix may be there twice; all ranges begin at their own length.
        let mut by_prefix: HashMap<IpNet, (u8, u8)> = HashMap::new();
        for range in ranges {
            let known = by_prefix.entry(range.prefix()).or_insert((*range.lengths().start(), 0));
            known.1 = known.1.max(*range.lengths().end());
        }
        ByLength { lengths, ranges: by_prefix }
    }

    fn contains(&self, prefix: IpNet) -> bool {
        self.lengths.iter().take_while(|len| **len <= prefix.prefix_len()).any(|len| {
            let outer = match prefix {
                IpNet::V4(n) => IpNet::from(Ipv4Net::new(n.network(), *len).unwrap().trunc()),
                IpNet::V6(n) => IpNet::from(Ipv6Net::new(n.network(), *len).unwrap().trunc()),
            };
            self.ranges.get(&outer).is_some_and(|(ge, le)| (*ge..=*le).contains(&prefix.prefix_len()))
        })
    }
}

fn prefix_sets(c: &mut Criterion) {
    let mut group = c.benchmark_group("prefix set of 100,000");
    for (family, random_prefix) in [("IPv4", v4 as fn(&mut Random) -> IpNet), ("IPv6", v6)] {
        let mut random = Random(0x1234_5678_9abc_def1);
        let ranges: Vec<PrefixRange> = (0..100_000_u32)
            .map(|n| {
                let prefix = random_prefix(&mut random);
                let le = (n % 3 == 0).then_some(prefix.prefix_len() + 4);
                PrefixRange::new(prefix, None, le).unwrap()
            })
            .collect();
        // Half of what is asked for is there.
        let asked: Vec<IpNet> = (0..4096)
            .map(|n| {
                if n % 2 == 0 {
                    ranges[random.next() as usize % ranges.len()].prefix()
                } else {
                    random_prefix(&mut random)
                }
            })
            .collect();
        let set: PrefixSet = ranges.iter().collect();
        let other = ByLength::new(&ranges);
        for prefix in &asked {
            assert_eq!(set.contains(*prefix), other.contains(*prefix));
        }
        println!("{family}: {} octets", set.memory());
        group.throughput(Throughput::Elements(asked.len() as u64));
        group.bench_function(format!("{family}, intervals"), |b| {
            b.iter(|| asked.iter().filter(|p| set.contains(**p)).count());
        });
        group.bench_function(format!("{family}, hash table by length"), |b| {
            b.iter(|| asked.iter().filter(|p| other.contains(**p)).count());
        });
        group.throughput(Throughput::Elements(ranges.len() as u64));
        group.bench_function(format!("{family}, made"), |b| {
            b.iter(|| ranges.iter().collect::<PrefixSet>());
        });
    }
    group.finish();
}

fn as_sets(c: &mut Criterion) {
    let mut random = Random(77);
    let asns: Vec<u32> = (0..100_000).map(|_| random.next() as u32).collect();
    let set: AsSet = asns.iter().copied().collect();
    let asked: Vec<u32> = (0..4096)
        .map(|n| if n % 2 == 0 { asns[random.next() as usize % asns.len()] } else { random.next() as u32 })
        .collect();
    let mut group = c.benchmark_group("AS set of 100,000");
    group.throughput(Throughput::Elements(asked.len() as u64));
    group.bench_function("asked", |b| b.iter(|| asked.iter().filter(|a| set.contains(**a)).count()));
    group.finish();
}

fn expressions(c: &mut Criterion) {
    let mut random = Random(99);
    let paths: Vec<AsPathBuf> = (0..1024)
        .map(|_| {
            let len = 3 + random.next() % 4;
            AsPathBuf::sequence((0..len).map(|_| Asn(1 + random.next() as u32 % 70_000)))
        })
        .collect();
    let mut group = c.benchmark_group("expression on a path of 3 to 6");
    group.throughput(Throughput::Elements(paths.len() as u64));
    for expression in
        ["^65001_", "_65001$", "_65001_", "^65001$", "_(174|701|1299|2914|3257|3320|3356|6453|6762|6939)_"]
    {
        let short = AsPathTest::new(expression).unwrap();
        let engine = AsPathTest::with_engine(expression).unwrap();
        assert!(short.is_short());
        println!("{expression}: {} and {} octets", short.memory(), engine.memory());
        group.bench_function(format!("{expression}, short way"), |b| {
            b.iter(|| paths.iter().filter(|p| short.is_match(p.as_path())).count());
        });
        group.bench_function(format!("{expression}, automaton"), |b| {
            b.iter(|| paths.iter().filter(|p| engine.is_match(p.as_path())).count());
        });
    }
    let private = AsPathTest::new("_(6451[2-9]|645[2-9][0-9]|64[6-9][0-9]{2}|65[0-9]{3})_").unwrap();
    println!("private AS numbers: {} octets", private.memory());
    group.bench_function("private AS numbers, automaton", |b| {
        b.iter(|| paths.iter().filter(|p| private.is_match(p.as_path())).count());
    });
    group.finish();
}

fn statement(action: Action, matches: Vec<Match>, changes: Vec<Change>) -> StatementDef {
    StatementDef { name: None, line: 0, action, matches, changes }
}

/// What an import policy of a transit session has: bogons, long prefixes, long paths, private AS numbers, leaks, black
/// holes, marks. Nearly every route goes through all of it to the last statement.
fn transit(prefixes: bool) -> Definitions {
    use Action::{Deny, Permit};
    let communities = |list: &[&str]| list.iter().map(|c| c.parse().unwrap()).collect::<Vec<_>>();
    let path = |text: &str| vec![Match::AsPath(text.to_owned())];
    let mut statements = Vec::new();
    if prefixes {
        let range = |text: &str| vec![Match::Prefix(text.parse::<PrefixRange>().unwrap())];
        statements.extend([
            statement(Deny, vec![Match::PrefixSet("bogons".to_owned())], vec![]),
            statement(Deny, range("0.0.0.0/0 ge 25"), vec![]),
            statement(Deny, range("::/0 ge 49"), vec![]),
            statement(Deny, vec![Match::PrefixSet("ours".to_owned())], vec![]),
        ]);
    }
    statements.extend([
        statement(Deny, vec![Match::AsPathLengthGe(64)], vec![]),
        statement(Deny, path("_(64512|64513|65000|65534)_"), vec![]),
        statement(Deny, path("_23456_"), vec![]),
        statement(Deny, path("_(6451[2-9]|645[2-9][0-9]|64[6-9][0-9]{2}|65[0-9]{3})_"), vec![]),
        statement(Deny, path("_(701|2914|3257|3320|6453|6762|7018)_"), vec![]),
        statement(
            Permit,
            vec![Match::Communities(communities(&["BLACKHOLE"]))],
            vec![Change::LocalPref(500)],
        ),
        statement(Permit, vec![Match::Communities(communities(&["65001:70"]))], vec![Change::LocalPref(70)]),
        statement(Permit, vec![Match::Communities(communities(&["65001:80"]))], vec![Change::LocalPref(80)]),
        statement(Permit, vec![Match::Communities(communities(&["65001:90"]))], vec![Change::LocalPref(90)]),
        statement(Permit, vec![Match::Communities(communities(&["LC:65001:1:*"]))], vec![Change::Med(1)]),
        statement(Permit, vec![Match::Communities(communities(&["65001:*", "65002:1"]))], vec![]),
        statement(Permit, path("^65010_65011_"), vec![Change::LocalPref(110)]),
        statement(Permit, path("_65012$"), vec![Change::LocalPref(120)]),
        statement(Permit, vec![Match::OriginAsSet("customers".to_owned())], vec![Change::LocalPref(200)]),
        statement(Permit, vec![Match::NeighborSet("backup".to_owned())], vec![Change::LocalPref(60)]),
        statement(Permit, vec![Match::MedGe(1000)], vec![Change::Med(1000)]),
    ]);
    while statements.len() < 19 {
        statements.push(statement(Permit, vec![Match::LocalPrefGe(10_000)], vec![]));
    }
    statements.push(statement(
        Permit,
        vec![Match::AsPathLengthGe(0)],
        vec![
            Change::LocalPref(100),
            Change::RemoveCommunities(communities(&["65001:*"])),
            Change::AddCommunities(communities(&["65001:1000", "LC:65001:2:3"])),
        ],
    ));
    assert!((20..=21).contains(&statements.len()));
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let ranges = |random: &mut Random, n: u32| {
        (0..n).map(|_| PrefixRange::new(v4(random), None, None).unwrap()).collect::<Vec<_>>()
    };
    Definitions {
        inline: vec![PolicyDef { name: "transit".to_owned(), default_action: Deny, statements }],
        prefix_sets: vec![
            Named {
                name: "bogons".to_owned(),
                value: ["10.0.0.0/8 le 32", "192.168.0.0/16 le 32", "224.0.0.0/3 le 32"]
                    .map(|r| r.parse().unwrap())
                    .to_vec(),
            },
            Named { name: "ours".to_owned(), value: ranges(&mut random, 200) },
        ],
        as_sets: vec![Named {
            name: "customers".to_owned(),
            value: (0..2000).map(|n| 100_000 + 3 * n).collect(),
        }],
        neighbor_sets: vec![Named { name: "backup".to_owned(), value: Default::default() }],
        ..Definitions::default()
    }
}

fn compiled(definitions: &Definitions) -> Chain {
    Policies::compile(definitions).unwrap().assigned(&Assigned::Inline(0)).unwrap().unwrap()
}

/// Attribute sets as transit sends them.
fn sets(count: usize) -> Vec<Vec<u8>> {
    let mut random = Random(3);
    (0..count)
        .map(|_| {
            let len = 3 + random.next() % 4;
            let path = AsPathBuf::sequence((0..len).map(|_| Asn(200_000 + random.next() as u32 % 70_000)));
            let communities = (0..random.next() % 12)
                .map(|_| Community((3356 << 16) | (random.next() as u32 % 5000)))
                .collect();
            let mut builder = Builder::new()
                .with(PathAttribute::AsPath(path))
                .with(PathAttribute::Communities(communities));
            if random.next().is_multiple_of(4) {
                let large = (0..3).map(|n| LargeCommunity(3356, n, random.next() as u32)).collect();
                builder.set(PathAttribute::LargeCommunities(large));
            }
            builder.build()
        })
        .collect()
}

fn twenty_statements(c: &mut Criterion) {
    let sets = sets(1024);
    let mut random = Random(0xd1b5_4a32_d192_ed03);
    let next_hop = NextHop::V4([192, 0, 2, 1].into());
    let routes: Vec<Route<'_>> = sets
        .iter()
        .map(|octets| Route::new(v4(&mut random), Canonical::new(octets), &summarize(octets), next_hop, RouteType::External))
        .filter(|r| !matches!(r.prefix, IpNet::V4(n) if n.network().octets()[0] == 10 || n.network().octets()[0] >= 192))
        .collect();
    let context = Context::default();
    let mut group = c.benchmark_group("a policy of 20 statements");
    group.throughput(Throughput::Elements(routes.len() as u64));
    for (name, prefixes) in [("decided", true), ("decided, no prefixes", false)] {
        let chain = compiled(&transit(prefixes));
        assert_eq!(chain.looks().is_per_attribute_set(), !prefixes);
        let mut scratch = Scratch::default();
        group.bench_function(name, |b| {
            b.iter(|| {
                for route in &routes {
                    let outcome = chain.evaluate(black_box(route), &context, &mut scratch, &mut Silent);
                    assert!(outcome.changes);
                }
            });
        });
    }
    let chain = compiled(&transit(true));
    let mut scratch = Scratch::default();
    let mut out = Vec::new();
    group.bench_function("decided and applied", |b| {
        b.iter(|| {
            for route in &routes {
                chain.evaluate(black_box(route), &context, &mut scratch, &mut Silent);
                out.clear();
                black_box(chain.apply(route, &mut scratch, &mut out));
            }
        });
    });
    group.throughput(Throughput::Elements(16));
    group.bench_function("explained", |b| {
        b.iter(|| {
            for route in routes.iter().take(16) {
                black_box(Explanation::of(&chain, route, &context, &mut scratch));
            }
        });
    });
    group.finish();
}

criterion_group!(benches, prefix_sets, as_sets, expressions, twenty_statements);
criterion_main!(benches);
