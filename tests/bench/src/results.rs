//! Recorded runs, sorted by scenario, daemon and repetition, and the figures taken from them.

use crate::{daemons, scenario};
use serde_json::Value;
use std::collections::BTreeMap;

/// The runs of one scenario at one size.
pub struct Scenario<'a> {
    pub name: String,
    pub size: &'a Value,
    pub full: bool,
    /// In the order of the tables; of a repetition made twice, the last counts.
    pub daemons: Vec<(String, BTreeMap<u64, &'a Value>)>,
}

pub fn text<'a>(r: &'a Value, k: &str) -> &'a str {
    r[k].as_str().unwrap_or("")
}

pub fn is_ok(r: &Value) -> bool {
    r["status"] == "ok"
}

pub fn median(mut v: Vec<f64>) -> Option<f64> {
    v.sort_by(f64::total_cmp);
    let n = v.len();
    match n {
        0 => None,
        _ if n % 2 == 1 => Some(v[n / 2]),
        _ => Some((v[n / 2 - 1] + v[n / 2]) / 2.0),
    }
}

/// Sorts runs by scenario, as `scenario::ALL` has them.
pub fn sort(runs: &[Value]) -> Vec<Scenario<'_>> {
    let order = |all: &[&str], x: &str| all.iter().position(|&y| y == x).unwrap_or(99);
    let mut out: Vec<Scenario> = Vec::new();
    for r in runs {
        let (name, size) = (text(r, "scenario"), &r["size"]);
        let at = out.iter().position(|s| s.name == name && s.size == size).unwrap_or_else(|| {
            let full = text(r, "scale") == "full";
            out.push(Scenario { name: name.into(), size, full, daemons: vec![] });
            out.len() - 1
        });
        let (daemons, d) = (&mut out[at].daemons, text(r, "daemon"));
        let at = daemons.iter().position(|x| x.0 == d).unwrap_or_else(|| {
            daemons.push((d.into(), BTreeMap::new()));
            daemons.len() - 1
        });
        daemons[at].1.insert(r["rep"].as_u64().unwrap_or(0), r);
    }
    for s in &mut out {
        s.daemons.sort_by_key(|d| order(daemons::ALL, &d.0));
    }
    out.sort_by_key(|s| (order(scenario::ALL, &s.name), !s.full));
    out
}

impl Scenario<'_> {
    /// The runs of a daemon by repetition, failed ones too.
    pub fn runs(&self, daemon: &str) -> Option<&BTreeMap<u64, &Value>> {
        self.daemons.iter().find(|d| d.0 == daemon).map(|d| &d.1)
    }

    /// A metric of a daemon's good runs, by repetition.
    fn by_rep(&self, daemon: &str, metric: &str) -> BTreeMap<u64, f64> {
        let runs = self.runs(daemon).into_iter().flatten().filter(|(_, r)| is_ok(r));
        runs.filter_map(|(n, r)| Some((*n, r["metrics"][metric].as_f64()?))).collect()
    }

    /// The metric in all good runs, ascending.
    pub fn values(&self, daemon: &str, metric: &str) -> Vec<f64> {
        let mut v: Vec<f64> = self.by_rep(daemon, metric).into_values().collect();
        v.sort_by(f64::total_cmp);
        v
    }

    pub fn median(&self, daemon: &str, metric: &str) -> Option<f64> {
        median(self.values(daemon, metric))
    }

    /// Median of the ratios of two metrics, taken within each repetition.
    pub fn ratio(&self, of: (&str, &str), to: (&str, &str)) -> Option<f64> {
        let below = self.by_rep(to.0, to.1);
        let above = self.by_rep(of.0, of.1);
        let q = above.iter().filter_map(|(n, a)| Some(a / below.get(n)?));
        median(q.filter(|x| x.is_finite()).collect())
    }
}
