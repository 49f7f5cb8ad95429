//! The configuration file as a whole: what the parent is asked for, and what becomes of its answers.

use grpc::v1;
use grpc::v1::config_service_client::ConfigServiceClient;
use ipc::edit::{EditError, Refusal};
use ipc::file::{
    Changed, ChangedRange, Checked, Cost, Differences, Done, MAX_TEXT, RangeDifferences, Request, Text,
};
use tonic::Code;

use crate::harness::{Control, address};

fn text(text: &str) -> Option<v1::ConfigText> {
    Some(v1::ConfigText { name: "c.toml".into(), text: text.into() })
}

fn asked(text: &str) -> Text {
    Text { name: "c.toml".into(), text: text.into() }
}

#[tokio::test]
async fn the_parent_is_asked_and_its_answers_are_passed_on() {
    let (control, channel) = Control::start_whole().await;
    let mut client = ConfigServiceClient::new(channel);
    let differences = Differences {
        added: vec![address("192.0.2.7")],
        removed: vec![address("2001:db8::7")],
        changed: [Cost::Nothing, Cost::Reevaluation, Cost::Reset]
            .map(|cost| Changed { address: address("192.0.2.1"), keys: vec!["hold_time".into()], cost })
            .to_vec(),
        ranges: RangeDifferences {
            added: vec!["192.0.2.0/24".parse().unwrap()],
            removed: vec!["2001:db8::/32".parse().unwrap()],
            changed: vec![ChangedRange {
                prefix: "10.0.0.0/8".parse().unwrap(),
                keys: vec!["hold_time".into()],
                cost: Cost::Reset,
            }],
        },
        restart: vec!["asn".into()],
        informational: vec!["mrt".into()],
        warnings: vec!["careful".into()],
    };
    let changes = || Ok(Done::Differences(differences.clone()));
    let checked = Checked {
        errors: 2,
        diagnostics: "error: a\nerror: b\n".into(),
        warnings: vec!["w".into()],
        tested: Some("1 test".into()),
    };
    let shown = Done::Shown { text: "# file\n".into(), confirm_within: Some(9) };
    control.world.lock().unwrap().file_answers = vec![
        Ok(shown),
        Ok(Done::Checked(checked)),
        changes(),
        changes(),
        changes(),
        Ok(Done::Done),
        changes(),
    ];

    let shown = client.get_config(v1::GetConfigRequest {}).await.unwrap().into_inner();
    assert_eq!((shown.text.as_str(), shown.confirm_within_seconds), ("# file\n", Some(9)));
    let checked =
        client.check_config(v1::CheckConfigRequest { config: text("a") }).await.unwrap().into_inner();
    assert_eq!((checked.errors, checked.diagnostics.as_str()), (2, "error: a\nerror: b\n"));
    assert_eq!((checked.warnings, checked.tested.as_str()), (vec!["w".to_owned()], "1 test"));
    let diff = client.diff_config(v1::DiffConfigRequest { config: text("b") }).await.unwrap().into_inner();
    assert_eq!((diff.added, diff.removed), (vec!["192.0.2.7".to_owned()], vec!["2001:db8::7".to_owned()]));
    assert_eq!(diff.changed.iter().map(|c| c.cost).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(diff.changed[0].keys, ["hold_time"]);
    assert_eq!(
        (diff.ranges_added, diff.ranges_removed),
        (vec!["192.0.2.0/24".to_owned()], vec!["2001:db8::/32".to_owned()])
    );
    assert_eq!((diff.ranges_changed[0].address.as_str(), diff.ranges_changed[0].cost), ("10.0.0.0/8", 3));
    assert_eq!((&*diff.restart[0], &*diff.informational[0], &*diff.warnings[0]), ("asn", "mrt", "careful"));
    for confirm_within_seconds in [0, 60] {
        client
            .apply_config(v1::ApplyConfigRequest { config: text("c"), confirm_within_seconds })
            .await
            .unwrap();
    }
    client.confirm_config(v1::ConfirmConfigRequest {}).await.unwrap();
    client.rollback_config(v1::RollbackConfigRequest {}).await.unwrap();
    let apply = |confirm_within| Request::Apply { text: asked("c"), confirm_within };
    assert_eq!(
        control.world.lock().unwrap().file_requests,
        [
            Request::Show,
            Request::Check(asked("a")),
            Request::Diff(asked("b")),
            apply(None),
            apply(Some(60)),
            Request::Confirm,
            Request::Rollback
        ]
    );
}

/// A file of megabytes goes to the parent and comes from it in parts; one that is larger than that is refused.
#[tokio::test]
async fn large_files_have_a_bound() {
    let (control, channel) = Control::start_whole().await;
    let mut client = ConfigServiceClient::new(channel).max_decoding_message_size(64 << 20);
    let large = "x".repeat(MAX_TEXT);
    let differences = || Ok(Done::Differences(Differences::default()));
    control.world.lock().unwrap().file_answers =
        vec![differences(), Ok(Done::Shown { text: large.clone(), confirm_within: None })];
    client.diff_config(v1::DiffConfigRequest { config: text(&large) }).await.unwrap();
    assert_eq!(control.world.lock().unwrap().file_requests, [Request::Diff(asked(&large))]);
    assert_eq!(client.get_config(v1::GetConfigRequest {}).await.unwrap().into_inner().text, large);
    for (len, code) in [(MAX_TEXT + 1, Code::InvalidArgument), (2 * MAX_TEXT, Code::OutOfRange)] {
        let config = text(&"x".repeat(len));
        let status = client.diff_config(v1::DiffConfigRequest { config }).await.unwrap_err();
        assert_eq!(status.code(), code, "{status}");
    }
    for (config, says) in [
        (None, "config: is missing"),
        (Some(v1::ConfigText { name: "n".repeat(5000), text: String::new() }), "config.name: is too long"),
    ] {
        let status = client.diff_config(v1::DiffConfigRequest { config }).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument);
        assert!(status.message().contains(says), "{status}");
    }
}

#[tokio::test]
async fn the_parents_refusal_becomes_a_status() {
    let (control, channel) = Control::start_whole().await;
    let mut client = ConfigServiceClient::new(channel);
    for (kind, code) in [
        (Refusal::Invalid, Code::InvalidArgument),
        (Refusal::Precondition, Code::FailedPrecondition),
        (Refusal::Unavailable, Code::Unavailable),
    ] {
        control.world.lock().unwrap().file_answers = vec![Err(EditError::new(kind, "no"))];
        let request = v1::ApplyConfigRequest { config: text("a"), confirm_within_seconds: 0 };
        let status = client.apply_config(request).await.unwrap_err();
        assert_eq!((status.code(), status.message()), (code, "no"));
    }
}
