//! A real Prometheus: it scrapes the daemon, and its own tools check what the daemon serves and the example rules.

use lab::{Lab, Neighbor, Pairs, Proc, Result, Rustbgpd, Speaker, wait};
use serde_json::Value;

const US: u32 = 65001;
const PEER: u32 = 65002;
const UP: u8 = 51;
const ABSENT: u8 = 52;
const DISABLED: u8 = 53;

const RULES: &str = include_str!("../../docs/monitoring/rustbgpd.rules.yml");

const PROMETHEUS: &str = "\
global: {scrape_interval: 1s, evaluation_interval: 1s}
rule_files: [/run/lab/rules.yml]
scrape_configs:
  - job_name: rustbgpd
    static_configs: [{targets: ['127.0.0.1:9179']}]
";

/// Names that dashboards know, whatever promtool thinks of their endings.
const GIVEN: [&str; 2] = ["bgp_rpki_vrp_count", "bgp_aspa_records_total"];

struct Prometheus(Proc);

impl Prometheus {
    fn start(pairs: &Pairs) -> Result<Self> {
        let config = pairs.us.write("prometheus.yml", PROMETHEUS)?;
        pairs.us.write("rules.yml", RULES)?;
        let config = format!("--config.file={config}");
        let argv = [
            "prometheus",
            &config,
            "--storage.tsdb.path=/run/lab/tsdb",
            "--web.listen-address=127.0.0.1:9090",
        ];
        Ok(Prometheus(pairs.us.spawn("prometheus", &argv)?))
    }

    /// The samples of an expression: labels and values. None while it does not answer.
    fn query(&self, expression: &str) -> Result<Option<Vec<(Value, f64)>>> {
        let argv = ["promtool", "query", "instant", "-o", "json", "http://127.0.0.1:9090", expression];
        let output = self.0.host().output(&argv)?;
        if !output.status.success() {
            return Ok(None);
        }
        let samples: Vec<Value> = serde_json::from_slice(&output.stdout)?;
        let value = |s: &Value| s["value"][1].as_str().and_then(|v| v.parse().ok()).unwrap_or(f64::NAN);
        Ok(Some(samples.iter().map(|s| (s["metric"].clone(), value(s))).collect()))
    }

    fn wait_for(&self, expression: &str, wanted: impl Fn(&[(Value, f64)]) -> bool) -> Result<()> {
        wait(expression, 60, || Ok(self.query(expression)?.is_some_and(|samples| wanted(&samples))))
    }
}

#[test]
fn prometheus_scrapes_the_daemon() -> Result<()> {
    Lab::run(|lab| {
        let pairs = Pairs::new(lab, &[UP, ABSENT, DISABLED])?;
        let neighbor = |n: u8| Neighbor::new(&Pairs::theirs(n).to_string(), PEER).set("hold_time", 90);
        let neighbors = [neighbor(UP), neighbor(ABSENT), neighbor(DISABLED)];
        let config = Rustbgpd::configuration(US, "10.0.0.1", &neighbors);
        let config = config.replace(
            "log_format = \"json\"\n",
            "log_format = \"json\"\nprometheus_addr = \"127.0.0.1:9179\"\n",
        );
        let daemon = Rustbgpd::start(&pairs.us, &config)?;
        let mut speaker = Speaker::establish(&pairs.peer, Pairs::port(UP), PEER, 90, [10, 0, 0, 2])?;
        daemon.wait_established(&[Pairs::theirs(UP)])?;
        daemon.ctl(&["neighbor", &Pairs::theirs(DISABLED).to_string(), "disable"])?;

        let metrics = daemon.ctl(&["metrics"])?;
        let linted: String = metrics
            .lines()
            .filter(|line| !GIVEN.iter().any(|name| line.contains(name)))
            .map(|line| format!("{line}\n"))
            .collect();
        pairs.us.feed(&["promtool", "check", "metrics"], &linted)?;
        let prometheus = Prometheus::start(&pairs)?;
        pairs.us.run(&["promtool", "check", "rules", "/run/lab/rules.yml"])?;

        prometheus.wait_for("bgp_peers_established", |s| s.len() == 1 && s[0].1 == 1.0)?;
        let peer = |n: u8| Value::from(Pairs::theirs(n).to_string());
        let up = format!("bgp_session_state_transitions_total{{peer={},to=\"established\"}}", peer(UP));
        prometheus.wait_for(&up, |s| s.iter().map(|(_, n)| n).sum::<f64>() == 1.0)?;
        // All four processes are seen by the system, whoever they run as.
        for metric in
            ["rustbgpd_engine_resident_memory_bytes > 100000", "rustbgpd_engine_start_time_seconds > 1"]
        {
            prometheus.wait_for(metric, |s| {
                let mut engines: Vec<_> =
                    s.iter().filter_map(|(labels, _)| labels["engine"].as_str()).collect();
                engines.sort_unstable();
                engines == ["control", "parent", "rde", "session"]
            })?;
        }
        let processes = daemon.json(&["processes"])?;
        let names: Vec<_> =
            processes.as_array().into_iter().flatten().filter_map(|p| p["name"].as_str()).collect();
        assert_eq!(names, ["parent", "session", "rde", "control"], "{processes}");
        prometheus.wait_for("rustbgpd_engine_up == 1", |s| s.len() == 3)?;
        let ipc = "rustbgpd_ipc_messages_total{engine=\"session\",with=\"rde\",direction=\"sent\"} > 0";
        prometheus.wait_for(ipc, |s| s.len() == 1)?;

        // A session that ends with a NOTIFICATION is seen by its code; Cease, Administrative Reset.
        let mut notification = vec![0xff; 16];
        notification.extend([0, 21, bgpbench::bgp::NOTIFICATION, 6, 4]);
        speaker.send(&notification)?;
        let received =
            format!("bgp_notifications_received_total{{peer={},code=\"6\",subcode=\"4\"}}", peer(UP));
        prometheus.wait_for(&received, |s| s.len() == 1 && s[0].1 == 1.0)?;
        prometheus.wait_for("ALERTS{alertname=\"BgpSessionDown\"}", |s| {
            let mut peers: Vec<&Value> = s.iter().map(|(labels, _)| &labels["peer"]).collect();
            peers.sort_unstable_by_key(|p| p.to_string());
            // Not that which an operator has disabled.
            peers == [&peer(UP), &peer(ABSENT)]
        })
    })
}
