//! Policies, sets and peer groups: what the parent is asked for, and what clients are told.

use grpc::v1;
use grpc::v1::peer_group_service_client::PeerGroupServiceClient;
use grpc::v1::policy_service_client::PolicyServiceClient;
use grpc::v1::{MatchSetKind, PeerGroupDefinition, PolicyDefinition, PolicyStatement};
use ipc::edit::{Edit, EditError, Refusal};
use ipc::object::{
    Answer, Covered, Keys, Kind, Object, Plain, Question, SecretText, TestMismatch, TestOutcome, TestReport,
};
use tonic::Code;

use crate::edits::detail;
use crate::harness::{Control, address};

fn keys(list: &[(&str, Plain)]) -> Keys {
    Keys(list.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect())
}

fn text(text: &str) -> Plain {
    Plain::Text(text.into())
}

/// A statement with every field that there is.
fn statement() -> (PolicyStatement, Keys) {
    let some = |text: &str| Some(text.to_owned());
    let message = PolicyStatement {
        action: "permit".into(),
        prefix: some("10.0.0.0/8"),
        ge: Some(9),
        le: Some(24),
        match_community: vec!["65001:*".into()],
        match_as_path: some("^65001_"),
        match_as_path_length_ge: Some(1),
        match_as_path_length_le: Some(2),
        match_rpki_validation: some("valid"),
        set_local_pref: Some(0),
        set_med: Some(11),
        set_next_hop: some("self"),
        set_community_add: vec!["65001:1".into(), "NO_EXPORT".into()],
        set_community_remove: vec!["LC:1:*:*".into()],
        set_as_path_prepend: Some(v1::AsPathPrepend { asn: 65001, count: 2 }),
        match_neighbor_set: some("n"),
        match_route_type: some("external"),
        match_local_pref_ge: Some(18),
        match_local_pref_le: Some(19),
        match_med_ge: Some(20),
        match_med_le: Some(21),
        match_next_hop: some("10.0.0.1"),
        match_aspa_validation: some("unknown"),
        name: some("all"),
        match_prefix_set: some("p"),
        match_community_set: some("c"),
        match_origin_as_set: some("a"),
    };
    let number = Plain::Number;
    let texts = |list: &[&str]| Plain::Texts(list.iter().map(|t| (*t).to_owned()).collect());
    let keys = keys(&[
        ("name", text("all")),
        ("action", text("permit")),
        ("prefix", text("10.0.0.0/8")),
        ("ge", number(9)),
        ("le", number(24)),
        ("match_community", texts(&["65001:*"])),
        ("match_as_path", text("^65001_")),
        ("match_as_path_length_ge", number(1)),
        ("match_as_path_length_le", number(2)),
        ("match_rpki_validation", text("valid")),
        ("set_local_pref", number(0)),
        ("set_med", number(11)),
        ("set_next_hop", text("self")),
        ("set_community_add", texts(&["65001:1", "NO_EXPORT"])),
        ("set_community_remove", texts(&["LC:1:*:*"])),
        ("set_as_path_prepend.asn", number(65001)),
        ("set_as_path_prepend.count", number(2)),
        ("match_neighbor_set", text("n")),
        ("match_route_type", text("external")),
        ("match_local_pref_ge", number(18)),
        ("match_local_pref_le", number(19)),
        ("match_med_ge", number(20)),
        ("match_med_le", number(21)),
        ("match_next_hop", text("10.0.0.1")),
        ("match_aspa_validation", text("unknown")),
        ("match_prefix_set", text("p")),
        ("match_community_set", text("c")),
        ("match_origin_as_set", text("a")),
    ]);
    (message, keys)
}

#[tokio::test]
async fn policies_are_shown_and_set_with_every_field() {
    let (control, channel) = Control::start_whole().await;
    let mut client = PolicyServiceClient::new(channel);
    let (message, statement) = statement();
    let object = Object {
        keys: keys(&[("default_action", text("deny"))]),
        statements: vec![("statements".into(), vec![statement])],
    };
    control.world.lock().unwrap().answer = Some(Answer::Objects(vec![("x".into(), object.clone())]));
    let definition =
        PolicyDefinition { default_action: "deny".into(), statements: vec![message.clone()], extended: true };
    let answer = client.get_policy(v1::GetPolicyRequest { name: "x".into() }).await.unwrap().into_inner();
    assert_eq!((answer.name.as_str(), answer.definition.as_ref()), ("x", Some(&definition)));
    let all = client.list_policies(v1::ListPoliciesRequest {}).await.unwrap().into_inner().policies;
    assert_eq!(all, [v1::NamedPolicy { name: "x".into(), definition: Some(definition.clone()) }]);

    let set = |definition| v1::SetPolicyRequest { name: "x".into(), definition };
    client.set_policy(set(Some(definition))).await.unwrap();
    client.set_policy(set(Some(PolicyDefinition::default()))).await.unwrap();
    client.delete_policy(v1::DeletePolicyRequest { name: "x".into() }).await.unwrap();
    {
        let world = control.world.lock().unwrap();
        let one = Question::Objects { kind: Kind::Policy, name: Some("x".into()) };
        assert_eq!(world.asked, [one, Question::Objects { kind: Kind::Policy, name: None }]);
        let [Edit::SetObject { kind, name, object: asked, knows_all }, plain, delete] = &world.edits[..]
        else {
            panic!("{:?}", world.edits);
        };
        assert_eq!((*kind, name.as_str(), *knows_all), (Kind::Policy, "x", true));
        assert!(asked.says_the_same(&object), "{asked:?}");
        let first: Vec<&str> =
            asked.statements[0].1[0].0.iter().take(5).map(|(key, _)| key.as_str()).collect();
        assert_eq!(first, ["name", "action", "prefix", "ge", "le"], "as people write it");
        let (kind, name) = (Kind::Policy, "x".to_owned());
        let nothing = Object::default();
        assert_eq!(plain, &Edit::SetObject { kind, name: name.clone(), object: nothing, knows_all: false });
        assert_eq!(delete, &Edit::DeleteObject { kind, name });
    }

    // What has no form is not asked about; what the parent refuses has its field.
    let status = client.set_policy(set(None)).await.unwrap_err();
    assert_eq!((status.code(), detail(&status).0), (Code::InvalidArgument, "definition".into()));
    let request = v1::SetPolicyRequest { name: String::new(), definition: Some(PolicyDefinition::default()) };
    let status = client.set_policy(request).await.unwrap_err();
    assert_eq!((status.code(), detail(&status).0), (Code::InvalidArgument, "name".into()));
    let field = "definition.statements[0].prefix";
    control.world.lock().unwrap().refuse_edits =
        Some(EditError::about(Refusal::Invalid, field, "x", "no prefix"));
    let status = client.set_policy(set(Some(PolicyDefinition::default()))).await.unwrap_err();
    assert_eq!((status.code(), detail(&status)), (Code::InvalidArgument, (field.into(), "x".into())));
    control.world.lock().unwrap().refuse_edits =
        Some(EditError::about(Refusal::NotFound, "name", "y", "there is none"));
    let status = client.get_policy(v1::GetPolicyRequest { name: "y".into() }).await.unwrap_err();
    assert_eq!((status.code(), detail(&status).1), (Code::NotFound, "y".into()));
}

#[tokio::test]
async fn sets_are_shown_and_set() {
    let (control, channel) = Control::start_whole().await;
    let mut client = PolicyServiceClient::new(channel);
    let definition = v1::NeighborSetDefinition {
        addresses: vec!["10.0.0.1".into()],
        remote_asns: vec![65001, 4_200_000_000],
        peer_groups: vec!["g".into()],
    };
    let definition = Some(definition);
    let request = v1::SetNeighborSetRequest { name: "n".into(), definition: definition.clone() };
    client.set_neighbor_set(request).await.unwrap();
    let Some(Edit::SetObject { kind: Kind::NeighborSet, object, .. }) =
        control.world.lock().unwrap().edits.pop()
    else {
        panic!();
    };
    control.world.lock().unwrap().answer = Some(Answer::Objects(vec![("n".into(), object)]));
    let shown = client.get_neighbor_set(v1::GetNeighborSetRequest { name: "n".into() }).await.unwrap();
    assert_eq!(shown.into_inner().definition, definition);
    let all = client.list_neighbor_sets(v1::ListNeighborSetsRequest {}).await.unwrap().into_inner();
    assert_eq!(all.neighbor_sets, [v1::NamedNeighborSet { name: "n".into(), definition }]);

    // As large as they are said to be.
    let many: Vec<String> =
        (0..100_000).map(|n| format!("10.{}.{}.0/24 ge 25 le 32", n >> 8 & 255, n & 255)).collect();
    for (kind, of, key, entries) in [
        (MatchSetKind::Prefix, Kind::PrefixSet, "prefixes", many),
        (MatchSetKind::As, Kind::AsSet, "asns", (0..100_000).map(|n: u32| n.to_string()).collect()),
        (MatchSetKind::Community, Kind::CommunitySet, "communities", vec!["65001:*".into()]),
        (MatchSetKind::Prefix, Kind::PrefixSet, "prefixes", vec![]),
    ] {
        let kind = kind.into();
        let request = v1::SetMatchSetRequest { kind, name: "s".into(), entries: entries.clone() };
        client.set_match_set(request).await.unwrap();
        let Some(Edit::SetObject { kind: asked, object, .. }) = control.world.lock().unwrap().edits.pop()
        else {
            panic!();
        };
        assert_eq!((asked, object.keys.0[0].0.as_str(), object.keys.0.len()), (of, key, 1));
        control.world.lock().unwrap().answer = Some(Answer::Objects(vec![("s".into(), object)]));
        let request = v1::GetMatchSetRequest { kind, name: "s".into() };
        let shown = client.get_match_set(request).await.unwrap().into_inner();
        assert!(shown.entries == entries && shown.kind == kind);
        client.delete_match_set(v1::DeleteMatchSetRequest { kind, name: "s".into() }).await.unwrap();
        let delete = Edit::DeleteObject { kind: of, name: "s".into() };
        assert_eq!(control.world.lock().unwrap().edits.pop(), Some(delete));
    }
    control.world.lock().unwrap().answer = Some(Answer::Sizes(vec![("s".into(), 7)]));
    let request = v1::ListMatchSetsRequest { kind: MatchSetKind::As.into() };
    let sizes = client.list_match_sets(request).await.unwrap().into_inner().sets;
    assert_eq!(sizes, [v1::MatchSetSize { name: "s".into(), entries: 7 }]);
    let status = client.list_match_sets(v1::ListMatchSetsRequest::default()).await.unwrap_err();
    assert_eq!((status.code(), detail(&status).0), (Code::InvalidArgument, "kind".into()));
    let entries = vec!["1".into(), "AS2".into()];
    let request = v1::SetMatchSetRequest { kind: MatchSetKind::As.into(), name: "s".into(), entries };
    let status = client.set_match_set(request).await.unwrap_err();
    assert_eq!(
        (status.code(), detail(&status)),
        (Code::InvalidArgument, ("entries[1]".into(), "AS2".into()))
    );
}

/// Every field of a peer group, by its name: each is a key of the file.
fn group() -> PeerGroupDefinition {
    let (statement, _) = statement();
    let text = |text: &str| Some(text.to_owned());
    PeerGroupDefinition {
        hold_time: Some(30),
        max_prefixes: Some(2),
        md5_password: text("hunter2"),
        ttl_security: Some(true),
        families: vec!["ipv4_unicast".into()],
        graceful_restart: Some(false),
        gr_restart_time: Some(7),
        gr_stale_routes_time: Some(8),
        llgr_stale_time: Some(9),
        local_ipv6_nexthop: text("2001:db8::1"),
        route_reflector_client: Some(false),
        route_server_client: Some(true),
        remove_private_as: text("all"),
        add_path_receive: Some(true),
        add_path_send: Some(true),
        add_path_send_max: Some(16),
        import_policy: vec![statement],
        export_policy: vec![],
        import_policy_chain: vec![],
        export_policy_chain: vec!["x".into(), "y".into()],
        extended: true,
        description: text("d"),
        local_asn: Some(102),
        keepalive: Some(3),
        send_hold_time: Some(104),
        connect_retry: Some(105),
        local_address: text("10.0.0.1"),
        port: Some(107),
        passive: Some(true),
        shutdown: Some(true),
        multihop: Some(110),
        log_level: text("debug"),
        max_prefixes_action: text("restart"),
        max_prefixes_restart_minutes: Some(113),
        max_prefixes_count: text("accepted"),
        max_prefixes_out: Some(115),
        enforce_first_as: Some(false),
        allow_own_as: Some(1),
        default_originate: Some(true),
        advertisement_interval: Some(0),
        graceful_shutdown: Some(true),
        role: text("peer"),
        role_strict: Some(true),
        keep_rejected: Some(false),
    }
}

#[tokio::test]
async fn peer_groups_are_shown_and_set_with_every_field_and_never_tell_a_key() {
    let (control, channel) = Control::start_whole().await;
    let mut client = PeerGroupServiceClient::new(channel);
    let request = v1::SetPeerGroupRequest { name: "g".into(), definition: Some(group()) };
    client.set_peer_group(request).await.unwrap();
    let Some(Edit::SetObject { kind: Kind::PeerGroup, name, mut object, knows_all: true }) =
        control.world.lock().unwrap().edits.pop()
    else {
        panic!();
    };
    assert_eq!(name, "g");
    assert_eq!(object.keys.get("md5_password"), Some(&Plain::Secret(SecretText("hunter2".into()))));
    assert_eq!(object.keys.get("add_path.send_max"), Some(&Plain::Number(16)));
    assert!(!format!("{object:?}").contains("hunter2"));
    let said: Vec<&String> = object.keys.0.iter().map(|(key, _)| key).collect();
    assert_eq!(said.len(), 40, "{said:?}");

    for (_, value) in object.keys.0.iter_mut().filter(|(key, _)| key == "md5_password") {
        *value = text("<set>");
    }
    control.world.lock().unwrap().answer = Some(Answer::Objects(vec![("g".into(), object)]));
    let shown =
        client.get_peer_group(v1::GetPeerGroupRequest { name: "g".into() }).await.unwrap().into_inner();
    let expected = PeerGroupDefinition { md5_password: Some("<set>".into()), ..group() };
    assert_eq!((shown.name.as_str(), shown.definition), ("g", Some(expected.clone())));
    let all = client.list_peer_groups(v1::ListPeerGroupsRequest {}).await.unwrap().into_inner().peer_groups;
    assert_eq!(all, [v1::NamedPeerGroup { name: "g".into(), definition: Some(expected) }]);

    client.delete_peer_group(v1::DeletePeerGroupRequest { name: "g".into() }).await.unwrap();
    let member = |group: &str| v1::SetNeighborPeerGroupRequest {
        address: "2001:DB8::2".into(),
        peer_group: group.into(),
    };
    client.set_neighbor_peer_group(member("g")).await.unwrap();
    let address_of = || "2001:db8::2".to_owned();
    client
        .clear_neighbor_peer_group(v1::ClearNeighborPeerGroupRequest { address: address_of() })
        .await
        .unwrap();
    let neighbor = address("2001:db8::2");
    assert_eq!(
        control.world.lock().unwrap().edits,
        [
            Edit::DeleteObject { kind: Kind::PeerGroup, name: "g".into() },
            Edit::SetNeighborGroup { neighbor, group: Some("g".into()) },
            Edit::SetNeighborGroup { neighbor, group: None },
        ]
    );
    let status = client.set_neighbor_peer_group(member("")).await.unwrap_err();
    assert_eq!((status.code(), detail(&status).0), (Code::InvalidArgument, "peer_group".into()));
    let request = v1::ClearNeighborPeerGroupRequest { address: "192.0.2.99".into() };
    assert_eq!(client.clear_neighbor_peer_group(request).await.unwrap_err().code(), Code::NotFound);
}

#[tokio::test]
async fn tests_of_policies_are_run_by_the_parent() {
    let (control, channel) = Control::start_whole().await;
    let mut client = PolicyServiceClient::new(channel);
    let outcome = |name: &str, mismatches| TestOutcome {
        name: name.into(),
        line: 7,
        mismatches,
        decided_by: "statement 1 of x".into(),
    };
    let mismatch = TestMismatch { field: "med".into(), expected: "1".into(), found: "2".into() };
    let covered = Covered { policy: "x".into(), number: 1, name: None, line: 3, hits: 2 };
    let report = TestReport {
        tests: vec![outcome("good", vec![]), outcome("bad", vec![mismatch])],
        coverage: vec![covered],
        diagnostics: "error: ..".into(),
    };
    control.world.lock().unwrap().answer = Some(Answer::PolicyTests(report));
    let answer = client.test_policies(v1::TestPoliciesRequest {}).await.unwrap().into_inner();
    let passed: Vec<bool> = answer.tests.iter().map(|t| t.passed).collect();
    assert_eq!((passed, answer.diagnostics.as_str()), (vec![true, false], "error: .."));
    let found = &answer.tests[1].mismatches[0];
    assert_eq!((found.field.as_str(), found.expected.as_str(), found.found.as_str()), ("med", "1", "2"));
    let covered = &answer.coverage[0];
    assert_eq!((covered.policy.as_str(), covered.number, covered.line, covered.hits), ("x", 1, 3, 2));
    assert_eq!(control.world.lock().unwrap().asked, [Question::PolicyTests]);
}
