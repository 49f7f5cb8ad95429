//! `config`: the configuration file as a whole.

use grpc::v1::config_service_server::ConfigService;
use grpc::v1::*;
use serde_json::json;
use tonic::{Request, Response, Status};

use crate::server::{Api, Daemon, text, write};

/// What the daemon says to these commands.
#[derive(Default)]
pub(crate) struct Played {
    pub(crate) changes: ConfigChanges,
    pub(crate) checked: CheckConfigResponse,
    pub(crate) refuse: Option<Status>,
    pub(crate) shown: GetConfigResponse,
}

type Answer<T> = Result<Response<T>, Status>;

impl Api {
    fn config(&self, what: &str, config: Option<ConfigText>) -> Answer<ConfigChanges> {
        let config = config.unwrap_or_default();
        let name = config.name.rsplit('/').next().unwrap_or_default().to_owned();
        self.world().done.push(format!("{what} {name} {}", config.text).trim().to_owned());
        let world = self.world();
        world.config.refuse.clone().map_or_else(|| Ok(Response::new(world.config.changes.clone())), Err)
    }
}

#[tonic::async_trait]
impl ConfigService for Api {
    async fn get_config(&self, _: Request<GetConfigRequest>) -> Answer<GetConfigResponse> {
        Ok(Response::new(self.world().config.shown.clone()))
    }

    async fn check_config(&self, r: Request<CheckConfigRequest>) -> Answer<CheckConfigResponse> {
        let _ = self.config("check", r.into_inner().config);
        Ok(Response::new(self.world().config.checked.clone()))
    }

    async fn diff_config(&self, r: Request<DiffConfigRequest>) -> Answer<ConfigChanges> {
        self.config("diff", r.into_inner().config)
    }

    async fn apply_config(&self, r: Request<ApplyConfigRequest>) -> Answer<ConfigChanges> {
        let request = r.into_inner();
        self.config(&format!("apply {}", request.confirm_within_seconds), request.config)
    }

    async fn confirm_config(&self, _: Request<ConfirmConfigRequest>) -> Answer<ConfirmConfigResponse> {
        self.config("confirm", None).map(|_| Response::new(ConfirmConfigResponse {}))
    }

    async fn rollback_config(&self, _: Request<RollbackConfigRequest>) -> Answer<ConfigChanges> {
        self.config("rollback", None)
    }
}

fn changes() -> ConfigChanges {
    let changed = |address: &str, cost: ConfigCost| ConfigChange {
        address: address.into(),
        keys: vec!["hold_time".into(), "port".into()],
        cost: cost.into(),
    };
    ConfigChanges {
        added: vec!["192.0.2.7".into()],
        removed: vec!["192.0.2.8".into()],
        changed: vec![
            changed("192.0.2.1", ConfigCost::Nothing),
            changed("192.0.2.2", ConfigCost::Reevaluation),
            changed("192.0.2.3", ConfigCost::Reset),
        ],
        restart: vec!["asn".into()],
        informational: vec!["mrt".into()],
        warnings: vec!["careful".into()],
        ranges_added: vec!["192.0.2.0/24".into()],
        ranges_removed: vec!["2001:db8::/32".into()],
        ranges_changed: vec![changed("10.0.0.0/8", ConfigCost::Reset)],
    }
}

const PRINTED: &str = "\
applied by reload:
  + neighbor 192.0.2.7
  - neighbor 192.0.2.8
  ~ neighbor 192.0.2.1: hold_time, port (the session goes on)
  ~ neighbor 192.0.2.2: hold_time, port (its routes are evaluated again)
  ~ neighbor 192.0.2.3: hold_time, port (the session is reset)
  + dynamic neighbors 192.0.2.0/24
  - dynamic neighbors 2001:db8::/32
  ~ dynamic neighbors 10.0.0.0/8: hold_time, port (its sessions are reset)
needs a restart:
  asn
informational, without effect in this version:
  mrt
";

#[test]
fn a_file_is_compared_applied_confirmed_and_rolled_back() {
    let daemon = Daemon::start();
    let file = write(daemon.dir.path(), "new.toml", b"# new");
    assert_eq!(daemon.ok(&["config", "diff", &file]), "");
    daemon.world().config.changes = changes();
    let diff = daemon.command(&["config", "diff", &file]).output().unwrap();
    assert_eq!((text(&diff.stdout).as_str(), text(&diff.stderr).as_str()), (PRINTED, "warning: careful\n"));
    let document = daemon.json(&["config", "diff", &file]);
    assert_eq!(document["added"], json!(["192.0.2.7"]));
    assert_eq!(document["changed"][1]["cost"], "reevaluation");
    assert_eq!(document["warnings"], json!(["careful"]));

    let applied = daemon.ok(&["config", "apply", &file]);
    assert_eq!(applied, format!("{PRINTED}{file} is in force, and the configuration file\n"));
    let tried = daemon.json(&["config", "apply", &file, "--confirm", "60"]);
    assert!(tried["message"].as_str().unwrap().contains("unless it is confirmed"), "{tried}");
    assert!(daemon.ok(&["config", "confirm"]).contains("is kept"));
    assert!(daemon.ok(&["config", "rollback"]).ends_with("the configuration of before is in force again\n"));
    let done = [
        "diff new.toml # new",
        "diff new.toml # new",
        "diff new.toml # new",
        "apply 0 new.toml # new",
        "apply 60 new.toml # new",
        "confirm",
        "rollback",
    ];
    assert_eq!(daemon.world().done, done);
}

#[test]
fn all_that_is_wrong_with_a_file_is_printed() {
    let daemon = Daemon::start();
    let file = write(daemon.dir.path(), "new.toml", b"");
    let diagnostics = "error: a\n --> new.toml:1:1\n\nerror: b\n --> new.toml:2:1\n";
    daemon.world().config.checked =
        CheckConfigResponse { errors: 2, diagnostics: diagnostics.into(), ..CheckConfigResponse::default() };
    daemon.world().config.refuse = Some(Status::invalid_argument("a (and 1 more)"));
    for command in ["check", "diff", "apply"] {
        let said = daemon.fails(1, &["config", command, &file]);
        assert_eq!(said, format!("rustbgpctl: 2 errors, nothing is changed:\n{diagnostics}"), "{command}");
    }
    // What has nothing to do with the text.
    daemon.world().config.refuse = Some(Status::failed_precondition("it waits to be confirmed"));
    let said = daemon.fails(1, &["config", "apply", &file]);
    assert_eq!(said, "rustbgpctl: it waits to be confirmed\n");
    let said = daemon.fails(1, &["config", "apply", "/no/such/file"]);
    assert!(said.contains("/no/such/file: No such file"), "{said}");
    daemon.world().config.checked =
        CheckConfigResponse { warnings: vec!["w".into()], tested: "1 test".into(), ..Default::default() };
    assert_eq!(daemon.ok(&["config", "check", &file]), "config OK\n1 test\n");
}

#[test]
fn what_is_in_force_is_shown() {
    let daemon = Daemon::start();
    daemon.world().config.shown =
        GetConfigResponse { text: "# file\n".into(), confirm_within_seconds: Some(5) };
    let shown = daemon.command(&["config", "show"]).output().unwrap();
    assert_eq!(text(&shown.stdout), "# file\n");
    assert!(text(&shown.stderr).contains("waits to be confirmed, for 5 s"));
    assert_eq!(daemon.json(&["config", "show"]), json!({ "text": "# file\n", "confirm_within_seconds": 5 }));
}
