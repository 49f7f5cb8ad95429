//! Policies, sets and peer groups changed through the API while BIRD, FRR and a speaker look on: in force at once, without a
//! reset or a ROUTE-REFRESH, in the configuration file, and there after a restart.

use std::net::IpAddr;
use std::rc::Rc;

use bgpbench::bgp;
use lab::peers::{Kind, Peer, Session, Setup};
use lab::{Error, Host, Lab, Neighbor, Origin, Result, Route, Rustbgpd, Speaker, binary, wait};

use crate::lan::lan;

const US: u32 = 65001;
const BIRD: u32 = 64497;
const FRR: u32 = 64498;
const OBSERVER: u32 = 64499;
const BIRD_AT: &str = "10.0.1.2";
const FRR_AT: &str = "10.0.1.3";
const OBSERVER_AT: &str = "10.0.1.4";
const FILE: &str = "config.toml";

fn route(prefix: &str) -> Route {
    Route {
        prefix: prefix.into(),
        origin: Origin::Igp,
        med: 5,
        local_pref: None,
        communities: vec!["64497:1".into()],
        large: vec![],
    }
}

/// Has something set to what is in a file.
fn set(daemon: &Rustbgpd, host: &Host, what: &[&str], text: &str) -> Result<String> {
    let file = host.write("definition.toml", text)?;
    let args: Vec<&str> = what.iter().copied().chain([&*file]).collect();
    daemon.ctl(&args)
}

fn refused(result: Result<String>) -> Result<String> {
    match result {
        Ok(said) => Error::fail(format!("not refused: {said}")),
        Err(error) => Ok(error.to_string()),
    }
}

fn check(host: &Host) -> Result<String> {
    host.run(&[&binary("rustbgpd")?.to_string_lossy(), "--check", "/run/lab/config.toml"])
}

/// So many prefixes a speaker is told of until it is told of this one as the last of an UPDATE; each takes three octets. What is
/// neither UPDATE nor KEEPALIVE is an error.
fn told(speaker: &mut Speaker, last: u8) -> Result<usize> {
    let mut count = 0;
    loop {
        let message = speaker.receive(10)?.ok_or_else(|| Error::new("the session ended"))?;
        if message.kind != bgp::UPDATE {
            assert_eq!(message.kind, bgp::KEEPALIVE, "{:?}", message.body);
            continue;
        }
        let body = message.body;
        if body.ends_with(&[16, 10, last]) {
            return Ok(count);
        }
        let len = |at: usize| match body.get(at..at + 2) {
            Some([high, low]) => usize::from(*high) << 8 | usize::from(*low),
            _ => 0,
        };
        let withdrawn = len(0);
        let attributes = len(2 + withdrawn);
        count += (withdrawn + body.len().saturating_sub(4 + withdrawn + attributes)) / 3;
    }
}

/// Waits until FRR has exactly these of the routes, with these MEDs.
fn frr_has(frr: &dyn Peer, expected: [Option<u32>; 3]) -> Result<()> {
    let mut last = [None; 3];
    let outcome = wait("what FRR has", 20, || {
        for (n, has) in (1..).zip(&mut last) {
            *has = frr.route(&format!("10.{n}.0.0/16"))?.map(|s| s.med.unwrap_or_default());
        }
        Ok(last == expected)
    });
    outcome.map_err(|e| Error::new(format!("{e}: should be {expected:?}, is {last:?}")))
}

#[test]
fn policies_and_sets_of_the_api_make_exactly_their_difference_and_stay() -> Result<()> {
    Lab::run(|lab| {
        let [us, a, b, c] = lan(lab, ["us", "a", "b", "c"])?;
        let session = |at: &str| Session::new(at, "10.0.1.1", US);
        let routes = (1..=3).map(|n| route(&format!("10.{n}.0.0/16"))).collect();
        let bird = Setup { asn: BIRD, router_id: "10.0.0.2", sessions: vec![session(BIRD_AT)?], routes };
        let _bird = Kind::Bird.start(&a, &bird)?;
        let frr = Setup { asn: FRR, router_id: "10.0.0.3", sessions: vec![session(FRR_AT)?], routes: vec![] };
        let frr = Kind::Frr.start(&b, &frr)?;
        let neighbors = [
            Neighbor::new(BIRD_AT, BIRD).set("import_policy_chain", "[\"in\"]"),
            Neighbor::new(FRR_AT, FRR).set("export_policy_chain", "[\"out\"]"),
            Neighbor::new(OBSERVER_AT, OBSERVER)
                .set("export_policy_chain", "[\"out\"]")
                .set("passive", true)
                // It says nothing by itself.
                .set("hold_time", 90)
                .set("graceful_restart", false),
        ];
        let policies = "\n# what is taken\n[policy.definitions.in]\n\n# what is given\n[policy.definitions.out] # to all\n\n\
                        # one\n[[policy.definitions.out.statements]]\naction = \"permit\" # as it is\nprefix = \"10.3.0.0/16\"\n\n\
                        [[policy.tests]]\nname = \"one is given\"\ndirection = \"export\"\nchain = [\"out\"]\n\
                        route = { prefix = \"10.1.0.0/16\" }\nexpect = { action = \"permit\" }\n";
        let config = Rustbgpd::configuration(US, "10.0.0.1", &neighbors) + policies;
        let mut daemon = Rustbgpd::start(&us, &config)?;
        let mut observer = Speaker::establish(&c, "10.0.1.1:179".parse()?, OBSERVER, 90, [10, 0, 0, 4])?;
        let [bird_at, frr_at, observer_at]: [IpAddr; 3] =
            [BIRD_AT.parse()?, FRR_AT.parse()?, OBSERVER_AT.parse()?];
        daemon.wait_established(&[bird_at, frr_at, observer_at])?;
        frr_has(&*frr, [Some(0); 3])?;
        let mut last = 100;
        let mut expect_told = |daemon: &Rustbgpd, observer: &mut Speaker, expected: usize| -> Result<()> {
            last += 1;
            daemon.add(&route(&format!("10.{last}.0.0/16")), "10.0.1.9".parse()?, "64500")?;
            assert_eq!(told(observer, last)?, expected, "prefixes before 10.{last}.0.0/16");
            Ok(())
        };
        expect_told(&daemon, &mut observer, 3)?;
        let tests = daemon.ctl(&["policy", "test"])?;
        assert!(tests.contains("1 passed, 0 failed; 0 of 1 statements decided"), "{tests}");

        // Another policy: one route is withdrawn, one is changed, one stays.
        let other = "[[statements]]\naction = \"permit\"\nprefix = \"10.3.0.0/16\"\n\n[[statements]]\nname = \"secret\"\n\
                     action = \"deny\"\nprefix = \"10.1.0.0/16\"\n\n[[statements]]\naction = \"permit\"\n\
                     match_as_path = \"^64497$\"\nset_med = 42\n";
        set(&daemon, &us, &["policy", "set", "out"], other)?;
        frr_has(&*frr, [None, Some(42), Some(0)])?;
        expect_told(&daemon, &mut observer, 2)?;
        let written = "\n[[policy.definitions.out.statements]]\nname = \"secret\"\naction = \"deny\"\nprefix = \"10.1.0.0/16\"\n\n\
                       [[policy.definitions.out.statements]]\naction = \"permit\"\nmatch_as_path = \"^64497$\"\nset_med = 42\n";
        let file = us.read(FILE)?;
        assert_eq!(file, config.replace("= \"10.3.0.0/16\"\n", &format!("= \"10.3.0.0/16\"\n{written}")));
        assert!(refused(check(&us))?.contains("expected action permit, found deny"));
        assert_eq!(daemon.ctl(&["policy", "show", "out"])?.trim(), other.trim());
        assert_eq!(daemon.json(&["policy"])?[1]["statements"][1]["name"], "secret");
        let failed = refused(daemon.ctl(&["policy", "test"]))?;
        assert!(failed.contains("1 of 1 policy tests failed"), "{failed}");
        // The same again: nothing for anybody, and not an octet of the file.
        set(&daemon, &us, &["policy", "set", "out"], other)?;
        assert_eq!(us.read(FILE)?, file);
        expect_told(&daemon, &mut observer, 0)?;

        // A set that import policy matches on: what it had rejected is there again without being asked for.
        set(
            &daemon,
            &us,
            &["prefix-set", "set", "unwanted"],
            "prefixes = [\"10.2.0.0/16\", \"10.3.0.0/16\"]\n",
        )?;
        let statement = "[[statements]]\naction = \"deny\"\nmatch_prefix_set = \"unwanted\"\n";
        set(&daemon, &us, &["policy", "set", "in"], statement)?;
        frr_has(&*frr, [None; 3])?;
        expect_told(&daemon, &mut observer, 2)?;
        set(&daemon, &us, &["prefix-set", "set", "unwanted"], "prefixes = [\"10.3.0.0/16\"]\n")?;
        frr_has(&*frr, [None, Some(42), None])?;
        expect_told(&daemon, &mut observer, 1)?;
        assert!(us.read(FILE)?.contains("[policy.prefix_sets.unwanted]\nprefixes = [\"10.3.0.0/16\"]\n"));
        let listed = serde_json::json!([{ "name": "unwanted", "entries": 1 }]);
        assert_eq!(daemon.json(&["prefix-set"])?, listed);

        // What is in use stays, and says by what.
        let file = us.read(FILE)?;
        let error = refused(daemon.ctl(&["policy", "delete", "out"]))?;
        let by = "the policy \"out\" is in use: by the export chain of the neighbor 10.0.1.3, the export chain of the \
                  neighbor 10.0.1.4, the policy test \"one is given\"";
        assert!(error.contains(by), "{error}");
        let error = refused(daemon.ctl(&["prefix-set", "delete", "unwanted"]))?;
        assert!(error.contains("is in use: by statement 1 of the policy \"in\""), "{error}");
        assert!(refused(daemon.ctl(&["policy", "delete", "up"]))?.contains("there is no policy \"up\""));
        let wrong = "[[statements]]\naction = \"deny\"\nprefix = \"10.0.0.0/33\"\n";
        let error = refused(set(&daemon, &us, &["policy", "set", "new"], wrong))?;
        assert!(
            error.contains("invalid prefix \"10.0.0.0/33\": must be a prefix, like 192.0.2.0/24"),
            "{error}"
        );
        assert_eq!(us.read(FILE)?, file);

        for address in [bird_at, frr_at, observer_at] {
            let state = daemon.neighbor(address)?;
            assert_eq!((state.established, state.flaps, state.notifications_sent), (true, 0, 0), "{address}");
            let sent = daemon.json(&["neighbor", &address.to_string()])?["messages_sent"].clone();
            assert_eq!(sent["route_refresh"], 0, "{address}: {sent}");
        }
        daemon.start_again()?;
        daemon.wait_established(&[bird_at, frr_at])?;
        frr_has(&*frr, [None, Some(42), None])?;
        assert_eq!(us.read(FILE)?, file);

        // No longer in use.
        daemon.ctl(&["policy-chain", BIRD_AT, "clear", "import"])?;
        daemon.ctl(&["policy", "delete", "in"])?;
        daemon.ctl(&["prefix-set", "delete", "unwanted"])?;
        frr_has(&*frr, [None, Some(42), Some(0)])?;
        let file = us.read(FILE)?;
        assert!(!file.contains("definitions.in]") && !file.contains("prefix_sets"), "{file}");
        Ok(())
    })
}

/// BIRD's peer group changes: what need not end the session does not, its key is kept unseen, and what must end it does.
#[test]
fn a_peer_group_that_changes_changes_its_members() -> Result<()> {
    const GROUP: &str =
        "\n# customers\n[peer_groups.g]\nmd5_password = \"hunter2\" # theirs\nhold_time = 90\n";
    Lab::run(|lab| {
        let [us, a]: [Rc<Host>; 2] = lan(lab, ["us", "a"])?;
        let session = Session::new(BIRD_AT, "10.0.1.1", US)?.password("hunter2").hold_time(60);
        let routes = vec![route("10.1.0.0/16"), route("10.2.0.0/16")];
        let setup = Setup { asn: BIRD, router_id: "10.0.0.2", sessions: vec![session], routes };
        let _bird = Kind::Bird.start(&a, &setup)?;
        // Nothing of its own that the group has.
        let neighbor = format!(
            "[[neighbors]]\naddress = \"{BIRD_AT}\"\nremote_asn = {BIRD}\npeer_group = \"g\"\ngraceful_restart = false\n"
        );
        let config = Rustbgpd::configuration(US, "10.0.0.1", &[]) + &neighbor + GROUP;
        let daemon = Rustbgpd::start(&us, &config)?;
        let at: IpAddr = BIRD_AT.parse()?;
        daemon.wait_established(&[at])?;
        let hold_time = || -> Result<u64> {
            Ok(daemon.json(&["neighbor", BIRD_AT])?["negotiated_hold_time"].as_u64().unwrap_or_default())
        };
        assert_eq!(hold_time()?, 60);
        let shown = daemon.ctl(&["peer-group", "show", "g"])?;
        assert_eq!(shown, "hold_time = 90\nmd5_password = \"<set>\"\n");
        assert!(!daemon.ctl(&["-j", "peer-group"])?.contains("hunter2"));

        // What is sent back keeps the key; a policy takes effect without a reset.
        let with_policy = shown.clone() + "[[import_policy]]\naction = \"deny\"\nprefix = \"10.1.0.0/16\"\n";
        set(&daemon, &us, &["peer-group", "set", "g"], &with_policy)?;
        wait("the policy of the group", 20, || {
            Ok(daemon.best("10.1.0.0/16")?.is_none() && daemon.best("10.2.0.0/16")?.is_some())
        })?;
        let written = "\n[[peer_groups.g.import_policy]]\naction = \"deny\"\nprefix = \"10.1.0.0/16\"\n";
        assert_eq!(us.read(FILE)?, format!("{config}{written}"));
        assert_eq!((daemon.neighbor(at)?.established, daemon.neighbor(at)?.flaps), (true, 0));

        // Another hold time needs another session.
        set(&daemon, &us, &["peer-group", "set", "g"], &with_policy.replace("= 90", "= 30"))?;
        wait("a session with the other hold time", 30, || {
            Ok(daemon.neighbor(at)?.established && hold_time()? == 30)
        })?;
        assert_eq!(daemon.neighbor(at)?.flaps, 1);

        let error = refused(daemon.ctl(&["peer-group", "delete", "g"]))?;
        assert!(error.contains("the peer group \"g\" is in use: by the neighbor 10.0.1.2"), "{error}");
        let error = refused(set(&daemon, &us, &["peer-group", "set", "g"], "hold_time = 2\n"))?;
        assert!(error.contains("invalid hold_time 2: must be 0 or >= 3"), "{error}");
        let error = refused(daemon.ctl(&["neighbor", BIRD_AT, "peer-group", "h"]))?;
        assert!(error.contains("there is no such peer group; did you mean \"g\"?"), "{error}");

        // Without the group there is no key, and BIRD wants one.
        daemon.ctl(&["neighbor", BIRD_AT, "peer-group", "--none"])?;
        wait("the session to end", 20, || Ok(!daemon.neighbor(at)?.established))?;
        assert!(!us.read(FILE)?.contains("peer_group = "));
        daemon.ctl(&["neighbor", BIRD_AT, "peer-group", "g"])?;
        daemon.wait_established(&[at])?;
        let file = us.read(FILE)?;
        assert!(file.contains("md5_password = \"hunter2\" # theirs\nhold_time = 30\n"), "{file}");
        check(&us)?;
        daemon.ctl(&["neighbor", BIRD_AT, "delete"])?;
        daemon.ctl(&["peer-group", "delete", "g"])?;
        let file = us.read(FILE)?;
        assert!(!file.contains("peer_groups") && !file.contains("hunter2"), "{file}");
        Ok(())
    })
}

/// As large as sets may well be: set, changed by an entry, shown, in force.
#[test]
fn a_prefix_set_of_a_hundred_thousand_entries() -> Result<()> {
    Lab::run(|lab| {
        let [us, _] = lan(lab, ["us", "a"])?;
        let config = Rustbgpd::configuration(US, "10.0.0.1", &[Neighbor::new(BIRD_AT, BIRD)]);
        let daemon = Rustbgpd::start(&us, &config)?;
        let entry = |n: u32| format!("\"10.{}.{}.{}/32\"", n >> 16 & 255, n >> 8 & 255, n & 255);
        let text = |entries: std::ops::Range<u32>| {
            format!("prefixes = [{}]\n", entries.map(entry).collect::<Vec<_>>().join(", "))
        };
        let command = ["prefix-set", "set", "many"];
        set(&daemon, &us, &command, &text(0..100_000))?;
        let statement = "[[statements]]\naction = \"deny\"\nmatch_prefix_set = \"many\"\n";
        set(&daemon, &us, &["policy", "set", "p"], statement)?;
        set(&daemon, &us, &command, &text(1..100_001))?;
        assert_eq!(daemon.json(&["prefix-set"])?[0]["entries"], 100_000);
        assert_eq!(daemon.ctl(&["prefix-set", "show", "many"])?, text(1..100_001));
        let file = us.read(FILE)?;
        assert!(file.contains("prefixes = [\n    \"10.0.0.1/32\",\n") && !file.contains("\"10.0.0.0/32\""));
        // More than a change may have.
        let error = refused(set(&daemon, &us, &command, &text(0..400_000)))?;
        assert!(error.contains("too large"), "{error}");
        assert_eq!(us.read(FILE)?, file);
        Ok(())
    })
}
