//! Ranges of dynamic neighbors in two configurations, compared: by what their neighbors are.

use std::collections::BTreeMap;

use ipc::file::{self, RangeDifferences};
use ipnet::IpNet;
use serde::Serialize;

use super::{Cost, all_differences};
use crate::config::{Config, DynamicNeighbor};

/// A range of dynamic neighbors that is in both configurations and not the same in them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct ChangedRange {
    pub(crate) prefix: IpNet,
    /// The keys that differ, in its table or in its group.
    pub(crate) keys: Vec<&'static str>,
    /// What that costs its neighbors.
    pub(crate) cost: Cost,
}

/// Ranges of dynamic neighbors that are not the same in two configurations.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub(crate) struct RangeChanges {
    pub(crate) added: Vec<IpNet>,
    pub(crate) removed: Vec<IpNet>,
    pub(crate) changed: Vec<ChangedRange>,
}

impl RangeChanges {
    pub(super) fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.changed.is_empty()
    }

    /// For who has asked for the change.
    pub(super) fn told(&self) -> RangeDifferences {
        let changed = self.changed.iter().map(|c| file::ChangedRange {
            prefix: c.prefix,
            keys: c.keys.iter().map(|key| (*key).to_owned()).collect(),
            cost: c.cost.told(),
        });
        let (added, removed) = (self.added.clone(), self.removed.clone());
        RangeDifferences { added, removed, changed: changed.collect() }
    }

    pub(super) fn between(running: &Config, new: &Config) -> RangeChanges {
        let by_prefix = |config: &'_ Config| -> BTreeMap<IpNet, usize> {
            config.dynamic_neighbors.iter().enumerate().map(|(n, range)| (range.prefix, n)).collect()
        };
        let (before, after) = (by_prefix(running), by_prefix(new));
        let both = before.iter().filter_map(|(prefix, b)| {
            let (b, a) =
                (running.dynamic_neighbors.get(*b)?, new.dynamic_neighbors.get(*after.get(prefix)?)?);
            let differences = all_differences((running, &b.template), (new, &a.template));
            let cost = differences.iter().map(|(_, cost)| *cost).max()?;
            let keys = differences.into_iter().map(|(key, _)| key).collect();
            Some(ChangedRange { prefix: *prefix, keys, cost })
        });
        RangeChanges {
            changed: both.collect(),
            added: after.keys().filter(|p| !before.contains_key(*p)).copied().collect(),
            removed: before.keys().filter(|p| !after.contains_key(*p)).copied().collect(),
        }
    }
}

/// What it costs a dynamic neighbor that its range is another one, or is not the same any more; `None`: nothing differs for
/// it. Whether its AS is the right one still, session knows.
pub(crate) fn cost_in_range(
    (running, before): (&Config, &DynamicNeighbor),
    (new, after): (&Config, &DynamicNeighbor),
) -> Option<Cost> {
    let differences = all_differences((running, &before.template), (new, &after.template));
    differences.into_iter().filter(|(key, _)| *key != "remote_asn").map(|(_, cost)| cost).max()
}

#[cfg(test)]
mod tests {
    use super::super::Changes;
    use super::super::tests::config;

    #[test]
    fn ranges_of_dynamic_neighbors_come_and_go_and_are_what_their_group_makes_of_them() {
        let file = |group: &str, prefix: &str, range: &str| {
            config(&format!(
                "[peer_groups.g]\n{group}\n[[dynamic_neighbors]]\nprefix = \"{prefix}\"\npeer_group = \"g\"\n{range}\n"
            ))
        };
        let before = file("hold_time = 30", "10.0.0.0/24", "");
        for (after, says) in [
            (file("hold_time = 30", "10.0.0.0/24", "remote_asn = 0"), ""),
            (
                file("hold_time = 45", "10.0.0.0/24", ""),
                "  ~ dynamic neighbors 10.0.0.0/24: hold_time (its sessions are reset)\n",
            ),
            (
                file("hold_time = 30", "10.0.0.0/24", "remote_asn = 5"),
                "  ~ dynamic neighbors 10.0.0.0/24: remote_asn (its sessions are reset)\n",
            ),
            (
                file("hold_time = 30", "10.0.0.0/24", "description = \"x\""),
                "  ~ dynamic neighbors 10.0.0.0/24: description (its sessions go on)\n",
            ),
            (
                file(
                    "hold_time = 30\n[[peer_groups.g.import_policy]]\naction = \"deny\"\nprefix = \"0.0.0.0/0\"",
                    "10.0.0.0/24",
                    "",
                ),
                "  ~ dynamic neighbors 10.0.0.0/24: import_policy (the routes of its neighbors are evaluated again)\n",
            ),
            (
                file("hold_time = 30", "10.0.1.0/24", ""),
                "  + dynamic neighbors 10.0.1.0/24\n  - dynamic neighbors 10.0.0.0/24\n",
            ),
        ] {
            let changes = Changes::between(&before, &after);
            let expected =
                if says.is_empty() { String::new() } else { format!("applied by reload:\n{says}") };
            assert_eq!(changes.to_string(), expected);
            assert_eq!(changes.is_empty(), says.is_empty());
        }
        let changes = Changes::between(&before, &file("hold_time = 45", "10.0.0.0/24", ""));
        assert!(changes.to_json().contains(
            r#""dynamic_neighbors":{"added":[],"removed":[],"changed":[{"prefix":"10.0.0.0/24","keys":["hold_time"],"cost":"reset"}]}"#
        ));
    }
}
