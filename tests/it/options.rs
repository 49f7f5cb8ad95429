//! What a neighbor's options change, and 2-octet speakers: octet by octet with a speaker that says what a test wants.

use std::net::IpAddr;

use bgpbench::bgp;
use lab::{Lab, Neighbor, Origin, Pairs, Result, Route, Rustbgpd, Speaker, wait};

const US: u32 = 65001;
const PEER: u32 = 65002;
const FAR: u32 = 4_200_000_001;
const AS_TRANS: u16 = 23456;
const ID: [u8; 4] = [10, 0, 0, 2];

fn neighbor(n: u8) -> Neighbor {
    Neighbor::new(&Pairs::theirs(n).to_string(), PEER).set("passive", true).set("hold_time", 90)
}

fn start(pairs: &Pairs, neighbors: &[Neighbor]) -> Result<Rustbgpd> {
    Rustbgpd::start(&pairs.us, &Rustbgpd::configuration(US, "10.0.0.1", neighbors))
}

fn message(kind: u8, body: &[u8]) -> Result<Vec<u8>> {
    let length = u16::try_from(bgp::HEADER + body.len())?;
    Ok([&[0xff; 16], length.to_be_bytes().as_slice(), &[kind], body].concat())
}

/// An attribute with a length of one octet.
fn attribute(flags: u8, code: u8, value: &[u8]) -> Vec<u8> {
    [&[flags, code, u8::try_from(value.len()).unwrap_or_default()], value].concat()
}

/// AS_PATH or AS4_PATH with numbers of four octets.
fn path(asns: &[u32]) -> Vec<u8> {
    let octets = asns.iter().flat_map(|a| a.to_be_bytes());
    [2, u8::try_from(asns.len()).unwrap_or_default()].into_iter().chain(octets).collect()
}

/// AS_PATH with numbers of two octets.
fn short_path(asns: &[u16]) -> Vec<u8> {
    let octets = asns.iter().flat_map(|a| a.to_be_bytes());
    [2, u8::try_from(asns.len()).unwrap_or_default()].into_iter().chain(octets).collect()
}

/// An UPDATE for 10.`third`.0.0/16 with these octets as AS_PATH, and `more` attributes.
fn update(third: u8, as_path: &[u8], next_hop: IpAddr, more: &[u8]) -> Result<Vec<u8>> {
    let IpAddr::V4(next_hop) = next_hop else { return lab::Error::fail("an IPv4 next hop".to_owned()) };
    let attributes = [
        attribute(0x40, 1, &[0]),
        attribute(0x40, 2, as_path),
        attribute(0x40, 3, &next_hop.octets()),
        more.to_vec(),
    ]
    .concat();
    let len = u16::try_from(attributes.len())?;
    message(bgp::UPDATE, &[&[0, 0], len.to_be_bytes().as_slice(), &attributes, &[16, 10, third]].concat())
}

/// The value of an attribute of the next UPDATE that announces something.
fn announced(speaker: &mut Speaker, code: u8) -> Result<Option<Vec<u8>>> {
    loop {
        let body = speaker.expect(bgp::UPDATE)?.body;
        let [0, 0, high, low, rest @ ..] = body.as_slice() else { continue };
        let mut list = rest.get(..usize::from(*high) << 8 | usize::from(*low)).unwrap_or_default();
        if list.is_empty() {
            continue;
        }
        while let [flags, found, rest @ ..] = list {
            let (len, rest) = match (flags & 0x10 != 0, rest) {
                (true, [high, low, rest @ ..]) => (usize::from(*high) << 8 | usize::from(*low), rest),
                (false, [len, rest @ ..]) => (usize::from(*len), rest),
                _ => return lab::Error::fail(format!("an UPDATE that ends early: {body:?}")),
            };
            if *found == code {
                return Ok(rest.get(..len).map(<[u8]>::to_vec));
            }
            list = rest.get(len..).unwrap_or_default();
        }
        return Ok(None);
    }
}

fn own_route(prefix: &str) -> Route {
    Route {
        prefix: prefix.into(),
        origin: Origin::Igp,
        med: 1,
        local_pref: None,
        communities: Vec::new(),
        large: Vec::new(),
    }
}

fn speaker(pairs: &Pairs, n: u8) -> Result<Speaker> {
    Speaker::establish(&pairs.peer, Pairs::port(n), PEER, 90, ID)
}

/// Waits until a route of the neighbor for 10.`third`.0.0/16 has come in.
fn wait_received(us: &Rustbgpd, n: u8, third: u8) -> Result<()> {
    wait(&format!("10.{third}.0.0/16 of neighbor {n}"), 5, || {
        Ok(us.received(Pairs::theirs(n), &format!("10.{third}.0.0/16"))?.is_some())
    })
}

#[test]
fn local_asn_takes_the_place_of_our_own() -> Result<()> {
    const LOCAL: u16 = 65010;
    Lab::run(|lab| {
        let pairs = Pairs::new(lab, &[1])?;
        let us = start(&pairs, &[neighbor(1).set("local_asn", LOCAL)])?;
        let mut speaker = Speaker::connect(&pairs.peer, Pairs::port(1))?;
        speaker.send(&bgp::open(PEER, 90, ID, false))?;
        let open = speaker.expect(bgp::OPEN)?.body;
        assert_eq!(open.get(1..3), Some(LOCAL.to_be_bytes().as_slice()));
        speaker.send(&bgp::keepalive())?;
        us.wait_established(&[Pairs::theirs(1)])?;
        us.add(&own_route("10.30.0.0/16"), "10.0.1.1".parse()?, "")?;
        assert_eq!(announced(&mut speaker, 2)?, Some(path(&[LOCAL.into()])));
        // A path with that number has been here; one with the global number has not been in this AS.
        speaker.send(&update(1, &path(&[PEER, LOCAL.into()]), Pairs::theirs(1), &[])?)?;
        speaker.send(&update(2, &path(&[PEER, US]), Pairs::theirs(1), &[])?)?;
        wait_received(&us, 1, 2)?;
        assert_eq!(us.received(Pairs::theirs(1), "10.1.0.0/16")?, None);
        Ok(())
    })
}

/// RFC 4271 §6.3, §9.1.2, §5.1.3: each route is refused where the option is not set, and comes in where it is.
#[test]
fn what_a_path_may_have_in_it_is_for_the_options_to_say() -> Result<()> {
    Lab::run(|lab| {
        let pairs = Pairs::new(lab, &[1, 2])?;
        let lenient = neighbor(2).set("enforce_first_as", false).set("allow_own_as", 1);
        let us = start(&pairs, &[neighbor(1), lenient])?;
        let mut speakers = [speaker(&pairs, 1)?, speaker(&pairs, 2)?];
        for (n, speaker) in (1..).zip(&mut speakers) {
            let hop = Pairs::theirs(n);
            speaker.send(&update(1, &path(&[64999]), hop, &[])?)?;
            speaker.send(&update(2, &path(&[PEER, US]), hop, &[])?)?;
            speaker.send(&update(3, &path(&[PEER, US, US]), hop, &[])?)?;
            speaker.send(&update(4, &path(&[PEER]), Pairs::ours(n), &[])?)?;
            // What came before it is in, too.
            speaker.send(&update(9, &path(&[PEER]), hop, &[])?)?;
            wait_received(&us, n, 9)?;
        }
        for (n, there) in [(1, [false; 4]), (2, [true, true, false, false])] {
            for (third, there) in (1..).zip(there) {
                let seen = us.received(Pairs::theirs(n), &format!("10.{third}.0.0/16"))?;
                assert_eq!(seen.is_some(), there, "route {third} of neighbor {n}");
            }
            assert!(us.neighbor(Pairs::theirs(n))?.established);
        }
        Ok(())
    })
}

/// RFC 6793 §4.2: a speaker without 4-octet AS numbers, in both directions.
#[test]
fn rfc6793_4_2_a_two_octet_speaker() -> Result<()> {
    Lab::run(|lab| {
        let pairs = Pairs::new(lab, &[1, 2])?;
        let us = start(&pairs, &[neighbor(1), neighbor(2)])?;
        let mut new = speaker(&pairs, 2)?;
        let mut old = Speaker::connect(&pairs.peer, Pairs::port(1))?;
        let open = [&[4], u16::try_from(PEER)?.to_be_bytes().as_slice(), &[0, 90], &ID, &[0]].concat();
        old.send(&message(bgp::OPEN, &open)?)?;
        old.expect(bgp::OPEN)?;
        old.send(&bgp::keepalive())?;
        us.wait_established(&[Pairs::theirs(1), Pairs::theirs(2)])?;

        let short = short_path(&[65002, AS_TRANS, 64999]);
        let hop = Pairs::theirs(1);
        let as4 = |asns: &[u32]| attribute(0xc0, 17, &path(asns));
        for (third, more, expected) in [
            (1, as4(&[FAR, 64999]), vec![PEER, FAR, 64999]),
            // §4.2.3: longer than AS_PATH, it is not to be used; with a segment of a confederation neither is that.
            (2, as4(&[1, 2, 3, 4]), vec![PEER, AS_TRANS.into(), 64999]),
            (3, Vec::new(), vec![PEER, AS_TRANS.into(), 64999]),
        ] {
            old.send(&update(third, &short, hop, &more)?)?;
            wait_received(&us, 1, third)?;
            let seen = us.received(hop, &format!("10.{third}.0.0/16"))?;
            assert_eq!(seen.map(|s| s.as_path), Some(expected));
        }
        // §4.2.2: what it cannot read is in AS4_PATH.
        new.send(&update(7, &path(&[PEER, FAR]), Pairs::theirs(2), &[])?)?;
        wait_received(&us, 2, 7)?;
        let mut old_sees = None;
        while old_sees.is_none() {
            let body = old.expect(bgp::UPDATE)?.body;
            old_sees = body.ends_with(&[16, 10, 7]).then_some(body);
        }
        let body = old_sees.unwrap_or_default();
        let contains = |part: &[u8]| body.windows(part.len()).any(|w| w == part);
        assert!(contains(&attribute(0x40, 2, &short_path(&[65001, 65002, AS_TRANS]))), "{body:?}");
        assert!(contains(&as4(&[US, PEER, FAR])), "{body:?}");
        Ok(())
    })
}

/// A neighbor behind a router: our packets get as far as `multihop` says.
#[test]
fn multihop_is_how_far_packets_get() -> Result<()> {
    Lab::run(|lab| {
        let (us, router, far) = (lab.host("us")?, lab.host("router")?, lab.host("far")?);
        lab.link(&us, &router, &["10.0.1.1/24"], &["10.0.1.254/24"])?;
        lab.link(&router, &far, &["10.0.2.254/24"], &["10.0.2.2/24"])?;
        router.sh("echo 1 > /proc/sys/net/ipv4/ip_forward", &[])?;
        us.sh("ip route add 10.0.2.0/24 via 10.0.1.254", &[])?;
        far.sh("ip route add 10.0.1.0/24 via 10.0.2.254", &[])?;
        let listener = far.listen("10.0.2.2:179".parse()?)?;
        let behind =
            |multihop| Neighbor::new("10.0.2.2", PEER).set("multihop", multihop).set("hold_time", 90);
        let configuration = |multihop| Rustbgpd::configuration(US, "10.0.1.1", &[behind(multihop)]);

        let mut daemon = Rustbgpd::start(&us, &configuration(1))?;
        wait("our SYN to end at the router", 10, || {
            let count = router.sh("nstat -asz IcmpOutTimeExcds | awk '/^Icmp/ { print $2 }'", &[])?;
            Ok(count.trim().parse::<u64>()? > 0)
        })?;
        assert!(!daemon.neighbor("10.0.2.2".parse()?)?.established);
        daemon.process().stop()?;

        let daemon = Rustbgpd::start(&us, &configuration(2))?;
        let mut speaker = Speaker::over(listener.accept()?.0)?;
        speaker.handshake(PEER, 90, ID, false)?;
        daemon.wait_established(&["10.0.2.2".parse()?])
    })
}

/// RFC 9774 §3: paths with a set are not taken where they are not wanted; what the neighbor had announced for the prefix goes.
#[test]
fn rfc9774_3_paths_with_sets_are_taken_or_not_by_option() -> Result<()> {
    const SET: [u8; 12] = [2, 1, 0, 0, 0xfd, 0xea, 1, 1, 0, 0, 0xfd, 0xf2];
    for refused in [false, true] {
        Lab::run(|lab| {
            let pairs = Pairs::new(lab, &[1])?;
            let config = Rustbgpd::configuration(US, "10.0.0.1", &[neighbor(1)]).replacen(
                "\n\n",
                &format!("\nreject_as_sets = {refused}\n\n"),
                1,
            );
            let us = Rustbgpd::start(&pairs.us, &config)?;
            let mut speaker = speaker(&pairs, 1)?;
            us.wait_established(&[Pairs::theirs(1)])?;
            speaker.send(&update(1, &path(&[PEER]), Pairs::theirs(1), &[])?)?;
            wait_received(&us, 1, 1)?;
            speaker.send(&update(1, &SET, Pairs::theirs(1), &[])?)?;
            speaker.send(&update(2, &path(&[PEER]), Pairs::theirs(1), &[])?)?;
            wait_received(&us, 1, 2)?;
            let with_set = us.received(Pairs::theirs(1), "10.1.0.0/16")?;
            assert_eq!(with_set.is_none(), refused, "{with_set:?}");
            let errors = us.ctl(&["neighbor", &Pairs::theirs(1).to_string(), "errors"])?;
            assert_eq!(errors.contains("as_set"), refused, "{errors}");
            Ok(())
        })?;
    }
    Ok(())
}

/// RFC 8212: without a policy, and with the option, an external neighbor gives and gets nothing; one of our own AS does not
/// need any. An End-of-RIB comes all the same.
#[test]
fn rfc8212_without_a_policy_nothing_is_exchanged_with_another_as() -> Result<()> {
    Lab::run(|lab| {
        let pairs = Pairs::new(lab, &[1, 2])?;
        let internal = Neighbor::new(&Pairs::theirs(2).to_string(), US).set("passive", true);
        let config = Rustbgpd::configuration(US, "10.0.0.1", &[neighbor(1), internal]).replacen(
            "\n\n",
            "\nebgp_requires_policy = true\n\n",
            1,
        );
        let us = Rustbgpd::start(&pairs.us, &config)?;
        let mut external = speaker(&pairs, 1)?;
        let mut own = Speaker::establish(&pairs.peer, Pairs::port(2), US, 0, [10, 0, 0, 3])?;
        us.wait_established(&[1, 2].map(Pairs::theirs))?;
        external.send(&update(1, &path(&[PEER]), Pairs::theirs(1), &[])?)?;
        let local_pref = attribute(0x40, 5, &100u32.to_be_bytes());
        own.send(&update(2, &path(&[PEER]), Pairs::theirs(2), &local_pref)?)?;
        wait_received(&us, 2, 2)?;
        us.add(&own_route("10.30.0.0/16"), "10.0.1.1".parse()?, "")?;
        // The neighbor of our own AS has the injected route and nothing of the other; that one has nothing at all.
        assert!(us.advertised(Pairs::theirs(2), "10.30.0.0/16")?.is_some());
        assert!(us.advertised(Pairs::theirs(2), "10.1.0.0/16")?.is_none());
        let message = external.expect(bgp::UPDATE)?;
        assert_eq!(message.body, [0; 4], "End-of-RIB and nothing before it");
        assert!(us.advertised(Pairs::theirs(1), "10.30.0.0/16")?.is_none());
        assert!(us.best("10.1.0.0/16")?.is_none());
        let shown = us.ctl(&["neighbor", &Pairs::theirs(1).to_string()])?;
        assert!(shown.contains("no routes in that direction (ebgp_requires_policy)"), "{shown}");
        let shown = us.ctl(&["neighbor", &Pairs::theirs(2).to_string()])?;
        assert!(!shown.contains("ebgp_requires_policy"), "{shown}");
        Ok(())
    })
}

#[test]
fn rfc8212_with_a_policy_for_each_direction_routes_are_exchanged() -> Result<()> {
    Lab::run(|lab| {
        let pairs = Pairs::new(lab, &[1, 2])?;
        let with = |n: u8, keys: &[&str]| keys.iter().fold(neighbor(n), |all, key| all.set(key, "[\"all\"]"));
        let neighbors =
            [with(1, &["import_policy_chain"]), with(2, &["import_policy_chain", "export_policy_chain"])];
        let config = Rustbgpd::configuration(US, "10.0.0.1", &neighbors).replacen(
            "\n\n",
            "\nebgp_requires_policy = true\n\n",
            1,
        );
        let us = Rustbgpd::start(&pairs.us, &(config + "[policy.definitions.all]\n"))?;
        let mut first = speaker(&pairs, 1)?;
        let mut second = speaker(&pairs, 2)?;
        us.wait_established(&[1, 2].map(Pairs::theirs))?;
        first.send(&update(1, &path(&[PEER]), Pairs::theirs(1), &[])?)?;
        assert_eq!(announced(&mut second, 2)?, Some(path(&[US, PEER])));
        // What has no export policy is sent nothing, and the other direction is not asked.
        second.send(&update(2, &path(&[PEER]), Pairs::theirs(2), &[])?)?;
        wait_received(&us, 2, 2)?;
        assert!(us.best("10.2.0.0/16")?.is_some());
        assert!(us.advertised(Pairs::theirs(1), "10.2.0.0/16")?.is_none());
        for (n, expected) in [(1, true), (2, false)] {
            let shown = us.ctl(&["neighbor", &Pairs::theirs(n).to_string()])?;
            assert_eq!(shown.contains("ebgp_requires_policy"), expected, "{shown}");
        }
        Ok(())
    })
}

/// RFC 9072 §2: an OPEN with more than 255 octets of parameters.
#[test]
fn rfc9072_2_more_capabilities_than_an_ordinary_open_holds() -> Result<()> {
    Lab::run(|lab| {
        let pairs = Pairs::new(lab, &[1])?;
        let us = start(&pairs, &[neighbor(1)])?;
        // Two that nobody knows, and what makes the session.
        let unknown = |code| [&[code, 250][..], &[0; 250]].concat();
        let known = [&[1, 4, 0, 1, 0, 1, 65, 4][..], &PEER.to_be_bytes()].concat();
        let capabilities = [unknown(238), unknown(239), known].concat();
        let len = u16::try_from(capabilities.len())?;
        let parameters = [&[2][..], &len.to_be_bytes(), &capabilities].concat();
        let fixed =
            [&[4], u16::try_from(PEER)?.to_be_bytes().as_slice(), &[0, 90], &ID, &[255, 255]].concat();
        let open = [fixed, (len + 3).to_be_bytes().to_vec(), parameters].concat();
        let mut speaker = Speaker::connect(&pairs.peer, Pairs::port(1))?;
        speaker.send(&message(bgp::OPEN, &open)?)?;
        speaker.expect(bgp::OPEN)?;
        speaker.send(&bgp::keepalive())?;
        us.wait_established(&[Pairs::theirs(1)])?;
        // The last of its capabilities counts: the path has numbers of four octets.
        speaker.send(&update(1, &path(&[PEER, FAR]), Pairs::theirs(1), &[])?)?;
        wait_received(&us, 1, 1)?;
        let seen = us.received(Pairs::theirs(1), "10.1.0.0/16")?;
        assert_eq!(seen.map(|s| s.as_path), Some(vec![PEER, FAR]));
        Ok(())
    })
}

/// RFC 4271 §9.1.2.2 (c): MED is compared between routes of one AS, and between all by option.
#[test]
fn med_is_compared_between_ases_by_option() -> Result<()> {
    const ANOTHER: u32 = 65003;
    for always in [false, true] {
        Lab::run(|lab| {
            let pairs = Pairs::new(lab, &[1, 2])?;
            let neighbors = [neighbor(1), neighbor(2).set("remote_asn", ANOTHER)];
            let config = Rustbgpd::configuration(US, "10.0.0.1", &neighbors).replacen(
                "\n\n",
                &format!("\nmed_always_compare = {always}\n\n"),
                1,
            );
            let us = Rustbgpd::start(&pairs.us, &config)?;
            let establish =
                |n: u8, asn| Speaker::establish(&pairs.peer, Pairs::port(n), asn, 90, [10, 0, 0, n]);
            let mut speakers = [(1, PEER, establish(1, PEER)?), (2, ANOTHER, establish(2, ANOTHER)?)];
            for (n, asn, speaker) in &mut speakers {
                // The first one's identifier is lower, its MED is higher.
                let med = attribute(0x80, 4, &(30 - 10 * u32::from(*n)).to_be_bytes());
                speaker.send(&update(1, &path(&[*asn]), Pairs::theirs(*n), &med)?)?;
                wait_received(&us, *n, 1)?;
            }
            let best = us.best("10.1.0.0/16")?.map(|seen| seen.as_path);
            assert_eq!(best, Some(vec![if always { ANOTHER } else { PEER }]));
            Ok(())
        })?;
    }
    Ok(())
}
