//! One shard with peers, and UPDATEs for it.

use std::net::Ipv4Addr;
use std::sync::Arc;

use bgp::aspath::AsPathBuf;
use bgp::attr::canonical::Builder;
use bgp::attr::{Origin, PathAttribute, code, flags, write_attribute};
use bgp::update::{ReadContext, parse};
use bgp::{Asn, Family, FamilySet};
use policy::{
    Action, Assigned, Change, Definitions, Match, Named, Peer, Policies, PolicyDef, PrefixRange, StatementDef,
};
use rib::{Batch, HashKey, Intake, Limits, PeerIdx, PeerInfo, PeerPolicy, Rib, Settings, Sink, Target};

/// Prefixes of an UPDATE: what full tables have on average.
const PER_UPDATE: u32 = 5;

/// Attribute set `n`: seven or so hops, as full tables have them, with communities.
pub(crate) fn attributes(source: u32, n: u32) -> Vec<u8> {
    let path = [source, 3356, 1299 + n % 50, 6939, 65_536 + n].map(Asn);
    let builder = Builder::new()
        .with(PathAttribute::Origin(Origin::Igp))
        .with(PathAttribute::AsPath(AsPathBuf::sequence(path)));
    let mut out = builder.build();
    let communities: Vec<u8> = (0..6).flat_map(|c| (3356 << 16 | (n + c) & 0xfff).to_be_bytes()).collect();
    write_attribute(&mut out, flags::OPTIONAL | flags::TRANSITIVE, code::COMMUNITIES, &communities);
    out
}

/// Throws away what is sent.
#[derive(Default)]
pub(crate) struct Count {
    buffer: Vec<u8>,
    pub(crate) octets: usize,
}

impl Sink for Count {
    fn begin(&mut self, _: Target) -> &mut Vec<u8> {
        self.buffer.clear();
        &mut self.buffer
    }

    fn end(&mut self) {
        self.octets += self.buffer.len();
    }

    fn join(&mut self, _: u32, _: PeerIdx) {}

    fn leave(&mut self, _: u32, _: PeerIdx) {}

    fn end_of_rib(&mut self, _: PeerIdx, _: Family) {}

    fn refreshed(&mut self, _: PeerIdx, _: Family) {}

    fn forgotten(&mut self, _: PeerIdx) {}

    fn is_full(&self) -> bool {
        false
    }
}

/// An intake and one shard.
pub(crate) struct Feed {
    intake: Intake,
    pub(crate) rib: Rib,
    peers: u16,
}

impl Feed {
    pub(crate) fn new() -> Feed {
        // Nobody is slow.
        let limits = Limits { soft: u64::MAX, hard: u64::MAX, stalled: u64::MAX };
        let settings =
            Settings { asn: 65000, router_id: 1, cluster_id: 1, med_always_compare: false, limits };
        let key = HashKey::default();
        Feed { intake: Intake::new(settings, key.clone(), 1), rib: Rib::new(settings, key, 0, 1), peers: 0 }
    }

    /// A peer of AS 65001 and so on.
    pub(crate) fn peer(&mut self) -> PeerIdx {
        self.peer_behind(None)
    }

    /// The same, with an import policy.
    pub(crate) fn peer_behind(&mut self, import: Option<Arc<PeerPolicy>>) -> PeerIdx {
        self.peers += 1;
        let n = u32::from(self.peers);
        let info = PeerInfo {
            router_id: n,
            families: FamilySet::EMPTY.with(Family::Ipv4Unicast),
            self_v4: Some(Ipv4Addr::new(192, 0, 2, 254)),
            import,
            ..PeerInfo::new(Some(self.peers), Ipv4Addr::from_bits(0xc000_0200 + n).into(), 65000 + n, 65000)
        };
        let (idx, info, flow) = self.intake.peer_up(info, 0).unwrap();
        self.rib.peer_up(idx, info, Arc::clone(&flow));
        idx
    }

    /// A batch in which a peer announces `prefixes` /24s, with the attribute sets from `first` on.
    pub(crate) fn announced(&self, peer: PeerIdx, prefixes: u32, first: u32) -> Batch {
        let asn = 65000 + u32::try_from(peer.index()).unwrap();
        let families = FamilySet::EMPTY.with(Family::Ipv4Unicast);
        let ctx = ReadContext { four_octet_as: true, external: true, families, add_path: FamilySet::EMPTY };
        let mut batch = self.intake.batch();
        for n in 0..prefixes / PER_UPDATE {
            // NEXT_HOP stands between AS_PATH and the optional attributes on the wire, as peers send it.
            let mut list = attributes(asn, first + n);
            write_attribute(&mut list, flags::WELL_KNOWN, code::NEXT_HOP, &[192, 0, 2, 1]);
            let mut body = vec![0, 0];
            body.extend(u16::try_from(list.len()).unwrap().to_be_bytes());
            body.extend(list);
            for p in n * PER_UPDATE..(n + 1) * PER_UPDATE {
                // Odd steps, so that neighbours in the batch are not neighbours in the table.
                let [_, a, b, c] = (p.wrapping_mul(40_503) & 0xff_ffff).to_be_bytes();
                body.extend([24, a, b, c]);
            }
            let update = parse(&body, &ctx).unwrap();
            let applied = self.intake.take(peer, &update, &ctx, &mut batch);
            assert!(!applied.looped && !applied.treated_as_withdraw, "{:?}", update.faults);
        }
        assert_eq!(batch.len() as u64, u64::from(prefixes));
        batch
    }

    /// Sends all that there is to send; the octets.
    pub(crate) fn flush(&mut self) -> usize {
        let mut sink = Count::default();
        while self.rib.work(0, &mut sink) {}
        sink.octets
    }
}

/// An import policy of twenty statements that takes all routes of [`attributes`], and changes them in the last: that of the
/// scenario `transit-policy`.
pub(crate) fn twenty_statements() -> Arc<PeerPolicy> {
    use Action::{Deny, Permit};
    let statement = |action, matches, changes| StatementDef { name: None, line: 0, action, matches, changes };
    let communities = |text: &str| vec![text.parse().unwrap()];
    let deny = |of: Match| statement(Deny, vec![of], Vec::new());
    let range = |text: &str| text.parse::<PrefixRange>().unwrap();
    let path = |text: &str| Match::AsPath(text.to_owned());
    let mut statements = vec![
        deny(Match::PrefixSet("bogons".to_owned())),
        deny(Match::Prefix(range("0.0.0.0/0 ge 25"))),
        deny(Match::Prefix(range("0.0.0.0/0"))),
        deny(Match::OriginAsSet("nobodys".to_owned())),
        deny(path("_4200000010_")),
        deny(path("_4200000011_")),
        deny(path("_(4200000001|4200000002|4200000003)_")),
        deny(Match::AsPathLengthGe(200)),
        deny(Match::Communities(communities("65000:666"))),
        deny(Match::Communities(communities("LC:65000:666:*"))),
        deny(Match::MedGe(4_000_000_000)),
    ];
    statements.extend([70, 80, 90, 95, 105, 110, 120, 130].map(|n| {
        let of = vec![Match::Communities(communities(&format!("65000:{n}")))];
        statement(Permit, of, vec![Change::LocalPref(n)])
    }));
    let changes = vec![
        Change::LocalPref(100),
        Change::RemoveCommunities(communities("65000:*")),
        Change::AddCommunities(communities("65000:1000")),
    ];
    statements.push(statement(Permit, vec![Match::AsPathLengthGe(1)], changes));
    assert_eq!(statements.len(), 20);
    // Some of the prefixes of `announced` lie there.
    let bogons = ["127.0.0.0/8 le 32", "192.168.0.0/16 le 32", "224.0.0.0/3 le 32"].map(range).to_vec();
    let nobodys = vec![1, 4_200_000_000, 4_200_000_004, 4_200_000_005, 4_294_967_294, 4_294_967_295];
    let policies = Policies::compile(&Definitions {
        inline: vec![PolicyDef { name: "in".to_owned(), default_action: Deny, statements }],
        prefix_sets: vec![Named { name: "bogons".to_owned(), value: bogons }],
        as_sets: vec![Named { name: "nobodys".to_owned(), value: nobodys }],
        ..Definitions::default()
    });
    let policies = policies.unwrap();
    let chain = policies.assigned(&Assigned::Inline(0)).unwrap().unwrap();
    let who = Peer { address: Ipv4Addr::LOCALHOST.into(), remote_asn: 65001, peer_group: None };
    Arc::new(PeerPolicy::new(chain, policies.context(&who)))
}
